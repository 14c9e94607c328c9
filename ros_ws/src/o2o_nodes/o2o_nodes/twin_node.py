"""The twin behind the topics of a real driver: MuJoCo arm, cameras, judge, /clock, and the reset of the scene.

In lockstep physics waits: each `target_pose` stamped with the present observation lets one control period pass, and
then the next observation is published. In real time a wall timer lets time pass, whatever is commanded.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from o2o_msgs.action import ResetScene
from o2o_msgs.msg import TaskState
from rclpy.action import ActionServer
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from o2o_nodes import convert, qos
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_robot.errors import ArmError
from o2o_sim.config import TwinConfig
from o2o_sim.twin import Twin

REPEAT_S = 0.5  # of wall time, between two looks at an instant that nobody answers


class TwinNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("twin_node")
        self.set_parameters([Parameter("use_sim_time", value=False)])  # it *is* the clock

    def open(self) -> None:
        config = TwinConfig(
            task=self.setting("task", "peg", "task of the twin"),
            cameras=tuple(self.setting("cameras", ["wrist", "front"], "camera names")),
            image_size=self.setting("image_size", 64, "side of the images in pixels"),
            control_hz=self.setting("control_hz", 10.0, "rate of the policy, and of physics in lockstep"),
        )
        clearance_m = self.setting("clearance_m", config.peg.clearance_m, "gap between peg and hole on each side")
        config = replace(config, peg=replace(config.peg, clearance_m=clearance_m))
        self._joints = self.setting("joints", [f"fr3_joint{i}" for i in range(1, 8)], "names in joint_states")
        self._factor = self.setting("realtime_factor", 1.0, "simulated seconds per second; 0: lockstep")
        self._state_hz = self.setting("state_hz", 100.0, "rate of joint_states and current_pose in real time")
        self._period_s = 1.0 / config.control_hz
        self._steps = self._resets = 0
        self._answer_s: list[float] = []
        self._twin = Twin(config)
        self._advertise(config.cameras)
        self.create_subscription(PoseStamped, "target_pose", self._on_target, qos.COMMAND)
        self._server = ActionServer(self, ResetScene, "reset_scene", self._reset)

    def start(self) -> None:
        self._see()
        if self._waits_for_commands:
            self.create_timer(REPEAT_S, self._repeat, clock=STEADY)
            return
        self._ticks = 0
        self._ticks_per_frame = max(1, round(self._period_s * self._state_hz))
        self.create_timer(1.0 / (self._state_hz * self._factor), self._tick, clock=STEADY)

    def close(self) -> None:
        self._twin.close()

    def summary(self) -> dict[str, Any]:
        answer_ms = np.array(self._answer_s or [0.0]) * 1e3
        return {
            "control_steps": self._steps,
            "resets": self._resets,
            "simulated_s": self._twin.stamp_ns * 1e-9,
            # lockstep: from the observation's publication to the guarded target's arrival, images and all
            "observation_to_target_ms": {"p50": np.percentile(answer_ms, 50), "p99": np.percentile(answer_ms, 99)},
        }

    @property
    def _waits_for_commands(self) -> bool:
        return self.lockstep or self._factor == 0.0

    # --- commands and time ---------------------------------------------------------------------------------------
    def _on_target(self, message: PoseStamped) -> None:
        try:
            self._twin.aim(convert.pose(message))
        except ArmError as problem:
            self.get_logger().error(f"target refused: {problem}")
            return
        answers_now = convert.stamp_ns(message.header.stamp) == self._twin.stamp_ns
        if self._waits_for_commands and answers_now:
            self._answer_s.append(time.perf_counter() - self._seen_at_s)
            self._twin.advance(self._period_s)
            self._steps += 1
            self._see()

    def _tick(self) -> None:
        self._twin.advance(1.0 / self._state_hz)
        self._ticks += 1
        self._feel()
        if self._ticks % self._ticks_per_frame == 0:
            self._steps += 1
            self._look()

    def _repeat(self) -> None:
        """Say again what nobody has answered: a reader that was still being discovered must not stop time for good."""
        if time.perf_counter() - self._seen_at_s > REPEAT_S:
            self._see()

    def _reset(self, handle: Any) -> ResetScene.Result:
        self._twin.reset(handle.request.seed)
        self._resets += 1
        # a new stamp for a new scene: no old command answers it, and no old frame or judgement shares it
        self._twin.advance(self._period_s if self._waits_for_commands else 1.0 / self._state_hz)
        handle.succeed()
        self._see()
        return ResetScene.Result(success=True, message="", stamp=convert.stamp(self._twin.stamp_ns))

    # --- what a driver would publish -----------------------------------------------------------------------------
    def _advertise(self, cameras: tuple[str, ...]) -> None:
        create = self.create_publisher
        self._clock_out = create(Clock, "/clock", qos.SENSOR_OUT)
        self._joints_out = create(JointState, "joint_states", qos.SENSOR_OUT)
        self._pose_out = create(PoseStamped, "current_pose", qos.SENSOR_OUT)
        self._judge_out = create(TaskState, "task_state", qos.SENSOR_OUT)
        self._image_out = {name: create(Image, f"{name}/color/image_raw", qos.SENSOR_OUT) for name in cameras}

    def _see(self) -> None:
        self._feel()
        self._look()

    def _feel(self) -> None:
        state = self._twin.arm_state()
        self._clock_out.publish(Clock(clock=convert.stamp(state.stamp_ns)))
        self._joints_out.publish(convert.joint_message(state, self._joints))
        self._pose_out.publish(convert.pose_message(state.tool, state.stamp_ns, "base"))
        self._judge_out.publish(convert.task_message(self._twin.task_state()))

    def _look(self) -> None:
        self._seen_at_s = time.perf_counter()
        for name, publisher in self._image_out.items():
            frame = f"{name}_color_optical_frame"
            publisher.publish(convert.image_message(self._twin.image(name), self._twin.stamp_ns, frame))


def main() -> None:
    run(TwinNode)
