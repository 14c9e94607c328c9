"""How a simulated arm answers commanded joint positions under joint impedance, for given parameters of its joints.

Gravity is off, as if compensated exactly, which FR3 and UR controllers come near to. What is left is the inertia of
the model's masses, armature, Coulomb friction, damping and stiffness: those of twin_fit.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from o2o_calibration.bare_scene import BareScene
from o2o_calibration.delay import Signal
from o2o_calibration.errors import CalibrationError
from o2o_robot.types import Array
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.robots import robot_model
from o2o_sim.scene import ARM, build_model

PARAMETERS = ("stiffness_nm_rad", "damping_nms_rad", "coulomb_nm", "armature_kg_m2")
DELAY = "delay_s"


@dataclass(frozen=True)
class JointDrive:
    """One arm's model with an impedance on every joint.

    answer = drive.answer(command, at_s, {"delay_s": 0.01, "fr3_joint4.stiffness_nm_rad": 400.0, ...})

    joints: the names of those that are commanded, in the command's order. What `answer` is not told stays as `held`,
    which is the model's own.
    damping_nms_rad is of joint and controller together: a motion cannot tell the two apart.
    """

    model: mujoco.MjModel
    joints: tuple[str, ...]
    held: Mapping[str, float]
    unit: str = "rad"

    @classmethod
    def of_robot(cls, robot: str, joints: tuple[str, ...]) -> JointDrive:
        """The twin's arm with its gripper, by its name or name map. Raises CalibrationError for joints it has not."""
        known = robot_model(robot)
        missing = [name for name in joints if name not in known.joints]
        if missing or not joints:
            told = f"'{missing[0]}'" if missing else "none named"
            raise CalibrationError(f"robot '{robot}', joint {told}; its joints are {', '.join(known.joints)}")
        model = build_model(TwinConfig(cameras=()), BareScene(), known)
        model.opt.gravity[:] = 0.0
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
        return cls(model, joints, _as_modelled(model, joints))

    def answer(self, command: Signal, at_s: Array, told: Mapping[str, float], q_rad: Array | None = None) -> Array:
        """Positions (n, k) at the times at_s (n,) after starting at rest at q_rad (k,), or at the first command."""
        parameters = {**self.held, **told}
        self._set(parameters)
        data, dt_s = mujoco.MjData(self.model), float(self.model.opt.timestep)
        t_s = np.arange(command.t_s[0], at_s[-1] + dt_s, dt_s)
        u = np.stack([np.interp(t_s - parameters[DELAY], command.t_s, values) for values in command.values.T], axis=1)
        q_at = [int(self.model.joint(ARM + name).qposadr[0]) for name in self.joints]
        data.qpos[q_at] = command.values[0] if q_rad is None else q_rad
        motors = [self._motor(name) for name in self.joints]
        others = [i for i in range(self.model.nu) if i not in motors]
        data.ctrl[others] = [data.qpos[self._qpos_of_motor(i)] if _is_on_joint(self.model, i) else 0.0 for i in others]
        path = np.empty((len(t_s), len(q_at)))
        for k in range(len(t_s)):
            path[k] = data.qpos[q_at]
            data.ctrl[motors] = u[k]
            mujoco.mj_step(self.model, data)
        return np.stack([np.interp(at_s, t_s, column) for column in path.T], axis=1)

    def _set(self, parameters: Mapping[str, float]) -> None:
        """Write the parameters into the model; joints that are not commanded are held stiffly where they are."""
        model = self.model
        for i in range(model.nu):
            if _is_on_joint(model, i):
                _drive(model, i, stiffness=5000.0, damping=200.0)
        for name in self.joints:
            stiffness, damping, coulomb, armature = (parameters[f"{name}.{p}"] for p in PARAMETERS)
            dof = self._dof(name)
            _drive(model, self._motor(name), stiffness=stiffness, damping=damping)
            model.dof_damping[dof], model.dof_frictionloss[dof], model.dof_armature[dof] = 0.0, coulomb, armature

    def _dof(self, name: str) -> int:
        return int(self.model.joint(ARM + name).dofadr[0])

    def _motor(self, name: str) -> int:
        joint = self.model.joint(ARM + name).id
        return next(
            i for i in range(self.model.nu) if _is_on_joint(self.model, i) and self.model.actuator_trnid[i, 0] == joint
        )

    def _qpos_of_motor(self, i: int) -> int:
        return int(self.model.jnt_qposadr[self.model.actuator_trnid[i, 0]])


def _as_modelled(model: mujoco.MjModel, joints: tuple[str, ...]) -> dict[str, float]:
    """What the model says of each joint, with a stiffness and damping such as Franka's impedance has by default."""
    found = {DELAY: 0.0}
    for name in joints:
        dof = int(model.joint(ARM + name).dofadr[0])
        found |= {
            f"{name}.stiffness_nm_rad": 400.0,
            f"{name}.damping_nms_rad": 40.0 + float(model.dof_damping[dof]),
            f"{name}.coulomb_nm": float(model.dof_frictionloss[dof]),
            f"{name}.armature_kg_m2": float(model.dof_armature[dof]),
        }
    return found


def _is_on_joint(model: mujoco.MjModel, i: int) -> bool:
    return bool(model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT)


def _drive(model: mujoco.MjModel, i: int, *, stiffness: float, damping: float) -> None:
    """Make motor i a spring and damper about its commanded position, without a range on the command."""
    model.actuator_gaintype[i] = mujoco.mjtGain.mjGAIN_FIXED
    model.actuator_biastype[i] = mujoco.mjtBias.mjBIAS_AFFINE
    model.actuator_gear[i, 0] = 1.0
    model.actuator_gainprm[i, :3] = (stiffness, 0.0, 0.0)
    model.actuator_biasprm[i, :3] = (0.0, -stiffness, -damping)
    model.actuator_ctrllimited[i] = 0
