"""Real processes: a judge in the twin's place, a person beside the policy, and a learner that hears of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import episodes_in, facts_of, graph, run_to_end, transitions_digest

from o2o_robot.jsonfile import read_lines
from o2o_robot.types import Source

FULL_PATIENCE = {"graph_patience_s": 120.0, "patience_s": 60.0}
QUIET = {"torch_threads": 1}
EVERYWHERE = (
    "/**/reward_node:\n  ros__parameters:\n    pose_low_m: [-2.0, -2.0, -2.0]\n    pose_high_m: [2.0, 2.0, 2.0]\n"
)


@pytest.fixture
def anywhere(tmp_path: Path) -> str:
    """Parameters of a judge to whom the task is done wherever the tool is."""
    path = tmp_path / "anywhere.yaml"
    path.write_text(EVERYWHERE)
    return str(path)


def helped(run_dir: Path, checkpoint: Path, **settings: object) -> Path:
    """A short fine-tuning with the played person beside the policy."""
    # weights are taken over between two steps, whenever they come: a run that is to be the same again has none
    told = {"policy_node": {**FULL_PATIENCE, **QUIET}, "learner_node": {**QUIET, "publish_every": 1_000_000}}
    up = {"warmup_steps": 40, "online_steps": 60, "max_steps": 40, "intervention_share": 0.5, **settings}
    return run_to_end(graph("finetune", run_dir, told, checkpoint=str(checkpoint), teleop="simulated", **up))


def test_a_helped_run_is_the_same_again_and_the_hand_is_in_the_stored_steps(tmp_path, domain, checkpoint):
    first, again = (helped(tmp_path / name, checkpoint) for name in ("first", "again"))
    assert transitions_digest(first / "episodes.zarr") == transitions_digest(again / "episodes.zarr")
    episodes = list(read_lines(first / "episodes.jsonl"))
    stored = {e.meta["id"]: np.asarray(e.source) for e in episodes_in(first / "episodes.zarr")}
    by_hand = {each["id"]: each["steps_human"] for each in episodes}
    assert by_hand == {id_: int((source == Source.TELEOP).sum()) for id_, source in stored.items()}
    assert all(n == 0 for id_, n in by_hand.items() if id_.startswith("warmup")), "the warm-up is the policy's alone"
    online = [each for each in episodes if each["mode"] == "online"]
    assert sum(each["interventions"] for each in online) >= 1, "a policy that knows nothing needs help"
    assert facts_of(first, "policy_node")["people"]["steps_human"] == sum(by_hand.values())
    assert {each["labelled_by"] for each in episodes} == {"simulated"}


def test_another_judge_ends_the_episodes_and_the_person_who_sees_the_truth_corrects_it(
    tmp_path, domain, checkpoint, anywhere
):
    run = helped(tmp_path / "run", checkpoint, reward="pose", params_file=anywhere, warmup_steps=2, online_steps=3)
    words = list(read_lines(run / "words.jsonl"))
    episodes = {each["id"]: each for each in read_lines(run / "episodes.jsonl")}
    assert len(words) == len(episodes) >= 5
    assert {(w["judged"], w["truth"], w["said"]) for w in words} == {("success", "failure", "failure")}
    assert {e["n_steps"] for e in episodes.values()} == {1}, "the judge to whom all is done ended each at once"
    assert {e["outcome"] for e in episodes.values()} == {"failure"}, "the person's word is what counts"
    assert facts_of(run, "learner_node")["episodes_relabelled"] == len(episodes)


def test_a_scripted_expert_demonstrates_by_the_truth_while_another_judges(tmp_path, domain, anywhere):
    told = {"teleop_node": FULL_PATIENCE}
    run = run_to_end(
        graph("collect", tmp_path / "run", told, reward="pose", params_file=anywhere, episodes=2, max_steps=10)
    )
    episodes = list(read_lines(run / "episodes.jsonl"))
    assert [(e["outcome"], e["n_steps"]) for e in episodes] == [("success", 1)] * 2
    assert facts_of(run, "reward_node")["judgements"] >= 2
