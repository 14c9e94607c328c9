"""The peg task: what counts, what does not, what can be seen, and how good the scripted expert is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_sim.config import PegConfig, TwinConfig
from o2o_sim.tasks.expert import ExpertConfig, make_expert
from o2o_sim.tasks.peg import inserted
from o2o_sim.twin import Twin

SPACE = DeltaPosition()


@pytest.fixture(scope="module")
def twin() -> Twin:
    """The demo's, with 10 mm of clearance."""
    return Twin(TwinConfig(peg=PegConfig(clearance_m=0.010)))


@pytest.fixture(scope="module")
def usual() -> Twin:
    """With 2 mm, the default."""
    return Twin()


def episode(twin: Twin, seed: int, settings: ExpertConfig | None = None, max_steps: int = 50) -> int | None:
    """Steps the expert needed, or None where it did not succeed in time."""
    twin.reset(seed)
    rng, expert = np.random.default_rng(seed), make_expert(twin.task, settings)
    expert.reset(rng)
    for n in range(1, max_steps + 1):
        state = twin.arm_state()
        twin.step(SPACE.target(expert.act(twin.task_state(), state, rng), state))
        if twin.task_state().success:
            return n
    return None


@pytest.mark.parametrize("of", ["twin", "usual"])
def test_a_perfect_expert_succeeds_in_98_of_100_starts_in_about_a_dozen_steps(
    of: str, request: pytest.FixtureRequest
) -> None:
    lengths = [episode(request.getfixturevalue(of), seed) for seed in range(100)]
    done = [n for n in lengths if n is not None]
    assert len(done) >= 98
    assert 10 <= np.median(done) <= 20


def test_the_more_the_expert_misjudges_the_less_it_succeeds(twin: Twin) -> None:
    def rate(bias_m: float) -> float:
        settings = ExpertConfig(noise=0.3, bias_m=bias_m)
        return float(np.mean([episode(twin, seed, settings) is not None for seed in range(40)]))

    good, fair, poor = rate(0.004), rate(0.02), rate(0.04)
    assert good > 0.9
    assert 0.35 < fair < 0.8
    assert poor < fair < good


def test_the_distractor_does_not_count_and_does_not_end_it(twin: Twin) -> None:
    for seed in range(4):
        assert episode(twin, seed, ExpertConfig(distracted=1.0)) is None
        state = twin.task_state()
        distractor_m, tip_m = state.privileged[3:6], state.privileged[6:9]
        assert np.abs(tip_m - distractor_m)[:2].max() < 0.018  # it is in there, and deep
        assert tip_m[2] < distractor_m[2] - 0.012
        assert not state.success
        assert not state.failure
        assert state.reward == 0.0


@pytest.mark.parametrize(
    ("tip_m", "counts"),
    [
        ((0.0, 0.0, -0.013), True),
        ((0.0, 0.0, -0.011), False),
        ((0.0, 0.0, 0.05), False),
        ((0.017, -0.017, -0.02), True),
        ((0.019, 0.0, -0.02), False),
        ((0.0, -0.019, -0.02), False),
    ],
)
def test_a_tip_counts_inside_the_hole_and_below_the_depth_only(tip_m: tuple[float, ...], counts: bool) -> None:
    assert inserted(np.array(tip_m), hole_m=0.018, depth_m=0.012) is counts


def test_every_start_is_within_its_region_and_the_sockets_are_apart(twin: Twin) -> None:
    for seed in range(200):
        twin.reset(seed)
        target_m, distractor_m, tip_m = twin.task_state().privileged.reshape(3, 3)
        for socket_m in (target_m, distractor_m):
            assert 0.40 <= socket_m[0] <= 0.60
            assert -0.15 <= socket_m[1] <= 0.15
        assert np.linalg.norm((target_m - distractor_m)[:2]) >= 0.09
        assert 0.12 - 1e-6 <= tip_m[2] <= 0.18 + 1e-6
        assert not twin.task_state().success


def count_like(image: np.ndarray, rgb: tuple[int, int, int]) -> int:
    """Pixels whose colour direction is close to rgb (so that shading does not matter)."""
    pixels = image.reshape(-1, 3).astype(float) + 1e-9
    want = np.array(rgb, float) / np.linalg.norm(rgb)
    cosine = pixels @ want / np.linalg.norm(pixels, axis=1)
    return int(((cosine > 0.98) & (pixels.max(axis=1) > 50)).sum())


@pytest.mark.parametrize("of", ["twin", "usual"])
def test_both_sockets_and_the_peg_are_seen_from_the_front_at_every_start(
    of: str, request: pytest.FixtureRequest
) -> None:
    seen_by = request.getfixturevalue(of)
    for seed in range(60):
        seen_by.reset(seed)
        front = seen_by.images()["front"]
        assert count_like(front, (255, 128, 13)) >= 12, f"target unseen at seed {seed}"
        assert count_like(front, (26, 64, 255)) >= 12, f"distractor unseen at seed {seed}"
        assert count_like(front, (38, 217, 64)) >= 4, f"peg unseen at seed {seed}"


def test_the_wrist_camera_sees_peg_and_socket_during_insertion(twin: Twin) -> None:
    for seed in range(5):
        assert episode(twin, seed) is not None
        wrist = twin.images()["wrist"]
        assert count_like(wrist, (255, 128, 13)) > 60
        assert count_like(wrist, (38, 217, 64)) > 60


def test_pictures_tell_where_the_socket_stands(twin: Twin) -> None:
    columns, places_m = [], []
    for seed in range(30):
        twin.reset(seed)
        front = twin.images()["front"].astype(float)
        orange = (front[..., 0] > 150) & (front[..., 2] < 60)
        columns.append(np.nonzero(orange)[1].mean())
        places_m.append(twin.task_state().privileged[1])
    assert np.corrcoef(columns, places_m)[0, 1] > 0.97


def test_a_tighter_hole_is_harder_to_hit(twin: Twin) -> None:
    settings = ExpertConfig(noise=0.3, bias_m=0.016)
    tight = Twin(TwinConfig(peg=PegConfig(clearance_m=0.003)))
    rates = [np.mean([episode(t, seed, settings) is not None for seed in range(40)]) for t in (twin, tight)]
    assert rates[1] < rates[0] - 0.1


def test_impossible_settings_fail_at_build() -> None:
    with pytest.raises(ConfigError, match="clearance_m"):
        PegConfig(clearance_m=0.0)
    with pytest.raises(ConfigError, match="insert_depth_m"):
        PegConfig(insert_depth_m=0.05)
    with pytest.raises(ConfigError, match="distracted"):
        ExpertConfig(distracted=1.5)


def test_the_reach_task_is_solved_by_its_expert_through_the_same_interface() -> None:
    reach = Twin(TwinConfig(task="reach"))
    assert sum(episode(reach, seed) is not None for seed in range(30)) == 30
