"""The guard's shaped motion through ROS: bounds of the published stream, every way to stop, who may move the arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from guard_bench import SMOOTHING_S, TICK_S, Bench, facts_of_cell, processes, worst_motion
from o2o_msgs import msg as m
from std_msgs.msg import Bool, UInt8

from o2o_robot.safety.reason import Reason, names
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
CELL = facts_of_cell("fr3")
REST_TICKS = round((CELL["guard.shaping_s"] + SMOOTHING_S) / TICK_S) + 1
ALONG_Y = [0.0, -1.0, 0.0]
BOUNDS = {
    "speed": CELL["guard.max_speed_m_s"],
    "acceleration": CELL["guard.max_acceleration_m_s2"],
    "jerk": 2 * CELL["guard.max_acceleration_m_s2"] / SMOOTHING_S,  # of the shaper: below max_jerk_m_s3
}


@pytest.fixture(scope="module")
def graph(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    run_dir = tmp_path_factory.mktemp("shaped")
    with Supervisor(processes(run_dir), run_dir), Bench(module_domain) as bench:
        yield bench.wait_for_graph()


@pytest.fixture
def bench(graph: Bench) -> Bench:
    """Whatever was learned of the stream so far is forgotten; nobody has taken over."""
    graph.teleop([])
    graph.mode = "eval"
    graph.arm()
    graph.until_still()
    for heard in (graph.targets, graph.poses, graph.executed):
        heard.clear()
    return graph


def assert_lawful(bench: Bench) -> None:
    worst = worst_motion(bench.targets)
    assert all(worst[name] <= most * (1 + 1e-6) for name, most in BOUNDS.items()), worst


# --- the motion ------------------------------------------------------------------------------------------------------
def test_the_published_stream_keeps_its_bounds_and_the_arm_follows(bench):
    rng = np.random.default_rng(0)
    bench.full_speed(ALONG_Y)
    for _ in range(15):
        bench.act(list(rng.choice([-1.0, 1.0], 3)))
    bench.ask("hold")
    bench.until_still()
    assert_lawful(bench)
    assert worst_motion(bench.targets)["acceleration"] > 0.3 * BOUNDS["acceleration"], "the bound was not tried"
    bench.until(lambda: np.abs(bench.poses[-1][1][:3] - bench.targets[-1][1][:3]).max() < 0.006, 10.0, "the arm there")


def test_driven_at_full_speed_at_a_face_of_the_workspace_the_arm_stops_before_it(bench):
    bench.place()
    bench.begin()
    seen = Reason(0)
    for _ in range(60):
        seen |= Reason(bench.act(ALONG_Y).reasons)
        if seen & Reason.WORKSPACE:
            break
        if seen & Reason.SOFT_STOP:  # a loaded machine
            bench.begin()
            seen = Reason(0)
    assert seen & Reason.WORKSPACE, names(seen)
    bench.drive(ALONG_Y, 5)
    face_m = CELL["guard.workspace_min_m"][1]
    assert min(pose[1] for _, pose in bench.targets) >= face_m - 1e-9
    assert min(pose[1] for _, pose in bench.poses) >= face_m - 0.003


STOPS: dict[str, tuple[Callable[[Bench], object], int, str]] = {
    "the deadman's switch let go": (lambda b: b.deadman(False), Reason.DEADMAN, "SOFT_STOP"),
    "the switch's messages lost": (lambda b: b.deadman(None), Reason.DEADMAN, "SOFT_STOP"),
    "the robot is not ready": (lambda b: b.mode_out.publish(UInt8(data=1)), Reason.DEADMAN, "SOFT_STOP"),
    "its program stopped": (lambda b: b.program_out.publish(Bool(data=False)), Reason.DEADMAN, "SOFT_STOP"),
    "a reflex": (lambda b: b.mode_out.publish(UInt8(data=4)), Reason.ESTOP, "LATCHED"),
    "emergency stop by topic": (lambda b: b.estop_out.publish(Bool(data=True)), Reason.ESTOP, "LATCHED"),
    "emergency stop by service": (lambda b: b.ask("estop"), Reason.ESTOP, "LATCHED"),
    "an operator's hold": (lambda b: b.ask("hold"), Reason.HOLD, "RUN"),
    "the actor is lost": (lambda b: b.alive.discard("actor"), Reason.HEARTBEAT, "SOFT_STOP"),
    "the recorder is lost": (lambda b: b.alive.discard("recorder"), Reason.HEARTBEAT, "SOFT_STOP"),
}


@pytest.mark.parametrize("how", STOPS)
def test_from_full_speed_the_arm_stands_within_the_shapers_windows_and_20_mm(bench, how):
    stop, reason, state = STOPS[how]
    if "switch" in how:
        bench.mode = "online"  # the phase that asks for it
    bench.full_speed(ALONG_Y)
    bench.propose(ALONG_Y)
    stop(bench)
    if "lost" in how:  # what is left of its time, the policy goes on, and turns back before a wall
        for turn in range(60):
            if bench.act(ALONG_Y if turn % 8 > 3 else [0.0, 1.0, 0.0]).reasons & Reason.HOLD:
                break
    bench.until(lambda: bench.safety[-1].reasons & reason and bench.safety[-1].state == state, 10.0, f"{state}, {how}")
    since = max(0, len(bench.targets) - 2)
    path_m = bench.until_still(since)
    moving = np.flatnonzero(np.abs(np.diff(path_m, axis=0)).max(axis=1) > 0)
    n_moving = int(moving[-1]) + 1 if len(moving) else 0
    assert n_moving <= REST_TICKS + 3
    assert np.linalg.norm(path_m[-1] - path_m[0]) < 0.02
    assert_lawful(bench)


def test_what_a_reflex_latched_stays_so_until_a_person_resets_and_arms(bench):
    bench.full_speed(ALONG_Y)
    bench.mode_out.publish(UInt8(data=4))
    bench.until(lambda: bench.state == "LATCHED", 10.0, "the latch")
    bench.mode_out.publish(UInt8(data=2))  # somebody recovered the robot
    bench.start()
    still = bench.until_still()[-1]
    assert all(answer.reasons & Reason.LATCHED for answer in bench.drive(ALONG_Y, 3))
    assert not bench.ask("arm").success
    np.testing.assert_array_equal(bench.targets[-1][1][:3], still)
    assert bench.ask("reset").success
    bench.until(lambda: bench.state == "IDLE", 10.0, "the reset")
    assert bench.ask("arm").success


def test_a_lost_learner_is_told_of_and_does_not_stop_the_arm(bench):
    bench.full_speed(ALONG_Y)
    bench.alive.discard("learner")
    for turn in range(80):
        answer = bench.act(ALONG_Y if turn % 8 > 3 else [0.0, 1.0, 0.0])
        if bench.safety[-1].reasons & Reason.HEARTBEAT:
            break
        if answer.reasons & Reason.HOLD:
            bench.begin()
            bench.alive.discard("learner")
    assert bench.safety[-1].reasons & Reason.HEARTBEAT
    assert bench.count("learner lost") > 0
    assert not bench.act([0.0, 1.0, 0.0]).reasons & Reason.HOLD


# --- phases ----------------------------------------------------------------------------------------------------------
def test_each_phase_has_its_own_limits_warm_up_half_of_onlines(bench):
    length = {}
    for mode in ("eval", "online", "warmup", "demo"):
        bench.mode = mode
        bench.end()
        bench.place()
        bench.begin()
        answer = bench.act([0.0, 0.0, -1.0])
        assert not answer.reasons & Reason.HOLD, names(answer.reasons)
        length[mode] = float(np.linalg.norm(answer.executed))
    assert length["online"] == pytest.approx(0.8 * length["eval"], rel=1e-3)
    assert length["warmup"] == pytest.approx(0.5 * length["online"], rel=1e-3)
    assert length["demo"] == pytest.approx(length["eval"], rel=1e-3)


def test_limits_change_only_where_the_arm_stands(bench):
    """START of another phase in the middle of a motion: nothing is followed until the arm stands, then its limits."""
    bench.full_speed(ALONG_Y)
    bench.mode = "warmup"
    bench.start()
    answers = []
    for _ in range(40):
        answers.append(bench.act(ALONG_Y))
        if len(answers) > 3 and not answers[-1].reasons & Reason.HOLD:
            break
    held = [bool(answer.reasons & Reason.HOLD) for answer in answers]
    assert any(held), "its limits changed in motion"
    assert np.linalg.norm(answers[-1].executed) == pytest.approx(0.4, rel=1e-3)
    assert_lawful(bench)


# --- persons ---------------------------------------------------------------------------------------------------------
def test_a_person_takes_over_and_hands_back_without_a_jump(bench):
    """Epsilon of the stream: its bounds of speed and acceleration; of the first step: none but the person's own."""
    bench.place()
    bench.begin()
    bench.targets.clear()
    bench.drive([0.0, -0.5, 0.0], 3)
    taken = []
    for _ in range(4):
        bench.teleop([0.5, 0.0, 0.0])
        bench.until(lambda: bench.teleop_out.get_subscription_count(), 5.0, "the guard")
        taken.append(bench.act([0.0, -0.5, 0.0]))
    by_hand = [answer for answer in taken if answer.source == m.Action.SOURCE_TELEOP]
    assert len(by_hand) >= 3
    for answer in by_hand:
        np.testing.assert_allclose(answer.proposed, [0.0, -0.5, 0.0])
        np.testing.assert_allclose(answer.executed, [0.5, 0.0, 0.0], atol=1e-5)
    bench.teleop([])
    back = bench.drive([0.0, -0.5, 0.0], 3)
    assert back[-1].source == m.Action.SOURCE_POLICY
    np.testing.assert_allclose(back[-1].executed, [0.0, -0.5, 0.0], atol=1e-5)
    assert_lawful(bench)


def test_a_device_that_falls_silent_holds_the_arm_until_it_is_released(bench):
    bench.place()
    bench.begin()
    bench.teleop([0.5, 0.0, 0.0])
    answers = bench.drive([0.0, 0.5, 0.0], 14)
    assert any(answer.source == m.Action.SOURCE_TELEOP for answer in answers)
    assert answers[-1].reasons & Reason.TAKEOVER
    assert answers[-1].reasons & Reason.HOLD
    assert bench.state == "RUN", "to wait for a person is no fault"
    bench.teleop([])
    bench.until(lambda: not bench.act([0.0, 0.5, 0.0]).reasons, 10.0, "the policy's turn")


def test_an_emergency_stop_is_heard_from_a_best_effort_speaker_too(bench):
    from o2o_nodes import qos

    out = bench.node.create_publisher(Bool, "estop", qos.sensor_in(lockstep=False))
    bench.until(out.get_subscription_count, 10.0, "the guard's ear")
    bench.until(lambda: out.publish(Bool(data=True)) or bench.state == "LATCHED", 10.0, "the latch")
    bench.node.destroy_publisher(out)


# --- nothing gets in -------------------------------------------------------------------------------------------------
HOSTILE = {
    "a number too few": (lambda b: b.act([0.1]), "shape"),
    "a hundred thousand numbers": (lambda b: b.act([0.1] * 100_000), "shape"),
    "not a number": (lambda b: b.act([float("nan"), 0.0, 0.0]), "command not finite"),
    "infinite": (lambda b: b.act([0.0, float("-inf"), 0.0]), "command not finite"),
    "huge": (lambda b: b.act([0.0, 3e38, 0.0]), "range"),
    "said twice": (lambda b: b.act([0.0] * 3, seq=b.executed[-1].seq), "sequence"),
    "of older weights": (lambda b: b.act([0.0] * 3, policy_revision=-7), "revision"),
    "from the future": (lambda b: b.act([0.0] * 3, age_ns=-60_000_000_000), "stamp in the future"),
    "of another frame": (lambda b: b.act([0.0] * 3, frame_id="camera"), "frame of another base"),
    "from nobody there is": (lambda b: b.act([0.0] * 3, source=77), "unknown source"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_action_is_refused_counted_by_its_reason_and_moves_nothing(bench, kind):
    send, reason = HOSTILE[kind]
    bench.begin()
    before = bench.count(reason)
    answer = send(bench)
    assert answer.reasons & Reason.HOLD, names(answer.reasons)
    assert len(answer.proposed) == 3, "what is stored is of one size"
    bench.until(lambda: bench.count(reason) > before, 5.0, f"'{reason}' counted")
    assert np.abs(np.diff(bench.until_still()[-5:], axis=0)).max() == 0


def test_hostile_teleop_actions_take_nothing_over(bench):
    bench.begin()
    for values, changes in (([0.5], {}), ([float("nan")] * 3, {}), ([0.5] * 3, {"source": 0}), ([9.0] * 3, {})):
        refused = sum(bench.count(name) for name in ("shape", "command not finite", "range"))
        bench.teleop(values, **changes)
        answer = bench.act([0.0, 0.1, 0.0])
        bench.until(
            lambda n=refused: sum(bench.count(name) for name in ("shape", "command not finite", "range")) > n,
            5.0,
            "the refusal counted",
        )
        assert answer.source == m.Action.SOURCE_POLICY
