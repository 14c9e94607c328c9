"""The played person as a device: reproducible from the seed, in place of a policy that is lost, and honest or not."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.teleop.device import Moment
from o2o_robot.teleop.open_device import open_device
from o2o_sim.config import PegConfig, TwinConfig
from o2o_sim.tasks.remaining import REMAINING, remaining_m
from o2o_sim.teleop.simulated import Simulated
from o2o_sim.twin import Twin

SPACE = DeltaPosition()
CONFIG = TwinConfig(cameras=(), peg=PegConfig(clearance_m=0.010))


def device(**settings: object) -> Simulated:
    made = open_device("simulated", settings, clock=lambda: 0.0)
    assert isinstance(made, Simulated)
    return made


def an_episode(twin: Twin, person: Simulated, seed: int, *, n_steps: int = 50) -> tuple[bool, list[np.ndarray]]:
    """Success, and the motions by hand, of a policy that stands still with this person beside it."""
    twin.reset(seed)
    person.begin(seed)
    moves = []
    for _ in range(n_steps):
        arm, task = twin.arm_state(), twin.task_state()
        reading = person.read(Moment(0.0, twin.stamp_ns, arm, task))
        assert reading is not None
        values = reading.axes[:3] if reading.is_held else np.zeros(3)
        moves += [values] if reading.is_held else []
        twin.step(SPACE.target(values, arm))
        if twin.task_state().success:
            return True, moves
    return False, moves


def test_a_lost_policy_succeeds_with_the_person_beside_it_and_never_without() -> None:
    with Twin(CONFIG) as twin:
        beside = [an_episode(twin, device(), seed)[0] for seed in range(8)]
        idle = [an_episode(twin, device(patience_steps=1000, off_course_m=10.0), seed)[0] for seed in range(8)]
    assert sum(beside) >= 6
    assert sum(idle) == 0


def test_the_same_seed_moves_the_hand_the_same_way_and_another_one_does_not() -> None:
    with Twin(CONFIG) as twin:
        _, first = an_episode(twin, device(wrong_way=0.5), 5)
        _, again = an_episode(twin, device(wrong_way=0.5), 5)
        _, other = an_episode(twin, device(wrong_way=0.5), 6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], other[0])


def test_one_who_leads_holds_the_arm_from_the_first_step() -> None:
    with Twin(CONFIG) as twin:
        success, moves = an_episode(twin, device(leads=True, noise=0.0, bias_m=0.0), 1)
    assert success
    assert len(moves) > 5


def test_what_is_done_is_left_alone_however_long_its_judge_takes() -> None:
    person = device(wrong_way=0.0)
    with Twin(CONFIG) as twin:
        assert an_episode(twin, person, 1)[0]
        readings = []
        for _ in range(20):
            readings.append(person.read(Moment(0.0, twin.stamp_ns, twin.arm_state(), twin.task_state())))
            twin.step(SPACE.target(np.zeros(3), twin.arm_state()))
        assert twin.task_state().success
    assert not any(reading.is_held for reading in readings if reading is not None)


def test_an_observation_that_comes_twice_is_answered_alike() -> None:
    person = device(leads=True)
    with Twin(CONFIG) as twin:
        twin.reset(0)
        moment = Moment(0.0, twin.stamp_ns, twin.arm_state(), twin.task_state())
        first, second = person.read(moment), person.read(moment)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.axes, second.axes)


def test_nothing_is_shown_while_nothing_is_known() -> None:
    assert device().read(Moment(0.0)) is None


def test_a_word_depends_on_the_seed_alone_and_is_wrong_as_often_as_asked() -> None:
    tired = device(wrong_labels=0.05)
    words = [tired.word(True, seed) for seed in range(1000)]
    assert words == [device(wrong_labels=0.05).word(True, seed) for seed in range(1000)]
    assert 25 <= words.count("failure") <= 80
    assert {device().word(False, seed) for seed in range(200)} == {"failure"}


@pytest.mark.parametrize("task", ["peg", "reach", "lift"])
def test_the_way_that_remains_falls_to_nothing_as_the_expert_goes(task: str) -> None:
    config = TwinConfig(task=task, cameras=(), peg=PegConfig(clearance_m=0.010))
    with Twin(config) as twin:
        before = _remaining_before(twin, task)
        assert before > 0.05
        person = device(task=task, leads=True, noise=0.0, bias_m=0.0)
        assert _leads_to_success(twin, person)
        assert remaining_m(task, twin.task_state().privileged) < 0.04


def _remaining_before(twin: Twin, task: str) -> float:
    twin.reset(2)
    return remaining_m(task, twin.task_state().privileged)


def _leads_to_success(twin: Twin, person: Simulated, n_steps: int = 80) -> bool:
    person.begin(2)
    for _ in range(n_steps):
        arm, task = twin.arm_state(), twin.task_state()
        reading = person.read(Moment(0.0, twin.stamp_ns, arm, task))
        assert reading is not None
        if twin.has_gripper:
            twin.grip(0.08 if reading.gripper > 0 else 0.0)
        twin.step(SPACE.target(reading.axes[:3], arm))
        if twin.task_state().success:
            return True
    return False


def test_the_truth_of_another_task_or_none_is_refused_in_one_line() -> None:
    with pytest.raises(DataError, match="9 privileged numbers, got 0"):
        remaining_m("peg", np.zeros(0))
    with pytest.raises(ConfigError, match="nobody knows"):
        remaining_m("juggle", np.zeros(9))
    assert set(REMAINING) == {"peg", "reach", "lift"}


def test_an_impossible_share_of_wrong_labels_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrong_labels"):
        device(wrong_labels=1.5)
