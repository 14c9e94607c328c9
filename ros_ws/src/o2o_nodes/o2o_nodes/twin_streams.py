"""What a driver would publish: each stream of the twin by name, and how a sample of it becomes a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from o2o_msgs.msg import TaskState
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from o2o_nodes import arm_messages, convert, qos
from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.camera_messages import camera_info
from o2o_nodes.node import HouseNode
from o2o_robot.robot.camera_view import Intrinsics
from o2o_robot.robot.fault_kinds import Joints

Publish = Callable[[int, Any], None]
"""Sends one message, given its stamp (ns) and its sample."""


def make_streams(node: HouseNode, topics: ArmTopics, cameras: Mapping[str, Intrinsics]) -> dict[str, Publish]:
    """Stream -> what publishes it. Samples: Joints, a Pose, arrays, a TaskState; the clock's is None.

    cameras: name -> lens.

    All are published, on their usual topics where the settings leave a name empty.
    """
    frame, finger = topics.frame_id, topics.gripper_joint
    wrench, gripper = topics.external_wrench or "external_wrench", topics.gripper_states or "gripper/joint_states"
    pose, twist = topics.current_pose or "current_pose", topics.current_twist or "current_twist"
    judged = node.setting("task_state_topic", "task_state", "where its judgement goes: aside where reward_node judges")

    def out(kind: type, topic: str, make: Callable[[Any, int], Any]) -> Publish:
        publisher = node.create_publisher(kind, topic, qos.SENSOR_OUT)
        return lambda ns, sample: publisher.publish(make(sample, ns))

    streams = {
        "clock": out(Clock, "/clock", lambda _, ns: Clock(clock=convert.stamp(ns))),
        "joint_states": out(JointState, topics.joint_states, arm_messages.joint_state),
        "current_pose": out(PoseStamped, pose, lambda p, ns: convert.pose_message(p, ns, frame)),
        "current_twist": out(TwistStamped, twist, lambda v, ns: arm_messages.twist_message(v, ns, frame)),
        "external_wrench": out(WrenchStamped, wrench, lambda w, ns: arm_messages.wrench_message(w, ns, frame)),
        "gripper": out(JointState, gripper, lambda opening_m, ns: _finger(finger, opening_m, ns)),
        "task_state": out(TaskState, judged, lambda task, ns: convert.task_message(replace(task, stamp_ns=ns))),
    }
    return {**streams, **{name: _eye(node, name, lens) for name, lens in cameras.items()}}


def _eye(node: HouseNode, name: str, lens: Intrinsics) -> Publish:
    """A picture and, as a driver does, its CameraInfo with the same stamp; in lockstep, where that would cost physics
    a hundredth of its speed and change nothing, with the first picture alone, kept for who comes later."""
    frame_id = f"{name}_color_optical_frame"
    pictures = node.create_publisher(Image, f"{name}/color/image_raw", qos.SENSOR_OUT)
    infos = node.create_publisher(CameraInfo, f"{name}/color/camera_info", qos.LATCHED)
    told = False

    def publish(ns: int, pixels: np.ndarray) -> None:
        nonlocal told
        pictures.publish(convert.image_message(pixels, ns, frame_id))
        if not (told and node.lockstep):
            infos.publish(camera_info(lens, (lens.width, lens.height), ns, frame_id))
            told = True

    return publish


def _finger(name: str, opening_m: np.ndarray, ns: int) -> JointState:
    return arm_messages.joint_state(Joints((name,), opening_m, np.zeros(1)), ns)
