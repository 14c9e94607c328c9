"""A policy evaluated, then fine-tuned, through the nodes: repeatable, counted, and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import episodes_in, facts_of, graph, run_to_end, transitions_digest

from o2o_robot.jsonfile import read_lines

pytestmark = pytest.mark.ros
WARMUP, ONLINE, MAX_STEPS = 40, 40, 20
UTD = 8  # so many that the learner is still at work when the last step is done


def evaluate(run_dir: Path, checkpoint: Path, **settings: int) -> Path:
    settings = {"episodes": 2, "max_steps": 12, **settings}
    return run_to_end(graph("evaluate", run_dir, checkpoint=str(checkpoint), **settings))


def finetune(run_dir: Path, checkpoint: Path, **settings: object) -> Path:
    changes = {"learner_node": {"publish_every": 5, "torch_threads": 1}}
    settings = {"warmup_steps": WARMUP, "online_steps": ONLINE, "max_steps": MAX_STEPS, **settings}
    return run_to_end(graph("finetune", run_dir, changes, checkpoint=str(checkpoint), **settings))


@pytest.fixture(scope="module")
def run(module_domain: int, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finetune(tmp_path_factory.mktemp("finetune"), checkpoint, utd=UTD)


def test_an_evaluation_of_one_seed_can_be_repeated_and_one_of_another_differs(domain, checkpoint, tmp_path):
    first, again = (evaluate(tmp_path / name, checkpoint, first_seed=3) for name in ("first", "again"))
    other = evaluate(tmp_path / "other", checkpoint, first_seed=4)
    digests = [transitions_digest(run / "episodes.zarr") for run in (first, again, other)]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_nothing_is_lost_between_the_arm_the_store_and_the_learner(run):
    published = facts_of(run, "policy_node")["steps_published"]
    assert published >= WARMUP + ONLINE
    assert facts_of(run, "recorder_node")["steps_stored"] == published
    assert facts_of(run, "learner_node")["steps_received"] == published
    assert facts_of(run, "learner_node")["steps_refused"] == 0
    assert sum(len(episode) for episode in episodes_in(run / "episodes.zarr")) == published


def test_updates_keep_the_stated_ratio_to_the_steps_after_warm_up(run):
    learned = facts_of(run, "learner_node")
    assert learned["warmup_steps"] == WARMUP
    assert learned["updates"] == UTD * (learned["steps_received"] - WARMUP)
    assert {line["mode"] for line in read_lines(run / "episodes.jsonl")} == {"warmup", "online"}


def test_warm_up_is_frozen_and_new_weights_reach_the_policy_while_it_works(run):
    by_mode = {"warmup": set(), "online": set()}
    for episode in episodes_in(run / "episodes.zarr"):
        by_mode[episode.meta["mode"]] |= set(episode.revision.tolist())
    assert by_mode["warmup"] == {0}
    assert max(by_mode["online"]) >= 20
    acted, learned = facts_of(run, "policy_node")["revision"], facts_of(run, "learner_node")["revision"]
    assert 0 < acted <= learned
    assert acted % 5 == 0
    assert facts_of(run, "policy_node")["weights_refused"] == 0


def test_a_run_taken_up_again_goes_on_learning_from_where_it_stood(run, domain, checkpoint):
    before, stored = facts_of(run, "learner_node"), len(episodes_in(run / "episodes.zarr"))
    finetune(run, checkpoint, utd=UTD, warmup_steps=0, online_steps=50, first_seed=1000, resume=True)
    after = facts_of(run, "learner_node")
    assert after["steps_received"] == before["steps_received"] + facts_of(run, "policy_node")["steps_published"]
    assert after["updates"] == UTD * (after["steps_received"] - WARMUP)
    assert after["revision"] - after["updates"] == before["revision"] - before["updates"]
    episodes = episodes_in(run / "episodes.zarr")
    assert len(episodes) > stored
    assert len({episode.meta["id"] for episode in episodes}) == len(episodes)
    assert min(episodes[stored].revision) >= before["revision"]
