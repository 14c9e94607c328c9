"""Where calibrated cameras sit, as static transforms. The type is tf2_msgs', which an apt ROS 2 has, the wheels not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geometry_msgs.msg import TransformStamped, Vector3

from o2o_nodes import convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.types import Pose

if TYPE_CHECKING:
    from o2o_calibration.lens import Calibrated

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


def publish_places(node: HouseNode, found: Mapping[str, Calibrated], frames: Mapping[str, str]) -> None:
    """Say once, also to whoever comes later, where each camera with a hand-eye result is. frames: of tool and base."""
    placed = {name: one for name, one in found.items() if one.pose is not None}
    transforms = [
        transform(one.pose, frames[one.parent], f"{name}_color_optical_frame", node.now_ns())
        for name, one in placed.items()
    ]
    if not transforms:
        return
    if TFMessage is None:
        node.get_logger().info(f"the places of {', '.join(placed)} are not published: tf2_msgs is missing")
        return
    node.create_publisher(TFMessage, "/tf_static", qos.LATCHED).publish(TFMessage(transforms=transforms))


def transform(pose: Pose, parent: str, child: str, ns: int) -> TransformStamped:
    """The pose of `child` in `parent`."""
    message = TransformStamped(child_frame_id=child)
    message.header.stamp, message.header.frame_id = convert.stamp(ns), parent
    x, y, z = pose.position_m.tolist()
    message.transform.translation = Vector3(x=x, y=y, z=z)
    qx, qy, qz, qw = pose.quat_xyzw.tolist()
    message.transform.rotation.x, message.transform.rotation.y = qx, qy
    message.transform.rotation.z, message.transform.rotation.w = qz, qw
    return message
