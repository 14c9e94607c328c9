"""The twin behind the topics of a real driver: MuJoCo arm, gripper, cameras, judge, /clock, and the scene's reset.

In lockstep physics waits: each command stamped with the present observation (or of a type that has no stamp) lets one
control period pass, and then the next observation is published. In real time a wall timer lets time pass, whatever is
commanded.

Which controller is active is the parameter `arm.controller`, changed at any time (`ros2 param set`), or by the services
of ros2_control's controller_manager where their types are installed.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from o2o_msgs.action import ResetScene
from rcl_interfaces.msg import SetParametersResult
from rclpy.action import ActionServer
from rclpy.parameter import Parameter
from std_msgs.msg import Float64MultiArray, UInt8
from std_srvs.srv import Trigger

from o2o_nodes import arm_messages, convert, qos
from o2o_nodes.arm_topics import PREFIX, read_topics
from o2o_nodes.controller_manager import ControllerManager
from o2o_nodes.controllers import Controllers
from o2o_nodes.faults import FaultDesk
from o2o_nodes.follow_trajectory import FollowTrajectory
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_nodes.twin_settings import require_gripper, require_timely, twin_config
from o2o_nodes.twin_streams import make_streams
from o2o_robot.errors import ArmError, ConfigError, O2OError
from o2o_robot.robot.fault_kinds import Joints
from o2o_robot.robot.kinematics import SerialArm, fr3, ur5e
from o2o_robot.vitals import Value
from o2o_sim.twin import Twin

REPEAT_S = 0.5  # of wall time, between two looks at an instant that nobody answers
KINEMATICS = {"fr3": fr3, "ur5e": ur5e}
MOVE, REFLEX = 2, 4  # values of franka_msgs/FrankaRobotState.robot_mode


class TwinNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("twin_node")
        self.set_parameters([Parameter("use_sim_time", value=False)])  # it *is* the clock

    def open(self) -> None:
        self._twin = Twin(twin_config(self))
        self._topics = read_topics(self, read_only=False)
        self._joints = self.setting("joints", list(self._twin.robot.joints), "names in joint_states")
        self._factor = self.setting("realtime_factor", 1.0, "simulated seconds per second; 0: lockstep")
        require_timely(self._twin.config, lockstep=self._waits_for_commands)
        require_gripper(self, self._twin)
        self._state_hz = self.setting("state_hz", 100.0, "rate of joint_states and current_pose in real time")
        self._period_s = self._twin.config.period_s
        self._steps = self._resets = 0
        self._answer_s: list[float] = []
        self._state = self._twin.arm_state()
        self._kinematics = _kinematics(self._twin)
        self._controllers = Controllers(
            self, self._topics, self._joints, state=lambda: self._state, heard=self._on_command
        )
        ControllerManager(self, self._topics, self._joints, self._controllers)
        FollowTrajectory(self, self._topics.joint_trajectory, self._joints, self._controllers, lambda: self._state)
        self._grips = self._hear_grips()
        self.add_on_set_parameters_callback(self._on_parameters)
        self._advertise()
        self._places_only = self.setting("place_only", False, "answer place_scene, the arm left alone, not reset_scene")
        self._draw = self._twin.place_scene if self._places_only else self._bring_back
        server = "place_scene" if self._places_only else "reset_scene"
        self._server = ActionServer(self, ResetScene, server, self._reset)
        self.create_service(Trigger, "error_recovery", self._recover)

    def start(self) -> None:
        self._faults.start()
        self._tell_mode()
        if self._places_only:
            self._move(self._period_s)  # nothing can be said of the instant 0, and no reset makes another here
        self._see()
        if self._waits_for_commands:
            self.create_timer(REPEAT_S, self._repeat, clock=STEADY)
            return
        self._ticks = 0
        self._ticks_per_frame = max(1, round(self._period_s * self._state_hz))
        self.create_beat("physics", 1.0 / (self._state_hz * self._factor), self._tick)

    def close(self) -> None:
        self.remove_on_set_parameters_callback(self._on_parameters)
        self._twin.close()

    def summary(self) -> dict[str, Any]:
        answer_ms = np.array(self._answer_s or [0.0]) * 1e3
        return {
            "control_steps": self._steps,
            "resets": self._resets,
            "faults_injected": self._faults.injected,
            "simulated_s": self._twin.stamp_ns * 1e-9,
            # lockstep: from the observation's publication to the guarded target's arrival, images and all
            "observation_to_target_ms": {"p50": np.percentile(answer_ms, 50), "p99": np.percentile(answer_ms, 99)},
        }

    def readings(self) -> dict[str, Value]:
        return {"control steps": self._steps, "resets": self._resets, "faults injected": self._faults.injected}

    @property
    def _waits_for_commands(self) -> bool:
        return self.lockstep or self._factor == 0.0

    # --- commands and time ---------------------------------------------------------------------------------------
    def _on_command(self, stamp_ns: int | None) -> None:
        if self._waits_for_commands and stamp_ns in (None, self._twin.stamp_ns):
            self._answer_s.append(time.perf_counter() - self._seen_at_s)
            self._take_grips()
            self._move(self._period_s)
            self._steps += 1
            self._see()

    def _tick(self) -> None:
        self._move(1.0 / self._state_hz)
        self._ticks += 1
        self._feel()
        is_step = self._ticks % self._ticks_per_frame == 0
        self._steps += is_step
        if is_step or self._twin.config.sensors.camera.fps:  # a camera with a rate of its own shows what has come
            self._look()

    def _move(self, dt_s: float) -> None:
        """Let time pass, the arm under its active controller; in a reflex it stays where that began."""
        if not self._faults.is_on("reflex"):
            goal = self._controllers.goal(dt_s)
            if isinstance(goal, np.ndarray):
                self._twin.lean(goal, firmly=True)
                goal = self._kinematics.fk(goal)
            if goal is not None:
                self._twin.aim(goal)
        self._twin.advance(dt_s)
        self._state = self._twin.arm_state()

    def _hear_grips(self) -> Any:
        topic = self._topics.gripper_command
        return self.create_subscription(Float64MultiArray, topic, self._on_grip, qos.COMMAND) if topic else None

    def _take_grips(self) -> None:
        """Heed what came for the gripper before the arm's command, whichever of the two queues is served first.

        In lockstep both belong to one step, and the same step must always do the same.
        """
        if self._grips is None or not self._twin.has_gripper:
            return
        with self._grips.handle:
            while (taken := self._grips.handle.take_message(self._grips.msg_type, self._grips.raw)) is not None:
                self._on_grip(taken[0])

    def _on_grip(self, message: Float64MultiArray) -> None:
        if self._faults.is_on("stuck") or self._faults.is_on("reflex"):
            return
        try:
            (opening_m,) = arm_messages.positions(message, 1, self._topics.gripper_command)
            self._twin.grip(float(opening_m))
        except ArmError as problem:
            self.get_logger().error(f"gripper: {problem}", throttle_duration_sec=1.0)

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        for parameter in changed:
            if parameter.name == f"{PREFIX}.controller":
                try:
                    self._controllers.switch(parameter.value)
                except O2OError as problem:
                    return SetParametersResult(successful=False, reason=str(problem))
                self._twin.lean(np.array(self._twin.robot.ready_rad))
                self._stay()
        return SetParametersResult(successful=True)

    def _stay(self) -> None:
        """Whatever was asked before, the arm stays where it is."""
        self._controllers.forget()
        self._twin.aim(self._state.tool)

    def _repeat(self) -> None:
        """Say again what nobody has answered: a reader that was still being discovered must not stop time for good."""
        if time.perf_counter() - self._seen_at_s > REPEAT_S:
            self._see()

    def _reset(self, handle: Any) -> ResetScene.Result:
        self._draw(handle.request.seed)
        self._resets += 1
        # a new stamp for a new scene: no old command answers it, and no old frame or judgement shares it
        self._twin.advance(self._period_s if self._waits_for_commands else 1.0 / self._state_hz)
        self._state = self._twin.arm_state()
        handle.succeed()
        if self._twin.drawn:
            self._scene_out.publish(convert.scene_message(self._twin.drawn, self._twin.stamp_ns))
        self._see()
        return ResetScene.Result(success=True, message="", stamp=convert.stamp(self._twin.stamp_ns))

    def _bring_back(self, seed: int) -> None:
        """The arm to its start too, as no real one can be."""
        self._twin.reset(seed)
        self._controllers.forget()

    # --- a machine in a reflex -----------------------------------------------------------------------------------
    def _tell_mode(self) -> None:
        """Say the mode; an arm that has just gone into a reflex stops."""
        mode = REFLEX if self._faults.is_on("reflex") else MOVE
        if mode == REFLEX:
            self._stay()
        self._mode_out.publish(UInt8(data=mode))

    def _recover(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        """Out of the reflex; what was asked meanwhile is not followed, only what is asked from now on."""
        answer.success = True
        answer.message = "recovered" if self._faults.end("reflex") else "there was no error"
        self._stay()
        self._tell_mode()
        return answer

    # --- what a driver would publish -----------------------------------------------------------------------------
    def _advertise(self) -> None:
        self._mode_out = self.create_publisher(UInt8, "robot_mode", qos.LATCHED)
        self._scene_out = self.create_publisher(DiagnosticArray, "scene", qos.LATCHED)
        lenses = {name: self._twin.lens(name) for name in self._twin.config.cameras}
        streams = make_streams(self, self._topics, lenses)
        self._faults = FaultDesk(self, streams, changed=self._tell_mode)

    def _see(self) -> None:
        self._feel()
        self._look()

    def _feel(self) -> None:
        state, say = self._state, self._faults.say
        say("clock", self._twin.stamp_ns)
        say("joint_states", state.stamp_ns, Joints(tuple(self._joints), state.q_rad, state.dq_rad))
        say("current_pose", state.stamp_ns, state.tool)
        say("current_twist", state.stamp_ns, self._kinematics.jacobian(state.q_rad) @ state.dq_rad)
        say("external_wrench", state.stamp_ns, state.wrench)
        say("gripper", state.stamp_ns, np.array([state.gripper_m]))
        say("task_state", self._twin.stamp_ns, self._twin.task_state())

    def _look(self) -> None:
        self._seen_at_s = time.perf_counter()
        for name in self._twin.config.cameras:
            for frame in self._twin.new_frames(name):
                self._faults.say(name, frame.stamp_ns, frame.image)


def _kinematics(twin: Twin) -> SerialArm:
    """The house's picture of the twin's arm, its tool where the twin's is."""
    if twin.robot.name not in KINEMATICS:
        raise ConfigError(
            f"twin_node: no kinematics known of robot '{twin.robot.name}' (there are {', '.join(KINEMATICS)}); "
            "add its Denavit-Hartenberg table to kinematics.py, or use it in process"
        )
    state = twin.arm_state()
    return KINEMATICS[twin.robot.name]().with_tool_at(state.tool, state.q_rad)


def main() -> None:
    run(TwinNode)
