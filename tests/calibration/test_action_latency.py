"""Action latency: dead time and lag of each joint are found, and joints that do not follow are not counted."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_calibration.action_latency import ActionLimits, action_latency, rms_apart_rad
from o2o_calibration.delay import Signal
from o2o_calibration.errors import CalibrationError

RNG = np.random.default_rng
NAMES = ("a", "b", "c")


def steps(rng: np.random.Generator, seconds: float = 20.0, hz: float = 30.0) -> Signal:
    """Commands that jump every second or so, of three joints."""
    t = np.arange(0, seconds, 1 / hz)
    return Signal(t, np.stack([np.repeat(rng.uniform(-0.5, 0.5, 21), 30)[: len(t)] for _ in NAMES], axis=1))


def followed(
    command: Signal, dead_s: list[float], lag_s: list[float], rng: np.random.Generator, noise_rad: float = 0.002
) -> Signal:
    """What joints at 100 Hz do that follow by dead time and first-order lag."""
    fine = np.arange(0, command.t_s[-1], 0.001)
    t = np.arange(0, command.t_s[-1], 0.01)
    columns = []
    for u, d, tau in zip(command.values.T, dead_s, lag_s, strict=True):
        late, q = np.interp(fine - d, command.t_s, u), np.empty(len(fine))
        q[0] = late[0]
        for i in range(1, len(fine)):
            q[i] = q[i - 1] + 0.001 / tau * (late[i] - q[i - 1])
        columns.append(np.interp(t, fine, q))
    return Signal(t, np.stack(columns, axis=1) + rng.normal(0, noise_rad, (len(t), len(columns))))


def test_dead_time_and_lag_are_found_joint_by_joint():
    command = steps(RNG(0))
    dead, lag = [0.05, 0.10, 0.20], [0.15, 0.10, 0.02]
    found = action_latency(
        command, followed(command, dead, lag, RNG(1)), NAMES, rng=RNG(0), limits=ActionLimits(max_half_width_s=1)
    )
    for answer, d, tau in zip(found.joints, dead, lag, strict=True):
        assert answer.dead_s == pytest.approx(d, abs=0.01)
        assert answer.lag_s == pytest.approx(tau, abs=0.01)
        assert answer.gain == pytest.approx(1.0, abs=0.01)
    assert found.latency_s == pytest.approx(0.2, abs=0.01)


def test_joints_that_rest_or_do_not_follow_are_named_and_not_counted():
    command = steps(RNG(0))
    command.values[:, 1] = 0.3
    state = followed(command, [0.05] * 3, [0.1] * 3, RNG(1))
    state.values[:, 2] = RNG(5).normal(size=len(state.t_s)).cumsum() * 0.01
    found = action_latency(command, state, NAMES, rng=RNG(0))
    assert [answer.name for answer in found.joints] == ["a"]
    assert found.passed_over == ("b", "c")


def test_joints_of_two_kinds_are_refused_and_both_named():
    command = steps(RNG(0))
    state = followed(command, [0.0, 0.0, 0.3], [0.1, 0.12, 0.1], RNG(1))
    with pytest.raises(CalibrationError, match=r"'a' answers after 0\.1\d s and 'c' after 0\.4\d s; name joints"):
        action_latency(command, state, NAMES, rng=RNG(0))


def test_nothing_that_follows_is_refused():
    command = steps(RNG(0))
    state = Signal(command.t_s, RNG(1).normal(size=command.values.shape))
    with pytest.raises(CalibrationError, match="3 of 3 joints were moved and 0 follow"):
        action_latency(command, state, NAMES, rng=RNG(0))


def test_joints_that_are_not_matched_by_name_are_refused():
    command = steps(RNG(0))
    with pytest.raises(CalibrationError, match="match them by name"):
        action_latency(command, Signal(command.t_s, command.values[:, :2]), NAMES, rng=RNG(0))


def test_delaying_the_command_by_what_was_found_brings_it_to_the_state():
    command = steps(RNG(0))
    state = followed(command, [0.2] * 3, [0.001] * 3, RNG(1), noise_rad=0.0)
    assert rms_apart_rad(command, state, 0.2) < 0.2 * rms_apart_rad(command, state, 0.0)
