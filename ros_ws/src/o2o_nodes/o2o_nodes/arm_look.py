"""What a device may need to know of the arm: its newest state, without a camera's pictures."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from o2o_msgs.msg import TaskState as TaskStateMessage
from sensor_msgs.msg import JointState

from o2o_nodes import checks, convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.robot.assemble import Assembler, Tick
from o2o_robot.types import ArmState, TaskState

JOINTS, POSE, JUDGE, GRIPPER = "joint_states", "current_pose", "task_state", "gripper"


class ArmLook:
    """look.arm, look.task, look.stamp_ns: of the newest observation; `seen` is called at each new one, and `again` in
    lockstep where the one that was answered is said once more, since somebody may have missed the answer.
    """

    def __init__(
        self,
        node: HouseNode,
        *,
        judge: str,
        seen: Callable[[], None] = lambda: None,
        again: Callable[[], None] = lambda: None,
    ) -> None:
        """judge: the topic of the task's state; empty: not heard."""
        self.arm: ArmState | None = None
        self.task: TaskState | None = None
        self.stamp_ns = 0
        self._seen, self._again, self._lockstep = seen, again, node.lockstep
        self._joints = node.setting("joints", [f"fr3_joint{i}" for i in range(1, 8)], "joint names, base to tool")
        self._finger = node.setting("gripper_joint", "fr3_finger_joint1", "name whose position is the opening")
        grips = node.setting("gripper_states", "", "JointState of a gripper's opening; empty: none is read")
        hz = node.setting("control_hz", 10.0, "how often the policy acts") if node.lockstep else 100.0
        self._assembler = Assembler(
            streams=(JOINTS, POSE, *([JUDGE] if judge else []), *([GRIPPER] if grips else [])),
            reference=JOINTS,
            period_ns=round(1e9 / hz),
            tolerance_ns=0 if node.lockstep else round(0.05 * 1e9),
        )
        self._subscribe(node, judge, grips)

    def _subscribe(self, node: HouseNode, judge: str, grips: str) -> None:
        kinds = {JOINTS: (JointState, "joint_states"), POSE: (PoseStamped, "current_pose")}
        kinds |= {JUDGE: (TaskStateMessage, judge)} if judge else {}
        kinds |= {GRIPPER: (JointState, grips)} if grips else {}
        profile = qos.sensor_in(lockstep=node.lockstep)
        for stream, (kind, topic) in kinds.items():
            node.create_subscription(kind, topic, lambda said, stream=stream: self._take(stream, said), profile)

    def _take(self, stream: str, said: JointState | PoseStamped | TaskStateMessage) -> None:
        """Raises DataError or ArmError for a sample that no look could be made of."""
        checks.sound(said)
        stamp_ns = convert.stamp_ns(said.header.stamp)
        if stream == JOINTS and self._lockstep and stamp_ns == self.stamp_ns:
            self._again()
        self._assembler.add(stream, stamp_ns, said)
        if (tick := self._assembler.next_tick()) is not None:
            self._compose(tick)
            self._seen()

    def _compose(self, tick: Tick) -> None:
        q_rad, dq_rad = convert.joints(tick.samples[JOINTS], self._joints)
        grip = tick.samples.get(GRIPPER)
        opening_m = float(convert.joints(grip, [self._finger])[0][0]) if grip is not None else 0.0
        self.arm = ArmState(tick.stamp_ns, q_rad, dq_rad, convert.pose(tick.samples[POSE]), opening_m)
        self.task = convert.task_state(tick.samples[JUDGE]) if JUDGE in tick.samples else None
        self.stamp_ns = tick.stamp_ns
