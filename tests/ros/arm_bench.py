"""RosArm in the test's own process against a twin in another: the arm contract's bench over real topics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from o2o_msgs.action import ResetScene
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.node import HouseNode
from o2o_nodes.ros_arm import RosArm
from o2o_robot.graph import Process
from o2o_robot.robot.arm import Sent
from o2o_robot.robot.fake import fr3_with_hand
from o2o_robot.robot.inverse import InverseKinematics
from o2o_robot.safety.limits_table import fr3_published
from o2o_robot.types import ArmState, Pose

JOINTS = [f"fr3_joint{i}" for i in range(1, 8)]
INVERSE = InverseKinematics(fr3_with_hand(), fr3_published().min_rad, fr3_published().max_rad)


def twin_process(**parameters: Any) -> Process:
    """A twin without eyes, unless told."""
    return Process("twin_node", {"task": "peg", "cameras": [""], "use_sim_time": False, **parameters})


class Client:
    """A node of the test's own, in the default context; `until` listens to it."""

    def __init__(self, domain: int, *, lockstep: bool) -> None:
        self._domain, self._lockstep = domain, lockstep

    def __enter__(self) -> Client:
        rclpy.init(domain_id=self._domain)
        self.node = HouseNode("client")
        self.node.set_parameters([Parameter("lockstep", value=self._lockstep)])
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s} s"
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, 30.0, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, 10.0, f"answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def activate(self, controller: str) -> str:
        """Make it the twin's active controller; what the twin says where it refuses."""
        parameter = Parameter("arm.controller", value=controller).to_parameter_msg()
        answer = self.call(SetParameters, "twin_node/set_parameters", SetParameters.Request(parameters=[parameter]))
        return "" if answer.results[0].successful else answer.results[0].reason

    def reset(self, seed: int) -> int:
        """A new scene; the stamp (ns) of its first observation."""
        client = ActionClient(self.node, ResetScene, "reset_scene")
        self.until(client.server_is_ready, 30.0, "the reset server")
        goal = client.send_goal_async(ResetScene.Goal(seed=seed))
        self.until(goal.done, 10.0, "the reset to be accepted")
        result = goal.result().get_result_async()
        self.until(result.done, 10.0, "the reset")
        client.destroy()
        stamp = result.result().result.stamp
        return stamp.sec * 1_000_000_000 + stamp.nanosec

    def arm(self, **topics: Any) -> RosArm:
        """RosArm on this node, heard by the twin. Its first state comes with the first reset."""
        arm = RosArm(self.node, joints=JOINTS, topics=ArmTopics(**topics), inverse=INVERSE, on_state=lambda: None)
        self.until(lambda: arm.is_heard, 30.0, "a listener to commands")
        return arm


class LockstepArm:
    """An arm whose command waits for the twin's answer; `wait` lets time pass by saying the last command again."""

    def __init__(self, client: Client, arm: RosArm) -> None:
        self._client, self._arm = client, arm
        self._asked: Pose | None = None
        self._until_ns = arm.stamp_ns

    def read(self) -> ArmState:
        return self._arm.read()

    def command(self, target: Pose) -> Sent:
        before_ns = self._arm.stamp_ns
        sent = self._arm.command(target)
        self._asked = target
        self._client.until(lambda: self._arm.stamp_ns > before_ns, 10.0, "the twin's answer to a command")
        return sent

    def hold(self) -> Sent:
        return self.command(self.read().tool)

    def wait(self, duration_s: float) -> None:
        self._until_ns += round(duration_s * 1e9)
        while self._arm.stamp_ns < self._until_ns:
            self.command(self._asked or self.read().tool)
