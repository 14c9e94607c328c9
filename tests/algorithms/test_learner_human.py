"""Interventions in the learner: there within their episode, in their share, and still so after a resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.learner import Learner
from o2o_robot.presets import wsrl
from o2o_robot.types import Mode, Source, Step


def a_learner(share: float = 0.5, **changes: object) -> Learner:
    pretrained = learner()
    pretrained.update(batch())
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    config = small(wsrl(), intervention_share=share)
    return Learner(pretrained, replay, config=config, plan=SwitchPlan(warmup_steps=9), seed=0, **changes)  # type: ignore[arg-type]


def by_hand(step: Step) -> Step:
    assert step.executed is not None
    return replace(step, executed=replace(step.executed, source=Source.TELEOP))


def feed(subject: Learner, steps: list[Step]) -> None:
    for step in steps:
        subject.add_step(step, mode=Mode.ONLINE)
        while subject.updates_owed():
            subject.update()


def intervened(n: int, length: int, *, first: int = 0) -> list[Step]:
    """Episodes whose third and fourth steps a person moved."""
    return [by_hand(step) if step.index in (2, 3) else step for step in stream(n, length, first=first)]


def test_an_intervention_can_be_learned_from_before_its_episode_ends() -> None:
    subject = a_learner(share=1.0)
    feed(subject, stream(1, 9))
    during = [by_hand(step) if step.index == 2 else step for step in stream(1, 9, first=1)][:4]
    for step in during:
        subject.add_step(step, mode=Mode.ONLINE)
    assert subject.replay.counts()["source"] == {"policy": 11, "teleop": 1}
    drawn = subject._sample(np.random.default_rng(0))
    assert (drawn.action == during[2].executed.values).all()  # type: ignore[union-attr]


def test_without_interventions_the_share_changes_no_update() -> None:
    plain, asked = a_learner(share=0.0), a_learner(share=0.5)
    for subject in (plain, asked):
        feed(subject, stream(3, 9))
    assert asked.n_updates == plain.n_updates > 10
    assert asked.snapshot() == plain.snapshot()


def test_with_interventions_the_share_changes_the_updates() -> None:
    plain, asked = a_learner(share=0.0), a_learner(share=0.5)
    for subject in (plain, asked):
        feed(subject, intervened(3, 9))
    assert asked.snapshot() != plain.snapshot()


def test_a_learner_resumed_in_the_middle_of_an_episode_draws_the_same_interventions(tmp_path: Path) -> None:
    whole, cut = a_learner(), a_learner()
    first, second = intervened(3, 9), intervened(2, 9, first=3)
    for subject in (whole, cut):
        feed(subject, first[:25])
    cut.save(tmp_path / "c", provenance={})
    resumed = Learner.resume(tmp_path / "c", config=small(wsrl(), intervention_share=0.5))
    for subject in (whole, resumed):
        feed(subject, first[25:] + second)
    assert resumed.n_updates == whole.n_updates > 20
    assert resumed.snapshot() == whole.snapshot()


def test_a_run_is_not_gone_on_with_under_another_share(tmp_path: Path) -> None:
    subject = a_learner(share=0.5)
    feed(subject, intervened(2, 9))
    subject.save(tmp_path / "c", provenance={})
    with pytest.raises(CheckpointError, match=r"intervention_share was 0\.5"):
        Learner.resume(tmp_path / "c", config=small(wsrl(), intervention_share=0.25))


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"intervention_share must lie in \[0, 1\], got 1\.5"):
        small(wsrl(), intervention_share=1.5)
