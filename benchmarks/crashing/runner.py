"""`o2o` with its graphs changed as a trial needs them: `python runner.py told.json`.

told.json: {"words": [...], "changes": {node: parameters that replace its own}}; a node that the graph has not is added.
Everything else is the command line that a user types: its supervisor, its words, its exit code.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from o2o_robot import cli
from o2o_robot.graph import STORIES, Process, Up
from o2o_robot.jsonfile import read_json

PR_SET_PDEATHSIG = 1
Describe = Callable[[Any, Path], list[Process]]


def changed(describe: Describe, changes: Mapping[str, Mapping[str, Any]]) -> Describe:
    """The description with other parameters, and processes added in front of the session."""

    def describe_changed(up: Up, share: Path) -> list[Process]:
        own = [replace(p, parameters={**p.parameters, **changes.get(p.name, {})}) for p in describe(up, share)]
        new = [Process(name, dict(changes[name])) for name in changes.keys() - {p.name for p in own}]
        return [*new, *own]

    return describe_changed


def die_with_parent() -> None:
    """A trial that is killed leaves no graph behind: the supervisor is told, and ends it in order (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> int:
    die_with_parent()
    told = read_json(Path(sys.argv[1]))
    for story, (settings, describe) in STORIES.items():
        STORIES[story] = (settings, changed(describe, told["changes"]))
    return cli.main(told["words"])


if __name__ == "__main__":
    sys.exit(main())
