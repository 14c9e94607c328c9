"""`o2o replay`: what the twin did it does again, and a delay put into a recording comes out of its replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("matplotlib")

from o2o_robot.apps.replay import main
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.jsonfile import read_json
from o2o_robot.report.replay_plan import plan_of_episode, plan_of_path
from o2o_robot.report.replay_run import begin, replay, with_tool_of
from o2o_robot.report.replay_tracking import Tracking, tracking
from o2o_robot.safety.limits_table import FACTS
from o2o_robot.types import Episode
from o2o_sim.config import TwinConfig
from o2o_sim.envs import make_env
from o2o_sim.twin import Twin

REAL = Path(__file__).parents[3] / "shared" / "data" / "fr3-teleop-1khz"
N_STEPS = 25


def an_episode_of_the_twin(seed: int = 4) -> Episode:
    """Recorded in process: random motions through the guard."""
    env = make_env("reach", config=TwinConfig(task="reach", cameras=(), image_size=16), max_steps=N_STEPS)
    rng, rows, actions, stamps = np.random.default_rng(seed), [], [], []
    seen, _ = env.reset(seed=seed)
    for _ in range(N_STEPS):
        rows.append(seen["state"])
        stamps.append(env.arm_state.stamp_ns)
        seen, _, _, _, info = env.step(rng.uniform(-1, 1, 3).astype(np.float32))
        actions.append(info["executed"])
    stamps.append(env.arm_state.stamp_ns)
    rows.append(seen["state"])
    env.close()
    action = np.array(actions, np.float32)
    end = np.arange(N_STEPS) == N_STEPS - 1
    return Episode(
        images={},
        state={name: np.stack([row[name] for row in rows]).astype(np.float32) for name in rows[0]},
        stamp_ns=np.array(stamps, np.int64),
        action=action,
        proposed=action,
        reward=np.zeros(N_STEPS, np.float32),
        terminated=np.zeros(N_STEPS, bool),
        truncated=end,
        reasons=np.zeros(N_STEPS, np.uint32),
        source=np.zeros(N_STEPS, np.uint8),
        revision=np.zeros(N_STEPS, np.int64),
        meta={"id": "ep", "task": "reach", "seed": seed},
    )


@pytest.fixture(scope="module")
def recorded() -> Episode:
    return an_episode_of_the_twin()


@pytest.fixture(scope="module")
def twin() -> Iterator[Twin]:
    with Twin(TwinConfig(task="reach", cameras=(), image_size=16)) as world:
        yield world


def again(twin: Twin, episode: Episode, *, scale_m: float = 0.025) -> tuple[str, Tracking]:
    """How the replay began, and how it went."""
    plan = plan_of_episode(episode, scale_m=scale_m)
    start = begin(twin, plan, period_s=0.1)
    return start, tracking(plan.wanted, replay(twin, plan))


def test_the_twin_does_again_what_it_did_to_the_rounding_of_the_store(recorded, twin):
    start, found = again(twin, recorded)
    assert "seed 4" in start
    assert found.tool.most < 1e-6
    assert max(joint.most for joint in found.joints) < 1e-5


def test_time_that_passed_between_reset_and_recording_is_found(recorded, twin):
    twin.reset(4)
    twin.advance(0.31)
    later = {name: rows.copy() for name, rows in recorded.state.items()}
    later["q_rad"][0] = twin.arm_state().q_rad
    start, _ = again(twin, replace(recorded, state=later))
    assert "0.31 s after its reset" in start


def test_an_action_scale_that_is_wrong_shows(recorded, twin):
    assert again(twin, recorded, scale_m=0.02)[1].tool.rms > 1e-4


@pytest.mark.parametrize("meta", [{"id": "ep"}, {"id": "ep", "seed": 5}, {"id": "ep", "seed": -1}, {"seed": True}])
def test_without_the_seed_it_was_recorded_at_the_arm_starts_at_the_recorded_joints(recorded, twin, meta):
    start, found = again(twin, replace(recorded, meta=meta))
    assert start == "at the recorded joints, at rest"
    assert found.tool.most < 1e-3


def test_an_episode_of_another_arm_is_refused(recorded, twin):
    six = {**recorded.state, "q_rad": recorded.state["q_rad"][:, :6]}
    with pytest.raises(DataError, match="6 joints, the twin 7"):
        again(twin, replace(recorded, state=six))


def test_a_recording_that_ran_late_makes_the_replay_early_by_as_much(recorded, twin):
    """The recorded motion shows 0.1 s after the twin's: an arm with a slower chain."""
    late = {name: np.concatenate([rows[:1], rows[:-1]]) for name, rows in recorded.state.items()}
    # the executed action is a displacement from the recorded pose: keep the targets what they were
    shift = (recorded.state["tool_position_m"][:-1] - late["tool_position_m"][:-1]) / 0.025
    _, found = again(twin, replace(recorded, state=late, action=(recorded.action + shift).astype(np.float32)))
    assert found.tool.lag_s == pytest.approx(-0.1, abs=0.02)
    assert found.tool.rms_without_lag < 0.3 * found.tool.rms


def test_the_page_holds_both_figures_and_the_json_the_same_numbers(recorded, twin, tmp_path):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(recorded)
    assert main(tmp_path / "s.zarr") == 0
    out, (_, found) = tmp_path / "s-replay-0", again(twin, recorded)
    page, told = (out / "replay.html").read_text(), read_json(out / "replay.json")
    assert "://" not in page
    assert page.count("data:image/png") == 2
    assert told["tool_m"]["rms"] == pytest.approx(found.tool.rms)
    assert list(told["joints_rad"]) == [f"fr3_joint{i}" for i in range(1, 8)]
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in ("joints.png", "tool.png"))


@pytest.mark.parametrize("robot", ["fr3", "ur5e"])
def test_a_path_s_targets_are_poses_of_the_tool_that_the_twin_holds(robot):
    low, high = FACTS[robot, "conservative"]().min_rad, FACTS[robot, "conservative"]().max_rad
    with Twin(TwinConfig(task="reach", robot=robot, cameras=(), image_size=16, contacts=False)) as world:
        arm = with_tool_of(world, FACTS[robot, "published"]().kinematics, (low + high) / 2)
        for q_rad in np.random.default_rng(0).uniform(low, high, (10, len(low))):
            world.place(q_rad)
            assert np.allclose(arm.fk(q_rad).position_m, world.arm_state().tool.position_m, atol=1e-4)


def test_a_path_is_followed_with_its_own_elbow_and_not_the_ready_one():
    """The tool pose leaves one joint of seven free; a posture far from the ready one must be kept."""
    t_s = np.arange(0, 2, 0.01)
    start_rad = np.array([0.5, -0.6, -0.5, -2.3, 0.3, 1.6, 0.5])
    q_rad = start_rad + 0.1 * np.sin(t_s)[:, None] * np.ones(7)
    with Twin(TwinConfig(task="reach", cameras=(), image_size=16, contacts=False)) as world:
        arm = with_tool_of(world, FACTS["fr3", "published"]().kinematics, start_rad)
        plan = plan_of_path("elbow", t_s, q_rad, arm, rate_hz=50)
        begin(world, plan, period_s=0.1)
        found = tracking(plan.wanted, replay(world, plan))
    assert max(joint.rms for joint in found.joints) < 0.03


def test_a_recording_with_another_tool_says_so(recorded, twin):
    other = {**recorded.state, "tool_position_m": recorded.state["tool_position_m"] + np.float32([0, 0, 0.1])}
    start, _ = again(twin, replace(recorded, state=other, meta={"id": "ep"}))
    assert "100 mm from the twin's" in start


def test_a_bag_is_sent_to_ingest_first(tmp_path):
    with pytest.raises(DataError, match="o2o ingest"):
        main(tmp_path / "x.mcap")


@pytest.mark.skipif(not REAL.is_dir(), reason="no real recordings beside this checkout")
def test_the_path_of_a_real_arm_is_followed_with_the_twin_s_delay_and_little_else(tmp_path):
    recording = sorted(REAL.glob("*.npy"))[0]
    assert main(recording, out=tmp_path, rate_hz=50.0) == 0
    tool = read_json(tmp_path / "replay.json")["tool_m"]
    assert 0.04 < tool["lag_s"] < 0.12  # the reference is spread over 0.12 s
    assert tool["rms_without_lag"] < 0.003
    assert tool["most"] < 0.05
