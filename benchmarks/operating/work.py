"""What an arm of the comparison runs, one stage after the other; a stage that is done is passed over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from o2o_robot import overlay, run_folder
from o2o_robot.algorithms import checkpoint
from o2o_robot.apps import ingest, pretrain
from o2o_robot.apps.rollouts import TwinTask, successes, twin_env
from o2o_robot.data.labels import Correction, outcome_of
from o2o_robot.data.store import EpisodeStore
from o2o_robot.domain import free_domain
from o2o_robot.errors import DataError, GraphError, O2OError
from o2o_robot.graph import STORIES, Collect, Finetune, Process, Up
from o2o_robot.jsonfile import read_json, read_lines, write_json
from o2o_robot.policy import Policy
from o2o_robot.reward.examples import gather
from o2o_robot.reward.fit import FitConfig
from o2o_robot.reward.learn import LearnConfig, learn
from o2o_robot.reward.network import default_shape
from o2o_robot.reward.saved import save_classifier
from o2o_robot.supervise import Supervisor
from o2o_sim.teleop.simulated import Simulated, SimulatedConfig
from operating.arms import DEMO_SEEDS, DEMONSTRATOR, EVALUATION_SEEDS, ONLINE_SEEDS, SEEDS_A_RUN, Arm, Sizes

QUIET = {"torch_threads": 1}  # more of them on a shared machine wait for each other
PATIENT = {"graph_patience_s": 300.0, "patience_s": 60.0, "ask_patience_s": 120.0}  # seconds; it may be a busy machine


@dataclass(frozen=True)
class Bench:
    """Where an arm's files are and what it is told. demos: shared by the arms of one seed."""

    folder: Path
    arm: Arm
    sizes: Sizes
    seed: int

    @property
    def demos(self) -> Path:
        return self.folder.parent / "demos"

    @property
    def first_seed(self) -> int:
        return self.seed * SEEDS_A_RUN

    def once(self, name: str, act: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What the stage found, from its file where it has been done before."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            print(f"{self.folder.name}: {name}", flush=True)
            write_json(path, dict(act()))
        return dict(read_json(path))


def collect(bench: Bench) -> dict[str, Any]:
    """Demonstrations by the played person through the real nodes, once for all arms."""
    folder, sizes = bench.demos, bench.sizes
    shutil.rmtree(folder, ignore_errors=True)
    up = Collect(
        run_dir=str(folder / "collect"),
        seed=bench.seed,
        clearance_m=sizes.clearance_m,
        first_seed=bench.first_seed + DEMO_SEEDS,
        episodes=sizes.demo_episodes,
        teleop="simulated",
    )
    run_graph("collect", up, {"teleop_node": {**DEMONSTRATOR, **PATIENT}})
    if ingest.main([folder / "collect" / "bags"], out=folder / "demos.zarr") != 0:
        raise DataError(f"ingest left bags of {folder} out; see the lines above")
    episodes = list(read_lines(folder / "collect" / "episodes.jsonl"))
    return {"episodes": len(episodes), "success": _success(episodes), "steps": sum(e["n_steps"] for e in episodes)}


def label(bench: Bench) -> dict[str, Any]:
    """The person's word on every demonstration, laid over the arm's own copy of the store."""
    path = bench.folder / "demos.zarr"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(bench.demos / "demos.zarr", path)
    person = Simulated(SimulatedConfig(wrong_labels=bench.arm.wrong_labels), lambda: 0.0)
    n_wrong = 0
    with EpisodeStore.open(path, "a") as store:
        for index in range(len(store)):
            was = outcome_of(store.meta(index))
            word = person.word(was == "success", bench.first_seed + DEMO_SEEDS + index)
            if word != was:
                n_wrong += 1
                at = datetime.now(UTC).isoformat(timespec="seconds")
                store.correct(index, Correction(word, by="hand", who="simulated", at=at))
        return {"episodes": len(store), "wrong": n_wrong}


def classify(bench: Bench) -> dict[str, Any]:
    """A success classifier from the labelled demonstrations, of the highest precision that their labels allow."""
    folder = bench.folder / "reward"
    shutil.rmtree(folder, ignore_errors=True)
    with EpisodeStore.open(bench.folder / "demos.zarr") as store:
        examples = gather(store)
    shape = default_shape(tuple(examples.images), next(iter(examples.images.values())).shape[1])
    fit = FitConfig(steps=bench.sizes.classifier_steps)
    for precision in bench.sizes.precision:
        try:
            learned = learn(examples, shape, LearnConfig(precision=precision, seed=bench.seed, fit=fit))
        except DataError as problem:
            print(f"{bench.folder.name}: precision {precision}: {problem}", flush=True)
            continue
        save_classifier(folder, learned.classifier, provenance={"store": str(bench.folder / "demos.zarr")})
        asked = {"precision_asked": precision, "threshold": learned.classifier.facts.threshold}
        return {**asked, "frames": len(examples), "held_out": learned.quality.facts()}
    raise DataError(f"no precision of {bench.sizes.precision} can be had from these labels; collect more episodes")


def learn_offline(bench: Bench) -> dict[str, Any]:
    """Cal-QL on the labelled demonstrations."""
    out = bench.folder / "pretrain"
    shutil.rmtree(out, ignore_errors=True)
    store, steps = bench.folder / "demos.zarr", bench.sizes.offline_steps
    pretrain.main(store, out=out, steps=steps, seed=bench.seed, threads=1, ahead=0)
    return {"updates": steps}


def learn_online(bench: Bench) -> dict[str, Any]:
    """Warm-up, then learning with the person beside the policy and the classifier as judge; copies as it goes."""
    sizes, folder = bench.sizes, bench.folder / "finetune"
    shutil.rmtree(folder, ignore_errors=True)
    up = Finetune(
        run_dir=str(folder),
        seed=bench.seed,
        clearance_m=sizes.clearance_m,
        first_seed=bench.first_seed + ONLINE_SEEDS,
        checkpoint=str((bench.folder / "pretrain" / "checkpoint").resolve()),
        offline=str((bench.folder / "demos.zarr").resolve()),
        warmup_steps=sizes.warmup_steps,
        online_steps=sizes.online_steps,
        intervention_share=sizes.intervention_share,
        reward=str((bench.folder / "reward").resolve()),
        teleop="simulated",
    )
    person = {"simulated.wrong_labels": bench.arm.wrong_labels, **bench.arm.person}
    told = {"teleop_node": person, "learner_node": {**QUIET, "save_every": sizes.save_every}}
    told["policy_node"] = {**QUIET, **PATIENT}
    copies = Copies(folder / "checkpoint", bench.folder / "copies")
    run_graph("finetune", up, told, tell=copies.look)
    copies.look()
    episodes = list(read_lines(folder / "episodes.jsonl"))
    learner, words = read_json(folder / "learner_node.json"), list(read_lines(folder / "words.jsonl"))
    return {
        "updates": learner["updates"],
        "wall_s": round(sum(episode.get("wall_s", 0.0) for episode in episodes), 1),
        "episodes": len(episodes),
        "labels": len(words),
        "labels_wrong": sum(w["said"] != w["truth"] for w in words),
        "judged_wrong": sum(w["judged"] != w["truth"] for w in words),
        "relabelled": learner["episodes_relabelled"],
    }


class Copies:
    """Every checkpoint of a running learner, by the number of its updates: it keeps the newest alone."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._source, self._folder, self._seen = source, folder, 0.0
        shutil.rmtree(folder, ignore_errors=True)

    def look(self) -> None:
        manifest = self._source / "manifest.json"
        try:
            written_s = manifest.stat().st_mtime
            if written_s == self._seen:
                return
            updates = checkpoint.read_facts(self._source).counters["updates"]
            shutil.copytree(self._source, self._folder / f"{updates:06d}", dirs_exist_ok=True)
            checkpoint.read_weights(self._folder / f"{updates:06d}")
        except (OSError, shutil.Error, O2OError):
            return  # it is being written: the next look finds it whole
        self._seen = written_s


def evaluate(bench: Bench) -> dict[str, Any]:
    """Success of each copy's mean action alone, on starts that nobody learned from, judged by the twin's own state."""
    torch.set_num_threads(1)
    sizes = bench.sizes
    folders = {0: bench.folder / "pretrain" / "checkpoint"}
    folders |= {int(path.name): path for path in sorted((bench.folder / "copies").iterdir())}
    task = TwinTask(clearance_m=sizes.clearance_m, first_seed=bench.first_seed + EVALUATION_SEEDS)
    found = {}
    for updates, folder in folders.items():
        policy = Policy.load(folder)
        with twin_env(task, policy.spec) as env:
            won = successes(policy, env, task.seeds(sizes.eval_episodes))
        found[str(updates)] = sum(won)
        print(f"{bench.folder.name}: {updates} updates: {sum(won)} of {len(won)}", flush=True)
    return {"episodes": sizes.eval_episodes, "successes": found}


STAGES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "label": label,
    "classify": classify,
    "learn_offline": learn_offline,
    "learn_online": learn_online,
    "evaluate": evaluate,
}


def run_graph(
    story: str, up: Up, changes: Mapping[str, Mapping[str, Any]], tell: Callable[[], None] = lambda: None
) -> None:
    """A graph to its end, its nodes told `changes` beyond what it tells them. GraphError where one ended badly."""
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = str(free_domain()), "LOCALHOST"
    os.environ["OMP_NUM_THREADS"] = "1"
    processes = [_changed(process, changes.get(process.name, {})) for process in STORIES[story][1](up, overlay.share())]
    run_dir = Path(up.run_dir)
    with run_folder.in_use(run_dir) as lock:
        run_folder.save(run_dir, story, up, {"at": datetime.now(UTC).isoformat(timespec="seconds")})
        with Supervisor(processes, run_dir, held=(lock,)) as supervisor:
            supervisor.wait(tell=tell)
    bad = [node["name"] for node in supervisor.facts() if node["exit_code"] != 0]
    if bad:
        raise GraphError(f"{story}: {', '.join(bad)} did not end with code 0; see {run_dir}/logs")


def _changed(process: Process, parameters: Mapping[str, Any]) -> Process:
    return replace(process, parameters={**process.parameters, **parameters})


def _success(episodes: list[dict[str, Any]]) -> float:
    return sum(e["outcome"] == "success" for e in episodes) / max(1, len(episodes))
