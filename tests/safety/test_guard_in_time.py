"""What the guard promises over time: stale, future and backward stamps, silence, stops, latches, takeover."""

from dataclasses import replace

import numpy as np
import pytest
from guard_examples import MS, READY_RAD, RecordingArm, action, engaged, moved, roomy, state_at

from o2o_robot.errors import ArmError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.safety.guard import Guard
from o2o_robot.safety.guard_config import GuardConfig, build_guard, fr3
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Source

REAL = replace(
    roomy(),
    state_stop_s=0.03,
    state_latch_s=0.2,
    frozen_state_s=0.05,
    tick_period_s=0.01,
    resume_after_s=0.5,
    soft_force_n=20.0,
    hard_force_n=45.0,
)


class Cell:
    """A guard, a living arm that moves a little all the time, and two clocks, 10 ms a tick."""

    def __init__(self, config: GuardConfig = REAL) -> None:
        self.guard: Guard = build_guard(config)
        self.now_ns = 0
        self.guard.engage(0, 0.0, self.state())

    @property
    def steady_s(self) -> float:
        return self.now_ns * 1e-9

    def state(self):
        flicker = 1e-6 * np.sin(self.now_ns * 1e-7 + np.arange(7))
        return state_at(READY_RAD + flicker, stamp_ns=self.now_ns)

    def send(self, seq: int, **changes):
        state = self.state()
        refused = self.guard.check_command(
            action(seq, **{"stamp_ns": self.now_ns, **changes}), state, self.now_ns, self.steady_s
        )
        return refused or self.guard.judge(moved(state, [0.01, 0, 0]), state).reasons

    def tick(self, n: int = 1, *, state=None):
        for _ in range(n):
            self.now_ns += 10 * MS
            verdict = self.guard.tick(self.now_ns, self.steady_s, state or self.state())
        return verdict

    def live(self, seconds: float, *, seq: int = 1, **changes) -> int:
        """A policy that answers at 10 Hz; returns the next sequence number."""
        for _ in range(round(seconds * 10)):
            self.send(seq, **changes)
            self.tick(10)
            seq += 1
        return seq


def test_commands_in_time_run_without_a_single_reason():
    cell = Cell()
    cell.live(2.0)
    assert cell.guard.state is GuardState.RUN
    assert cell.guard.snapshot().reason_counts == ()
    assert cell.guard.snapshot().commands == 20
    assert cell.guard.snapshot().interventions == 0


def test_between_commands_the_target_stays_the_last_one_sent():
    cell = Cell()
    cell.send(1)
    verdict = cell.tick(5)
    assert verdict.target.position_m[0] == pytest.approx(state_at().tool.position_m[0] + 0.01, abs=1e-5)
    assert not verdict.reasons


def test_a_silent_policy_makes_the_arm_hold_its_measured_pose_within_two_periods():
    cell = Cell()
    cell.send(1)
    cell.tick(15)
    assert cell.tick(5).reasons == Reason.STALE_COMMAND | Reason.HOLD  # 200 ms after the command
    held = cell.tick().target.position_m
    np.testing.assert_allclose(held, state_at().tool.position_m, atol=1e-4)


def test_a_policy_that_comes_back_within_three_periods_is_followed_again():
    cell = Cell()
    cell.send(1)
    cell.tick(20)
    assert not cell.send(2)
    assert not cell.tick().reasons


def test_a_policy_silent_for_three_periods_has_lost_its_episode():
    cell = Cell()
    cell.send(1)
    cell.tick(31)
    assert cell.guard.state is GuardState.SOFT_STOP
    assert cell.send(2) == Reason.SOFT_STOP | Reason.HOLD
    assert not cell.guard.start_episode()
    assert not cell.send(3)


def test_silence_between_episodes_is_no_fault():
    cell = Cell()
    cell.live(0.5)
    cell.guard.end_episode()
    assert not cell.tick(500).reasons
    assert cell.guard.state is GuardState.ARMED


def test_a_paused_ros_clock_does_not_hide_a_silent_policy():
    cell = Cell()
    cell.send(1)
    for k in range(1, 20):
        verdict = cell.guard.tick(0, 0.01 * k, replace(cell.state(), q_rad=READY_RAD + 1e-6 * k))
    assert verdict.reasons
    assert cell.guard.state is not GuardState.RUN or verdict.reasons & Reason.STALE_COMMAND


def test_a_paused_ros_clock_does_not_hide_a_dead_driver():
    cell = Cell()
    last = cell.state()
    for k in range(1, 5):
        verdict = cell.guard.tick(0, 0.01 * k, last)
    assert verdict.reasons & Reason.STALE_STATE
    assert cell.guard.state is GuardState.SOFT_STOP


def test_the_hold_pose_is_kept_and_does_not_creep_with_the_arm():
    cell = Cell()
    cell.tick()
    first = cell.tick().target.position_m
    sagged = state_at(READY_RAD + np.array([0, 0.005, 0, 0, 0, 0, 0]), stamp_ns=cell.now_ns + 10 * MS)
    np.testing.assert_array_equal(cell.tick(state=sagged).target.position_m, first)


def test_an_arm_that_something_else_moved_away_is_not_pulled_back():
    cell = Cell()
    cell.tick()
    carried = state_at(READY_RAD + np.array([0.3, 0, 0, 0, 0, 0, 0]), stamp_ns=cell.now_ns + 10 * MS)
    np.testing.assert_array_equal(cell.tick(state=carried).target.position_m, carried.tool.position_m)


def test_a_state_that_stopped_coming_stops_the_arm_and_then_latches():
    cell = Cell()
    cell.send(1)
    last = cell.state()
    assert cell.tick(2, state=last).reasons == 0
    verdict = cell.tick(2, state=last)
    assert verdict.reasons & Reason.STALE_STATE
    assert cell.guard.state is GuardState.SOFT_STOP
    np.testing.assert_allclose(verdict.target.position_m, moved(last, [0.01, 0, 0]).position_m)  # not an old pose
    cell.tick(17, state=last)
    assert cell.guard.state is GuardState.LATCHED


def test_a_driver_that_repeats_its_values_under_new_stamps_stops_the_arm():
    cell = Cell()
    cell.send(1)
    for _ in range(7):
        verdict = cell.tick(state=state_at(READY_RAD, stamp_ns=cell.now_ns + 10 * MS))
    assert verdict.reasons & Reason.FROZEN_STATE
    assert cell.guard.state is GuardState.SOFT_STOP


def test_a_state_stamped_in_the_past_is_stale_even_if_it_just_came_in():
    cell = Cell()
    cell.tick(10)
    guard = build_guard(REAL)
    guard.tick(cell.now_ns, cell.steady_s, state_at(stamp_ns=cell.now_ns - 31 * MS))
    assert guard.snapshot().reasons & Reason.STALE_STATE
    assert guard.state is GuardState.UNCONFIGURED


@pytest.mark.parametrize(
    ("changes", "reason", "then"),
    [
        ({"stamp_ns": 1000 * MS + 21 * MS}, Reason.FUTURE_STAMP, GuardState.SOFT_STOP),
        ({"stamp_ns": 850 * MS}, Reason.BACKWARD_STAMP, GuardState.SOFT_STOP),
        ({"stamp_ns": 700 * MS, "source": Source.SCRIPTED}, Reason.STALE_COMMAND, GuardState.RUN),
        ({"seq": 10}, Reason.SEQUENCE, GuardState.RUN),
        ({"seq": 3}, Reason.SEQUENCE, GuardState.RUN),
        ({"revision": 6}, Reason.REVISION, GuardState.RUN),
        ({"values": (0.1, 0.1)}, Reason.SHAPE, GuardState.RUN),
        ({"values": (0.1, np.inf, 0.1)}, Reason.NOT_FINITE, GuardState.RUN),
        ({"values": (0.1, np.nan, 0.1)}, Reason.NOT_FINITE, GuardState.RUN),
        ({"values": (0.1, 1.1, 0.1)}, Reason.RANGE, GuardState.RUN),
    ],
)
def test_a_command_that_is_wrong_about_itself_is_refused_whole(changes, reason, then):
    cell = Cell()
    cell.live(1.0, revision=7)  # the last one: seq 10, stamped 900 ms; it is 1000 ms now
    asked = replace(action(11, stamp_ns=cell.now_ns, revision=7), **changes)
    if "values" in changes:
        asked = replace(asked, values=np.array(changes["values"], np.float32))
    assert cell.guard.check_command(asked, cell.state(), cell.now_ns, cell.steady_s) == reason | Reason.HOLD
    assert cell.guard.state is then
    assert cell.guard.snapshot().interventions == 1


def test_a_refused_command_leaves_no_trace_in_the_order_of_commands():
    cell = Cell()
    cell.send(1)
    cell.send(99, values=(np.nan, 0, 0))
    assert not cell.send(2)


def test_a_new_episode_may_count_from_one_again():
    cell = Cell()
    cell.live(0.5, seq=1)
    cell.guard.end_episode()
    assert not cell.guard.start_episode()
    assert not cell.send(1)


def test_a_clock_that_jumps_back_stops_the_arm():
    cell = Cell()
    cell.live(0.3)
    verdict = cell.guard.tick(cell.now_ns - 50 * MS, cell.steady_s + 0.01, cell.state())
    assert verdict.reasons & Reason.CLOCK_JUMP
    assert cell.guard.state is GuardState.SOFT_STOP


def test_a_guard_that_itself_came_late_stops_the_arm():
    cell = Cell()
    cell.live(0.3)
    cell.now_ns += 50 * MS
    assert cell.tick().reasons & Reason.TICK_GAP
    assert cell.guard.state is GuardState.SOFT_STOP


def test_a_soft_stop_ends_only_after_its_causes_are_gone_for_half_a_second_and_with_a_new_episode():
    cell = Cell()
    cell.send(1, stamp_ns=100 * MS)  # from the future
    assert cell.guard.state is GuardState.SOFT_STOP
    cell.tick(40)
    assert cell.guard.start_episode() & Reason.SOFT_STOP
    cell.tick(20)
    assert cell.guard.state is GuardState.SOFT_STOP
    assert not cell.guard.start_episode()
    assert cell.guard.state is GuardState.ARMED


def test_a_latch_leaves_only_by_reset():
    cell = Cell()
    cell.guard.latch(Reason.ESTOP)
    for leave in (cell.guard.start_episode, cell.guard.end_episode, cell.guard.disengage, cell.guard.release):
        leave()
        assert cell.guard.state is GuardState.LATCHED
    with pytest.raises(ArmError, match="LATCHED"):
        cell.guard.engage(cell.now_ns, cell.steady_s, cell.state())
    cell.live(1.0)
    assert cell.guard.state is GuardState.LATCHED
    assert cell.send(99) == Reason.LATCHED | Reason.HOLD
    cell.guard.reset()
    assert cell.guard.state is GuardState.IDLE
    cell.guard.engage(cell.now_ns, cell.steady_s, cell.state())
    assert cell.guard.state is GuardState.ARMED


def test_reset_does_not_arm_and_touches_nothing_but_a_latch():
    cell = Cell()
    cell.send(1)
    cell.guard.reset()
    assert cell.guard.state is GuardState.RUN


def test_force_above_the_hard_limit_latches_between_commands():
    cell = Cell()
    cell.send(1)
    hit = replace(cell.state(), stamp_ns=cell.now_ns + 10 * MS, wrench=np.array([0, 0, 50.0, 0, 0, 0]))
    assert cell.tick(state=hit).reasons & Reason.FORCE_HARD
    assert cell.guard.state is GuardState.LATCHED
    cell.tick(50)
    assert cell.guard.snapshot().reasons & Reason.FORCE_HARD  # still says why, though the force is gone


def test_before_arming_a_lost_state_latches_nothing():
    guard = build_guard(REAL)
    guard.tick(0, 0.0, state_at())
    guard.tick(1000 * MS, 1.0, state_at())
    assert guard.state is GuardState.IDLE


def test_a_stale_state_cannot_be_armed():
    guard = build_guard(fr3())
    with pytest.raises(ArmError, match="arm state too old"):
        guard.engage(100 * MS, 0.1, state_at(stamp_ns=0))


def test_a_person_takes_over_and_the_policy_waits_until_released():
    cell = Cell()
    cell.send(1)
    assert not cell.send(1, source=Source.TELEOP)
    assert cell.send(2) == Reason.TAKEOVER | Reason.HOLD
    assert not cell.send(2, source=Source.TELEOP)
    cell.guard.release()
    assert not cell.send(3)


def test_the_target_does_not_jump_when_a_person_takes_over():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    arm.engage(0, 0.0)
    space = DeltaPosition(0.025)
    arm.execute(action(1, values=(1, 0, 0)), space, 0, 0.0)
    arm.execute(action(1, values=(0, 0, 0), source=Source.TELEOP), space, 0, 0.0)
    np.testing.assert_allclose(inner.targets[-1].position_m, inner.state.tool.position_m, atol=1e-12)


def test_in_lockstep_nothing_ages_between_commands():
    guard = engaged(replace(roomy(), lockstep=True))
    state = state_at()
    assert not guard.check_command(action(1), state, 0, 0.0)
    guard.judge(moved(state, [0.01, 0, 0]), state)
    assert not guard.tick(0, 3600.0, state).reasons
    assert guard.state is GuardState.RUN


def test_a_snapshot_counts_each_reason_once_an_onset_and_tells_the_ages():
    cell = Cell()
    cell.send(1)
    cell.tick(25)
    seen = cell.guard.snapshot()
    assert dict(zip(seen.reason_names, seen.reason_counts, strict=True)) == {"command too old": 1, "hold": 1}
    assert seen.command_age_s == pytest.approx(0.25)
    assert seen.state_age_s == pytest.approx(0.0)
    assert seen.state == "RUN"
