"""A graph in a process tree of its own, brought up by the command line, as long as a trial needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from o2o_robot.jsonfile import write_json

RUNNER = Path(__file__).with_name("runner.py")
PATIENCE_S = 5.0


@dataclass
class GraphRun:
    """with GraphRun(words, changes, env, log) as run: run.pid_of("arm_node"); ...; run.interrupt()

    What `o2o` prints goes to `log`. Leaving kills whatever is still there.
    """

    words: Sequence[str]
    changes: Mapping[str, Mapping[str, Any]]
    env: Mapping[str, str]
    log: Path
    pids: dict[str, int] = field(default_factory=dict, init=False)

    def __enter__(self) -> GraphRun:
        told = self.log.with_suffix(".json")
        write_json(told, {"words": list(self.words), "changes": {k: dict(v) for k, v in self.changes.items()}})
        with self.log.open("wb") as out:
            self._popen = subprocess.Popen(
                [sys.executable, str(RUNNER), str(told)],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_all()

    def kill_all(self) -> None:
        """The whole tree at once, supervisor last: as when the machine's power goes."""
        self.look()
        for pid in (*self.orphans(), self._popen.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._popen.wait()

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll()

    def said(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        heads = [line for line in lines if line.startswith("o2o ")]
        return (heads or lines or [""])[-1]

    def look(self) -> dict[str, int]:
        """Node -> pid of those that were started; remembered, so that orphans are known."""
        for pid in _children(self._popen.pid):
            for word in _words(pid)[:4]:
                if word.endswith("_node"):
                    self.pids[Path(word).name] = pid
        return self.pids

    def pid_of(self, node: str) -> int:
        return self.look()[node]

    def is_dead(self, pid: int) -> bool:
        """Whether a process has ended, reaped or not."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    def dead_nodes(self) -> list[str]:
        """Nodes that were there and are not: they died, and were not started again, or not yet."""
        return [name for name, pid in self.look().items() if self.is_dead(pid)]

    def orphans(self) -> list[int]:
        """Nodes of this graph that are still alive."""
        return [pid for pid in self.pids.values() if not self.is_dead(pid) and _is_a_node(pid)]

    def interrupt(self, patience_s: float) -> int | None:
        """Ctrl-C at the prompt; the exit code, None where it did not end in time."""
        self._popen.send_signal(signal.SIGINT)
        try:
            return self._popen.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None

    def wait_for_orphans(self) -> list[int]:
        """Those that are alive some time after their supervisor has ended."""
        deadline_s = time.monotonic() + PATIENCE_S
        while self.orphans() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return self.orphans()


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _words(pid: int) -> list[str]:
    try:
        return [word.decode() for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    except OSError:
        return []


def _is_a_node(pid: int) -> bool:
    """A pid may be somebody else's by now."""
    return any(word == "--ros-args" for word in _words(pid))
