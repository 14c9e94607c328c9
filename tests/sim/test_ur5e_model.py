"""The twin's UR5e is the UR5e of its maker's description, in the controller's `base` frame."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.graph import JOINTS
from o2o_robot.robot.action import TOOL_DOWN_XYZW, DeltaPosition
from o2o_robot.robot.kinematics import ur5e
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.safety.limits_table import UR5E_MAX_RAD
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.robots import FR3, UR5E
from o2o_sim.scene import ARM, build_model
from o2o_sim.tasks import make_task
from o2o_sim.twin import Twin

CONFIG = TwinConfig(robot="ur5e", cameras=())
WITH_HAND = ur5e().with_tool((0.0, 0.0, 0.1034))
TORQUE_MAX = [150, 150, 150, 28, 28, 28]  # joint_limits.yaml of ur_description
MASSES_KG = [4.0, 3.761, 8.058, 2.846, 1.37, 1.3, 0.365]  # physical_parameters.yaml, base to wrist 3
SPACE = DeltaPosition()


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return build_model(CONFIG, make_task(CONFIG, facing=-1.0), UR5E)


def placed(model: mujoco.MjModel, q_rad: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:] = q_rad
    mujoco.mj_kinematics(model, data)
    return data


@pytest.mark.parametrize(
    ("q_rad", "flange_m"),
    [
        (np.zeros(6), (-0.8172, -0.2329, 0.0628)),
        (np.array([0, -1, 1, -1, -1, 0]) * np.pi / 2, (-0.4919, -0.1333, 0.4879)),
    ],
)
def test_the_flange_is_at_the_published_place_in_base(
    model: mujoco.MjModel, q_rad: np.ndarray, flange_m: tuple[float, ...]
) -> None:
    np.testing.assert_allclose(placed(model, q_rad).site(ARM + "flange").xpos, flange_m, atol=1e-4)


def test_the_model_and_the_numpy_kinematics_agree_everywhere(model: mujoco.MjModel) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        q_rad = rng.uniform(-UR5E_MAX_RAD, UR5E_MAX_RAD)
        tool, pose = placed(model, q_rad).site("tool"), WITH_HAND.fk(q_rad)
        np.testing.assert_allclose(tool.xpos, pose.position_m, atol=1e-6)
        np.testing.assert_allclose(tool.xmat.reshape(3, 3), matrix_from_quat(pose.quat_xyzw), atol=1e-6)


def test_limits_and_masses_are_those_of_the_description(model: mujoco.MjModel) -> None:
    np.testing.assert_allclose(model.jnt_range[:, 1], UR5E_MAX_RAD)
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], TORQUE_MAX)
    first = model.body(ARM + "base_link_inertia").id
    np.testing.assert_allclose(model.body_mass[first : first + 7], MASSES_KG)


def test_the_twins_joints_are_named_as_the_drivers_publish_them() -> None:
    assert list(UR5E.joints) == JOINTS["ur5e"]
    assert list(FR3.joints) == JOINTS["fr3"] == JOINTS["twin"]


def test_it_stands_free_at_every_start_and_settles_where_it_is_sent() -> None:
    with Twin(CONFIG) as twin:
        for seed in range(10):
            twin.reset(seed)
            assert twin._data.ncon == 0
            state = twin.arm_state()
            np.testing.assert_allclose(state.tool.quat_xyzw, TOOL_DOWN_XYZW, atol=1e-6)
            twin.step(SPACE.target(np.array([1.0, -0.5, 0.4]), state))
            twin.advance(0.5)
            moved_m = twin.arm_state().tool.position_m - state.tool.position_m
            np.testing.assert_allclose(moved_m, 0.025 * np.array([1.0, -0.5, 0.4]), atol=3e-4)
            assert np.abs(twin._data.actuator_force).max() < 150


def test_its_table_lies_where_the_cell_of_a_real_one_is_limited_to() -> None:
    with Twin(CONFIG) as twin:
        for seed in range(20):
            twin.reset(seed)
            for place_m in twin.task_state().privileged.reshape(3, 3):
                assert -0.70 < place_m[0] < -0.30
                assert abs(place_m[1]) < 0.30


def test_its_pictures_show_what_the_fr3s_show() -> None:
    """Half a turn of everything but the arm: sockets are where they were in the picture."""

    def orange(robot: str) -> np.ndarray:
        with Twin(TwinConfig(robot=robot)) as twin:
            twin.reset(3)
            picture = twin.image("front").astype(float)
        return (picture[..., 0] > 150) & (picture[..., 2] < 60)

    fr3, ours = orange("fr3"), orange("ur5e")
    assert fr3.sum() > 12
    assert (fr3 == ours).mean() > 0.99
