"""Where an arm's joints live among everything that moves in the simulated world."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_sim.engine import mujoco


class ArmJoints(NamedTuple):
    """Slices of qpos, of qvel and of ctrl that are the arm's n joints, base to tool; their limits range_rad (n, 2)."""

    q: slice
    v: slice
    ctrl: slice
    range_rad: np.ndarray


def arm_joints(model: mujoco.MjModel, joints: tuple[str, ...], actuators: tuple[str, ...]) -> ArmJoints:
    """Looked up by name, once. Raises ConfigError for joints that are no chain of hinges in the order given."""
    found = [model.joint(name) for name in joints]
    for joint in found:
        if joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE:
            raise ConfigError(f"joint '{joint.name}' is not a hinge; list the arm's turning joints only")
    q = _slice([joint.qposadr[0] for joint in found], joints)
    v = _slice([joint.dofadr[0] for joint in found], joints)
    ctrl = _slice([model.actuator(name).id for name in actuators], actuators)
    limits = [joint.range if model.jnt_limited[joint.id] else (-np.inf, np.inf) for joint in found]
    return ArmJoints(q, v, ctrl, np.array(limits))


def _slice(addresses: list[int], names: tuple[str, ...]) -> slice:
    first = int(addresses[0])
    if [int(a) for a in addresses] != list(range(first, first + len(addresses))):
        raise ConfigError(f"{', '.join(names)} do not follow one another in the MJCF; list them from base to tool")
    return slice(first, first + len(addresses))
