"""Settings of the twin out of what `o2o calibrate twin-fit` found: its joints' friction and armature, its impedance.

A joint's stiffness and damping belong to the real arm's own controller, in whose place the twin's stands; the delay
belongs to its sensors and commands (SensorConfig). Those are not taken over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from o2o_robot.errors import ConfigError
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco

OF_THE_TOOL = ("position_rad_s", "damping_ratio", "slew_s")  # fields of ImpedanceConfig
OF_A_JOINT = {"coulomb_nm": "dof_frictionloss", "armature_kg_m2": "dof_armature"}  # to MuJoCo's


def settled(config: TwinConfig) -> TwinConfig:
    """The configuration with the impedance that config.fitted found, where a file has one; later files win."""
    found = {name: value for fit in _fits(config.fitted) for name, value in fit.items() if name in OF_THE_TOOL}
    return replace(config, impedance=replace(config.impedance, **found)) if found else config


def fit_joints(model: mujoco.MjModel, files: Sequence[str], prefix: str) -> None:
    """Give the arm's joints the friction and armature of the files. Raises ConfigError for a joint it has not."""
    known = {model.joint(i).name.removeprefix(prefix): i for i in range(model.njnt)}
    for file, fit in zip(files, _fits(files), strict=True):
        for name, value in fit.items():
            joint, _, what = name.partition(".")
            if what and joint not in known:
                raise ConfigError(f"{file}: the twin has no joint '{joint}'; give a result of the robot it simulates")
            if what in OF_A_JOINT:
                getattr(model, OF_A_JOINT[what])[model.jnt_dofadr[known[joint]]] = value


def _fits(files: Sequence[str]) -> Iterator[Mapping[str, float]]:
    for file in files:
        yield _read(Path(file))


def _read(path: Path) -> Mapping[str, float]:
    try:
        from o2o_calibration.results import load
    except ImportError as problem:
        raise ConfigError(
            f"{path}: reading calibration results needs {problem.name}; pip install 'o2o_robot[calibration]'"
        ) from None
    facts = load(path)
    fit = facts.get("parameters")
    if facts["what"] != "twin-fit" or not isinstance(fit, dict):
        raise ConfigError(f"{path} is a {facts['what']} result; give one of o2o calibrate twin-fit")
    try:
        return {str(name): float(value) for name, value in fit.items()}
    except (TypeError, ValueError) as problem:
        raise ConfigError(f"{path}, parameters: {problem}; expected the numbers that o2o calibrate writes") from None
