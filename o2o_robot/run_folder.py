"""The folder of one run: what it was told at its start, and that nobody else is at work in it."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from o2o_robot import config
from o2o_robot.errors import ConfigError, GraphError
from o2o_robot.graph import STORIES, Up
from o2o_robot.jsonfile import read_json, write_json

FORMAT, FACTS, LOCK = 1, "run.json", "run.lock"


def save(run_dir: Path, story: str, up: Up, facts: dict[str, Any]) -> None:
    """Write what this run is: its graph and every setting. facts: when, by which versions, ..."""
    settings = dataclasses.asdict(up)
    write_json(run_dir / FACTS, {"format": FORMAT, "story": story, "settings": settings, **facts})


def load(run_dir: Path, story: str) -> Any:
    """The settings of a run of that story. Raises ConfigError where the folder is none, or of another story."""
    path = run_dir / FACTS
    if not path.is_file():
        raise ConfigError(f"{run_dir} is no run's folder: it has no {FACTS}; give the --run-dir that was used")
    told = read_json(path)
    if told.get("format") != FORMAT or told.get("story") != story:
        raise ConfigError(
            f"{path} is of a run of '{told.get('story')}', format {told.get('format')}; only a run of '{story}', "
            f"format {FORMAT}, can be taken up again"
        )
    settings = config.build(STORIES[story][0], told.get("settings", {}), where=str(path))
    return dataclasses.replace(settings, run_dir=str(run_dir))


@contextmanager
def in_use(run_dir: Path, *, patience_s: float = 0.0) -> Iterator[int]:
    """Hold a run's folder; gives the lock's descriptor, to be kept open by the nodes too (Supervisor.held).

    Then it is free again only when the last of them is gone, however they ended. GraphError naming the process that
    has it, after patience_s: nodes of a killed run need a moment to notice.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline_s = time.monotonic() + patience_s
        while not _is_locked(descriptor):
            if time.monotonic() >= deadline_s:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
                raise GraphError(
                    f"{run_dir} is in use by the run of process {holder}; end it, or choose another folder"
                )
            time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
