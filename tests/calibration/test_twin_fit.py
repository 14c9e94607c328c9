"""The twin's fit: known parameters are found again, and those the motion leaves open are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from o2o_calibration.delay import Signal
from o2o_calibration.errors import CalibrationError
from o2o_calibration.friction import joint_friction
from o2o_calibration.joint_response import JointDrive
from o2o_calibration.twin_fit import TwinFitLimits, fit

JOINT = "fr3_joint4"
TRUTH = {
    "delay_s": 0.030,
    f"{JOINT}.stiffness_nm_rad": 400.0,
    f"{JOINT}.damping_nms_rad": 12.0,
    f"{JOINT}.coulomb_nm": 1.5,
    f"{JOINT}.armature_kg_m2": 0.60,
}


@pytest.fixture(scope="module")
def drive() -> JointDrive:
    return JointDrive.of_robot("fr3", (JOINT,))


def motion(t: np.ndarray) -> Signal:
    """Slow swings for friction, steps for inertia and damping, about the ready pose."""
    u = 0.3 * np.sin(2 * np.pi * 0.37 * t) + 0.12 * (np.sin(2 * np.pi * 1.3 * t + 1) > 0)
    return Signal(t, (u - u[0] - 2.356)[:, None])


def measured(drive: JointDrive, command: Signal, noise_rad: float = 5e-4) -> Signal:
    q = drive.answer(command, command.t_s, TRUTH)
    return Signal(command.t_s, q + np.random.default_rng(0).normal(0, noise_rad, q.shape))


def test_known_parameters_are_found_within_ten_per_cent_and_within_twice_their_interval(drive):
    command = motion(np.arange(0, 4, 0.01))
    found = fit(drive, command, measured(drive, command))
    for name, truth in TRUTH.items():
        value, half = found.parameters[name]
        assert value == pytest.approx(truth, rel=0.10), name
        assert abs(value - truth) <= 2 * half, name
    assert found.rms_after == pytest.approx(5e-4, rel=0.15)
    assert found.rms_before > 10 * found.rms_after


def test_a_parameter_that_the_motion_leaves_open_is_refused_by_name(drive):
    """A slow ramp says nothing of the inertia."""
    t = np.arange(0, 2, 0.02)
    command = Signal(t, (-2.356 + 0.05 * t)[:, None])
    with pytest.raises(CalibrationError, match=r"(delay_s|fr3_joint4\.\w+) = \S+ is known to"):
        fit(drive, command, measured(drive, command, 2e-3))


def test_a_motion_that_no_parameters_explain_is_refused(drive):
    command = motion(np.arange(0, 4, 0.02))
    other = Signal(command.t_s, -2.356 + 0.2 * np.sin(9 * command.t_s)[:, None])
    with pytest.raises(CalibrationError, match=r"misfit .* check masses and tool"):
        fit(drive, command, other, kinds=("stiffness_nm_rad",))


def test_a_joint_with_next_to_no_friction_is_not_refused_for_it(drive):
    command = motion(np.arange(0, 3, 0.02))
    smooth = {**TRUTH, f"{JOINT}.coulomb_nm": 1e-3}
    q = drive.answer(command, command.t_s, smooth)
    found = fit(drive, command, Signal(command.t_s, q), start=smooth, kinds=("coulomb_nm",))
    assert found.parameters[f"{JOINT}.coulomb_nm"].value < 0.05


def test_what_is_not_fitted_stays_as_it_was_told(drive):
    command = motion(np.arange(0, 3, 0.02))
    found = fit(drive, command, measured(drive, command), start=TRUTH, kinds=("delay_s",))
    assert set(found.parameters) == {"delay_s"}
    assert found.parameters["delay_s"].value == pytest.approx(0.030, abs=0.001)


def test_fitting_leaves_the_answer_to_one_set_of_parameters_unchanged(drive):
    """The model is written to at every call; nothing of one call may be left for the next."""
    command = motion(np.arange(0, 1, 0.02))
    first, as_modelled = drive.answer(command, command.t_s, TRUTH), drive.answer(command, command.t_s, {})
    drive.answer(command, command.t_s, {f"{JOINT}.coulomb_nm": 9.0})
    assert np.array_equal(first, drive.answer(command, command.t_s, TRUTH))
    assert np.array_equal(as_modelled, drive.answer(command, command.t_s, {}))


def test_a_steady_motion_lags_by_delay_friction_and_damping(drive):
    """At constant speed v the spring balances both: q trails u by v delay + (coulomb + damping v) / stiffness."""
    t, v = np.arange(0, 6, 0.01), 0.05
    command = Signal(t, (-2.356 + v * t)[:, None])
    trail = (command.values - drive.answer(command, t, TRUTH))[-200:, 0].mean()
    assert trail == pytest.approx(v * 0.030 + (1.5 + 12.0 * v) / 400.0, rel=0.02)


def test_unknown_joints_and_arms_at_rest_are_refused(drive):
    with pytest.raises(CalibrationError, match="joint 'elbow'; its joints are fr3_joint1"):
        JointDrive.of_robot("fr3", ("elbow",))
    command = motion(np.arange(0, 2, 0.02))
    with pytest.raises(CalibrationError, match=r"moved by 0\.000 rad"):
        fit(drive, command, Signal(command.t_s, np.full((100, 1), -2.356)), limits=TwinFitLimits())


def test_friction_of_one_joint_is_found_from_its_torque():
    rng = np.random.default_rng(0)
    t = np.arange(0, 40, 0.01)
    q = 0.8 * np.sin(0.9 * t) + 0.3 * np.sin(2.3 * t)
    dq, ddq = np.gradient(q, t), np.gradient(np.gradient(q, t), t)
    torque = 2.0 * ddq + 15.0 * dq + 6.0 * np.sign(dq) + 8.0 * np.cos(q) + rng.normal(0, 1.0, len(t))
    found = joint_friction(t, q, dq, torque)
    for part, truth in ((found.viscous_nms_rad, 15.0), (found.coulomb_nm, 6.0), (found.inertia_kg_m2, 2.0)):
        assert abs(part.value - truth) <= 2 * part.half_width
        assert part.half_width < 0.1 * truth


def test_friction_from_one_way_motion_is_refused():
    t = np.arange(0, 10, 0.01)
    with pytest.raises(CalibrationError, match="both ways"):
        joint_friction(t, 0.1 * t, np.full(len(t), 0.1), np.ones(len(t)))
