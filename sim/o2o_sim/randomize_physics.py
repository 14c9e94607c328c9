"""Cameras and physics of a scene: where it is seen from, and how heavy, slippery and stiff it is."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import Array
from o2o_sim.engine import mujoco
from o2o_sim.joints import ArmJoints
from o2o_sim.randomize_config import CameraSpread, PhysicsSpread
from o2o_sim.spread import ONE, Draws


def cameras(model: mujoco.MjModel, draws: Draws, spread: CameraSpread) -> None:
    """Draw where each camera sits and how wide it sees, onto a nominal model."""
    for camera in range(model.ncam):
        name = f"cameras.{model.camera(camera).name}"
        offset_m = draws(f"{name}.offset_mm", spread.offset_mm, (3,)) * 1e-3
        turn_rad = np.deg2rad(draws(f"{name}.turn_deg", spread.turn_deg, (3,)))
        wider_rad = np.deg2rad(draws(f"{name}.fov_deg", spread.fov_deg))
        _move(model, camera, offset_m, turn_rad)
        if wider_rad != 0:
            _widen(model, camera, float(wider_rad))


def physics(model: mujoco.MjModel, draws: Draws, spread: PhysicsSpread, arm: ArmJoints) -> None:
    """Draw friction, masses, joints and motors, onto a nominal model."""
    n = arm.v.stop - arm.v.start
    model.geom_friction[:, 0] *= draws("physics.friction", spread.friction)
    model.dof_damping[arm.v] = (
        model.dof_damping[arm.v].T * draws("physics.joint_damping", spread.joint_damping, (n,))
    ).T
    model.dof_frictionloss[arm.v] += draws("physics.joint_friction_nm", spread.joint_friction_nm, (n,))
    model.actuator_gainprm[arm.ctrl, 0] *= draws("physics.motor_gain", spread.motor_gain, (n,))
    _weigh(model, draws, spread)


def _weigh(model: mujoco.MjModel, draws: Draws, spread: PhysicsSpread) -> None:
    if spread.object_mass == spread.link_mass == ONE:
        return
    objects, links = loose_bodies(model), robot_bodies(model)
    for bodies, name, one in ((objects, "object_mass", spread.object_mass), (links, "link_mass", spread.link_mass)):
        factors = draws(f"physics.{name}", one, (len(bodies),))
        model.body_mass[bodies] *= factors
        model.body_inertia[bodies] *= factors[:, None]
    mujoco.mj_setConst(model, mujoco.MjData(model))  # subtree masses, and the inverse weights that contacts go by


def loose_bodies(model: mujoco.MjModel) -> Array:
    """Bodies that a free joint lets go anywhere."""
    free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    return np.unique(model.jnt_bodyid[free])


def robot_bodies(model: mujoco.MjModel) -> Array:
    """Bodies that move on joints of a chain: the arm, its tool, its fingers."""
    moving = np.flatnonzero((model.body_weldid != 0) & (model.body_mass > 0))
    return np.setdiff1d(moving, loose_bodies(model))


def _move(model: mujoco.MjModel, camera: int, offset_m: Array, turn_rad: Array) -> None:
    """By an offset along, and a turn about, the camera's own axes."""
    if offset_m.any():
        R = np.zeros(9)
        mujoco.mju_quat2Mat(R, model.cam_quat[camera])
        model.cam_pos[camera] += R.reshape(3, 3) @ offset_m
    angle_rad = float(np.linalg.norm(turn_rad))
    if angle_rad > 0:
        turn, turned = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, turn_rad / angle_rad, angle_rad)
        mujoco.mju_mulQuat(turned, model.cam_quat[camera], turn)
        model.cam_quat[camera] = turned


def _widen(model: mujoco.MjModel, camera: int, wider_rad: float) -> None:
    """A lens that was placed by a calibration has focal lengths, another one only its field of view."""
    height = model.cam_sensorsize[camera, 1]
    if height == 0:
        model.cam_fovy[camera] += np.rad2deg(wider_rad)
        return
    fy = model.cam_intrinsic[camera, 1]
    half_rad = np.arctan(height / (2 * fy)) + wider_rad / 2
    model.cam_intrinsic[camera, :2] *= height / (2 * np.tan(half_rad)) / fy
