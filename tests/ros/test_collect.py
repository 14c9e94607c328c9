"""Demonstrations in lockstep: what was published, what the bags hold and what the store holds are one and the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import IMAGE_SIZE, arrays_of, episodes_in, facts_of, graph, run_to_end, transitions_digest

from o2o_robot.apps import ingest
from o2o_robot.jsonfile import read_lines
from o2o_robot.types import Outcome

pytestmark = pytest.mark.ros


def collect(run_dir: Path, *, first_seed: int, episodes: int = 3) -> Path:
    """One run that records both ways."""
    recorder = {"store": str(run_dir / "episodes.zarr"), "bags": str(run_dir / "bags")}
    settings = {"episodes": episodes, "first_seed": first_seed, "max_steps": 30}
    return run_to_end(graph("collect", run_dir, {"recorder_node": recorder}, **settings))


@pytest.fixture(scope="module")
def run(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect(tmp_path_factory.mktemp("collect"), first_seed=5)


def test_every_step_that_was_published_was_judged_and_stored(run):
    published = facts_of(run, "teleop_node")["steps_published"]
    assert published > 0
    assert facts_of(run, "arm_node")["commands"] == published
    assert facts_of(run, "twin_node")["control_steps"] == published
    assert facts_of(run, "recorder_node")["steps_stored"] == published
    assert sum(line["n_steps"] for line in read_lines(run / "episodes.jsonl")) == published
    assert facts_of(run, "recorder_node")["episodes_discarded"] == {}


def test_the_bags_hold_the_very_episodes_of_the_live_store(run, tmp_path):
    assert ingest.main([run / "bags"], out=tmp_path / "ingested.zarr", image_side=IMAGE_SIZE) == 0
    live = {episode.meta["id"]: episode for episode in episodes_in(run / "episodes.zarr")}
    ingested = {episode.meta["id"]: episode for episode in episodes_in(tmp_path / "ingested.zarr")}
    assert live.keys() == ingested.keys()
    assert len(live) == 3
    for name, episode in live.items():
        there = arrays_of(ingested[name])
        for field, array in arrays_of(episode).items():
            assert array.dtype == there[field].dtype, field
            np.testing.assert_array_equal(array, there[field], err_msg=f"{name} {field}")
        for fact in ("outcome", "termination", "mode", "seed", "task"):
            assert episode.meta[fact] == ingested[name].meta[fact], fact


def test_an_episode_ends_terminated_exactly_when_the_task_succeeded(run):
    for episode in episodes_in(run / "episodes.zarr"):
        succeeded = episode.meta["outcome"] == Outcome.SUCCESS.value
        assert bool(episode.terminated[-1]) is succeeded
        assert bool(episode.truncated[-1]) is not succeeded
        assert episode.reward.sum() == float(succeeded)


def test_one_seed_gives_the_same_transitions_and_another_seed_others(run, domain, tmp_path):
    again = collect(tmp_path / "again", first_seed=5)
    other = collect(tmp_path / "other", first_seed=6, episodes=1)
    first = transitions_digest(run / "episodes.zarr")
    assert transitions_digest(again / "episodes.zarr") == first
    np.testing.assert_raises(
        AssertionError,
        np.testing.assert_array_equal,
        episodes_in(other / "episodes.zarr")[0].images["front"][0],
        episodes_in(run / "episodes.zarr")[0].images["front"][0],
    )
