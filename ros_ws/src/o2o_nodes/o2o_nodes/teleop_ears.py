"""Feeds a device that speaks on topics: what its driver publishes, as the plain numbers the device wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from sensor_msgs.msg import Joy as JoyMessage
from std_msgs.msg import Bool

from o2o_nodes import convert
from o2o_nodes.node import HouseNode
from o2o_robot.errors import DeviceError
from o2o_robot.teleop.device import Device
from o2o_robot.teleop.joy import Joy
from o2o_robot.teleop.leader import Leader
from o2o_robot.teleop.twist import Twist

# best effort hears reliable speakers too; of a hand only the newest word counts
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# a release is said once, and must arrive
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


def hear_device(node: HouseNode, device: Device) -> list[str]:
    """Subscribe to what this device is made of; the topics, none for one that is read at this machine."""
    before = {subscription.topic_name for subscription in node.subscriptions}
    for kind, hear in ((Joy, _hear_joy), (Twist, _hear_twist), (Leader, _hear_leader)):
        if isinstance(device, kind):
            hear(node, device)
    return sorted({subscription.topic_name for subscription in node.subscriptions} - before)


def _hear_joy(node: HouseNode, device: Any) -> None:
    node.create_subscription(
        JoyMessage, device.config.topic, lambda said: device.hear(said.axes, said.buttons), RELIABLE
    )


def _hear_twist(node: HouseNode, device: Any) -> None:
    def hear(said: TwistStamped) -> None:
        linear, angular = said.twist.linear, said.twist.angular
        device.hear((linear.x, linear.y, linear.z), (angular.x, angular.y, angular.z))

    node.create_subscription(TwistStamped, device.config.topic, hear, NEWEST)


def _hear_leader(node: HouseNode, device: Any) -> None:
    told = device.config
    if told.pose:
        _listen(node, PoseStamped, told.pose, lambda said: device.hear_pose(convert.pose(said).position_m))
    if not told.pose or told.gripper_joint:
        _listen(node, JointState, told.joint_states, lambda said: device.hear_joints(_positions(said)))
    if told.clutch == "topic":
        node.create_subscription(Bool, told.clutch_topic, lambda said: device.hear_clutch(said.data), RELIABLE)


def _listen(node: HouseNode, kind: type, topic: str, hear: Callable[[Any], None]) -> None:
    node.create_subscription(kind, topic, hear, NEWEST)


def _positions(said: JointState) -> dict[str, float]:
    if len(said.position) != len(said.name):
        raise DeviceError(f"leader: {len(said.name)} names and {len(said.position)} positions; look at its driver")
    return dict(zip(said.name, said.position, strict=True))
