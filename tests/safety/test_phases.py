"""Limits that change with the phase of a run, and disarming in motion: never a jump, never a looser limit."""

import numpy as np
import pytest
from guard_examples import READY_RAD, RecordingArm, action, roomy, state_at
from shaped_cell import DT_S, SPACE, MotionLaws, ShapedCell, real

from o2o_robot.errors import ConfigError, LimitError
from o2o_robot.safety.guard_config import build_guard, fr3, phase_rules
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.permits import PermitTimes
from o2o_robot.safety.profiles import OF_MODE, PROFILES, phase_configs, profile_of, warmup
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Mode

FULL = (0.0, 1.0, 0.0)
REST_TICKS = 15


def moving(**changes: object) -> tuple[ShapedCell, MotionLaws]:
    """At full speed, in the middle of a motion; laws that watch from here."""
    cell = ShapedCell(real(max_step_m=0.025, **changes)).engage()
    cell.run(FULL, 0.5)
    cell.act(FULL)
    cell.tick(5)
    laws = MotionLaws(cell.config)
    laws.restart(cell.inner.targets[-1], cell.inner.q_rad)
    laws._before["tool"] = (np.diff(cell.path()[-2:], axis=0)[0] / DT_S, np.zeros(3))
    return cell, laws


def watched(cell: ShapedCell, laws: MotionLaws, ticks: int) -> None:
    for _ in range(ticks):
        laws.see(cell.tick().target, cell.inner.q_rad)


def test_a_standing_arm_takes_another_phases_limits_at_once():
    cell = ShapedCell(real()).engage()
    before = np.linalg.norm(cell.act(FULL).values)
    cell.guard.end_episode()
    cell.tick(60)
    assert cell.guard.adopt(phase_rules(warmup(cell.config)))
    cell.guard.permits.hear_deadman(True)
    cell.tick()
    cell.guard.permits.hear_deadman(True)
    after = np.linalg.norm(cell.act(FULL).values)
    assert after == pytest.approx(0.4 * before, rel=1e-6)


def test_a_moving_arm_comes_to_rest_first_and_follows_nothing_meanwhile():
    cell, laws = moving()
    tight = phase_rules(real(max_step_m=0.01))
    assert not cell.guard.adopt(tight)
    cell.guard.start_episode()
    refused = cell.act(FULL)
    assert refused.reasons == Reason.HOLD
    watched(cell, laws, REST_TICKS)
    assert np.linalg.norm(np.diff(cell.path()[-2:], axis=0)) == 0
    answer = cell.act(FULL)
    assert answer.reasons == Reason.STEP_SIZE
    assert np.linalg.norm(answer.values) == pytest.approx(0.4, rel=1e-6)
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6


def test_a_phase_changes_speeds_and_accelerations_of_the_motion_itself():
    cell = ShapedCell(real(max_step_m=0.025)).engage()
    slow = real(max_step_m=0.025, max_speed_m_s=0.05, max_acceleration_m_s2=0.5)
    assert cell.guard.adopt(phase_rules(slow))
    laws = MotionLaws(slow)
    laws.restart(cell.inner.tool, cell.inner.q_rad)
    for _ in range(5):
        cell.act(FULL)
        watched(cell, laws, 10)
    assert 0.2 < laws.worst.used["tool acceleration"] <= 1.0 + 1e-6
    assert laws.worst.used["tool speed"] <= 1.0 + 1e-6


def test_windows_of_the_motion_cannot_change_while_the_guard_runs():
    cell = ShapedCell(real()).engage()
    with pytest.raises(LimitError, match="shaping_s"):
        cell.guard.adopt(phase_rules(real(shaping_s=0.2)))
    with pytest.raises(LimitError, match="shaped"):
        build_guard(real()).adopt(phase_rules(real(shaped=False)))


def test_a_phase_that_asks_for_the_deadmans_switch_stops_an_arm_whose_switch_nobody_holds():
    cell = ShapedCell(real()).engage()
    cell.guard.permits.hear_deadman(True)
    cell.guard.adopt(phase_rules(real(deadman_s=0.1)))
    cell.tick(5)
    assert cell.guard.state is GuardState.ARMED, "what was heard before it was asked for counts"
    cell.tick(10)
    assert cell.guard.state is GuardState.SOFT_STOP
    assert cell.guard.permits.times == PermitTimes(deadman_s=0.1)


def test_every_mode_of_an_episode_has_a_profile_and_an_unknown_one_the_tightest():
    assert {profile_of(mode.value) for mode in Mode} == set(OF_MODE.values()) == set(PROFILES)
    assert profile_of("onlien") == "warmup"


def test_a_cells_own_change_tightens_a_profile_and_one_that_allows_more_than_the_preset_is_refused():
    phases = phase_configs(fr3(), {"warmup": {"max_step_m": 0.002}})
    assert phases["warmup"].max_step_m == 0.002
    assert phases["online"].max_step_m == pytest.approx(0.0064)
    with pytest.raises(ConfigError, match=r"profile online allows more than the preset: max_step_m is 0\.02"):
        phase_configs(fr3(), {"online": {"max_step_m": 0.02}})
    with pytest.raises(ConfigError, match="did you mean 'max_step_m'"):
        phase_configs(fr3(), {"online": {"max_stepm": 0.002}})
    with pytest.raises(ConfigError, match="no safety profile 'warm-up'"):
        phase_configs(fr3(), {"warm-up": {}})


def test_disarmed_in_motion_it_brakes_within_its_bounds_and_then_is_idle_and_silent():
    cell, laws = moving()
    cell.guard.disengage(Reason.BUDGET)
    assert cell.guard.state is GuardState.SOFT_STOP
    assert cell.act(FULL).reasons & Reason.SOFT_STOP
    assert cell.guard.start_episode() & Reason.SOFT_STOP
    watched(cell, laws, REST_TICKS)
    assert cell.guard.state is GuardState.IDLE
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6
    sent = len(cell.inner.targets)
    cell.tick(5)
    assert len(cell.inner.targets) == sent
    assert "budget of interventions spent" in cell.guard.snapshot().reason_names
    cell.inner.place(READY_RAD)  # a hand guides it away
    cell.inner.sense(cell.now_ns)
    cell.engage()
    np.testing.assert_allclose(cell.tick().target.position_m, cell.inner.tool.position_m, atol=1e-12)


def test_a_process_that_ends_in_motion_brakes_without_hearing_of_the_arm():
    cell, laws = moving()
    cell.guard.disengage()
    ticks = 0
    while not cell.guard.is_at_rest:
        laws.see(cell.arm.coast().target, cell.inner.q_rad)
        ticks += 1
    assert ticks <= REST_TICKS
    assert cell.guard.state is GuardState.IDLE
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6
    np.testing.assert_allclose(cell.path()[-1], cell.guard.hold_pose(cell.inner.state).position_m, atol=1e-12)


def test_reset_in_motion_lets_the_arm_come_to_rest_before_it_is_idle():
    cell, laws = moving()
    cell.guard.latch()
    watched(cell, laws, 2)
    cell.guard.reset()
    assert cell.guard.state is GuardState.SOFT_STOP
    watched(cell, laws, REST_TICKS)
    assert cell.guard.state is GuardState.IDLE
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6


def test_in_lockstep_a_disarmed_guard_answers_with_a_hold_so_that_time_passes_and_in_real_time_with_nothing():
    for lockstep in (True, False):
        inner = RecordingArm(state_at())
        arm = GuardedArm(inner, build_guard(roomy(lockstep=lockstep)))
        arm.engage()
        arm.guard.disengage(Reason.BUDGET)
        answer = arm.execute(action(1), SPACE, 0, 0.0)
        assert answer.reasons & Reason.NOT_ARMED
        np.testing.assert_array_equal(answer.values, 0)
        assert len(inner.targets) == lockstep


def test_whoever_waits_to_begin_an_episode_is_told_by_the_soft_stops_bit():
    cell = ShapedCell(real(deadman_s=0.1))
    cell.guard.permits.hear_deadman(True)
    cell.engage()
    cell.tick(20)
    assert cell.guard.snapshot().reasons & Reason.SOFT_STOP
    for _ in range(60):
        cell.guard.permits.hear_deadman(True)
        cell.tick()
    seen = cell.guard.snapshot()
    assert (seen.state, bool(seen.reasons & Reason.SOFT_STOP)) == ("SOFT_STOP", False)
    assert not cell.guard.start_episode()
