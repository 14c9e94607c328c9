"""How a fault gets into a node that is at work in a graph."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from crashing.cells import FREEZE_S, Cell
from o2o_robot import overlay

VICTIM = Path(__file__).with_name("victim.py")
FROM_WITHIN = ("raise", "memory", "disk")  # by victim.py, at SIGUSR1


def stand_in(cell: Cell, folder: Path) -> dict[str, str]:
    """What the graph's environment needs so that the node starts as victim.py; nothing for faults from outside.

    A prefix of links to the built workspace's executables, with one of its own, which is found first.
    """
    if cell.fault not in FROM_WITHIN:
        return {}
    built = overlay.prefix() / "lib" / overlay.PACKAGE
    ours = folder / "lib" / overlay.PACKAGE
    ours.mkdir(parents=True)
    for executable in built.iterdir():
        if executable.name != cell.node:
            (ours / executable.name).symlink_to(executable)
    words = (sys.executable, str(VICTIM), cell.node, cell.fault)
    (ours / cell.node).write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, words))} "$@"\n')
    (ours / cell.node).chmod(0o755)
    return {"AMENT_PREFIX_PATH": os.pathsep.join((str(folder), overlay.environment()["AMENT_PREFIX_PATH"]))}


def inject(cell: Cell, pid: int, listen: Callable[[float], None]) -> int:
    """Do it; the wall time (ns) at which it was done. listen(seconds): what to do while a process stands still."""
    numbers = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "freeze": signal.SIGSTOP}
    os.kill(pid, numbers.get(cell.fault, signal.SIGUSR1))
    at_ns = time.time_ns()
    if cell.fault == "freeze":
        try:
            listen(FREEZE_S)
        finally:
            os.kill(pid, signal.SIGCONT)
    return at_ns
