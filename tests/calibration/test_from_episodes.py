"""Calibration from an episode store: the twin's controller and the delay of its commands are found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tyro

pytest.importorskip("mujoco")

from moved_episodes import moved_store

from o2o_calibration import results
from o2o_calibration.episodes import REST_S, read_plans, signals, starts_s
from o2o_calibration.errors import CalibrationError
from o2o_robot.apps.calibrate import main
from o2o_sim.config import ImpedanceConfig

TRUTH = ImpedanceConfig(position_rad_s=18.0, damping_ratio=0.8, slew_s=0.16)
LATE_S = 0.04


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moved_store(tmp_path_factory.mktemp("moved"), TRUTH, late_s=LATE_S, n_episodes=3, n_steps=18)


def calibrate(*words: object) -> int:
    return int(tyro.cli(main, args=[str(word) for word in words]))


def test_the_controllers_settings_and_the_delay_are_found_from_stored_episodes(store, tmp_path):
    assert calibrate("twin-fit", store, "--results", tmp_path, "--date", "2026-11-21") == 0
    found = results.load(results.latest(tmp_path, "fr3", "twin-fit"))
    truth = {"delay_s": LATE_S, "position_rad_s": 18.0, "damping_ratio": 0.8, "slew_s": 0.16}
    for name, value in truth.items():
        assert found["parameters"][name] == pytest.approx(value, rel=0.10), name
    assert found["rms_after_m"] < 0.1 * found["rms_before_m"]


def test_the_latency_of_commands_is_not_taken_from_a_store_and_says_where_from(store, tmp_path):
    """A synchronous recording hides it: what the arm has not done by the next state is asked for again from there."""
    with pytest.raises(CalibrationError, match="record a bag of commands and joints, or take twin-fit's delay_s"):
        calibrate("action-latency", store, "--results", tmp_path)


def test_a_command_holds_until_the_next_and_every_episode_begins_after_a_rest(store):
    plans = read_plans(store)
    command, state = signals(plans)
    assert (np.diff(command.t_s) > 0).all()
    assert (np.diff(state.t_s) > 0).all()
    for plan, start_s in zip(plans, starts_s(plans), strict=True):
        before = (command.t_s > start_s - REST_S) & (command.t_s < start_s)
        np.testing.assert_array_equal(command.values[before], np.repeat(plan.wanted.tool_m[:1], before.sum(), axis=0))
        for one, following in zip(plan.commands, plan.commands[1:], strict=False):
            late = np.array([np.interp(start_s + following.t_s - 1e-4, command.t_s, axis) for axis in command.values.T])
            np.testing.assert_allclose(late, one.target.position_m, atol=1e-9)


def test_only_the_episodes_that_are_named_are_used(store):
    (one,) = read_plans(store, (1,))
    assert one.name == "moved-1"


def test_an_arm_that_stood_still_tells_nothing(tmp_path):
    path = moved_store(tmp_path, TRUTH, late_s=LATE_S, n_episodes=1, n_steps=1)
    with pytest.raises(CalibrationError, match="no episode of two steps and more"):
        calibrate("twin-fit", path, "--results", tmp_path)
