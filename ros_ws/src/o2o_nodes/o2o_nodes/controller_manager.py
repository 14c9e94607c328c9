"""The services by which clients of ros2_control list an arm's controllers and switch between them.

Such as crisp_py's ControllerSwitcherClient and `ros2 control`. The types are controller_manager_msgs', which an apt
ROS 2 has and the wheels have not: where they are missing nothing is offered, and `arm.controller` is the way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.parameter import Parameter

from o2o_nodes.arm_topics import PREFIX, ArmTopics
from o2o_nodes.controllers import Controllers
from o2o_nodes.node import HouseNode
from o2o_robot.errors import ArmError
from o2o_robot.robot.switchboard import STRICT, ControllerKind, Stage, Switchboard, Switched

try:
    from controller_manager_msgs import msg, srv
except ImportError:
    msg = srv = None

BROADCASTERS = {  # active always: crisp_py leaves alone whatever ends so
    "joint_state_broadcaster": ControllerKind("joint_state_broadcaster/JointStateBroadcaster"),
    "pose_broadcaster": ControllerKind("crisp_controllers/PoseBroadcaster"),
    "twist_broadcaster": ControllerKind("crisp_controllers/TwistBroadcaster"),
}
FELT = ("position", "velocity")
CRISP = "crisp_controllers/CartesianController"  # of both its controllers; which of the two is a matter of parameters


class ControllerManager:
    """Answers controller_manager/*, and lets `controllers` obey. Each controller goes by ros2_control's name of it.

    With none active the arm stays where it is. What `arm.controller` changes is seen here, and the other way round.
    """

    def __init__(self, node: HouseNode, topics: ArmTopics, joints: list[str], controllers: Controllers) -> None:
        self._node, self._joints, self._controllers = node, joints, controllers
        self._ours = names_of(topics)
        kinds = {self._ours[ours]: kind for ours, kind in kinds_of(joints).items()}
        stages = dict.fromkeys(kinds, Stage.INACTIVE) | dict.fromkeys(BROADCASTERS, Stage.ACTIVE)
        self._board = Switchboard({**kinds, **BROADCASTERS}, stages)
        if srv is None:
            node.get_logger().info("controller_manager services are not offered: controller_manager_msgs is missing")
            return
        self._offer(srv.ListControllers, "list_controllers", self.list_controllers)
        self._offer(srv.SwitchController, "switch_controller", self.switch_controller)
        for kind, name, change in (
            (srv.LoadController, "load_controller", Switchboard.loaded),
            (srv.ConfigureController, "configure_controller", Switchboard.configured),
            (srv.UnloadController, "unload_controller", Switchboard.unloaded),
            (getattr(srv, "CleanupController", None), "cleanup_controller", Switchboard.cleaned_up),
        ):
            if kind is not None:  # Jazzy has no clean-up
                self._offer(kind, name, partial(self.change, change))

    @property
    def board(self) -> Switchboard:
        """The controllers as they are now."""
        active = self._ours.get(self._controllers.active)
        stages = dict(self._board.stages)
        for name in self._ours.values():
            if name == active:
                stages[name] = Stage.ACTIVE
            elif stages.get(name) is Stage.ACTIVE:
                stages[name] = Stage.INACTIVE
        return Switchboard(self._board.kinds, stages)

    def list_controllers(self, _: Any, answer: Any) -> Any:
        board = self.board
        for name, stage in board.stages.items():
            kind = board.kinds[name]
            state = msg.ControllerState(name=name, state=stage.value, type=kind.type)
            state.required_command_interfaces = list(kind.claims)
            state.claimed_interfaces = list(kind.claims) if stage is Stage.ACTIVE else []
            state.required_state_interfaces = [f"{joint}/{what}" for joint in self._joints for what in FELT]
            answer.controller.append(state)
        return answer

    def switch_controller(self, request: Any, answer: Any) -> Any:
        strict = request.strictness == STRICT
        try:
            switched = self.board.switched(request.activate_controllers, request.deactivate_controllers, strict=strict)
            self._obey(switched)
        except ArmError as problem:
            return self._say(answer, False, str(problem))
        return self._say(answer, True, switched.message)

    def change(self, change: Callable[[Switchboard, str], Switchboard], request: Any, answer: Any) -> Any:
        try:
            self._board = change(self.board, request.name)
        except ArmError as problem:
            return self._say(answer, False, str(problem))
        return self._say(answer, True, "")

    def _offer(self, kind: type, name: str, answer: Callable[[Any, Any], Any]) -> None:
        self._node.create_service(kind, f"controller_manager/{name}", answer)

    def _obey(self, switched: Switched) -> None:
        """Make the arm's controller the one that was started, if any; stop it where none took its place."""
        started = [ours for ours, name in self._ours.items() if name in switched.started]
        if started:
            parameter = Parameter(f"{PREFIX}.controller", value=started[0])
            (result,) = self._node.set_parameters([parameter])
            if not result.successful:
                raise ArmError(result.reason)
        elif self._ours.get(self._controllers.active) in switched.stopped:
            self._controllers.rest()
        self._board = switched.board

    def _say(self, answer: Any, ok: bool, message: str) -> Any:
        answer.ok = ok
        if hasattr(answer, "message"):  # of switch_controller, since Jazzy
            answer.message = message
        if message:
            self._node.get_logger().warning(f"controller_manager: {message}")
        return answer


def names_of(topics: ArmTopics) -> dict[str, str]:
    """Our name of a controller -> ros2_control's. A forward or trajectory controller is called as its topics begin."""
    return {
        "cartesian_pose": "cartesian_impedance_controller",
        "joint_impedance": "joint_impedance_controller",
        "forward_position": topics.forward_position.strip("/").split("/")[0],
        "joint_trajectory": topics.joint_trajectory.strip("/").split("/")[0],
        "servo_twist": topics.servo_twist.strip("/").split("/")[0],
    }


def kinds_of(joints: list[str]) -> dict[str, ControllerKind]:
    """Our name of a controller -> what it is and claims. MoveIt Servo is a node, whose commands claim positions."""
    effort, position = (tuple(f"{joint}/{what}" for joint in joints) for what in ("effort", "position"))
    return {
        "cartesian_pose": ControllerKind(CRISP, effort),
        "joint_impedance": ControllerKind(CRISP, effort),
        "forward_position": ControllerKind("forward_command_controller/ForwardCommandController", position),
        "joint_trajectory": ControllerKind("joint_trajectory_controller/JointTrajectoryController", position),
        "servo_twist": ControllerKind("moveit_servo/ServoNode", position),
    }
