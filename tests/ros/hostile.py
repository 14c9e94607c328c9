"""python tests/ros/hostile.py COUNT: another process on the graph that says COUNT spoiled messages on every topic."""

from __future__ import annotations

import copy
import sys
import time

import mutations
import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState

TOPICS = {
    "weights": m.Weights,
    "learner_state": m.LearnerState,
    "policy_state": m.PolicyState,
    "safety_state": m.SafetyState,
    "executed_action": m.ExecutedAction,
    "action": m.Action,
    "teleop_action": m.Action,
    "step": m.Step,
    "step_ack": m.StepAck,
    "episode": m.EpisodeEvent,
    "task_state": m.TaskState,
    "joint_states": JointState,
    "current_pose": PoseStamped,
    "target_pose": PoseStamped,
    "wrist/color/image_raw": Image,
    "front/color/image_raw": Image,
}
# the one offer that readers of every profile take up
PROFILE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PATIENCE_S = 60.0


def main(count: int) -> None:
    rclpy.init()
    node, rng, sound = Node("hostile"), np.random.default_rng(3), mutations.sound()
    out = {topic: node.create_publisher(kind, topic, PROFILE) for topic, kind in TOPICS.items()}
    deadline_s = time.monotonic() + PATIENCE_S
    while any(publisher.get_subscription_count() == 0 for publisher in out.values()):
        if time.monotonic() > deadline_s:
            deaf = [topic for topic, publisher in out.items() if publisher.get_subscription_count() == 0]
            sys.exit(f"nobody listens to {', '.join(deaf)}")
        rclpy.spin_once(node, timeout_sec=0.05)
    for _ in range(count):
        for topic, kind in TOPICS.items():
            message = copy.deepcopy(sound[kind])
            for _ in range(int(rng.integers(1, 4))):
                mutations.spoil(message, rng)
            out[topic].publish(message)
    print(f"said {count * len(out)}", flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
