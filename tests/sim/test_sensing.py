"""The sensor models in the twin: late and noisy to its reader, and the very same physics underneath."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.robot.action import TOOL_DOWN_XYZW
from o2o_robot.types import Pose
from o2o_sim.camera import MujocoCamera
from o2o_sim.config import TwinConfig
from o2o_sim.envs import make_env
from o2o_sim.sensor_config import (
    CameraSensorConfig,
    JointSensorConfig,
    LinkConfig,
    SensorConfig,
    WrenchSensorConfig,
    sensors,
)
from o2o_sim.twin import Twin

DOWN = np.array(TOOL_DOWN_XYZW)
LATE = SensorConfig(
    camera=CameraSensorConfig(fps=30.0, link=LinkConfig(latency_s=0.05, jitter_s=0.02)),
    joints=JointSensorConfig(link=LinkConfig(latency_s=0.02)),
)


def states(twin: Twin, seed: int = 0, n: int = 6) -> list:
    """(state, frames, truth's joints) along one motion."""
    twin.reset(seed)
    goal_m = twin.task_state().privileged[-3:] + np.array([0.0, 0.0, 0.06])  # the tool's true place, above the tip
    seen = []
    for _ in range(n):
        goal_m = goal_m + np.array([0.01, 0.02, -0.005])
        twin.step(Pose(goal_m, DOWN))
        q_true = twin._data.qpos[twin._joints.q].copy()
        seen.append((twin.arm_state(), {name: twin.frame(name) for name in twin.config.cameras}, q_true))
    return seen


def test_without_settings_there_is_no_sensor_model() -> None:
    assert Twin(TwinConfig(cameras=()))._sensing is None


def test_a_wrench_with_noise_leaves_joints_and_pictures_bit_for_bit() -> None:
    noisy = SensorConfig(wrench=WrenchSensorConfig(force_noise_n=1.0))
    for (state, frames, _), (true, true_frames, _) in zip(
        states(Twin(TwinConfig(sensors=noisy))), states(Twin()), strict=True
    ):
        assert state.stamp_ns == true.stamp_ns
        np.testing.assert_array_equal(state.q_rad, true.q_rad)
        np.testing.assert_array_equal(state.tool.position_m, true.tool.position_m)
        np.testing.assert_array_equal(state.tool.quat_xyzw, true.tool.quat_xyzw)
        assert (state.wrench[:3] != true.wrench[:3]).all()
        for name, frame in frames.items():
            assert frame.stamp_ns == true_frames[name].stamp_ns
            np.testing.assert_array_equal(frame.image, true_frames[name].image)


def test_sensors_do_not_touch_the_motion() -> None:
    ends = [states(Twin(TwinConfig(cameras=(), sensors=s)))[-1][2] for s in (SensorConfig(), sensors("real"))]
    np.testing.assert_array_equal(*ends)


def test_a_late_state_is_the_true_one_of_its_stamp() -> None:
    config = TwinConfig(cameras=(), sensors=LATE)
    late, prompt = Twin(config), Twin(TwinConfig(cameras=()))
    late.reset(0)
    prompt.reset(0)
    goal = Pose(prompt.arm_state().tool.position_m + np.array([0.02, 0.02, 0.0]), DOWN)
    truth = {}
    start_ns = late.stamp_ns
    for _ in range(60):
        late.step(goal, duration_s=0.002)
        prompt.step(goal, duration_s=0.002)
        truth[prompt.stamp_ns] = prompt.arm_state()
        state = late.arm_state()
        assert state.stamp_ns == late.stamp_ns - 20_000_000
        if (now := state.stamp_ns - start_ns) in truth:
            np.testing.assert_array_equal(state.q_rad, truth[now].q_rad)
            np.testing.assert_array_equal(state.tool.position_m, truth[now].tool.position_m)


def test_a_late_frame_shows_the_scene_at_its_stamp() -> None:
    """Each picture equals the one that a twin without delay renders at that very stamp."""
    late, prompt = Twin(TwinConfig(cameras=("wrist",), sensors=LATE)), Twin(TwinConfig(cameras=("wrist",)))
    late.reset(0)
    prompt.reset(0)
    start_ns, goal_m = late.stamp_ns, prompt.arm_state().tool.position_m
    frames = []
    for k in range(4):
        goal = Pose(goal_m + (k + 1) * np.array([0.01, 0.02, 0.0]), DOWN)
        late.step(goal)
        frames.append(late.frame("wrist"))
        assert 0.05 <= (late.stamp_ns - frames[-1].stamp_ns) * 1e-9 <= 0.05 + 0.02 + 0.036
    pictures = {}
    for k in range(4):
        goal = Pose(goal_m + (k + 1) * np.array([0.01, 0.02, 0.0]), DOWN)
        prompt.aim(goal)
        while prompt.stamp_ns < (k + 1) * 100_000_000:
            prompt.advance(0.01)
            pictures[prompt.stamp_ns] = prompt.image("wrist")
    near = [min(pictures, key=lambda t, f=f: abs(t - (f.stamp_ns - start_ns))) for f in frames]
    for frame, stamp_ns in zip(frames, near, strict=True):
        errors = {t: np.abs(frame.image.astype(int) - picture).mean() for t, picture in pictures.items()}
        best = min(errors, key=errors.__getitem__)
        assert abs(best - stamp_ns) <= 10_000_000


def test_a_reset_lasts_until_every_sensor_has_reported_the_new_scene() -> None:
    twin = Twin(TwinConfig(sensors=LATE))
    for seed in range(4):
        before_ns = twin.stamp_ns
        twin.reset(seed)
        assert twin.stamp_ns - before_ns >= 50_000_000
        for stamp_ns in (twin.arm_state().stamp_ns, *(twin.frame(name).stamp_ns for name in twin.config.cameras)):
            assert before_ns <= stamp_ns <= twin.stamp_ns
        with Twin(TwinConfig(cameras=("front",))) as prompt:
            prompt.reset(seed)
            np.testing.assert_array_equal(twin.image("front"), prompt.image("front"))


def test_the_camera_contract_carries_the_stamp_of_the_exposure() -> None:
    twin = Twin(TwinConfig(cameras=("front",), image_size=16, sensors=LATE))
    twin.reset(0)
    frame = MujocoCamera(twin, "front").read()
    assert twin.stamp_ns - frame.stamp_ns >= 50_000_000
    assert frame.stamp_ns == twin.frame("front").stamp_ns


def test_each_frame_is_given_once_to_who_publishes_and_in_order() -> None:
    twin = Twin(TwinConfig(cameras=("front",), image_size=16, sensors=LATE))
    twin.reset(0)
    twin.new_frames("front")
    stamps = []
    for _ in range(100):
        twin.advance(0.01)
        stamps += [frame.stamp_ns for frame in twin.new_frames("front")]
    assert stamps == sorted(set(stamps))
    assert 28 <= len(stamps) <= 31


def test_a_camera_without_a_rate_gives_the_frame_of_now_each_time_it_is_asked() -> None:
    noisy = SensorConfig(camera=CameraSensorConfig(read_noise=1.0))
    twin = Twin(TwinConfig(cameras=("front",), image_size=16, sensors=noisy))
    for _ in range(3):
        twin.advance(0.1)
        assert [frame.stamp_ns for frame in twin.new_frames("front")] == [twin.stamp_ns]
        assert len(twin.new_frames("front")) == 1


def test_the_same_seed_gives_the_same_noise_whatever_ran_before() -> None:
    def felt(twin: Twin) -> list[bytes]:
        return [
            b"".join(a.tobytes() for a in (s.q_rad, s.dq_rad, s.wrench, *(f.image for f in frames.values())))
            for s, frames, _ in states(twin, seed=4, n=3)
        ]

    config = TwinConfig(sensors=sensors("real"))
    twin = Twin(config)
    first = felt(twin)
    states(twin, seed=5, n=2)
    assert felt(twin) == first == felt(Twin(config))
    assert len(set(first)) == 3


def test_the_tool_pose_is_of_the_joints_as_read() -> None:
    noisy = SensorConfig(joints=JointSensorConfig(q_noise_rad=0.01))
    twin = Twin(TwinConfig(cameras=(), sensors=noisy))
    twin.reset(0)
    twin.advance(0.1)
    read = twin.arm_state()
    true_m = twin._data.site("tool").xpos
    assert 1e-4 < np.linalg.norm(read.tool.position_m - true_m) < 0.1
    np.testing.assert_array_equal(twin.arm_state().tool.position_m, read.tool.position_m)


def test_a_snapshot_goes_on_with_the_same_noise_and_the_same_lateness() -> None:
    twin = Twin(TwinConfig(cameras=("front",), sensors=sensors("real")))
    twin.reset(1)
    twin.advance(0.1)
    start = twin.snapshot()

    def go_on() -> tuple:
        now_ns = twin.stamp_ns
        twin.advance(0.2)
        state, frame = twin.arm_state(), twin.frame("front")
        return state.q_rad.tobytes(), state.stamp_ns - now_ns, frame.stamp_ns - now_ns, frame.image.tobytes()

    expected = go_on()
    twin.restore(start)
    assert go_on() == expected


def test_the_environment_runs_behind_the_guard_with_real_sensors() -> None:
    env = make_env("peg", config=TwinConfig(sensors=sensors("real")), max_steps=5)
    env.reset(seed=0)
    for _ in range(5):
        *_, info = env.step(np.array([0.2, 0.1, -0.1], np.float32))
        assert info["executed"].any()
    env.close()
