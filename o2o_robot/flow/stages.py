"""A run as stages, from the logs in its folder: warm-up, evaluations, what was learned online, each in numbers.

Everything is read from files that outlive every process, so a run taken up another day shows what it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from o2o_robot.diagnostics.interval import Interval, wilson
from o2o_robot.flow.plan import counts
from o2o_robot.jsonfile import read_lines
from o2o_robot.types import Mode, Outcome

Line = Mapping[str, Any]
PROBES = ("online", "warmup", "offline")  # of learner.jsonl, the one that says most of what is acted on comes first


@dataclass(frozen=True)
class Learnt:
    """What learner.jsonl said last by the end of a stage. q_gap: the critics' mean of Q less its target, on a probe."""

    updates: int = 0
    q_gap: float = math.nan


@dataclass(frozen=True)
class Stage:
    """Neighbouring episodes of one mode and block. Outcomes nobody knows count as episodes, and in no share."""

    mode: Mode
    block: int
    lines: tuple[Line, ...] = ()
    learnt: Learnt = field(default_factory=Learnt)

    @property
    def counted(self) -> list[Line]:
        return [line for line in self.lines if counts(line)]

    @property
    def n_decided(self) -> int:
        return sum(line["outcome"] != Outcome.INCOMPLETE.value for line in self.counted)

    @property
    def successes(self) -> int:
        return sum(line["outcome"] == Outcome.SUCCESS.value for line in self.counted)

    @property
    def interval(self) -> Interval:
        """Of the share that succeeds: Wilson, 95 %."""
        return wilson(self.successes, self.n_decided)

    @property
    def n_steps(self) -> int:
        return self.total("n_steps")

    @property
    def robot_s(self) -> float:
        """In episodes, by the stamps of the observations."""
        return float(sum(line.get("robot_s", 0.0) for line in self.lines))

    @property
    def wall_s(self) -> float:
        """In episodes and the resets before them, by the clock on the wall."""
        return float(sum(line.get("wall_s", 0.0) for line in self.lines))

    def total(self, name: str) -> int:
        return sum(int(line.get(name, 0)) for line in self.lines)

    def per_step(self, name: str) -> float:
        return self.total(name) / self.n_steps if self.n_steps else math.nan


def stages(lines: Iterable[Line], learner: Sequence[Line] = ()) -> list[Stage]:
    """lines: of episodes.jsonl; learner: of learner.jsonl."""
    found, n_steps = [], 0
    for (mode, block), group in groupby(lines, key=lambda line: (line.get("mode", ""), line.get("block", 0))):
        if mode not in {one.value for one in Mode}:
            continue
        members = tuple(group)
        n_steps += sum(line["n_steps"] for line in members)
        found.append(Stage(Mode(mode), block, members, learnt(learner, n_steps)))
    return found


def learnt(learner: Sequence[Line], n_steps: int) -> Learnt:
    """By the time that n_steps had come."""
    before = [line for line in learner if line.get("step", 0) <= n_steps]
    updates = max((int(line.get("update", 0)) for line in before), default=0)
    gaps = (_q_gap(line) for line in reversed(before))
    return Learnt(updates, next((gap for gap in gaps if math.isfinite(gap)), math.nan))


def read_stages(run_dir: Path) -> list[Stage]:
    return stages(read_lines(run_dir / "episodes.jsonl"), list(read_lines(run_dir / "learner.jsonl")))


def _q_gap(line: Line) -> float:
    for probe in PROBES:
        q, target = line.get(f"probe/{probe}/q_mean"), line.get(f"probe/{probe}/target")
        if isinstance(q, float) and isinstance(target, float):
            return q - target
    return math.nan
