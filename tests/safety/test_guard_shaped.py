"""The guard of a real arm in real time: first output, takeover, stops, freezing, permits, recoveries."""

from dataclasses import replace

import numpy as np
import pytest
from guard_examples import MS, action
from shaped_cell import DT_S, MotionLaws, ShapedCell, real

from o2o_robot.errors import ArmError
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.limits_table import fr3_conservative
from o2o_robot.safety.permits import Peer, RobotMode
from o2o_robot.safety.reason import WIRE, Reason
from o2o_robot.types import Source

REST_TICKS = 14
PERMITS = {"deadman_s": 0.1, "robot_mode_s": 0.1, "actor_s": 0.5, "recorder_s": 0.5, "learner_s": 0.5}
FULL = (1.0, 0.0, 0.0)


def permitted(**changes: object) -> ShapedCell:
    cell = ShapedCell(real(**{**PERMITS, **changes}))
    allow(cell)
    return cell.engage()


def allow(
    cell: ShapedCell, *, held: bool = True, mode: RobotMode = RobotMode.MOVE, without: Peer | None = None
) -> None:
    cell.guard.permits.hear_deadman(held)
    cell.guard.permits.hear_mode(mode)
    for peer in Peer:
        if peer is not without:
            cell.guard.permits.hear_peer(peer)


def at_full_speed() -> ShapedCell:
    cell = ShapedCell(real(max_step_m=0.025, max_speed_m_s=0.25)).engage()
    cell.run((0.0, 1.0, 0.0), 0.6)
    return cell


def test_the_first_output_is_the_measured_pose():
    cell = ShapedCell().engage()
    told = cell.tick().target
    np.testing.assert_allclose(told.position_m, cell.inner.state.tool.position_m, atol=1e-12)


def test_a_command_moves_the_arm_by_ticks_alone_and_as_far_as_it_was_let():
    cell = ShapedCell().engage()
    start_m = cell.inner.tool.position_m
    done = cell.act(FULL)
    assert cell.inner.targets == []
    cell.tick(10 + REST_TICKS)
    told_m = cell.path()[-1] - start_m
    np.testing.assert_allclose(told_m, done.values * 0.025, atol=1e-5)
    assert np.linalg.norm(told_m) == pytest.approx(0.008, abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_driven_at_full_speed_to_any_face_it_stops_before_it(axis, side):
    cell = ShapedCell(real(max_step_m=0.025, policy_period_s=0.1)).engage()
    laws = MotionLaws(cell.config)
    laws.restart(cell.inner.tool, cell.inner.q_rad)
    face = np.array((cell.config.workspace_min_m, cell.config.workspace_max_m)[side > 0])[axis]
    for _ in range(60):
        cell.act(side * np.eye(3)[axis])
        for _ in range(10):
            laws.see(cell.tick().target, cell.inner.q_rad)
    assert (side * (cell.path()[:, axis] - face) <= 1e-9).all()
    reached = abs(cell.path()[-1, axis] - face) < 0.003
    assert reached or cell.guard.snapshot().reasons & (Reason.JOINT_POSITION | Reason.JOINT_MOTION | Reason.WORKSPACE)
    assert all(share <= (1.25 if "joint acc" in name else 1.0 + 1e-6) for name, share in laws.worst.used.items())


@pytest.mark.parametrize("seed", range(6))
def test_a_joint_driven_at_its_limit_from_full_speed_stops_before_it(seed):
    """Greedy towards the nearest end of a joint's box, from random joints: always inside, within speed and jerk."""
    rng, facts = np.random.default_rng(seed), fr3_conservative()
    config = replace(real(), workspace_min_m=(-2.0, -2.0, -2.0), workspace_max_m=(2.0, 2.0, 2.0))
    cell = ShapedCell(
        replace(config, body_half_spaces=()), rng.uniform(facts.min_rad + 0.3, facts.max_rad - 0.3)
    ).engage()
    laws = MotionLaws(cell.config)
    laws.restart(cell.inner.tool, cell.inner.q_rad)
    joint = seed % 7
    side = rng.choice([-1.0, 1.0])
    kinds = 0
    for _ in range(80):
        push = cell.guard._limits[-2].predict.map_at(cell.inner.q_rad)[joint, :3] * side
        kinds |= cell.act(push / np.abs(push).max()).reasons
        for _ in range(10):
            laws.see(cell.tick().target, cell.inner.q_rad)
    assert kinds & (Reason.JOINT_POSITION | Reason.JOINT_MOTION | Reason.STEP_SIZE)
    assert laws.worst.used["joint position"] <= 1.0
    assert all(laws.worst.used[f"joint {kind}"] <= 1.25 for kind in ("speed", "acceleration", "jerk"))


def test_takeover_between_policy_teleop_and_hold_never_jumps():
    """Epsilon: the distance of one tick at the top speed; and the change of speed is one tick's acceleration."""
    cell = ShapedCell(real(max_step_m=0.025)).engage()
    laws = MotionLaws(cell.config)
    laws.restart(cell.inner.tool, cell.inner.q_rad)

    def see(n: int) -> None:
        for _ in range(n):
            laws.see(cell.tick().target, cell.inner.q_rad)

    for _ in range(3):
        cell.act((0, 1, 0))
        see(10)
        cell.act((1, -1, 0), source=Source.TELEOP)
        see(7)
        cell.guard.pause()
        see(9)
        cell.guard.resume()
        cell.guard.release()
        cell.act((-1, 0, 1))
        see(5)
    steps_m = np.linalg.norm(np.diff(cell.path(), axis=0), axis=1)
    assert steps_m.max() <= cell.config.max_speed_m_s * DT_S
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6


def test_hold_outranks_teleop_and_teleop_outranks_the_policy_and_the_emergency_stop_outranks_all():
    cell = ShapedCell().engage()
    assert not cell.act(FULL).reasons & Reason.HOLD
    assert not cell.act(FULL, source=Source.TELEOP).reasons & Reason.HOLD
    assert cell.act(FULL).reasons & Reason.TAKEOVER
    cell.guard.pause()
    assert cell.act(FULL, source=Source.TELEOP).reasons == Reason.HOLD
    assert cell.act(FULL).reasons == Reason.HOLD
    cell.tick(60)
    assert cell.guard.state is GuardState.RUN  # a hold asks nobody to speak, so silence is no fault
    cell.guard.latch()
    assert cell.act(FULL, source=Source.TELEOP).reasons & Reason.LATCHED
    cell.guard.resume()
    assert cell.act(FULL, source=Source.TELEOP).reasons & Reason.LATCHED


def test_a_person_whose_device_falls_silent_is_treated_like_a_silent_policy():
    cell = ShapedCell().engage()
    cell.act(FULL, source=Source.TELEOP)
    cell.tick(16)
    assert cell.tick().reasons & Reason.STALE_COMMAND
    cell.tick(20)
    assert cell.guard.state is GuardState.SOFT_STOP
    late = cell.act(FULL, source=Source.TELEOP, stamp_ns=cell.now_ns - 300 * MS)
    assert late.reasons & Reason.HOLD


@pytest.mark.parametrize("how", ["silence", "emergency stop", "deadman", "pause", "lost state", "state not finite"])
def test_every_stop_from_full_speed_ends_within_the_windows_and_within_20_mm(how):
    cell = permitted(max_step_m=0.025)
    for _ in range(6):
        cell.act((0.0, 1.0, 0.0))
        for _ in range(10):
            allow(cell)
            cell.tick()
    cell.act((0.0, 1.0, 0.0))
    cell.tick(5)
    laws = MotionLaws(cell.config)
    laws.restart(cell.inner.targets[-1], cell.inner.q_rad)
    laws._before["tool"] = (np.diff(cell.path()[-2:], axis=0)[0] / DT_S, np.zeros(3))
    start_m, speed = cell.path()[-1], np.linalg.norm(np.diff(cell.path()[-2:], axis=0)) / DT_S
    assert speed > 0.07
    stop = {
        "silence": lambda: None,
        "emergency stop": lambda: cell.guard.latch(),
        "deadman": lambda: cell.guard.permits.hear_deadman(False),
        "pause": lambda: cell.guard.pause(),
        "lost state": lambda: None,
        "state not finite": lambda: setattr(cell.inner, "wrench", np.full(6, np.nan)),
    }[how]
    stop()
    waits = {"silence": 11, "lost state": 4}.get(how, 1)
    for _ in range(waits + REST_TICKS):
        if how != "deadman":
            allow(cell)
        laws.see(cell.tick(senses=how != "lost state").target, cell.inner.q_rad)
    assert np.linalg.norm(np.diff(cell.path()[-2:], axis=0)) < 1e-9
    assert np.linalg.norm(cell.path()[-1] - start_m) < 0.02
    assert laws.worst.used["tool acceleration"] <= 1.0 + 1e-6


def test_after_an_emergency_stop_the_reference_has_begun_to_brake_at_the_next_tick():
    cell = at_full_speed()
    cell.act((0.0, 1.0, 0.0))
    cell.tick(8)
    cell.guard.latch()
    cell.tick(3)
    steps_m = np.linalg.norm(np.diff(cell.path()[-5:], axis=0), axis=1)
    assert (np.diff(steps_m[1:]) < 0).all()


def test_no_command_follows_a_latch():
    cell = ShapedCell().engage()
    cell.run(FULL, 0.3)
    cell.guard.latch()
    cell.tick(REST_TICKS)
    rest = cell.path()[-1]
    cell.run(FULL, 1.0)
    np.testing.assert_array_equal(cell.path()[-1], rest)
    assert cell.guard.start_episode() & Reason.LATCHED
    assert cell.guard.state is GuardState.LATCHED


def push_on(cell: ShapedCell, commands: int) -> Reason:
    """A policy that asks for 25 mm sideways again and again; every reason of the ticks between."""
    seen = Reason(0)
    for _ in range(commands):
        cell.act((0.0, 1.0, 0.0))
        for _ in range(10):
            seen |= Reason(cell.tick().reasons)
    return seen


def test_an_arm_that_does_not_follow_has_its_reference_frozen_where_it_is():
    cell = ShapedCell(real(max_step_m=0.025, max_tracking_m=0.015)).engage()
    cell.inner.is_blocked = True
    here_m = cell.inner.tool.position_m
    assert push_on(cell, 4) & Reason.TRACKING
    assert cell.guard.state is GuardState.RUN
    ahead_m = np.linalg.norm(cell.path() - here_m, axis=1)
    assert ahead_m.max() > 0.015
    cell.tick(3)  # no command since: nothing pulls the reference on
    cell.guard.pause()
    cell.tick(REST_TICKS)
    assert np.linalg.norm(cell.path()[-1] - here_m) < ahead_m.max()


def test_an_arm_that_lags_by_less_than_it_may_is_let_be():
    cell = ShapedCell(real(max_step_m=0.025, max_tracking_m=0.03)).engage()
    cell.inner.is_blocked = True
    assert not push_on(cell, 6)


def test_a_blow_latches_though_it_stays_below_the_hard_force():
    cell = ShapedCell(real(max_force_rise_n=20.0)).engage()
    cell.inner.wrench = np.zeros(6)
    cell.tick(3)
    cell.inner.wrench = np.array([25.0, 0, 0, 0, 0, 0])
    told = cell.tick().reasons
    assert told & Reason.FORCE_HARD
    assert cell.guard.state is GuardState.LATCHED
    for wire in (told, int(cell.guard.snapshot().reasons)):
        assert wire < 2**32
    assert "force spike" in cell.guard.snapshot().reason_names


def test_a_slow_push_to_the_same_force_is_no_blow():
    cell = ShapedCell(real(max_force_rise_n=20.0)).engage()
    for force_n in np.linspace(0, 40, 30):
        cell.inner.wrench = np.array([force_n, 0, 0, 0, 0, 0])
        cell.tick()
    assert cell.guard.state is not GuardState.LATCHED


def test_between_commands_contact_ends_the_motion_into_it_at_the_next_tick():
    cell = ShapedCell(real(max_step_m=0.025, max_force_rise_n=0.0)).engage()
    cell.act((0, 0, -1.0))
    cell.tick(3)
    cell.inner.wrench = np.array([0, 0, 25.0, 0, 0, 0])
    assert cell.tick().reasons & Reason.FORCE
    cell.tick(REST_TICKS + 2)
    asked_m = 0.025
    assert cell.path()[0][2] - cell.path()[-1][2] < 0.6 * asked_m
    assert cell.guard.state is GuardState.RUN


@pytest.mark.parametrize(
    ("changes", "reason", "then"),
    [
        ({"held": False}, Reason.DEADMAN, GuardState.SOFT_STOP),
        ({"mode": RobotMode.OTHER}, Reason.DEADMAN, GuardState.SOFT_STOP),
        ({"mode": RobotMode.REFLEX}, Reason.ESTOP, GuardState.LATCHED),
        ({"without": Peer.ACTOR}, Reason.HEARTBEAT, GuardState.SOFT_STOP),
        ({"without": Peer.RECORDER}, Reason.HEARTBEAT, GuardState.SOFT_STOP),
        ({"without": Peer.LEARNER}, Reason.HEARTBEAT, GuardState.RUN),
    ],
)
def test_what_permits_motion_is_asked_at_every_tick(changes, reason, then):
    cell = permitted()
    seen = Reason(0)
    for k in range(7):
        cell.act(FULL)
        for _ in range(10):
            allow(cell, **(changes if k > 0 else {}))
            seen |= Reason(cell.tick().reasons)
    assert seen & reason
    assert cell.guard.state is then
    assert cell.guard.must_end_episode is (changes == {"without": Peer.LEARNER})


def test_a_switch_whose_messages_stop_counts_as_let_go():
    cell = permitted()
    cell.act(FULL)
    for _ in range(12):
        allow(cell)
        cell.guard.permits._heard_s["deadman"] = 0.0
        cell.tick()
    assert cell.guard.state is GuardState.SOFT_STOP


def test_a_reflex_of_the_robot_is_never_cleared_from_here():
    cell = permitted()
    cell.act(FULL)
    allow(cell, mode=RobotMode.REFLEX)
    cell.tick()
    allow(cell)  # the robot moves again, somebody recovered it
    cell.tick(100)
    assert cell.guard.state is GuardState.LATCHED
    cell.guard.reset()
    assert cell.guard.state is GuardState.IDLE


def test_without_its_permits_it_cannot_be_armed():
    with pytest.raises(ArmError, match="not permitted to move"):
        ShapedCell(real(deadman_s=0.5)).engage()


def test_the_nth_recovery_within_ten_minutes_latches_and_a_person_starts_the_count_anew():
    cell = ShapedCell(real(max_recoveries=2)).engage()
    for _ in range(2):
        cell.act(FULL)
        cell.tick(40)
        assert cell.guard.state is GuardState.SOFT_STOP
        cell.tick(60)
        assert not cell.guard.start_episode()
    cell.act(FULL)
    cell.tick(100)
    assert cell.guard.start_episode() & Reason.RECOVERIES
    assert cell.guard.state is GuardState.LATCHED
    assert cell.guard.snapshot().reasons & Reason.ESTOP
    cell.guard.reset()
    cell.engage()
    cell.act(FULL)
    cell.tick(100)
    assert not cell.guard.start_episode()


def test_recoveries_of_long_ago_do_not_count():
    cell = ShapedCell(real(max_recoveries=1)).engage()
    for _ in range(3):
        cell.act(FULL)
        cell.tick(100)
        assert not cell.guard.start_episode()
        cell.now_ns += 601_000 * MS
        cell.inner.sense(cell.now_ns)
        cell.guard._ticks.forget()
        cell.tick(60)


def test_a_tick_that_came_late_is_counted_and_one_five_periods_late_stops():
    cell = ShapedCell().engage()
    cell.act(FULL)
    cell.now_ns += 15 * MS
    cell.tick()
    seen = cell.guard.snapshot()
    assert "late tick" in seen.reason_names
    assert seen.state == "RUN"
    cell.now_ns += 50 * MS
    assert cell.tick().reasons & Reason.TICK_GAP
    assert cell.guard.state is GuardState.SOFT_STOP


def test_the_first_failure_wins_in_the_order_of_the_specification():
    """A command wrong in everything, mended one fault at a time: the reasons come in the specification's order."""
    cell = permitted()
    cell.act(FULL, revision=5)
    cell.now_ns += 280 * MS
    cell.inner.sense(cell.now_ns)
    allow(cell)
    state, now_ns = cell.inner.state, cell.now_ns
    asked, found = action(1, stamp_ns=1, values=(np.nan, 0.0), revision=1), []
    for mend in (
        {},
        {"stamp_ns": now_ns},
        {"values": np.array([np.nan, 0, 0], np.float32)},
        {"values": np.array([2.0, 0, 0], np.float32)},
        {"values": np.array([1.0, 0, 0], np.float32)},
        {"seq": 99},
        {"revision": 5},
    ):
        asked = replace(asked, **mend)
        cell.guard.permits.hear_deadman(False)
        found.append(cell.guard.check_command(asked, state, now_ns, now_ns * 1e-9) & WIRE & ~Reason.HOLD)
    assert found == [
        Reason.STALE_COMMAND,
        Reason.SHAPE,
        Reason.NOT_FINITE,
        Reason.RANGE,
        Reason.SEQUENCE,
        Reason.REVISION,
        Reason.DEADMAN,
    ]
