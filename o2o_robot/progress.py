"""A progress line for a session that other processes run: from the episodes they have written, and what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from o2o_robot.jsonfile import read_lines


class Told(Protocol):
    """What somebody hears of the session and the guard: flow.prompt.Prompt."""

    told: dict[str, Mapping[str, Any]]

    def answers(self) -> list[Mapping[str, Any]]: ...


class SessionProgress:
    """Shows episodes, steps and the success of the latest twenty, read from `<run_dir>/episodes.jsonl`.

    told: where somebody listens, also what the session does now, whom it waits for, the guard, and legend: the keys.
    """

    def __init__(self, title: str, run_dir: Path, *, told: Told | None = None, legend: str = "") -> None:
        self._log = run_dir / "episodes.jsonl"
        self.console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self.console, transient=True)
        self._title, self._told, self._legend = title, told, legend
        self._task = self._bar.add_task(f"{title}: starting")
        self._written = (-1, -1)
        self._counts = self._shown = self._asked = ""

    def __enter__(self) -> SessionProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None and self._log.exists():
            self.console.print(self._line())

    def tell(self) -> None:
        seen = self._log.stat() if self._log.exists() else None
        written = (seen.st_size, seen.st_mtime_ns) if seen is not None else (0, 0)
        if written != self._written:
            self._written = written
            self._counts = self._line() if written[0] else f"{self._title}: starting"
        shown = "\n".join([self._counts, *(self._now() if self._told is not None else [])])
        if shown != self._shown:
            self._shown = shown
            self._bar.update(self._task, description=shown)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The line makes room for what somebody else prints."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def _now(self) -> list[str]:
        """What the session does, and what the keys do."""
        assert self._told is not None
        for answer in self._told.answers():
            mark = "" if answer["ok"] else "[red]refused[/] "
            self.console.print(f"{mark}{answer['deed']}: {escape(str(answer['message']))}", highlight=False)
        session, guard = self._told.told["session"], self._told.told["guard"]
        self._ring(session)
        doing = _words(session)
        reasons = f" ({', '.join(guard['reasons'])})" if guard.get("reasons") else ""
        lines = [f"  {escape(doing)}", f"  guard {escape(guard['state'] + reasons)}"] if doing else []
        return [*lines, *([f"[dim]  {self._legend}[/]"] if self._legend else [])]

    def _ring(self, session: Mapping[str, Any]) -> None:
        """The bell, once, where a person is asked."""
        waits_for = session.get("waits_for", "")
        asked = waits_for if session["state"] == "asking" or waits_for.startswith("ask") else ""
        if asked and asked != self._asked:
            self.console.bell()
        self._asked = asked

    def _line(self) -> str:
        episodes = [episode for episode in read_lines(self._log) if not episode.get("discarded")]
        modes = Counter(episode["mode"] for episode in episodes)
        recent = [episode["outcome"] == "success" for episode in episodes[-20:]]
        steps = sum(episode["n_steps"] for episode in episodes)
        counts = ", ".join(f"{count} {mode}" for mode, count in modes.items())
        return f"{self._title}: {counts} episodes, {steps} steps, {sum(recent)} of the last {len(recent)} succeeded"


def _words(session: Mapping[str, Any]) -> str:
    """One line on the session's state."""
    state = session["state"]
    if state == "running":
        return f"{session['episode']}: step {session['step']} of {session['max_steps']}"
    return f"{state}: {session['waits_for']}" if session.get("waits_for") else str(state)
