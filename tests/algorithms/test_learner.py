from pathlib import Path

import numpy as np
import pytest
import torch
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.learner import Learner
from o2o_robot.presets import wsrl
from o2o_robot.types import Mode


def _learner(*, warmup_steps: int = 20, **changes: object) -> Learner:
    pretrained = learner()
    pretrained.update(batch())
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    return Learner(pretrained, replay, config=small(wsrl(), **changes), warmup_steps=warmup_steps, seed=0)


def _feed(subject: Learner, steps: list, *, update: bool = True) -> None:  # type: ignore[type-arg]
    for step in steps:
        subject.add_step(step, mode=Mode.WARMUP if subject.phase is Phase.WARMUP else Mode.ONLINE)
        while update and subject.updates_owed():
            subject.update()


def test_nothing_is_learned_before_the_warm_up_is_full() -> None:
    subject = _learner(warmup_steps=20)
    before = subject.snapshot()
    _feed(subject, stream(2, 9))
    assert subject.n_steps == 18
    assert subject.snapshot() == before
    with pytest.raises(ConfigError, match="before 20 warm-up steps"):
        subject.update()


def test_all_that_is_learned_from_was_collected_by_the_policy() -> None:
    subject = _learner(warmup_steps=10)
    _feed(subject, stream(3, 9))
    assert set(subject.replay.counts()["mode"]) == {"warmup", "online"}
    assert len(subject.replay) == 27


@pytest.mark.parametrize(("utd", "critic_steps", "expected"), [(1.0, 1, 25), (0.5, 1, 12), (4.0, 4, 25), (4.0, 2, 50)])
def test_updates_keep_the_stated_ratio_to_steps(utd: float, critic_steps: int, expected: int) -> None:
    subject = _learner(warmup_steps=20, utd=utd, critic_steps=critic_steps)
    _feed(subject, stream(5, 9))
    assert subject.n_updates == expected
    assert subject.updates_owed() == 0


def test_the_switch_logs_each_setting_it_changes_and_the_temperature_goes_through() -> None:
    subject = _learner(warmup_steps=9)
    temperature = subject.actor_critic.networks.log_temperature.clone()
    _feed(subject, stream(1, 9), update=False)
    assert subject.phase is Phase.FINETUNE
    assert set(subject.changes[-1].changed) == {"cql_alpha", "calibrate", "max_target_backup", "critic_lr", "tau"}
    assert torch.equal(temperature, subject.actor_critic.networks.log_temperature)


def test_a_snapshot_is_named_by_its_update_and_carries_its_hash() -> None:
    import hashlib

    subject = _learner(warmup_steps=5)
    first = subject.snapshot()
    _feed(subject, stream(1, 9))
    second = subject.snapshot()
    assert second.revision == first.revision + 4
    assert second.data != first.data
    assert second.sha256 == hashlib.sha256(second.data).hexdigest()


def test_a_resumed_learner_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole, cut = _learner(), _learner()
    first, second = stream(4, 9), stream(3, 9, first=4)
    for subject in (whole, cut):
        _feed(subject, first[:33])  # in the middle of an episode
    cut.save(tmp_path / "c", provenance={})
    resumed = Learner.resume(tmp_path / "c", config=small(wsrl()))
    for subject in (whole, resumed):
        _feed(subject, first[33:] + second)
    assert resumed.n_updates == whole.n_updates > 10
    assert resumed.snapshot() == whole.snapshot()
    assert np.array_equal(resumed.replay.state_dict()["ring/mc_return"], whole.replay.state_dict()["ring/mc_return"])


def test_a_learner_in_warm_up_resumes_in_warm_up(tmp_path: Path) -> None:
    subject = _learner(warmup_steps=20)
    _feed(subject, stream(1, 9))
    subject.save(tmp_path / "c", provenance={})
    resumed = Learner.resume(tmp_path / "c", config=small(wsrl()))
    assert (resumed.phase, resumed.n_steps, resumed.updates_owed()) == (Phase.WARMUP, 9, 0)


def test_a_pretraining_checkpoint_is_not_taken_for_a_stopped_run(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", learner(), phase=Phase.PRETRAIN, provenance={})
    with pytest.raises(CheckpointError, match="nothing online to resume"):
        Learner.resume(tmp_path / "c", config=small(wsrl()))


def test_a_replay_of_another_reward_is_refused() -> None:
    replay = ReplayBuffer(50, SPEC, 3, RewardTransform(10.0, -5.0, 0.99))
    with pytest.raises(ConfigError, match="two reward transforms"):
        Learner(learner(), replay, config=small(wsrl()), warmup_steps=5)
