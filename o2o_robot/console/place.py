"""<run_dir>/console.json, for its owner's eyes alone: where the console of a run is, while it runs.

Whoever starts the graph prints the address from there; a console that died and comes back keeps its token and its port
by it, so that the pages which are open find it again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from o2o_robot.errors import DataError
from o2o_robot.jsonfile import read_json

NAME = "console.json"


def read_address(run_dir: Path) -> dict[str, Any]:
    """Its url, token, port and pid; empty where no console runs, or none that can be read."""
    path = run_dir / NAME
    try:
        return read_json(path) if path.is_file() else {}
    except DataError:
        return {}


def write_address(run_dir: Path, *, url: str, token: str, port: int) -> None:
    """Written aside and renamed, readable by nobody else from its first byte on."""
    run_dir.mkdir(parents=True, exist_ok=True)
    aside = run_dir / f".{NAME}.{os.getpid()}"
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": url, "token": token, "port": port, "pid": os.getpid()}, file)
    aside.replace(run_dir / NAME)


def forget_address(run_dir: Path) -> None:
    (run_dir / NAME).unlink(missing_ok=True)


class Announcement:
    """`tell()` now and then: prints the address once each time that a console has come up in this folder."""

    def __init__(self, run_dir: Path, say: Callable[[str], None]) -> None:
        self._run_dir, self._say = run_dir, say
        self._pid = read_address(run_dir).get("pid")  # of one that died here before

    def tell(self) -> None:
        if not (self._run_dir / NAME).exists():
            return
        found = read_address(self._run_dir)
        if found.get("pid") != self._pid:
            self._pid = found.get("pid")
            self._say(f"console: {found.get('url', '')}")
