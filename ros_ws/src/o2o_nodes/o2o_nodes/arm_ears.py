"""What arm_node hears beside actions and the arm: who permits motion, who forbids it, who else would move the arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from o2o_msgs import msg as m
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool, UInt8

from o2o_nodes import convert, qos
from o2o_nodes.arm_topics import REQUIRED, ArmTopics
from o2o_nodes.node import HouseNode
from o2o_robot.safety.permits import Peer, Permits, PermitTimes, RobotMode
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Action, Source

MODES = {2: RobotMode.MOVE, 4: RobotMode.REFLEX}  # of franka_msgs/FrankaRobotState.robot_mode; every other: not ready
# The same message by both: a reader that is reliable hears no best-effort speaker, and one that is not may miss a
# reliable one's. An emergency stop is heard from anybody.
ANY_SPEAKER = tuple(
    QoSProfile(depth=10, reliability=r) for r in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
)

SIGNS_OF_LIFE: dict[Peer, tuple[type, str, QoSProfile]] = {
    Peer.ACTOR: (m.SessionState, "session_state", qos.COMMAND),
    Peer.RECORDER: (m.RecorderState, "recorder_state", qos.LATCHED),
    Peer.LEARNER: (m.LearnerState, "learner_state", qos.LATCHED),
}


def hear_permits(node: HouseNode, permits: Permits, asked: Sequence[PermitTimes]) -> None:
    """The deadman's switch, the robot's own mode, and the signs of life of the peers that some phase asks for."""
    listen = node.create_subscription
    listen(Bool, "deadman", lambda told: permits.hear_deadman(told.data), qos.COMMAND)
    listen(UInt8, "robot_mode", lambda told: permits.hear_mode(MODES.get(told.data, RobotMode.OTHER)), qos.COMMAND)
    listen(Bool, "robot_program_running", lambda told: permits.hear_mode(_program(told.data)), qos.COMMAND)
    for peer, (kind, topic, profile) in SIGNS_OF_LIFE.items():
        if any(getattr(times, f"{peer.value}_s") for times in asked):
            listen(kind, topic, lambda _, peer=peer: permits.hear_peer(peer), profile)


def hear_estop(node: HouseNode, stop: Callable[[], None]) -> None:
    """`estop`: true from any machine, any node, reliable or not, stops; false says nothing."""
    for profile in ANY_SPEAKER:
        node.create_subscription(Bool, "estop", lambda told: stop() if told.data else None, profile)


class Heard(NamedTuple):
    """One action as it was heard; unfit: why it must be refused whatever it asks, or none."""

    action: Action
    unfit: Reason


class MotionTopics:
    """Who speaks on the topics that move the arm, this node's own voice apart."""

    def __init__(self, node: HouseNode, topics: ArmTopics) -> None:
        self._node = node
        names = [getattr(topics, name) for name in REQUIRED if name != "joint_states"]
        self._names = [*names, *([topics.gripper_command] if topics.gripper_command else [])]

    def intruders(self) -> tuple[str, ...]:
        """`node on topic` of every other publisher: one more of our own name is another process too."""
        return tuple(f"{who} on {topic}" for topic in self._names for who in self._others(topic))

    def _others(self, topic: str) -> list[str]:
        speakers = [_name(i.node_namespace, i.node_name) for i in self._node.get_publishers_info_by_topic(topic)]
        own = _name(self._node.get_namespace(), self._node.get_name())
        speaks = self._node.resolve_topic_name(topic) in [out.topic_name for out in self._node.publishers]
        if speaks and own in speakers:
            speakers.remove(own)
        return speakers


def read_action(message: m.Action, frame_id: str) -> Heard:
    """An action, and what its message alone says against it. Nothing in it can raise, here or when it is answered."""
    unfit = NONE
    if message.header.frame_id not in ("", "base", frame_id):
        unfit |= Reason.SHAPE | Reason.FRAME
    if message.source not in list(Source):
        unfit |= Reason.SHAPE | Reason.SOURCE
        message.source = m.Action.SOURCE_POLICY
    if message.header.stamp.nanosec >= convert.NS:
        unfit |= Reason.SHAPE
        message.header.stamp.nanosec = 0
    return Heard(convert.action(message), unfit)


def _name(namespace: str, name: str) -> str:
    return f"{namespace.rstrip('/')}/{name}"


def _program(is_running: bool) -> RobotMode:
    return RobotMode.MOVE if is_running else RobotMode.OTHER
