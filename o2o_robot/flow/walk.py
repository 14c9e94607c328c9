"""The walk of a fine-tuning: looks at the run's folder as it grows, and tells each gate as it is passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from o2o_robot.flow.gates import gate, table
from o2o_robot.flow.plan import due
from o2o_robot.flow.stages import Stage, read_stages
from o2o_robot.jsonfile import read_json, read_lines
from o2o_robot.loop import parse_block


class Walk:
    """walk = Walk(run_dir); then now and again: for told in walk.look(): console.print(told)

    A stage is over once an episode of the next one has ended, or the run has (`over`).
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._written = self._mark()
        self._n_told = max(0, len(read_stages(run_dir)) - 1)  # of an earlier day

    def look(self) -> Iterator[str | Table]:
        """What is to be told of stages that ended since the last look."""
        if (mark := self._mark()) != self._written:
            self._written = mark
            yield from self._tell(read_stages(self._run_dir), n_over=-1)

    def over(self) -> Iterator[str | Table]:
        """The rest: the run has ended."""
        yield from self._tell(read_stages(self._run_dir), n_over=0)

    def stands(self, title: str) -> Table | None:
        """All stages so far; None where there are none."""
        told = read_stages(self._run_dir)
        return table(told, title=title, caption=f"goes on with: {self._block(told[-1])}") if told else None

    def is_done(self) -> bool:
        """Whether every block of the schedule ran to its end: an episode of the last one, and no fewer than it asks."""
        lines, blocks = list(read_lines(self._run_dir / "episodes.jsonl")), self._blocks()
        if not (lines and blocks):
            return False
        own = [line for line in lines if line.get("block", 0) == len(blocks) - 1]
        return lines[-1].get("block", 0) == len(blocks) - 1 and due(parse_block(blocks[-1]), own) is None

    def _tell(self, told: list[Stage], *, n_over: int) -> Iterator[str | Table]:
        for n in range(self._n_told + 1, len(told) + n_over + 1):
            yield table(told[:n], title="")
            yield gate(told[:n], self._after(told, n))
        self._n_told = max(self._n_told, len(told) + n_over)

    def _after(self, told: list[Stage], n: int) -> str:
        """What follows the n-th stage: within its block or, once that is done, the one after it."""
        if n < len(told):
            here, following = told[n - 1], told[n]
            return following.mode.value if following.block == here.block else self._block(following)
        later = self._blocks()[told[-1].block + 1 :]
        return later[0] if later else ""

    def _block(self, stage: Stage) -> str:
        return (self._blocks()[stage.block : stage.block + 1] or [stage.mode.value])[0]

    def _blocks(self) -> list[str]:
        path = self._run_dir / "schedule.json"
        return list(read_json(path).get("schedule", [])) if path.is_file() else []

    def _mark(self) -> tuple[int, int]:
        path = self._run_dir / "episodes.jsonl"
        seen = path.stat() if path.is_file() else None
        return (seen.st_size, seen.st_mtime_ns) if seen is not None else (0, 0)
