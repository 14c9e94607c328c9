"""The action of a joint trajectory controller, by which clients such as crisp_py send an arm home.

Its type is control_msgs', which an apt ROS 2 has and the wheels have not; without it the trajectory's topic is the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse

from o2o_nodes.controllers import Controllers
from o2o_nodes.node import HouseNode
from o2o_robot.errors import ArmError
from o2o_robot.robot.trajectory_goal import Reached, TrajectoryGoal
from o2o_robot.types import ArmState

try:
    from control_msgs.action import FollowJointTrajectory
except ImportError:
    FollowJointTrajectory = None

LONGEST_S = 3600.0  # of wall time, for one trajectory
CONTROLLER = "joint_trajectory"


class FollowTrajectory:
    """Follows one goal at a time; a new one takes the place of the last, which is aborted. In real time only."""

    def __init__(
        self, node: HouseNode, topic: str, joints: list[str], controllers: Controllers, state: Callable[[], ArmState]
    ) -> None:
        self._node, self._joints, self._controllers, self._state = node, joints, controllers, state
        self._latest: Any = None
        if FollowJointTrajectory is None:
            node.get_logger().info("follow_joint_trajectory is not offered: control_msgs is missing")
            return
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            f"{topic.rpartition('/')[0]}/follow_joint_trajectory",
            self._follow,
            goal_callback=self._may,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _may(self, _: Any) -> GoalResponse:
        """Refused, as by ros2_control, while another controller is active."""
        if self._controllers.active == CONTROLLER and not self._node.lockstep:
            return GoalResponse.ACCEPT
        told = "in lockstep" if self._node.lockstep else f"active is {self._controllers.active or 'none'}"
        self._node.get_logger().warning(f"follow_joint_trajectory refused: {told}; it needs {CONTROLLER}, in real time")
        return GoalResponse.REJECT

    async def _follow(self, handle: Any) -> Any:
        result = FollowJointTrajectory.Result
        try:
            goal = self._set_out(handle.request)
        except ArmError as problem:
            handle.abort()
            return result(error_code=result.INVALID_GOAL, error_string=str(problem))
        self._latest = handle
        await self._node.wait_until(lambda: self._is_over(goal, handle), LONGEST_S)
        return self._ended(goal, handle, result)

    def _set_out(self, request: Any) -> TrajectoryGoal:
        path = self._controllers.follow(request.trajectory)
        tolerance_rad = {tolerance.name: tolerance.position for tolerance in request.goal_tolerance}
        patience = request.goal_time_tolerance
        return TrajectoryGoal.of(path, self._joints, tolerance_rad, patience.sec + patience.nanosec * 1e-9)

    def _is_over(self, goal: TrajectoryGoal, handle: Any) -> bool:
        return handle.is_cancel_requested or not self._is_followed(handle) or self._judged(goal) != Reached.UNDER_WAY

    def _is_followed(self, handle: Any) -> bool:
        return handle is self._latest and self._controllers.active == CONTROLLER

    def _judged(self, goal: TrajectoryGoal) -> Reached:
        state = self._state()
        return goal.judge(state.stamp_ns, state.q_rad)

    def _ended(self, goal: TrajectoryGoal, handle: Any, result: Any) -> Any:
        if handle.is_cancel_requested:
            self._controllers.forget()
            handle.canceled()
            return result(error_code=result.SUCCESSFUL, error_string="cancelled; the arm stays where it is")
        if self._is_followed(handle) and self._judged(goal) is Reached.DONE:
            handle.succeed()
            return result(error_code=result.SUCCESSFUL)
        handle.abort()
        if not self._is_followed(handle):
            told = "another trajectory or controller took its place"
            return result(error_code=result.INVALID_GOAL, error_string=told)
        return result(error_code=result.GOAL_TOLERANCE_VIOLATED, error_string=goal.fault(self._state().q_rad))
