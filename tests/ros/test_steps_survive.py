"""No step is lost and none counts twice, whoever is killed, stopped or cut off; a run goes on where it stood."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from graphs import episodes_in, facts_of, graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("torch")

from std_srvs.srv import Trigger
from witness import Witness, differences, kill_all, learned_by_one, running, tell

from o2o_robot.algorithms import checkpoint as checkpoints
from o2o_robot.jsonfile import read_json, read_lines
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
UTD, WARMUP, ONLINE, MAX_STEPS = 2, 30, 90, 15
READERS = 3  # learner_node, recorder_node and the witness


def finetuning(run_dir: Path, checkpoint: Path, *, resume: bool = False, **changes: dict[str, object]) -> Supervisor:
    named = {
        "learner_node": {"torch_threads": 1, "save_every": 10, "publish_every": 5, "log_every": 5},
        "policy_node": {"step_readers": READERS},
    }
    for node, parameters in changes.items():
        named[node] = {**named.get(node, {}), **parameters}
    settings = {"warmup_steps": WARMUP, "online_steps": ONLINE, "max_steps": MAX_STEPS, "utd": UTD}
    return graph("finetune", run_dir, named, checkpoint=str(checkpoint), resume=resume, **settings)


def assert_all_is_there_once(run_dir: Path, pretrained: Path, witness: Witness, out: Path) -> None:
    """Steps, updates and the learner's state are those of one learner that was never interrupted."""
    learner = facts_of(run_dir, "learner_node")
    received = sum(step.index > 0 for step in witness.steps)
    assert [step.number for step in witness.steps] == list(range(len(witness.steps)))
    assert learner["steps_received"] == received
    assert learner["steps_refused"] == 0
    assert learner["updates"] == UTD * (received - WARMUP)
    assert checkpoints.read_facts(run_dir / "checkpoint").counters["next_number"] == len(witness.steps)
    alone = learned_by_one(pretrained, witness.steps, out / "alone", utd=UTD, warmup_steps=WARMUP)
    assert differences(run_dir / "checkpoint", alone) == []
    assert_the_store_holds_every_whole_episode(run_dir, witness)


def assert_the_store_holds_every_whole_episode(run_dir: Path, witness: Witness) -> None:
    whole = {step.episode: step.index for step in witness.steps if step.is_last}
    stored = {episode.meta["id"]: len(episode) for episode in episodes_in(run_dir / "episodes.zarr")}
    assert stored == whole
    lines = {line["id"]: line for line in read_lines(run_dir / "episodes.jsonl")}
    assert {name: line["n_steps"] for name, line in lines.items() if not line.get("discarded")} == whole
    for episode in episodes_in(run_dir / "episodes.zarr"):
        for fact in ("outcome", "termination", "seed", "mode", "task"):
            assert episode.meta[fact] == lines[episode.meta["id"]][fact]


def test_a_run_killed_whole_goes_on_where_it_stood_with_nothing_lost_and_nothing_twice(domain, checkpoint, tmp_path):
    run_dir = tmp_path / "run"
    with Witness(domain) as witness:
        with finetuning(run_dir, checkpoint) as supervisor:
            witness.until(lambda: witness.n_transitions > WARMUP + 38, 180.0, "steps while learning")
            kill_all(supervisor)
        before = list(read_lines(run_dir / "episodes.jsonl"))
        saved = checkpoints.read_facts(run_dir / "checkpoint").counters
        assert 0 < saved["next_number"] < len(witness.steps)
        with finetuning(run_dir, checkpoint, resume=True) as supervisor:
            witness.to_the_end(supervisor)
    assert_all_is_there_once(run_dir, checkpoint, witness, tmp_path)

    lines = list(read_lines(run_dir / "episodes.jsonl"))
    discarded = [line for line in lines if line.get("discarded")]
    assert lines[: len(before)] == before
    assert len(discarded) <= 1
    assert all(line["outcome"] == "incomplete" for line in discarded)
    assert [line["mode"] for line in lines] == sorted((line["mode"] for line in lines), reverse=True), (
        "no warm-up again"
    )
    assert sum(line["n_steps"] for line in lines if line["mode"] == "online") >= ONLINE
    assert sum(line["n_steps"] for line in lines[:-1] if line["mode"] == "online") < ONLINE
    seeds = [line["seed"] for line in lines if line["mode"] == "online" and not line.get("discarded")]
    assert seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    assert facts_of(run_dir, "policy_node")["first_action_s"] > 0  # how soon: benchmarks/survival.py


def test_a_learner_and_a_recorder_that_die_come_back_and_have_missed_nothing(domain, checkpoint, tmp_path):
    run_dir = tmp_path / "run"
    with Witness(domain) as witness, finetuning(run_dir, checkpoint) as supervisor:
        witness.until(lambda: witness.n_transitions > WARMUP + 10, 180.0, "steps while learning")
        tell(supervisor, "learner_node", signal.SIGKILL)
        tell(supervisor, "recorder_node", signal.SIGKILL)
        witness.until(lambda: "learner_node" in witness.sessions[-1].waits_for, 120.0, "the session to wait for it")
        witness.to_the_end(supervisor)
    assert {one.process.name: one.n_restarts for one in supervisor.running if one.n_restarts} == {
        "learner_node": 1,
        "recorder_node": 1,
    }
    assert_all_is_there_once(run_dir, checkpoint, witness, tmp_path)
    told = {node["name"]: node["restarts"] for node in read_json(run_dir / "processes.json")["nodes"]}
    assert told["learner_node"] == 1


def test_a_learner_that_stands_still_for_a_while_misses_no_step_though_episodes_go_on(domain, checkpoint, tmp_path):
    run_dir = tmp_path / "run"
    policy = {"while_learner_is_away": "go_on"}
    with Witness(domain) as witness, finetuning(run_dir, checkpoint, policy_node=policy) as supervisor:
        witness.until(lambda: witness.n_transitions > WARMUP + 10, 180.0, "steps while learning")
        tell(supervisor, "learner_node", signal.SIGSTOP)
        stopped_at = len({step.episode for step in witness.steps})
        witness.until(lambda: len({s.episode for s in witness.steps}) >= stopped_at + 2, 120.0, "further episodes")
        tell(supervisor, "learner_node", signal.SIGCONT)
        witness.to_the_end(supervisor)
    assert running(supervisor, "learner_node").n_restarts == 0
    assert_all_is_there_once(run_dir, checkpoint, witness, tmp_path)


def test_a_session_pauses_goes_on_and_ends_when_told_and_is_taken_up_another_day(domain, checkpoint, tmp_path):
    run_dir = tmp_path / "run"
    with Witness(domain) as witness:
        with finetuning(run_dir, checkpoint) as supervisor:
            witness.until(lambda: witness.steps, 180.0, "a step")
            assert witness.call(Trigger, "policy_node/pause").success
            witness.until(lambda: witness.sessions[-1].state == "paused", 60.0, "the pause")
            assert witness.steps[-1].is_last, "a pause lies between two episodes"
            n_steps = len(witness.steps)
            assert witness.call(Trigger, "policy_node/resume").success
            witness.until(lambda: len(witness.steps) > n_steps, 60.0, "a step after the pause")
            assert witness.call(Trigger, "policy_node/end").success
            witness.to_the_end(supervisor)
        assert running(supervisor, "policy_node").exit_code == 0
        ended = witness.sessions[-1]
        assert (ended.state, ended.block, ended.next[:6]) == ("done", "warmup steps=30 first_seed=0", "online")
        robot_s = sum(line["robot_s"] for line in read_lines(run_dir / "episodes.jsonl"))
        assert ended.robot_s == pytest.approx(robot_s, abs=0.01)
        with finetuning(run_dir, checkpoint, resume=True) as supervisor:
            witness.to_the_end(supervisor)
        assert witness.sessions[-1].robot_s > robot_s
    assert_all_is_there_once(run_dir, checkpoint, witness, tmp_path)
    assert not [line for line in read_lines(run_dir / "episodes.jsonl") if line.get("discarded")]
