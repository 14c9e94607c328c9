"""An arm of the user's own: its MJCF by path, and a YAML name map that says which part of it is what.

    # my_panda.yaml: MuJoCo Menagerie's franka_emika_panda, with its own hand
    name: panda
    mjcf: mujoco_menagerie/franka_emika_panda/panda.xml       # from this file's folder
    joints: [joint1, joint2, joint3, joint4, joint5, joint6, joint7]
    actuators: [actuator1, actuator2, actuator3, actuator4, actuator5, actuator6, actuator7]
    ready_rad: [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]
    tool: {body: hand, offset_m: [0.0, 0.0, 0.1034]}
    gripper: {actuator: actuator8, joints: [finger_joint1, finger_joint2], closed_at: 0.0, open_at: 0.04,
              ctrl_closed: 0.0, ctrl_open: 255.0, open_m: 0.08}

An arm without a gripper gives `mount` (a site or a body) in place of `tool` and `gripper`, and gets the twin's tools
there: the peg, or a parallel gripper. Actuators may be motors or position servos; servos are made motors of the same
strength, since the twin's impedance controller commands torques. The base must stand at the model's origin.

The map can only name parts, not run anything. The model may name files of its own folder (model_check.py); MuJoCo's
parsers of XML and meshes are C code that was not written against hostile files: load no model that you do not trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from o2o_robot.config import build
from o2o_robot.errors import ConfigError
from o2o_robot.yamlfile import read_map
from o2o_sim.model_check import check_model
from o2o_sim.robots import GripperModel, Place, RobotModel

_PARTS = {"mount": Place, "tool": Place, "gripper": GripperModel}
_NEEDED = ("mjcf", "joints", "actuators", "ready_rad")


def load(path: Path) -> RobotModel:
    """The robot that a name map describes. Raises ConfigError naming what is missing, misspelt or does not fit."""
    settings = read_map(path, what="name map", example="mjcf: my_arm.xml")
    missing = [key for key in _NEEDED if key not in settings]
    if missing:
        raise ConfigError(f"{path}: missing {', '.join(missing)}; a name map gives at least {', '.join(_NEEDED)}")
    for key, part in _PARTS.items():
        if isinstance(settings.get(key), Mapping):
            build(part, settings[key], where=f"{path}: {key}")  # for an error that names the part's own key
    return build(RobotModel, {"name": path.stem, **settings, "mjcf": str(_model_file(path, settings))}, where=str(path))


def _model_file(path: Path, settings: Mapping[str, Any]) -> Path:
    file = path.parent / str(settings["mjcf"])
    if not file.is_file():
        raise ConfigError(f"{path}: no model at {file}; mjcf is a path from the map's own folder")
    check_model(file)
    return file
