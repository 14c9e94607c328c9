"""`o2o demo`: from nothing to a fine-tuned policy on the twin, every motion through real ROS 2 processes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from o2o_robot.apps import ingest, pretrain
from o2o_robot.apps.up import bring_up
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, GraphError
from o2o_robot.graph import Collect, Evaluate, Finetune, Up
from o2o_robot.jsonfile import read_json, read_lines, write_json

GRAPHS = ("collect", "evaluate_pretrained", "finetune", "evaluate_finetuned")
OURS = (*GRAPHS, "demos.zarr", "demos.png", "pretrain", "figures", "settings.json", "summary.json", "report.html")
SEEDS_A_RUN = 1_000_000
EVALUATION_SEEDS, ONLINE_SEEDS, DEMO_SEEDS = 900_000, 200_000, 0


@dataclass(frozen=True)
class Demo:
    """What the demo runs. The demonstrations are few and poor on purpose: nearly half of them miss the hole.

    seed: of everything; scenes of demonstrations, training and evaluation never coincide. clearance_m: five times the
    twin's usual 2 mm, so that minutes of learning show (decision 0011).
    """

    seed: int = 0
    task: str = "peg"
    clearance_m: float = 0.010
    demo_episodes: int = 60
    expert_noise: float = 0.3
    expert_bias_m: float = 0.016
    expert_distracted: float = 0.1
    offline_steps: int = 500
    eval_episodes: int = 20
    warmup_steps: int = 500
    online_steps: int = 2800
    utd: int = 1

    @property
    def first_seed(self) -> int:
        return self.seed * SEEDS_A_RUN


def main(demo: Annotated[Demo, tyro.conf.arg(name="")], *, run_dir: Path = Path("runs/demo")) -> int:
    """Collect, ingest, pretrain by Cal-QL, evaluate, fine-tune by WSRL, evaluate again, report.

    Args:
        demo: what is run.
        run_dir: where everything goes; an earlier demo there is replaced.
    """
    run = Run(run_dir, Console(stderr=True))
    run.prepare(demo)
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))  # two demos must not hear each other
    run.console.print(f"ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']} in another shell lets you look on", highlight=False)
    with run.stage("collect"):
        run.graph("collect", collect(demo, run_dir))
    with run.stage("ingest"):
        refuse(ingest.main([run_dir / "collect" / "bags"], out=run_dir / "demos.zarr"), "ingest left bags out")
    with run.stage("pretrain"):
        pretrain.main(run_dir / "demos.zarr", out=run_dir / "pretrain", steps=demo.offline_steps, seed=demo.seed)
    with run.stage("evaluate_pretrained"):
        run.graph("evaluate", evaluate(demo, run_dir / "evaluate_pretrained", run_dir / "pretrain" / "checkpoint"))
    with run.stage("finetune"):
        run.graph("finetune", finetune(demo, run_dir))
    with run.stage("evaluate_finetuned"):
        run.graph("evaluate", evaluate(demo, run_dir / "evaluate_finetuned", run_dir / "finetune" / "checkpoint"))
    summary = summarise(demo, run)
    write_json(run_dir / "summary.json", summary)
    with run.stage("report"):
        from o2o_robot.report.page import write_report

        page = write_report(run_dir)
    summary["stages"], summary["wall_s"] = run.stages, round(time.monotonic() - run.started, 1)
    write_json(run_dir / "summary.json", summary)
    print(
        f"success {summary['success_pretrained']:.2f} -> {summary['success_finetuned']:.2f} "
        f"after {summary['env_steps_warmup']} + {summary['env_steps_online']} steps, {summary['wall_s']:.0f} s; {page}"
    )
    return 0


@dataclass
class Run:
    """The demo's folder, its stages and how long each took."""

    folder: Path
    console: Console
    started: float = field(default_factory=time.monotonic)
    stages: list[dict[str, Any]] = field(default_factory=list)

    def prepare(self, demo: Demo) -> None:
        """An empty folder with the settings in it. Raises ConfigError where it holds what no demo wrote."""
        if self.folder.exists() and any(self.folder.iterdir()) and not (self.folder / "settings.json").exists():
            raise ConfigError(f"{self.folder} is not empty and no demo's folder; choose another with --run-dir")
        for name in OURS:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        write_json(self.folder / "settings.json", asdict(demo))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        self.console.rule(f"[bold]{name.replace('_', ' ')}", align="left")
        yield
        self.stages.append({"name": name, "wall_s": round(time.monotonic() - started, 1)})

    def graph(self, story: str, up: Up) -> None:
        """Run a graph to its end; raises GraphError where it was interrupted or a node did not end well."""
        supervisor = bring_up(story, up)
        bad = [f"{node['name']} ({node['exit_code']})" for node in supervisor.facts() if node["exit_code"] != 0]
        if supervisor.interrupted:
            raise KeyboardInterrupt
        if bad:
            raise GraphError(f"{story}: {', '.join(bad)} did not end with code 0; see {up.run_dir}/logs")


def collect(demo: Demo, folder: Path) -> Collect:
    return Collect(
        **_common(demo, folder / "collect", DEMO_SEEDS),
        episodes=demo.demo_episodes,
        noise=demo.expert_noise,
        bias_m=demo.expert_bias_m,
        distracted=demo.expert_distracted,
    )


def evaluate(demo: Demo, folder: Path, checkpoint: Path) -> Evaluate:
    return Evaluate(**_common(demo, folder, EVALUATION_SEEDS), checkpoint=str(checkpoint), episodes=demo.eval_episodes)


def finetune(demo: Demo, folder: Path) -> Finetune:
    return Finetune(
        **_common(demo, folder / "finetune", ONLINE_SEEDS),
        checkpoint=str(folder / "pretrain" / "checkpoint"),
        warmup_steps=demo.warmup_steps,
        online_steps=demo.online_steps,
        utd=demo.utd,
    )


def summarise(demo: Demo, run: Run) -> dict[str, Any]:
    """The facts of a whole demo, from what its processes wrote."""
    folder = run.folder
    episodes = {name: list(read_lines(folder / name / "episodes.jsonl")) for name in GRAPHS}
    session = {name: read_json(folder / name / f"{_session_of(name)}.json") for name in GRAPHS}
    recorder = {name: read_json(folder / name / "recorder_node.json") for name in GRAPHS}
    with EpisodeStore.open(folder / "demos.zarr") as store:
        steps_ingested = store.n_steps
    return {
        "seed": demo.seed,
        "task": demo.task,
        "success_pretrained": _success(episodes["evaluate_pretrained"]),
        "success_finetuned": _success(episodes["evaluate_finetuned"]),
        "eval_episodes": demo.eval_episodes,
        "demo_episodes": len(episodes["collect"]),
        "demo_success_rate": _success(episodes["collect"]),
        "offline_steps": demo.offline_steps,
        "env_steps_warmup": _steps(episodes["finetune"], "warmup"),
        "env_steps_online": _steps(episodes["finetune"], "online"),
        "learner_updates": read_json(folder / "finetune" / "learner_node.json")["updates"],
        "updates_to_data": demo.utd,
        "robot_s": round(sum(facts["robot_s"] for facts in session.values()), 1),
        "wall_s": round(time.monotonic() - run.started, 1),
        "guard_interventions": sum(read_json(folder / name / "arm_node.json")["interventions"] for name in GRAPHS),
        "steps_published": sum(facts["steps_published"] for facts in session.values()),
        "steps_stored": steps_ingested + sum(recorder[name]["steps_stored"] for name in GRAPHS if name != "collect"),
        "nodes": [node | {"phase": name} for name in GRAPHS for node in _nodes(folder / name)],
        "stages": run.stages,
        "versions": versions(),
        "git_revision": git_revision(),
    }


def refuse(exit_code: int, what: str) -> None:
    """Stop the demo where one of its stories was not whole."""
    if exit_code != 0:
        raise GraphError(f"{what} (exit code {exit_code}); see the lines above")


def _common(demo: Demo, folder: Path, seeds: int) -> dict[str, Any]:
    return {
        "task": demo.task,
        "clearance_m": demo.clearance_m,
        "seed": demo.seed,
        "run_dir": str(folder),
        "first_seed": demo.first_seed + seeds,
    }


def _session_of(graph: str) -> str:
    return "teleop_node" if graph == "collect" else "policy_node"


def _nodes(folder: Path) -> list[dict[str, Any]]:
    return list(read_json(folder / "processes.json")["nodes"])


def _success(episodes: list[dict[str, Any]]) -> float:
    return sum(episode["outcome"] == "success" for episode in episodes) / max(1, len(episodes))


def _steps(episodes: list[dict[str, Any]], mode: str) -> int:
    return sum(episode["n_steps"] for episode in episodes if episode["mode"] == mode)
