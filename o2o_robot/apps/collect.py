"""`o2o collect`: demonstrations by a person at a device, or by the scripted expert; taken up again where they stood."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from o2o_robot import run_folder
from o2o_robot.apps import up
from o2o_robot.errors import ConfigError
from o2o_robot.graph import Collect
from o2o_robot.graph_teleop import PEOPLE

PATIENCE_S = 20.0  # for the nodes of a killed run to be gone
OWN = [field for field in dataclasses.fields(Collect) if field.name not in ("resume", "teleop")]
SCRIPTED = "scripted"

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


def main(
    begin: Annotated[Begin, tyro.conf.arg(name="")] = AS_EVER, *, device: str = SCRIPTED, resume: Path | None = None
) -> int:
    """Record demonstrations, an MCAP file each, until there are as many as were asked for.

    The prompt counts down, the person moves, and says how each episode ended: by the device's buttons, by keys, or
    in the console. Interrupted (ctrl-C, e-stop), what was recorded stays; --resume goes on from there.

    Args:
        begin: settings of a new run.
        device: spacemouse, gamepad, keyboard, joy, browser, twist, leader; scripted: the expert (docs/teleop.md).
        resume: the folder of a run; its settings are taken from there, so it stands alone.
    """
    if resume is not None:
        return up.run("collect", taken_up(resume, begin, device), patience_s=PATIENCE_S)
    settings = begun(begin, device)
    if (Path(settings.run_dir) / run_folder.FACTS).exists():
        told = f"go on with --resume {settings.run_dir}, or give another --run-dir"
        raise ConfigError(f"{settings.run_dir} holds a run already; {told}")
    return up.run("collect", settings)


def begun(begin: Any, device: str) -> Collect:
    """The settings of a new run. A person cannot wait for the twin: its time passes as theirs does."""
    settings = Collect(**dataclasses.asdict(begin), teleop="" if device == SCRIPTED else device)
    if settings.teleop in PEOPLE and settings.lockstep:
        return dataclasses.replace(settings, realtime_factor=1.0)
    return settings


def taken_up(run_dir: Path, begin: Any, device: str) -> Collect:
    """A run's own settings. Raises ConfigError where others were given beside, or the folder is no run's."""
    given = [f"--{f.name.replace('_', '-')}" for f in OWN if getattr(begin, f.name) != f.default]
    given += ["--device"] if device != SCRIPTED else []
    if given:
        raise ConfigError(f"--resume {run_dir} goes on with that run's own settings; leave out {', '.join(given)}")
    return dataclasses.replace(run_folder.load(run_dir, "collect"), resume=True)
