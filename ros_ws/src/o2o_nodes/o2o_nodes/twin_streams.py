"""What a driver would publish: each stream of the twin by name, and how a sample of it becomes a message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from o2o_msgs.msg import TaskState
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from o2o_nodes import arm_messages, convert, qos
from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.node import HouseNode
from o2o_robot.robot.fault_kinds import Joints

Publish = Callable[[int, Any], None]
"""Sends one message, given its stamp (ns) and its sample."""


def make_streams(node: HouseNode, topics: ArmTopics, cameras: Sequence[str]) -> dict[str, Publish]:
    """Stream -> what publishes it. Samples: Joints, a Pose, arrays, a TaskState; the clock's is None.

    All are published, on their usual topics where the settings leave a name empty.
    """
    frame, finger = topics.frame_id, topics.gripper_joint
    wrench, gripper = topics.external_wrench or "external_wrench", topics.gripper_states or "gripper/joint_states"
    pose, twist = topics.current_pose or "current_pose", topics.current_twist or "current_twist"

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
        "task_state": out(TaskState, "task_state", lambda task, ns: convert.task_message(replace(task, stamp_ns=ns))),
    }
    for name in cameras:
        optical = f"{name}_color_optical_frame"
        streams[name] = out(
            Image, f"{name}/color/image_raw", lambda pixels, ns, o=optical: convert.image_message(pixels, ns, o)
        )
    return streams


def _finger(name: str, opening_m: np.ndarray, ns: int) -> JointState:
    return arm_messages.joint_state(Joints((name,), opening_m, np.zeros(1)), ns)
