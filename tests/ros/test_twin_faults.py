"""Faults by service: the twin's listeners meet them, the guard answers them, a cleared one leaves nothing behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from graphs import graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from arm_bench import Client, LockstepArm, twin_process
from o2o_msgs.srv import InjectFault
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import UInt8
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_nodes import convert, qos
from o2o_robot.safety.reason import Reason
from o2o_robot.supervise import Supervisor
from o2o_robot.types import Pose

pytestmark = pytest.mark.ros
SECOND_NS = 1_000_000_000
LATEST_NS = 600_000_000  # no message is held back for longer than the 0.5 s of "late joints"
KINDS = {"joint_states": JointState, "/clock": Clock, "wrist/color/image_raw": Image}


class Ears:
    """The last messages of joints, clock and camera; `joints`, `clock` and `wrist` hold them, newest last."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        heard = [deque(maxlen=20) for _ in KINDS]
        self.joints, self.clock, self.wrist = heard
        for (topic, kind), messages in zip(KINDS.items(), heard, strict=True):
            # rclpy cannot look into a deque's own append
            watcher.node.create_subscription(
                kind, topic, lambda message, to=messages: to.append(message), qos.sensor_in(lockstep=False)
            )

    def forget(self) -> None:
        for messages in (self.joints, self.clock, self.wrist):
            messages.clear()

    @property
    def joint_stamps_ns(self) -> list[int]:
        return [convert.stamp_ns(message.header.stamp) for message in self.joints]

    @property
    def image_stamps_ns(self) -> list[int]:
        return [convert.stamp_ns(message.header.stamp) for message in self.wrist]

    @property
    def clock_ns(self) -> list[int]:
        return [convert.stamp_ns(message.clock) for message in self.clock]


def inject(call: Callable, **fault: Any) -> InjectFault.Response:
    return call(InjectFault, "inject_fault", InjectFault.Request(**fault))


def clear(call: Callable) -> None:
    assert call(Trigger, "clear_faults", Trigger.Request()).success


# --- in real time, before the guard ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def ears(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ears]:
    """The twin and arm_node of a real graph, armed."""
    run_dir = tmp_path_factory.mktemp("faults")
    feeling = {"arm_node": {"arm.external_wrench": "external_wrench"}}
    whole = graph("collect", run_dir, feeling, realtime_factor=1.0, cameras="wrist").processes
    door = [process for process in whole if process.name in ("twin_node", "arm_node")]
    with Supervisor(door, run_dir), Watcher(module_domain) as watcher:
        ears = Ears(watcher)
        rearm(watcher)
        yield ears


def rearm(watcher: Watcher) -> None:
    """Nothing injected, and the guard armed, whatever happened before."""
    clear(watcher.call)
    watcher.call(Trigger, "arm_node/reset", Trigger.Request())
    watcher.call(Trigger, "arm_node/hold", Trigger.Request())  # out of a stop; the twin's guard then arms by itself
    watcher.safety.clear()
    watcher.until(lambda: watcher.safety and watcher.safety[-1].state == "ARMED", 30.0, "the guard armed")


def lags(ears: Ears, behind_ns: int) -> bool:
    return bool(ears.clock and ears.joints) and ears.clock_ns[-1] - ears.joint_stamps_ns[-1] > behind_ns


def leads(ears: Ears, ahead_ns: int) -> bool:
    return bool(ears.clock and ears.joints) and ears.joint_stamps_ns[-1] - ears.clock_ns[-1] > ahead_ns


SEEN: dict[str, tuple[dict[str, Any], Callable[[Ears], Any]]] = {
    "late joints": ({"kind": "latency", "amount": 0.5}, lambda e: lags(e, 400_000_000)),
    "joints from the future": ({"kind": "stamp", "amount": 5.0}, lambda e: leads(e, 4 * SECOND_NS)),
    "joints from the past": ({"kind": "stamp", "amount": -0.4}, lambda e: lags(e, 300_000_000)),
    "joints the wrong way round": (
        {"kind": "swap"},
        lambda e: len(e.joints) > 10 and (np.diff(e.joint_stamps_ns) < 0).any(),
    ),
    "joints that say the same again": (
        {"kind": "pause"},
        lambda e: len(e.joints) > 10 and len(set(e.joint_stamps_ns[-10:])) == 1,
    ),
    "joints that are not finite": (
        {"kind": "not_finite"},
        lambda e: e.joints and not np.isfinite(e.joints[-1].position).all(),
    ),
    "a stranger among the joints": ({"kind": "extra_name"}, lambda e: e.joints and len(e.joints[-1].name) == 8),
    "a joint missing": ({"kind": "missing_name"}, lambda e: e.joints and len(e.joints[-1].name) == 6),
    "the joints in another order": (
        {"kind": "shuffle_names"},
        lambda e: e.joints and list(e.joints[-1].name) != sorted(e.joints[-1].name),
    ),
    "half of the joints": (
        {"kind": "drop", "seed": 1},
        lambda e: len(e.joints) == 20 and np.diff(e.joint_stamps_ns).mean() > 1.5 * np.diff(e.clock_ns).mean(),
    ),
    "a camera gone": ({"kind": "loss", "stream": "wrist"}, lambda e: len(e.joints) == 20 and not e.wrist),
    "a camera that shows the same look": (
        {"kind": "pause", "stream": "wrist"},
        lambda e: len(e.wrist) > 3 and len(set(e.image_stamps_ns[-3:])) == 1,
    ),
    "a clock that stands still": (
        {"kind": "pause", "stream": "clock"},
        lambda e: len(e.clock) > 10 and len(set(e.clock_ns[-10:])) == 1 and leads(e, 100_000_000),
    ),
    "a clock that jumped ahead": (
        {"kind": "stamp", "stream": "clock", "amount": 5.0},
        lambda e: lags(e, 4 * SECOND_NS),
    ),
    "a clock that jumped back": (
        {"kind": "stamp", "stream": "clock", "amount": -0.5},
        lambda e: leads(e, 300_000_000),
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_listener_meets_the_fault_and_no_trace_of_it_once_it_is_cleared(ears, name):
    fault, is_seen = SEEN[name]
    call, until = ears.watcher.call, ears.watcher.until
    until(lambda: ears.joints and ears.joint_stamps_ns[-1] > SECOND_NS, 20.0, "a twin one second old")
    assert inject(call, **fault).success
    until(lambda: ears.clock, 10.0, "the clock")
    ears.forget()
    until(lambda: is_seen(ears), 20.0, name)
    clear(call)
    ears.forget()
    until(lambda: ears.clock, 10.0, "the clock, after it was cleared")
    cleared_ns = ears.clock_ns[-1]
    until(lambda: ears.clock_ns[-1] - cleared_ns > LATEST_NS, 20.0, "what was under way")
    ears.forget()
    until(lambda: len(ears.joints) == len(ears.clock) == 20 and len(ears.wrist) > 1, 20.0, "all streams again")
    assert not is_seen(ears)


STOPS = {
    "not finite": ({"kind": "not_finite"}, Reason.STATE_NOT_FINITE),
    "a joint missing": ({"kind": "missing_name"}, Reason.STALE_STATE | Reason.STATE_LOST),
    "no joints": ({"kind": "loss"}, Reason.STALE_STATE | Reason.STATE_LOST),
    "from the future": ({"kind": "stamp", "amount": 2.0}, Reason.FUTURE_STAMP),
    "an older look": ({"kind": "stamp", "amount": -0.2}, Reason.BACKWARD_STAMP),
    "a clock that jumped back": ({"kind": "stamp", "stream": "clock", "amount": -0.2}, Reason.CLOCK_JUMP),
    "no force sensor": ({"kind": "loss", "stream": "external_wrench"}, Reason.STALE_STATE | Reason.STATE_LOST),
    "a blow": ({"kind": "spike", "amount": 5000.0, "count": 3}, Reason.FORCE_HARD),
    "a force that is not finite": ({"kind": "not_finite", "stream": "external_wrench"}, Reason.STATE_NOT_FINITE),
}


@pytest.mark.parametrize("name", STOPS)
def test_the_guard_stops_for_it_and_says_why(ears, name):
    fault, reason = STOPS[name]
    watcher = ears.watcher
    rearm(watcher)
    assert inject(watcher.call, **fault).success
    stopped = ("SOFT_STOP", "LATCHED")
    watcher.until(
        lambda: any(s.state in stopped and s.reasons & reason for s in watcher.safety), 20.0, f"a stop for {reason!r}"
    )
    rearm(watcher)


@pytest.mark.parametrize("kind", ["shuffle_names", "extra_name"])
def test_joints_in_another_order_or_company_are_no_reason_to_stop(ears, kind):
    rearm(ears.watcher)
    assert inject(ears.watcher.call, kind=kind).success
    ears.forget()
    ears.watcher.safety.clear()
    ears.watcher.until(lambda: ears.watcher.safety, 10.0, "the guard's word, once a second")
    assert {seen.state for seen in ears.watcher.safety} == {"ARMED"}
    clear(ears.watcher.call)


def test_a_picture_comes_with_its_lens_as_a_driver_s_does(ears):
    infos: list[CameraInfo] = []
    node = ears.watcher.node
    listening = node.create_subscription(
        CameraInfo, "wrist/color/camera_info", infos.append, qos.sensor_in(lockstep=False)
    )
    stamps = lambda: {convert.stamp_ns(info.header.stamp) for info in infos}  # noqa: E731
    ears.watcher.until(lambda: len(stamps() & set(ears.image_stamps_ns)) > 2, 30.0, "pictures and lenses of one stamp")
    node.destroy_subscription(listening)
    info, picture = infos[-1], ears.wrist[-1]
    assert (info.width, info.height, info.header.frame_id) == (picture.width, picture.height, picture.header.frame_id)
    assert info.k[0] == info.k[4] > 0.0
    assert info.k[2] == (picture.width - 1) / 2


def test_a_wrong_request_is_refused_in_one_line_and_changes_nothing(ears):
    answer = inject(ears.watcher.call, kind="loss", stream="wirst")
    assert not answer.success
    assert "did you mean 'wrist'" in answer.message
    assert "\n" not in answer.message
    ears.forget()
    ears.watcher.until(lambda: len(ears.wrist) > 2, 10.0, "images")


# --- in lockstep, the machine itself ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def client(module_domain: int, ears: Ears, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A second twin, with a gripper, in a domain of its own."""
    run_dir = tmp_path_factory.mktemp("machine")
    domain = module_domain % 100 + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        twin = twin_process(
            lockstep=True, task="lift", control_hz=20.0, **{"arm.gripper_states": "gripper/joint_states"}
        )
        with Supervisor([twin], run_dir), Client(domain, lockstep=True) as client:
            yield client


@pytest.fixture(scope="module")
def ros_arm(client: Client):
    return client.arm(gripper_states="gripper/joint_states")


@pytest.fixture
def arm(client: Client, ros_arm) -> Iterator[LockstepArm]:
    start_ns = client.reset(seed=0)
    client.until(lambda: ros_arm.stamp_ns >= start_ns, 10.0, "the state after the reset")
    yield LockstepArm(client, ros_arm)
    clear(client.call)


def above(pose: Pose, height_m: float) -> Pose:
    return Pose(pose.position_m + np.array([0.0, 0.0, height_m]), pose.quat_xyzw)


def test_an_arm_in_a_reflex_stays_and_says_so_until_it_is_told_to_recover(client, arm):
    modes: list[int] = []
    client.node.create_subscription(UInt8, "robot_mode", lambda message: modes.append(message.data), qos.LATCHED)
    client.until(lambda: modes, 10.0, "the mode")
    start_m = arm.read().tool.position_m
    assert inject(client.call, kind="reflex").success
    client.until(lambda: modes[-1] == 4, 10.0, "the mode of a reflex")
    arm.command(above(arm.read().tool, 0.03))
    arm.wait(0.5)  # time passes, the arm does not move
    np.testing.assert_allclose(arm.read().tool.position_m, start_m, atol=0.001)
    assert client.call(Trigger, "error_recovery", Trigger.Request()).message == "recovered"
    client.until(lambda: modes[-1] == 2, 10.0, "the mode of an arm that moves")
    np.testing.assert_allclose(arm.read().tool.position_m, start_m, atol=0.001)
    arm.command(above(arm.read().tool, 0.03))
    arm.wait(1.0)
    assert arm.read().tool.position_m[2] - start_m[2] == pytest.approx(0.03, abs=0.002)


def test_a_stuck_gripper_moves_again_once_it_is_cleared(client, arm, ros_arm):
    arm.wait(0.5)
    open_m = arm.read().gripper_m
    assert inject(client.call, kind="stuck").success
    ros_arm.grip(0.02)
    arm.wait(1.0)
    assert arm.read().gripper_m == pytest.approx(open_m, abs=0.002)
    clear(client.call)
    ros_arm.grip(0.02)
    arm.wait(1.0)
    assert arm.read().gripper_m == pytest.approx(0.02, abs=0.004)


@pytest.mark.parametrize("fault", [{"kind": "loss", "count": 1}, {"kind": "latency", "amount": 0.2, "count": 1}])
def test_in_lockstep_what_was_lost_or_is_late_does_not_stop_time(client, arm, fault):
    assert inject(client.call, **fault).success
    before_ns = arm.read().stamp_ns
    arm.command(arm.read().tool)
    assert arm.read().stamp_ns == before_ns + 50_000_000
