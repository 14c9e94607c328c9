"""`o2o finetune`: a run of fine-tuning, begun or taken up again where it stood, however it ended."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from o2o_robot import run_folder
from o2o_robot.apps import up
from o2o_robot.errors import ConfigError
from o2o_robot.graph import Finetune
from o2o_robot.jsonfile import read_json

PATIENCE_S = 20.0  # for the nodes of a killed run to be gone: each heeds SIGTERM, the learner saves
OWN = [field for field in dataclasses.fields(Finetune) if field.name != "resume"]

Begin: Any = dataclasses.make_dataclass(
    "Begin",
    [
        (
            field.name,
            Annotated[type(field.default), tyro.conf.arg(help=field.metadata["help"])],
            dataclasses.field(default=field.default),
        )
        for field in OWN
    ],
    frozen=True,
)


AS_EVER = Begin()


def main(begin: Annotated[Begin, tyro.conf.arg(name="")] = AS_EVER, *, resume: Path | None = None) -> int:
    """Warm-up and fine-tuning on the arm, as `o2o up finetune`; --resume RUN goes on with a run that stopped or died.

    Args:
        begin: settings of a new run.
        resume: the folder of a run; its settings are taken from there, so it stands alone.
    """
    if resume is not None:
        settings = taken_up(resume, begin)
        status = up.run("finetune", settings, patience_s=PATIENCE_S)
        print(f"first action after {first_action_s(resume):.1f} s")
        return status
    settings = Finetune(**dataclasses.asdict(begin))
    refuse_used(Path(settings.run_dir))
    where = str(Path(settings.checkpoint).resolve()) if settings.checkpoint else ""
    return up.run("finetune", dataclasses.replace(settings, checkpoint=where))


def taken_up(run_dir: Path, begin: Any) -> Finetune:
    """A run's own settings. Raises ConfigError where others were given beside, or the folder is no run's."""
    given = [f"--{f.name.replace('_', '-')}" for f in OWN if getattr(begin, f.name) != f.default]
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
