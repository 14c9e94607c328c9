"""The twin's FR3 is the FR3 of the datasheet."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.robot.fake import fr3_with_hand
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.robots import FR3
from o2o_sim.scene import ARM, HAND, build_model
from o2o_sim.tasks import make_task

# control-parameters-joint-fr3.csv of the vendor's documentation
Q_MAX = [2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508]
Q_MIN = [-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508]
TORQUE_MAX = [87, 87, 87, 87, 12, 12, 12]


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return build_model(TwinConfig(), make_task(TwinConfig()))


def placed(model: mujoco.MjModel, q_rad: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:] = q_rad
    mujoco.mj_kinematics(model, data)
    return data


def test_all_joints_at_zero_puts_the_flange_at_the_published_place(model: mujoco.MjModel) -> None:
    flange = placed(model, np.zeros(7)).site(ARM + "flange")
    np.testing.assert_allclose(flange.xpos, [0.088, 0.0, 0.926], atol=1e-4)
    np.testing.assert_allclose(flange.xmat.reshape(3, 3), np.diag([1.0, -1.0, -1.0]), atol=1e-4)


def test_the_ready_pose_puts_flange_and_hand_at_the_published_places(model: mujoco.MjModel) -> None:
    data = placed(model, np.array(FR3.ready_rad))
    np.testing.assert_allclose(data.site(ARM + "flange").xpos, [0.306891, 0.0, 0.590282], atol=1e-4)
    np.testing.assert_allclose(data.site("tool").xpos, [0.306891, 0.0, 0.486882], atol=1e-4)


def test_the_model_and_the_numpy_kinematics_agree_everywhere(model: mujoco.MjModel) -> None:
    rng, arm = np.random.default_rng(0), fr3_with_hand()
    for _ in range(50):
        q_rad = rng.uniform(Q_MIN, Q_MAX)
        tool = placed(model, q_rad).site("tool")
        pose = arm.fk(q_rad)
        np.testing.assert_allclose(tool.xpos, pose.position_m, atol=1e-6)
        np.testing.assert_allclose(tool.xmat.reshape(3, 3), matrix_from_quat(pose.quat_xyzw), atol=1e-6)


def test_joint_and_torque_limits_are_those_of_the_datasheet(model: mujoco.MjModel) -> None:
    np.testing.assert_allclose(model.jnt_range.T, [Q_MIN, Q_MAX])
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], TORQUE_MAX)


def test_the_arm_weighs_what_its_links_hand_and_peg_weigh(model: mujoco.MjModel) -> None:
    links_kg = 2.3966 + 2.92747 + 2.93554 + 2.24490 + 2.61560 + 2.32712 + 1.81704 + 0.62714
    hand_kg = 0.6544 + 2 * 0.0291 + 0.030
    assert model.body(ARM + "link0").subtreemass[0] == pytest.approx(links_kg + hand_kg, abs=1e-3)


def test_every_link_that_can_get_there_touches_the_world_and_no_neighbour_of_its_own(model: mujoco.MjModel) -> None:
    touching = {model.body(model.geom_bodyid[i]).name for i in np.flatnonzero(model.geom_contype & 1)}
    assert touching == {ARM + f"link{i}" for i in range(8)} | {HAND + "hand"}
    data = placed(model, np.array(FR3.ready_rad))
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_a_forearm_pressed_down_meets_the_table(model: mujoco.MjModel) -> None:
    data = placed(model, np.array([0.0, 1.7, 0.0, -0.9, 0.0, 4.2, 0.785]))
    mujoco.mj_forward(model, data)
    touched = {model.geom(i).name for i in data.contact.geom.ravel()}
    bodies = {model.body(model.geom_bodyid[i]).name for i in data.contact.geom.ravel()}
    assert "table" in touched
    assert bodies & {ARM + "link5", ARM + "link6"}


def test_a_hand_folded_back_meets_the_arms_own_trunk(model: mujoco.MjModel) -> None:
    data = placed(model, np.array([0.0, -0.6, 0.0, -3.0, 0.0, 0.5, 0.785]))
    mujoco.mj_forward(model, data)
    pairs = {frozenset(model.body(model.geom_bodyid[i]).name for i in pair) for pair in data.contact.geom}
    trunk, wrist = {ARM + f"link{i}" for i in range(3)}, {ARM + f"link{i}" for i in range(5, 8)} | {HAND + "hand"}
    assert any(pair & trunk and pair & wrist for pair in pairs)
