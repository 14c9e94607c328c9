"""A progress line for a session that other processes run, from the episodes they have written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from o2o_robot.jsonfile import read_lines


class SessionProgress:
    """Shows episodes, steps and the success of the latest twenty, read from `<run_dir>/episodes.jsonl`."""

    def __init__(self, title: str, run_dir: Path) -> None:
        self._log = run_dir / "episodes.jsonl"
        self._console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._title = title
        self._task = self._bar.add_task(f"{title}: starting")
        self._size = -1

    def __enter__(self) -> SessionProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None and self._log.exists():
            self._console.print(self._line())

    def tell(self) -> None:
        size = self._log.stat().st_size if self._log.exists() else 0
        if size != self._size:
            self._size = size
            self._bar.update(self._task, description=self._line() if size else f"{self._title}: starting")

    def _line(self) -> str:
        episodes = list(read_lines(self._log))
        modes = Counter(episode["mode"] for episode in episodes)
        recent = [episode["outcome"] == "success" for episode in episodes[-20:]]
        steps = sum(episode["n_steps"] for episode in episodes)
        counts = ", ".join(f"{count} {mode}" for mode, count in modes.items())
        return f"{self._title}: {counts} episodes, {steps} steps, {sum(recent)} of the last {len(recent)} succeeded"
