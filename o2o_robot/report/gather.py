"""Reads a run's folder into frozen facts. What is not there, or cannot be read, is named in `missing`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError, DataError
from o2o_robot.jsonfile import read_json, read_lines
from o2o_robot.types import Outcome
from o2o_robot.yamlfile import read_yaml

STAGES = ("collect", "evaluate_pretrained", "finetune", "evaluate_finetuned")
# which stage the folder of one graph is (`o2o up`, `o2o finetune`, `ros2 launch`): there the nodes write into the top
STAGE_OF_STORY = {"collect": "collect", "finetune": "finetune", "evaluate": "evaluate_finetuned"}
STORES = ("episodes.zarr", "demos.zarr")
PERIOD_S = 0.1  # of a step, where a run did not say how long its episodes took: 10 Hz is the default
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class EpisodeLine:
    """A line of episodes.jsonl: how one episode went. steps_before: environment steps of this stage before it."""

    id: str
    mode: str
    seed: int
    outcome: str
    n_steps: int
    steps_before: int
    steps_changed: int = 0
    is_discarded: bool = False  # open when the run was killed; its steps were learned from, it is not in the store
    termination: str = ""
    robot_s: float = math.nan  # by the sensors' stamps; NaN where an older run did not say
    steps_human: int = 0
    interventions: int = 0  # takings-over by a person

    @property
    def is_success(self) -> bool:
        return self.outcome == Outcome.SUCCESS.value


@dataclass(frozen=True)
class Stage:
    """One graph's folder: its episodes, what each node summed up, how each ended, and what each was told."""

    name: str
    folder: Path
    episodes: tuple[EpisodeLine, ...] = ()
    summaries: Mapping[str, Facts] = field(default_factory=dict)
    nodes: tuple[Facts, ...] = ()
    parameters: Mapping[str, Facts] = field(default_factory=dict)

    @property
    def has_run(self) -> bool:
        """Whether it left anything at all."""
        return bool(self.episodes or self.summaries or self.nodes or self.parameters)

    @property
    def n_steps(self) -> int:
        return sum(episode.n_steps for episode in self.episodes)

    def fact(self, node: str, name: str, default: Any = None) -> Any:
        """What a node's summary says of `name`."""
        return self.summaries.get(node, {}).get(name, default)

    @property
    def end_min(self) -> tuple[float, ...]:
        """Robot minutes at the end of each episode: time in episodes, without resets and pauses."""
        total, ends = 0.0, []
        for episode in self.episodes:
            known = math.isfinite(episode.robot_s)
            total += episode.robot_s if known else episode.n_steps * PERIOD_S
            ends.append(total / 60.0)
        return tuple(ends)


@dataclass(frozen=True)
class RunFacts:
    """All that the report tells of a run, less images and weights, which stay in their stores and checkpoints."""

    folder: Path
    settings: Facts
    summary: Facts
    stages: Mapping[str, Stage]
    offline_metrics: tuple[Facts, ...] = ()
    online_metrics: tuple[Facts, ...] = ()
    pretrain_summary: Facts = field(default_factory=dict)
    checkpoints: Mapping[str, Facts] = field(default_factory=dict)
    evaluations: tuple[Facts, ...] = ()
    alarms: tuple[Facts, ...] = ()
    switch: Facts = field(default_factory=dict)
    truth: Facts = field(default_factory=dict)
    policy_events: tuple[Facts, ...] = ()
    only_stage: str = ""  # the folder is of this stage alone
    missing: tuple[str, ...] = ()

    def store(self, stage: str) -> Path:
        """Where the episodes of a stage are kept."""
        folder = self.stages[stage].folder
        if stage == "collect" and not self.only_stage:
            return self.folder / "demos.zarr"
        return next((folder / name for name in STORES if (folder / name).is_dir()), folder / STORES[0])

    def checkpoint(self, stage: str) -> Path:
        """Where the weights that `stage` ("pretrain" or "finetune") learned are kept."""
        if self.only_stage == stage:
            return self.folder / "checkpoint"
        if self.only_stage:
            return Path(str(_told(self.settings).get("checkpoint", "")) or self.folder / stage / "checkpoint")
        return self.folder / stage / "checkpoint"


def gather(folder: Path) -> RunFacts:
    """The facts of a run, of the demo or of one graph. Raises DataError only where there is no such folder."""
    if not folder.is_dir():
        raise DataError(f"there is no run folder {folder}; `o2o demo` makes one")
    only = _only_stage(folder)
    return _of_one_graph(folder, only) if only else _of_all(folder)


def _of_all(folder: Path) -> RunFacts:
    missing: list[str] = []
    return RunFacts(
        folder=folder,
        settings=_document(folder, "settings.json", missing),
        summary=_document(folder, "summary.json", missing),
        stages={name: _stage(folder, name, missing) for name in STAGES},
        offline_metrics=_lines(folder, "pretrain/metrics.jsonl", missing),
        pretrain_summary=_document(folder, "pretrain/summary.json", missing),
        checkpoints={
            name: _document(folder, f"{name}/checkpoint/config.json", missing) for name in ("pretrain", "finetune")
        },
        **_learned(folder, "finetune/", ("pretrain", "finetune"), missing),
        missing=tuple(missing),
    )


def _of_one_graph(folder: Path, only: str) -> RunFacts:
    """Of `o2o up`, `o2o finetune` or `o2o collect`: one stage, in the folder itself."""
    missing: list[str] = []
    settings = _document(folder, "run.json", missing, is_needed=False)
    told = _told(settings)
    is_learning = only == "finetune"
    return RunFacts(
        folder=folder,
        settings=settings,
        summary={**{name: told[name] for name in ("task", "seed") if name in told}, **_versions(settings)},
        stages={name: Stage(name, folder / name) for name in STAGES} | {only: _stage(folder, only, missing, at="")},
        checkpoints={"finetune": _document(folder, "checkpoint/config.json", missing)} if is_learning else {},
        **(_learned(folder, "", ("",), missing) if is_learning else {}),
        only_stage=only,
        missing=tuple(missing),
    )


def _learned(folder: Path, at: str, alarmed: tuple[str, ...], missing: list[str]) -> dict[str, Any]:
    """What the online learner and the policy logged below `at`; alarmed: the folders whose alarms count."""
    return {
        "online_metrics": _lines(folder, f"{at}learner.jsonl", missing),
        "evaluations": _lines(folder, f"{at}evaluations.jsonl", missing, is_needed=False),
        "alarms": tuple(
            {**line, "stage": stage or "finetune"}
            for stage in alarmed
            for line in _lines(folder, f"{stage}/alarms.jsonl".lstrip("/"), missing, is_needed=False)
        ),
        "switch": _document(folder, f"{at}switch.json", missing, is_needed=False),
        "truth": _document(folder, f"{at}truth.json", missing, is_needed=False),
        "policy_events": _lines(folder, f"{at}policy.jsonl", missing, is_needed=False),
    }


def _only_stage(folder: Path) -> str:
    """The stage that a folder of one graph is; "" for the demo's, which has a folder a stage."""
    if any((folder / name).is_dir() for name in (*STAGES, "pretrain")):
        return ""
    story = read_json(folder / "run.json").get("story") if _is_json(folder / "run.json") else None
    if story in STAGE_OF_STORY:
        return STAGE_OF_STORY[str(story)]
    if any((folder / name).exists() for name in ("learner.jsonl", "learner_node.json")):
        return "finetune"
    if not (folder / "episodes.jsonl").is_file():
        return ""
    modes = {line.get("mode") for line in _lines(folder, "episodes.jsonl", [])}
    if modes & {"warmup", "online"}:
        return "finetune"
    return "collect" if "demo" in modes else "evaluate_finetuned"


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except DataError:
        return False
    return True


def _told(settings: Facts) -> Facts:
    """The settings within a run.json."""
    inner = settings.get("settings")
    return inner if isinstance(inner, dict) else {}


def _versions(settings: Facts) -> Facts:
    return {name: settings[name] for name in ("versions", "git_revision") if name in settings}


def _stage(folder: Path, name: str, missing: list[str], *, at: str | None = None) -> Stage:
    """The stage `name`, in the folder below that is called so, or `at`."""
    below = name if at is None else at
    inside, prefix = folder / below, f"{below}/" if below else ""
    if not inside.is_dir():
        missing.append(f"{name}/")
        return Stage(name, inside)
    summaries = {
        path.stem: _document(folder, f"{prefix}{path.name}", missing) for path in _files(inside, "*_node.json")
    }
    nodes = _document(folder, f"{prefix}processes.json", missing).get("nodes", [])
    return Stage(
        name,
        inside,
        episodes=_episodes(_lines(folder, f"{prefix}episodes.jsonl", missing)),
        summaries=summaries,
        nodes=tuple(node for node in nodes if isinstance(node, dict)) if isinstance(nodes, list) else (),
        parameters={path.stem: _parameters(path, missing) for path in _files(inside / "params", "*.yaml")},
    )


def _episodes(lines: tuple[Facts, ...]) -> tuple[EpisodeLine, ...]:
    """Lines as episodes, counting the steps before each where the line does not say; one of no length is left out."""
    episodes, before = [], 0
    for line in lines:
        n_steps = _int(line, "n_steps", 0)
        if n_steps < 1:
            continue
        before = _int(line, "steps_before", before)
        episodes.append(
            EpisodeLine(
                id=str(line.get("id", "")),
                mode=str(line.get("mode", "")),
                seed=_int(line, "seed", -1),
                outcome=str(line.get("outcome", "")),
                n_steps=n_steps,
                steps_before=before,
                steps_changed=_int(line, "steps_changed", 0),
                is_discarded=line.get("discarded") is True,
                termination=str(line.get("termination", "")),
                robot_s=_seconds(line.get("robot_s")),
                steps_human=_int(line, "steps_human", 0),
                interventions=_int(line, "interventions", 0),
            )
        )
        before += n_steps
    return tuple(episodes)


def _int(line: Facts, name: str, otherwise: int) -> int:
    value = line.get(name)
    return value if isinstance(value, int) else otherwise


def _seconds(value: Any) -> float:
    is_time = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
    return float(value) if is_time else math.nan


def _document(folder: Path, name: str, missing: list[str], *, is_needed: bool = True) -> Facts:
    if not (folder / name).is_file():
        missing += [name] if is_needed else []
        return {}
    try:
        return read_json(folder / name)
    except DataError as problem:
        missing.append(str(problem))
        return {}


def _lines(folder: Path, name: str, missing: list[str], *, is_needed: bool = True) -> tuple[Facts, ...]:
    try:
        found = tuple(line for line in read_lines(folder / name) if isinstance(line, dict))
    except (OSError, ValueError) as problem:  # not a file, not text
        missing.append(f"{name} ({problem})")
        return ()
    if not found and is_needed:
        missing.append(name)
    return found


def _parameters(path: Path, missing: list[str]) -> Facts:
    """The innermost mapping of a ROS parameter file."""
    try:
        found = read_yaml(path)
    except (OSError, ConfigError) as problem:
        missing.append(f"{path.name} ({problem})")
        return {}
    while isinstance(found, dict) and len(found) == 1 and isinstance(inner := next(iter(found.values())), dict):
        found = inner
    return found if isinstance(found, dict) else {}


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))
