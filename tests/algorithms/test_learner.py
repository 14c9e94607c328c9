from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.phases import Phase
from o2o_robot.algorithms.switch_plan import SwitchPlan, plateaued, precise_enough
from o2o_robot.algorithms.warmup import EpisodeGaps
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.learner import Learner
from o2o_robot.presets import calql, wsrl
from o2o_robot.types import Mode


def _learner(*, warmup_steps: int = 20, **changes: object) -> Learner:
    pretrained = learner()
    pretrained.update(batch())
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    return Learner(
        pretrained, replay, config=small(wsrl(), **changes), plan=SwitchPlan(warmup_steps=warmup_steps), seed=0
    )


def _feed(subject: Learner, steps: list, *, update: bool = True) -> None:  # type: ignore[type-arg]
    for step in steps:
        subject.add_step(step, mode=Mode.WARMUP if subject.phase is Phase.WARMUP else Mode.ONLINE)
        if update:
            _spend(subject)


def _spend(subject: Learner, *, at_most: int = 1500) -> None:
    """Make the updates that are owed; fails where they never end."""
    for _ in range(at_most):
        if not subject.updates_owed():
            return
        subject.update()
    raise AssertionError(f"updates are still owed after {at_most}")


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
        Learner(learner(), replay, config=small(wsrl()), plan=SwitchPlan(warmup_steps=5))


def _successes(n: int, length: int) -> list:  # type: ignore[type-arg]
    """Episodes that all end in success after `length` steps."""
    return [replace(step, terminated=step.truncated, truncated=False) for step in stream(n, length)]


def test_the_critic_recalibrates_alone_before_the_policy_moves() -> None:
    plan = SwitchPlan(warmup_steps=20, recalibrate_updates=6, look_every=2, recalibrate_plateau=0.0)
    subject = _planned(plan)
    actor = {name: t.clone() for name, t in subject.actor_critic.networks.actor.state_dict().items()}
    _feed(subject, stream(2, 10), update=False)
    assert (subject.phase, subject.updates_owed()) == (Phase.RECALIBRATE, 6)
    _spend(subject, at_most=7)
    assert all(torch.equal(actor[name], t) for name, t in subject.actor_critic.networks.actor.state_dict().items())
    assert subject.updates_owed() == 0, "recalibration is not paid for by environment steps"
    _feed(subject, stream(1, 5, first=9), update=False)
    assert subject.updates_owed() == 5
    subject.update()
    assert not all(torch.equal(actor[name], t) for name, t in subject.actor_critic.networks.actor.state_dict().items())
    assert [change.after for change in subject.changes] == [Phase.WARMUP, Phase.RECALIBRATE, Phase.FINETUNE]
    assert subject.changes[-1].changed["update_actor"] == (False, True)


def test_recalibration_ends_when_the_error_no_longer_falls() -> None:
    plan = SwitchPlan(warmup_steps=20, recalibrate_updates=1000, look_every=1, recalibrate_plateau=0.9)
    subject = _planned(plan)
    _feed(subject, stream(2, 10))
    assert subject.phase is Phase.FINETUNE
    assert subject.n_recalibrations == 3, "three looks, neither of the last two 90 % better"


def test_a_falling_error_goes_on_and_a_flat_one_is_a_plateau() -> None:
    assert not plateaued([10.0, 8.0, 6.0], 0.05)
    assert not plateaued([10.0, 9.9, 6.0], 0.05), "one flat look proves nothing"
    assert plateaued([10.0, 9.9, 9.8], 0.05)
    assert not plateaued([10.0, 9.9], 0.05)


def test_warmup_ends_once_the_episodes_agree() -> None:
    plan = SwitchPlan(warmup_steps=1000, warmup_precision=0.2, min_warmup_episodes=4)
    alike = _planned(plan)
    for step in _successes(6, 5):
        alike.add_step(step)
        if alike.phase is not Phase.WARMUP:
            break
    assert alike.n_steps == 20, "four episodes whose gap is the same"


def test_warmup_goes_on_while_the_episodes_disagree() -> None:
    assert not precise_enough([-30.0, 30.0, -30.0, 30.0], reward_horizon=33.0, precision=0.2, at_least=4)
    assert precise_enough([-1.0, 1.0, -1.0, 1.0], reward_horizon=33.0, precision=0.2, at_least=4)
    assert not precise_enough([0.0, 0.0, 0.0], reward_horizon=33.0, precision=0.2, at_least=4)


def test_more_episodes_that_scatter_alike_say_more() -> None:
    """A standard error of 20 / sqrt(n) against a fifth of 33: 4 episodes are too few, 16 are enough."""
    few, many = [-20.0, 20.0] * 2, [-20.0, 20.0] * 8
    assert not precise_enough(few, reward_horizon=33.0, precision=0.2, at_least=4)
    assert precise_enough(many, reward_horizon=33.0, precision=0.2, at_least=4)


def test_the_trust_region_is_let_go_evenly_over_its_updates() -> None:
    plan = SwitchPlan(warmup_steps=10, anchor_updates=4)
    subject = Learner(
        learner(), ReplayBuffer(500, SPEC, 3, TRANSFORM), config=small(wsrl(), anchor_weight=1.0), plan=plan
    )
    _feed(subject, stream(1, 10), update=False)
    scales = []
    for step in stream(1, 6, first=9):
        subject.add_step(step)
        while subject.updates_owed() and len(scales) < 6:
            subject.update()
            scales.append(subject.actor_critic.anchor_scale)
    assert scales == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


def test_a_bonus_raises_the_floor_that_is_learned_from() -> None:
    config = small(calql(), bonus="rnd", bonus_scale=5.0)
    subject = Learner(learner(), ReplayBuffer(500, SPEC, 3, TRANSFORM), config=config, plan=SwitchPlan(warmup_steps=20))
    for step in stream(2, 10):
        subject.add_step(step)
    plain = subject.replay.sample(subject.actor_critic.rows_per_update, np.random.default_rng(0))
    raised = subject._sample(np.random.default_rng(0))
    assert np.array_equal(raised.action, plain.action)
    assert (raised.mc_return > plain.mc_return).all()


def test_an_episodes_gap_is_its_return_less_the_critics_value() -> None:
    subject = learner()
    subject.networks.critic.head.weight.data.zero_()
    subject.networks.critic.head.bias.data.fill_(-7.0)
    gaps = EpisodeGaps(subject)
    for step in _successes(1, 3):
        gaps.add(replace(step, reward=float(step.terminated)))
    assert gaps.gaps == pytest.approx([(-1 - 0.97) + 7.0], abs=1e-4)


def test_retained_data_fill_their_share_of_every_minibatch() -> None:
    offline = ReplayBuffer(100, SPEC, 3, TRANSFORM)
    for step in stream(3, 10, first=50):
        offline.add_step(replace(step, reward=5.0))
    pretrained = learner()
    subject = Learner(
        pretrained,
        ReplayBuffer(100, SPEC, 3, TRANSFORM),
        config=small(wsrl(), offline_share=0.25, critic_steps=2),
        plan=SwitchPlan(warmup_steps=5),
        offline=offline,
    )
    for step in stream(2, 10):
        subject.add_step(step)
    rows = subject._sample(np.random.default_rng(0))
    for part in np.split(rows.reward, 2):
        assert int((part == 5.0).sum()) == 4


def test_data_that_lay_in_the_replay_before_are_not_counted_as_received() -> None:
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    for step in stream(3, 10, first=50):
        replay.add_step(step)
    subject = Learner(learner(), replay, config=small(wsrl()), plan=SwitchPlan(warmup_steps=5))
    assert (subject.n_steps, subject.updates_owed()) == (0, 0)
    for step in stream(1, 10):
        subject.add_step(step)
    assert (subject.n_steps, subject.updates_owed()) == (10, 5)


def test_without_its_retained_data_a_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="no offline data were given"):
        Learner(learner(), ReplayBuffer(50, SPEC, 3, TRANSFORM), config=small(wsrl(), offline_share=0.5))


def test_a_run_stopped_while_recalibrating_goes_on_recalibrating(tmp_path: Path) -> None:
    plan = SwitchPlan(warmup_steps=20, recalibrate_updates=6, look_every=2, recalibrate_plateau=0.0)
    whole = _planned(plan)
    _feed(whole, stream(2, 10), update=False)
    for _ in range(3):
        whole.update()
    whole.save(tmp_path / "c", provenance={})
    resumed = Learner.resume(tmp_path / "c", config=small(wsrl()), plan=plan)
    for subject in (whole, resumed):
        _spend(subject)
    assert (resumed.phase, resumed.errors) == (Phase.FINETUNE, whole.errors)
    states = (s.actor_critic.networks.state_dict() for s in (whole, resumed))
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))


def _planned(plan: SwitchPlan) -> Learner:
    return Learner(learner(), ReplayBuffer(500, SPEC, 3, TRANSFORM), config=small(wsrl()), plan=plan)
