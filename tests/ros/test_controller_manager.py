"""Controllers listed and switched by ros2_control's services, and a trajectory sent as an action.

The types are of controller_manager_msgs and control_msgs, which have no wheel: what needs them over the wire skips
without; what the services do is tested with any object that has the fields.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from arm_bench import JOINTS, Client, twin_process
from rcl_interfaces.msg import SetParametersResult
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from o2o_nodes.arm_topics import CONTROLLERS, ArmTopics, read_topics
from o2o_nodes.controller_manager import ControllerManager, kinds_of, names_of
from o2o_nodes.controllers import NONE, Controllers
from o2o_robot.errors import O2OError
from o2o_robot.robot.fake import fr3_with_hand
from o2o_robot.robot.switchboard import STRICT, Stage, Switchboard
from o2o_robot.supervise import Supervisor
from o2o_robot.types import ArmState

pytestmark = pytest.mark.ros
CRISP, TRAJECTORY = "cartesian_impedance_controller", "joint_trajectory_controller"
HAS_TYPES = all(importlib.util.find_spec(name) for name in ("controller_manager_msgs", "control_msgs"))
wired = pytest.mark.skipif(not HAS_TYPES, reason="needs controller_manager_msgs and control_msgs (an apt ROS 2)")
FASTER = 2.0
READY_RAD = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])


class Manager:
    """A ControllerManager beside controllers and a parameter of their own, as in twin_node, but without a twin."""

    def __init__(self, client: Client) -> None:
        node = client.node
        topics = read_topics(node, read_only=False)
        state = ArmState(0, READY_RAD, np.zeros(7), fr3_with_hand().fk(READY_RAD))
        self.controllers = Controllers(node, topics, JOINTS, state=lambda: state, heard=lambda _: None)
        node.add_on_set_parameters_callback(self._on_parameters)
        self.node, self.state = node, state
        self.manager = ControllerManager(node, topics, JOINTS, self.controllers)

    def switch(self, activate: list[str], deactivate: list[str], strictness: int = 1) -> Any:
        asked = SimpleNamespace(activate_controllers=activate, deactivate_controllers=deactivate, strictness=strictness)
        return self.manager.switch_controller(asked, SimpleNamespace(ok=None, message=""))

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in changed:
                self.controllers.switch(parameter.value)
        except O2OError as problem:
            return SetParametersResult(successful=False, reason=str(problem))
        return SetParametersResult(successful=True)


@pytest.fixture
def manager(domain: int) -> Iterator[Manager]:
    with Client(domain, lockstep=False) as client:
        yield Manager(client)


def test_a_switch_moves_the_arms_controller_and_its_parameter(manager):
    assert manager.switch([TRAJECTORY], [CRISP]).ok
    assert manager.controllers.active == "joint_trajectory"
    assert manager.node.get_parameter("arm.controller").value == "joint_trajectory"
    assert TRAJECTORY in manager.manager.board.active
    assert CRISP not in manager.manager.board.active


def test_what_the_parameter_says_is_what_is_listed(manager):
    manager.node.set_parameters([Parameter("arm.controller", value="servo_twist")])
    assert manager.manager.board.stages["servo_node"] is Stage.ACTIVE
    assert manager.manager.board.stages[CRISP] is Stage.INACTIVE


def test_an_arm_whose_only_controller_was_stopped_rests_where_it_is(manager):
    assert manager.switch([], [CRISP], STRICT).ok
    assert manager.controllers.active == NONE
    assert manager.controllers.goal(0.1) is manager.state.tool
    assert manager.switch([CRISP], [], STRICT).ok
    assert manager.controllers.active == "cartesian_pose"
    assert manager.controllers.goal(0.1) is None


def test_a_refused_switch_says_why_and_leaves_the_arm_its_controller(manager):
    answer = manager.switch([TRAJECTORY], [], STRICT)
    assert not answer.ok
    assert "deactivate that in the same switch" in answer.message
    assert manager.controllers.active == "cartesian_pose"


def test_an_unloaded_controller_is_loaded_and_configured_before_it_is_switched_to(manager):
    asked = SimpleNamespace(name=TRAJECTORY)
    answer = SimpleNamespace(ok=None)
    assert manager.manager.change(Switchboard.unloaded, asked, answer).ok
    assert not manager.switch([TRAJECTORY], [CRISP]).ok
    assert manager.manager.change(Switchboard.loaded, asked, answer).ok
    assert not manager.switch([TRAJECTORY], [CRISP], STRICT).ok
    assert manager.manager.change(Switchboard.configured, asked, answer).ok
    assert manager.switch([TRAJECTORY], [CRISP], STRICT).ok


def test_every_controller_of_ours_has_a_name_of_its_own_and_claims_every_joint():
    names, kinds = names_of(ArmTopics()), kinds_of(JOINTS)
    assert set(names) == set(kinds) == set(CONTROLLERS)
    assert len(set(names.values())) == len(CONTROLLERS)
    for kind in kinds.values():
        assert [claim.split("/")[0] for claim in kind.claims] == JOINTS
    ur5e = ArmTopics(joint_trajectory="scaled_joint_trajectory_controller/joint_trajectory")
    assert names_of(ur5e)["joint_trajectory"] == "scaled_joint_trajectory_controller"


@pytest.fixture(scope="module")
def client(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    twin = twin_process(realtime_factor=FASTER)
    with Supervisor([twin], tmp_path_factory.mktemp("managed")), Client(module_domain, lockstep=False) as client:
        yield client


def call(client: Client, kind: str, service: str, /, **fields: Any) -> Any:
    from controller_manager_msgs import srv

    return client.call(getattr(srv, kind), f"controller_manager/{service}", getattr(srv, kind).Request(**fields))


def to_trajectories(client: Client) -> None:
    listed = call(client, "ListControllers", "list_controllers").controller
    active = [c.name for c in listed if c.state == "active" and not c.name.endswith("broadcaster")]
    if active != [TRAJECTORY]:
        fields = {"activate_controllers": [TRAJECTORY], "deactivate_controllers": active, "strictness": STRICT}
        assert call(client, "SwitchController", "switch_controller", **fields).ok


def send(client: Client, points: list[JointTrajectoryPoint], names: list[str]) -> Any:
    """The action's result, or None where the goal was rejected."""
    from control_msgs.action import FollowJointTrajectory

    action = ActionClient(client.node, FollowJointTrajectory, f"{TRAJECTORY}/follow_joint_trajectory")
    client.until(action.server_is_ready, 30.0, "the action's server")
    goal = FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=names, points=points))
    accepted = action.send_goal_async(goal)
    client.until(accepted.done, 10.0, "an answer to the goal")
    if not accepted.result().accepted:
        return None
    over = accepted.result().get_result_async()
    client.until(over.done, 60.0, "the trajectory's end")
    action.destroy()
    return over.result().result


def after(q_rad: np.ndarray, seconds: int) -> JointTrajectoryPoint:
    point = JointTrajectoryPoint(positions=q_rad.tolist())
    point.time_from_start.sec = seconds
    return point


@wired
def test_the_active_controller_alone_claims_interfaces(client):
    listed = {c.name: c for c in call(client, "ListControllers", "list_controllers").controller}
    claiming = [name for name, c in listed.items() if c.claimed_interfaces]
    assert claiming == [name for name, c in listed.items() if c.state == "active" and "broadcaster" not in name]
    assert listed[TRAJECTORY].type == "joint_trajectory_controller/JointTrajectoryController"
    assert not call(client, "LoadController", "load_controller", name="gravity_compensation").ok


@wired
def test_a_trajectory_sent_as_an_action_ends_when_the_arm_is_there(client):
    to_trajectories(client)
    arm = client.arm(controller="joint_trajectory")
    start_ns = client.reset(seed=0)
    client.until(lambda: arm.stamp_ns > start_ns, 10.0, "a state")
    wished_rad = arm.read().q_rad + np.array([0.1, 0.0, -0.1, 0.05, 0.0, 0.0, 0.1])
    result = send(client, [after(wished_rad, 1)], JOINTS)
    assert (result.error_code, result.error_string) == (0, "")
    np.testing.assert_allclose(arm.read().q_rad, wished_rad, atol=0.002)


@wired
def test_a_trajectory_without_a_joint_is_aborted_and_one_for_another_controller_rejected(client):
    to_trajectories(client)
    short = send(client, [after(READY_RAD[:6], 1)], JOINTS[:6])
    assert short.error_code == -1
    assert "lacks fr3_joint7" in short.error_string
    assert client.activate("cartesian_pose") == ""
    assert send(client, [after(READY_RAD, 1)], JOINTS) is None


@pytest.mark.skipif(HAS_TYPES, reason="the types are installed")
def test_without_the_types_the_twin_says_so_in_a_line_and_runs(module_domain, tmp_path):
    with Supervisor([twin_process(realtime_factor=FASTER)], tmp_path) as running:
        with Client(module_domain, lockstep=False) as client:
            client.reset(seed=0)
        log = running.running[0].log.read_text()
    assert "controller_manager_msgs is missing" in log
    assert "control_msgs is missing" in log
