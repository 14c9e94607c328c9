"""What a twin-fit found is what the twin has."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
pytest.importorskip("o2o_calibration.results", reason="needs OpenCV and SciPy")

from o2o_calibration import results
from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_sim.config import ImpedanceConfig, TwinConfig
from o2o_sim.scene import build_model
from o2o_sim.tasks import make_task
from o2o_sim.twin import Twin

BLIND = TwinConfig(cameras=())
SPACE = DeltaPosition()


def written(folder: Path, name: str, what: str = "twin-fit", **parameters: float) -> str:
    facts = {"what": what, "date": date(2026, 11, 21).isoformat(), "parameters": parameters}
    return str(results.save(folder / f"{name}.yaml", facts))


def walk(config: TwinConfig) -> np.ndarray:
    rng = np.random.default_rng(0)
    with Twin(config) as twin:
        twin.reset(0)
        for _ in range(6):
            twin.step(SPACE.target(rng.uniform(-1.0, 1.0, 3), twin.arm_state()))
        return np.concatenate([twin.arm_state().q_rad, twin.arm_state().dq_rad])


def test_a_fitted_impedance_moves_as_one_that_was_set_bit_for_bit(tmp_path):
    file = written(tmp_path, "tool", position_rad_s=18.0, damping_ratio=0.8, slew_s=0.16, delay_s=0.04)
    set_by_hand = replace(BLIND, impedance=ImpedanceConfig(position_rad_s=18.0, damping_ratio=0.8, slew_s=0.16))
    found = walk(replace(BLIND, fitted=(file,)))
    np.testing.assert_array_equal(found, walk(set_by_hand))
    assert np.abs(found - walk(BLIND)).max() > 1e-3


def test_friction_and_armature_go_to_the_joint_that_is_named_and_stiffness_nowhere(tmp_path):
    fit = {"fr3_joint4.coulomb_nm": 1.5, "fr3_joint4.armature_kg_m2": 0.6, "fr3_joint4.stiffness_nm_rad": 400.0}
    config = replace(BLIND, fitted=(written(tmp_path, "joints", **fit),))
    fitted, plain = (build_model(c, make_task(c)) for c in (config, BLIND))
    dof = fitted.joint("arm/fr3_joint4").dofadr[0]
    assert (fitted.dof_frictionloss[dof], fitted.dof_armature[dof]) == (1.5, 0.6)
    others = np.arange(fitted.nv) != dof
    for what in ("dof_frictionloss", "dof_armature"):
        np.testing.assert_array_equal(getattr(fitted, what)[others], getattr(plain, what)[others])
    np.testing.assert_array_equal(fitted.dof_damping, plain.dof_damping)


def test_a_result_of_another_kind_or_robot_is_refused_by_name(tmp_path):
    for file, named in (
        (written(tmp_path, "late", "latency"), "is a latency result; give one of o2o calibrate twin-fit"),
        (written(tmp_path, "ur", **{"elbow_joint.coulomb_nm": 1.0}), "no joint 'elbow_joint'"),
    ):
        with pytest.raises(ConfigError, match=named):
            Twin(replace(BLIND, fitted=(file,)))
