"""How far two motions lie apart, and how late one is: known delays and errors come back as they were put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from o2o_robot.errors import DataError
from o2o_robot.report.replay_plan import plan_of_episode, plan_of_path, read_path
from o2o_robot.report.replay_tracking import Motion, gap, lag_s, tracking
from o2o_robot.robot.kinematics import fr3
from o2o_robot.types import Episode

T_S = np.arange(0, 6, 0.01)


def a_path(t_s: np.ndarray) -> np.ndarray:
    """Two smooth joints that never repeat within the time."""
    return np.stack([np.sin(1.3 * t_s) + 0.3 * np.sin(4.1 * t_s), 0.2 * np.cos(2.2 * t_s + 1)], axis=1)


@pytest.mark.parametrize("late_s", [-0.12, 0.0, 0.0137, 0.08, 0.25])
def test_a_known_delay_is_found_to_two_milliseconds_under_noise(late_s):
    noise = np.random.default_rng(0).normal(0, 0.003, (len(T_S), 2))
    found = lag_s(T_S, a_path(T_S), a_path(T_S - late_s) + noise)
    assert found == pytest.approx(late_s, abs=0.002)


@pytest.mark.parametrize("late_s", [0.0012, 0.0137, 0.0481])
def test_without_noise_a_delay_is_found_to_a_tenth_of_the_grid(late_s):
    assert lag_s(T_S, a_path(T_S), a_path(T_S - late_s)) == pytest.approx(late_s, abs=0.0005)


@pytest.mark.parametrize("late_s", [0.03, 0.12])
def test_a_delay_shorter_than_a_control_period_is_found_at_ten_hertz(late_s):
    t_s = np.arange(0, 12, 0.1)
    assert lag_s(t_s, a_path(t_s), a_path(t_s - late_s)) == pytest.approx(late_s, abs=0.01)


def test_mere_delay_leaves_nothing_once_it_is_taken_out():
    found = gap(T_S, a_path(T_S), a_path(T_S - 0.1))
    assert found.rms > 0.05
    assert found.rms_without_lag < 1e-3


def test_a_constant_offset_is_all_error_and_no_delay():
    found = gap(T_S, a_path(T_S), a_path(T_S) + np.array([0.03, 0.04]))
    assert found.rms == pytest.approx(0.05)
    assert found.most == pytest.approx(0.05)
    assert abs(found.lag_s) < 0.003


def test_what_is_left_without_the_lag_is_never_more_than_with_it():
    rng = np.random.default_rng(1)
    for _ in range(20):
        t_s = np.arange(0, 2, 0.1)
        wanted, got = rng.normal(0, 1, (2, len(t_s), 3))
        found = gap(t_s, wanted, got)
        assert found.rms_without_lag <= found.rms


def test_the_same_motion_again_has_no_delay_at_all_however_coarse_its_samples():
    t_s = np.arange(0, 3, 0.1)
    found = gap(t_s, a_path(t_s), a_path(t_s) + 1e-9)
    assert found.lag_s == 0.0
    assert found.rms_without_lag == found.rms


def test_what_does_not_move_has_no_delay():
    still = np.zeros((len(T_S), 2))
    assert lag_s(T_S, still, still + 1e-6) is None
    assert lag_s(T_S, still, a_path(T_S)) is None
    assert lag_s(T_S, a_path(T_S), still) is None
    assert lag_s(T_S[:3], a_path(T_S[:3]), a_path(T_S[:3])) is None


def test_the_two_signs_of_a_quaternion_are_one_orientation():
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (len(T_S), 1))
    one = Motion(T_S, a_path(T_S), np.zeros((len(T_S), 3)), quat)
    assert tracking(one, one._replace(tool_quat_xyzw=-quat)).turn.most < 1e-9


def test_motions_of_other_instants_are_not_compared():
    one = Motion(T_S, a_path(T_S), np.zeros((len(T_S), 3)), np.tile([1.0, 0, 0, 0], (len(T_S), 1)))
    with pytest.raises(DataError, match="same ones"):
        tracking(one, one._replace(t_s=T_S + 0.5))


def test_a_path_s_targets_are_where_its_joints_put_the_tool():
    q = np.linspace([0, -0.8, 0, -2.3, 0, 1.5, 0.7], [0.2, -0.6, 0.1, -2.2, 0.1, 1.6, 0.8], 500)
    t_s = np.linspace(0, 2, 500)
    plan = plan_of_path("p", t_s, q, fr3(), rate_hz=50)
    assert len(plan.commands) == 99
    for command, posture in zip(plan.commands[::7], plan.posture_rad[::7], strict=True):
        assert np.allclose(posture, [np.interp(command.t_s, t_s, joint) for joint in q.T])
        assert np.allclose(command.target.position_m, fr3().fk(posture).position_m)


def an_episode(**changes) -> Episode:
    n = 5
    state = {
        "q_rad": np.zeros((n + 1, 7), np.float32),
        "tool_position_m": np.random.default_rng(0).uniform(0.3, 0.5, (n + 1, 3)).astype(np.float32),
        "tool_quat_xyzw": np.tile(np.float32([1, 0, 0, 0]), (n + 1, 1)),
    }
    flags = np.zeros(n, bool)
    zeros = {"reward": np.zeros(n, np.float32), "reasons": np.zeros(n, np.uint32), "source": np.zeros(n, np.uint8)}
    action = np.random.default_rng(1).uniform(-1, 1, (n, 3)).astype(np.float32)
    fields = {
        "images": {},
        "state": state,
        "stamp_ns": np.arange(n + 1) * 100_000_000 + 7,
        "action": action,
        "proposed": action,
        "terminated": flags,
        "truncated": flags,
        "revision": np.zeros(n, np.int64),
        "meta": {"id": "e", "seed": 3},
        **zeros,
    }
    return Episode(**{**fields, **changes})


def test_targets_are_counted_from_the_recorded_pose_by_the_executed_action():
    episode = an_episode()
    plan = plan_of_episode(episode, scale_m=0.025)
    assert [round(c.t_s, 9) for c in plan.commands] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert plan.seed == 3
    for i, command in enumerate(plan.commands):
        expected = episode.state["tool_position_m"][i] + 0.025 * episode.action[i]
        assert np.allclose(command.target.position_m, expected, atol=1e-7)


def test_an_episode_that_lacks_joints_or_speaks_of_other_actions_is_refused():
    less = {name: rows for name, rows in an_episode().state.items() if name != "q_rad"}
    with pytest.raises(DataError, match="no q_rad"):
        plan_of_episode(an_episode(state=less), scale_m=0.025)
    with pytest.raises(DataError, match="26 values"):
        plan_of_episode(an_episode(action=np.zeros((5, 26), np.float32)), scale_m=0.025)


def a_recording(n: int = 1000) -> np.ndarray:
    rows = np.zeros((n, 42))
    rows[:, 0] = 1.7e18 + np.arange(n) * 1_048_576.0  # what a float64 of today's nanoseconds can hold
    rows[:, 1:8] = np.linspace(0, 0.5, n)[:, None]
    return rows


def test_repeated_and_backward_samples_of_a_path_are_left_out(tmp_path):
    rows = a_recording()
    messy = rows[[*range(500), 499, 499, 490, *range(500, 1000)]]
    np.save(tmp_path / "a.npy", rows)
    np.save(tmp_path / "b.npy", messy)
    for clean, cleaned in zip(read_path(tmp_path / "a.npy", 7), read_path(tmp_path / "b.npy", 7), strict=True):
        assert np.array_equal(clean, cleaned)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 42)),
        np.zeros(5),
        np.zeros((5, 3)),
        np.zeros((5, 42)),
        np.full((50, 42), np.nan),
        np.array(["a"]),
        a_recording() + 100.0,
        a_recording(40),
    ],
)
def test_a_file_that_is_no_path_is_named_in_one_line(tmp_path, rows):
    np.save(tmp_path / "x.npy", rows)
    with pytest.raises(DataError, match=r"x\.npy") as told:
        read_path(tmp_path / "x.npy", 7)
    assert len(str(told.value).splitlines()) == 1


def test_one_value_that_is_not_finite_is_named_by_its_row(tmp_path):
    rows = a_recording()
    rows[123, 4] = np.nan
    np.save(tmp_path / "x.npy", rows)
    with pytest.raises(DataError, match="row 123"):
        read_path(tmp_path / "x.npy", 7)


class Trap:
    """What a pickle does when it is read: whatever its author liked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_objects_are_never_read(tmp_path):
    np.save(tmp_path / "p.npy", np.array([Trap(tmp_path / "sprung")], object), allow_pickle=True)
    with pytest.raises(DataError):
        read_path(tmp_path / "p.npy", 7)
    assert not (tmp_path / "sprung").exists()


def test_no_file_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"none\.npy"):
        read_path(tmp_path / "none.npy", 7)
