"""`o2o finetune`: a run of fine-tuning, begun or taken up again where it stood, however it ended."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import tyro
from rich.console import Console

from o2o_robot import run_folder
from o2o_robot.apps import doctor as doctor_app
from o2o_robot.apps import up
from o2o_robot.errors import ConfigError
from o2o_robot.flow.gates import times
from o2o_robot.flow.prompt import Prompt
from o2o_robot.flow.stages import read_stages
from o2o_robot.flow.walk import Walk
from o2o_robot.graph import Finetune
from o2o_robot.jsonfile import read_json
from o2o_robot.progress import SessionProgress

PATIENCE_S = 20.0  # for the nodes of a killed run to be gone: each heeds SIGTERM, the learner saves
OWN = [field for field in dataclasses.fields(Finetune) if field.name not in ("resume", "begin_paused")]
DEFAULTS = {"eval_episodes": 10}  # a graph alone evaluates nothing; this walk ends with what came of it

Begin: Any = dataclasses.make_dataclass(
    "Begin",
    [
        (
            field.name,
            Annotated[type(field.default), tyro.conf.arg(help=field.metadata["help"])],
            dataclasses.field(default=DEFAULTS.get(field.name, field.default)),
        )
        for field in OWN
    ],
    frozen=True,
)


AS_EVER = Begin()


def main(
    begin: Annotated[Begin, tyro.conf.arg(name="")] = AS_EVER, *, resume: Path | None = None, doctor: bool = True
) -> int:
    """Doctor, warm-up, learning online and evaluation on the arm; --resume RUN goes on with a run that stopped or died.

    Args:
        begin: settings of a new run.
        resume: the folder of a run; its settings are taken from there, so it stands alone.
        doctor: measure the running graph before the first episode, where it runs in real time; red lines end the run.
    """
    settings = begun(begin) if resume is None else taken_up(resume, begin)
    settings = dataclasses.replace(settings, begin_paused=doctor and settings.realtime_factor == 1.0)
    steps = Steps(settings)
    status = up.run("finetune", settings, patience_s=PATIENCE_S if resume else 0.0, beside=steps)
    steps.end()
    if resume is not None:
        print(f"first action after {first_action_s(resume):.1f} s")
    return status or steps.status


class Steps:
    """The walk at the prompt: the doctor before the first episode, a table at each gate, the times at the end."""

    def __init__(self, settings: Finetune) -> None:
        self.status = 0
        self._settings, self._run_dir = settings, Path(settings.run_dir)
        self._started_s = time.monotonic()
        self._is_examined = not settings.begin_paused
        if settings.resume and (stands := Walk(self._run_dir).stands(f"{self._run_dir} as it was left")):
            Console(stderr=True).print(stands)
        self._walk = Walk(self._run_dir)

    def __call__(self, progress: SessionProgress, prompt: Prompt | None) -> None:
        for told in self._walk.look():
            progress.console.print(told, highlight=False)
        if prompt is not None and not self._is_examined and prompt.told["session"]["state"] == "paused":
            self._is_examined = True
            with progress.aside():
                self._examine(prompt)

    def end(self) -> None:
        console = Console(stderr=True)
        for told in self._walk.over():
            console.print(told, highlight=False)
        if stages := read_stages(self._run_dir):
            console.print(times(stages, time.monotonic() - self._started_s), highlight=False)
        if not self._walk.is_done():
            console.print(f"not done; taken up with: o2o finetune --resume {self._run_dir}", highlight=False)

    def _examine(self, prompt: Prompt) -> None:
        """The graph is up and waits: an arm that is not fit does not begin."""
        told = self._settings
        params = Path(told.params_file) if told.params_file else None
        robot = cast(Literal["twin", "fr3", "ur5e"], told.robot)  # graph.ROBOTS, as Up has checked
        self.status = doctor_app.main(robot=robot, cameras=told.cameras, params=params, run_dir=self._run_dir)
        prompt.do("end" if self.status else "resume")


def begun(begin: Any) -> Finetune:
    """A new run's settings. Raises ConfigError where its folder holds a run."""
    settings = Finetune(**dataclasses.asdict(begin))
    refuse_used(Path(settings.run_dir))
    where = str(Path(settings.checkpoint).resolve()) if settings.checkpoint else ""
    return dataclasses.replace(settings, checkpoint=where)


def taken_up(run_dir: Path, begin: Any) -> Finetune:
    """A run's own settings. Raises ConfigError where others were given beside, or the folder is no run's."""
    given = [f"--{f.name.replace('_', '-')}" for f in OWN if getattr(begin, f.name) != getattr(AS_EVER, f.name)]
    if given:
        raise ConfigError(f"--resume {run_dir} goes on with that run's own settings; leave out {', '.join(given)}")
    return dataclasses.replace(run_folder.load(run_dir, "finetune"), resume=True)


def refuse_used(run_dir: Path) -> None:
    """A second run must not be written over a first."""
    if (run_dir / run_folder.FACTS).exists():
        raise ConfigError(f"{run_dir} holds a run already; go on with --resume {run_dir}, or give another --run-dir")


def first_action_s(run_dir: Path) -> float:
    """From the start of policy_node's process to its first action; NaN where it made none."""
    seconds = read_json(run_dir / "policy_node.json").get("first_action_s")
    return float("nan") if seconds is None else float(seconds)
