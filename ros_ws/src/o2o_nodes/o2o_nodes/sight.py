"""A node's eyes: subscribes to arm, cameras and judge, and hands out one tick of the control loop at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from geometry_msgs.msg import PoseStamped
from o2o_msgs.msg import TaskState as TaskStateMessage
from rclpy.task import Future
from sensor_msgs.msg import Image, JointState

from o2o_nodes import checks, convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.robot.assemble import Assembler, Tick
from o2o_robot.robot.camera_view import View
from o2o_robot.robot.proprioception import proprioception
from o2o_robot.types import ArmState, Array, Observation, TaskState

ARM, POSE, JUDGE, GRIPPER, TRUTH = "joint_states", "current_pose", "task_state", "gripper", "truth"


@dataclass(frozen=True)
class Look:
    """One control tick: what a policy may see, and beside it what only the expert, the judge and the guard see."""

    observation: Observation
    arm: ArmState
    task: TaskState


class Sight:
    """look = await sight.look(timeout_s): the next tick, or None when the sensors fell silent."""

    def __init__(self, node: HouseNode) -> None:
        self._node = node
        self._joints = node.setting(
            "joints", [f"fr3_joint{i}" for i in range(1, 8)], "joint names, in the policy's order"
        )
        self._cameras = node.setting(
            "cameras", ["wrist", "front"], "camera names; each is read from <name>/<image_topic>"
        )
        self._grips = node.setting("gripper_states", "", "JointState of a gripper's opening; empty: none is read")
        self._finger = node.setting("gripper_joint", "fr3_finger_joint1", "name in it whose position is the opening")
        self._topic = node.setting("image_topic", "color/image_raw", "a camera's pictures; of camera_node image_policy")
        self._side = node.setting("image_size", 0, "side of the policy's pictures in pixels; 0: as they come")
        self._truth = node.setting(
            "truth_topic", "", "where the twin says what it knows while another judges; or empty"
        )
        self._warned: set[str] = set()
        period_s = 1.0 / node.setting("control_hz", 10.0, "how often the policy acts")
        tolerance_s = node.setting("tolerance_s", 0.05, "how much older than the tick a sample may be; 0 in lockstep")
        self._assembler = Assembler(
            streams=(
                ARM,
                POSE,
                JUDGE,
                *self._cameras,
                *([GRIPPER] if self._grips else []),
                *([TRUTH] if self._truth else []),
            ),
            reference=self._cameras[0],
            period_ns=round(period_s * 1e9),
            tolerance_ns=0 if node.lockstep else round(tolerance_s * 1e9),
        )
        self._waiting: Future | None = None
        self._ready: deque[Tick] = deque(maxlen=1)
        self._subscribe()

    @property
    def sees_gripper(self) -> bool:
        return bool(self._grips)

    def lacking(self) -> str:
        """The streams that the next look waits for, in words; every one of them where none is behind."""
        return ", ".join(self._assembler.behind()) or "every sensor"

    def restart(self, not_before_ns: int) -> None:
        """Forget everything stamped before `not_before_ns`: a new episode begins there."""
        self._ready.clear()
        self._assembler.restart(not_before_ns)
        self._offer()

    async def look(self, timeout_s: float) -> Look | None:
        """The next tick, or None after `timeout_s` of wall time."""
        if not self._ready:
            self._waiting = Future(executor=self._node.executor)
            await self._node.wait(self._waiting, timeout_s)
            self._waiting = None
        return self._compose(self._ready.popleft()) if self._ready else None

    def _subscribe(self) -> None:
        profile = qos.sensor_in(lockstep=self._node.lockstep)
        subscribe = self._node.create_subscription
        subscribe(JointState, "joint_states", lambda message: self._take(ARM, message), profile)
        subscribe(PoseStamped, "current_pose", lambda message: self._take(POSE, message), profile)
        subscribe(TaskStateMessage, "task_state", lambda message: self._take(JUDGE, message), profile)
        if self._grips:
            subscribe(JointState, self._grips, lambda message: self._take(GRIPPER, message), profile)
        if self._truth:
            subscribe(TaskStateMessage, self._truth, lambda message: self._take(TRUTH, message), profile)
        for name in self._cameras:
            subscribe(Image, f"{name}/{self._topic}", lambda message, name=name: self._take(name, message), profile)

    def _take(self, stream: str, message: JointState | PoseStamped | TaskStateMessage | Image) -> None:
        """Keep a sample for the ticks to come. Raises DataError or ArmError for one that no look could be made of."""
        checks.sound(message)
        if stream == ARM:
            convert.joints(message, self._joints)
        self._assembler.add(stream, convert.stamp_ns(message.header.stamp), message)
        self._offer()

    def _offer(self) -> None:
        if (tick := self._assembler.next_tick()) is not None:
            self._ready.append(tick)
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(True)

    def _compose(self, tick: Tick) -> Look:
        q_rad, dq_rad = convert.joints(tick.samples[ARM], self._joints)
        arm = ArmState(tick.stamp_ns, q_rad, dq_rad, convert.pose(tick.samples[POSE]), self._opening_m(tick))
        images = {name: self._of_policy_size(name, convert.image(tick.samples[name])) for name in self._cameras}
        return Look(Observation(tick.stamp_ns, images, proprioception(arm)), arm, self._task(tick))

    def _task(self, tick: Tick) -> TaskState:
        """The judge's word, and beside it what only the twin knows."""
        judged = convert.task_state(tick.samples[JUDGE])
        if not self._truth:
            return judged
        return replace(judged, privileged=convert.task_state(tick.samples[TRUTH]).privileged)

    def _opening_m(self, tick: Tick) -> float:
        """How far the gripper is open; 0 where none is read."""
        return float(convert.joints(tick.samples[GRIPPER], [self._finger])[0][0]) if self._grips else 0.0

    def _of_policy_size(self, name: str, image: Array) -> Array:
        """The picture as the policy knows them. Another size is resized whole, and said once."""
        if not self._side or image.shape[:2] == (self._side, self._side):
            return image
        if name not in self._warned:
            self._warned.add(name)
            self._node.get_logger().warning(
                f"{name}/{self._topic} is {image.shape[1]}x{image.shape[0]}, the policy's {self._side}x{self._side}: "
                "resized, which squeezes it; let camera_node crop, and set image_topic to color/image_policy"
            )
        return View(0, 0, image.shape[1], image.shape[0], self._side)(image)
