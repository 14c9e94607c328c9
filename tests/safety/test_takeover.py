"""A person's device beside a policy: who has the arm, in real time and in lockstep, and that nothing jumps."""

from dataclasses import replace

import numpy as np
import pytest
from guard_examples import MS, RecordingArm, action, roomy, state_at
from shaped_cell import DT_S, SPACE, MotionLaws, ShapedCell, real

from o2o_robot.errors import LimitError
from o2o_robot.safety.guard_config import build_guard
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Executed, Source

LEFT, RIGHT = (0.0, 0.3, 0.0), (0.0, -0.3, 0.0)


class LockstepCell:
    """The twin's guard in lockstep around an arm that stands where it was told: time passes with each step."""

    def __init__(self, **changes: object) -> None:
        self.inner, self.now_ns, self.seq = RecordingArm(state_at()), 0, 0
        self.guard = build_guard(roomy(lockstep=True, **changes))
        self.arm = GuardedArm(self.inner, self.guard)
        self.arm.engage()

    def step(self, values: object) -> Executed:
        self.now_ns += 100 * MS
        self.seq += 1
        self.inner.state = replace(self.inner.state, stamp_ns=self.now_ns)
        return self.arm.execute(action(self.seq, stamp_ns=self.now_ns, values=values), SPACE, self.now_ns, 0.0)

    def teleop(self, values: object, seq: int = 1, **changes: object) -> Reason:
        said = action(seq, **{"stamp_ns": self.now_ns, "values": values, "source": Source.TELEOP, **changes})
        return self.guard.hear_teleop(said, self.now_ns, 0.0)


def test_a_persons_action_is_executed_in_place_of_the_policys_and_both_are_kept():
    cell = LockstepCell()
    assert cell.teleop(RIGHT) == NONE
    answer = cell.step(LEFT)
    assert answer.source is Source.TELEOP
    np.testing.assert_allclose(answer.values, RIGHT, atol=1e-6)
    np.testing.assert_allclose(answer.proposed, LEFT, atol=1e-6)
    assert (answer.seq, answer.stamp_ns) == (cell.seq, cell.now_ns), "it answers the policy's proposal"


def test_a_persons_action_is_limited_like_anybodys():
    cell = LockstepCell()
    cell.teleop((1.0, 1.0, 1.0))
    answer = cell.step((0.0, 0.0, 0.0))
    assert answer.reasons & Reason.STEP_SIZE
    assert np.linalg.norm(SPACE.scale_m * answer.values) <= 0.035 + 1e-9


def test_released_the_policy_goes_on_with_its_next_proposal():
    cell = LockstepCell()
    cell.teleop(RIGHT)
    cell.step(LEFT)
    assert cell.teleop((), seq=2) == NONE
    answer = cell.step(LEFT)
    assert answer.source is Source.POLICY
    assert answer.reasons == 0
    np.testing.assert_allclose(answer.values, LEFT, atol=1e-6)


@pytest.mark.parametrize(("resume_after", "goes_on"), [("release", False), ("silence", True)])
def test_after_a_device_fell_silent_the_policy_goes_on_only_as_the_setting_says(resume_after, goes_on):
    cell = LockstepCell(resume_after_teleop=resume_after)
    cell.teleop(RIGHT)
    answers = [cell.step(LEFT) for _ in range(4)]
    assert [answer.source is Source.TELEOP for answer in answers] == [True, True, False, False]
    held = [bool(answer.reasons & Reason.TAKEOVER) for answer in answers]
    assert held == [False, False, not goes_on, not goes_on]
    assert cell.guard.state is GuardState.RUN
    cell.teleop((), seq=2)
    assert cell.step(LEFT).reasons == 0


def test_a_new_episode_has_nobody_who_took_over_before_it():
    cell = LockstepCell()
    cell.teleop(RIGHT)
    for _ in range(4):
        cell.step(LEFT)
    cell.guard.end_episode()
    cell.guard.start_episode()
    assert cell.step(LEFT).reasons == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"values": (0.1,)}, Reason.SHAPE),
        ({"values": (float("nan"), 0, 0)}, Reason.NOT_FINITE),
        ({"values": (0.0, 3.0, 0.0)}, Reason.RANGE),
        ({"stamp_ns": -400 * MS}, Reason.STALE_COMMAND),
        ({"stamp_ns": 90_000 * MS}, Reason.FUTURE_STAMP),
        ({"source": Source.POLICY}, Reason.SHAPE | Reason.SOURCE),
    ],
)
def test_a_devices_action_that_is_wrong_about_itself_is_refused_counted_and_takes_nothing_over(changes, reason):
    cell = LockstepCell()
    assert cell.teleop(**{"values": RIGHT, **changes}) == reason
    assert cell.step(LEFT).source is Source.POLICY
    assert sum(cell.guard.snapshot().reason_counts) == len(list(Reason(reason)))


def test_a_devices_sequence_goes_forward_while_it_speaks_and_may_begin_again_after_a_silence():
    cell = LockstepCell()
    cell.teleop(RIGHT, seq=9)
    assert cell.teleop(LEFT, seq=9) == Reason.SEQUENCE
    for _ in range(4):
        cell.step(LEFT)
    assert cell.teleop(RIGHT, seq=1) == NONE


def test_no_step_jumps_at_takeover_or_at_the_hand_back_by_more_than_was_asked():
    """Epsilon in lockstep: the target of every step is the measured pose plus what was executed, to a nanometre."""
    cell = LockstepCell()
    for turn in range(9):
        if turn == 3:
            cell.teleop(RIGHT)
        if turn == 5:
            cell.teleop((), seq=2)
        at_m = cell.inner.state.tool.position_m
        answer = cell.step(LEFT)
        told_m = cell.inner.targets[-1].position_m
        np.testing.assert_allclose(told_m, at_m + SPACE.scale_m * np.float64(answer.values), atol=1e-9)
        asked = RIGHT if answer.source is Source.TELEOP else LEFT
        assert np.abs(told_m - at_m).max() <= SPACE.scale_m * np.abs(asked).max() + 1e-9


def test_in_real_time_a_takeover_keeps_the_bounds_and_a_silent_device_holds_between_two_proposals():
    cell = ShapedCell(real(max_step_m=0.025)).engage()
    laws = MotionLaws(cell.config)
    laws.restart(cell.inner.tool, cell.inner.q_rad)

    def pass_ticks(n: int) -> int:
        held = 0
        for _ in range(n):
            sent = cell.tick()
            held += bool(sent.reasons & Reason.TAKEOVER)
            laws.see(sent.target, cell.inner.q_rad)
        return held

    cell.act(LEFT)
    pass_ticks(10)
    said = action(1, stamp_ns=cell.now_ns, values=(1.0, 0.0, 0.0), source=Source.TELEOP)
    assert cell.guard.hear_teleop(said, cell.now_ns, cell.now_ns * 1e-9) == NONE
    assert cell.act(LEFT).source is Source.TELEOP
    assert pass_ticks(10) == 0
    assert cell.act(LEFT).source is Source.TELEOP
    pass_ticks(10)
    assert cell.act(LEFT).source is Source.TELEOP
    assert pass_ticks(9) == 4, "0.25 s after its last word"
    assert cell.act(LEFT).reasons & Reason.TAKEOVER
    assert pass_ticks(40) == 40
    steps_m = np.linalg.norm(np.diff(cell.path(), axis=0), axis=1)
    assert steps_m.max() <= cell.config.max_speed_m_s * DT_S
    assert steps_m[-1] == 0
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6


def test_while_the_policy_waits_for_a_person_its_proposals_keep_the_episode_alive():
    cell = ShapedCell().engage()
    said = action(1, stamp_ns=cell.now_ns, values=LEFT, source=Source.TELEOP)
    cell.guard.hear_teleop(said, cell.now_ns, cell.now_ns * 1e-9)
    cell.run(RIGHT, 2.0)
    assert cell.guard.state is GuardState.RUN
    cell.tick(31)  # and then the policy falls silent
    assert cell.guard.state is GuardState.SOFT_STOP


def test_emergency_stop_and_hold_outrank_a_persons_device():
    cell = LockstepCell()
    cell.guard.pause()
    cell.teleop(RIGHT)
    assert cell.step(LEFT).reasons == Reason.HOLD
    cell.guard.resume()
    cell.guard.latch()
    cell.teleop(RIGHT, seq=2)
    assert cell.step(LEFT).reasons & Reason.LATCHED


def test_a_setting_there_is_not_is_refused():
    with pytest.raises(LimitError, match="release, silence"):
        build_guard(roomy(resume_after_teleop="never"))
