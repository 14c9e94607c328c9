"""The session's own memory in the run's folder: how every episode went, which one is open, where the schedule stands.

<run_dir>/episodes.jsonl     one line an episode, written when it has ended; a person's late word is written into it
<run_dir>/episode.json       the episode that is open, or was last
<run_dir>/schedule.json      the blocks, and the line of episodes.jsonl at which they began
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from o2o_robot.data.relabel import Word
from o2o_robot.errors import DataError
from o2o_robot.jsonfile import append_line, read_json, read_lines, write_json
from o2o_robot.types import Outcome, Termination

CUT_SHORT = (Termination.FAULT.value, Termination.OPERATOR.value)


class Relabelling(NamedTuple):
    """The line of an episode before and after a person's word on it."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


class Journal:
    """Where a session stood, and what it writes down.

        journal = Journal(run_dir, schedule=["warmup steps=400", "online steps=1500"], resume=True)
        journal.settle("online-000012", n_steps=7)      # the steps that were said of an episode nobody ended
        journal.begin(name, block=journal.block, mode="online", seed=7)
        journal.end({"id": name, ...})
        journal.relabel(name, "success", by="kim")

    resume: the same schedule goes on where it stood; another one, or none known, begins at its first block.
    Without a folder it remembers and writes nothing. n_episodes counts all of the folder, n_steps those of the run.
    """

    def __init__(self, run_dir: Path | None, *, schedule: Sequence[str], resume: bool = False) -> None:
        self._run_dir, self._schedule, self._resume = run_dir, list(schedule), resume
        self._lines: list[dict[str, Any]] = []  # of this schedule
        self.n_episodes = self.n_steps = 0
        self.robot_s_before = 0.0
        if run_dir is not None:
            self._recall(run_dir)

    def _recall(self, run_dir: Path) -> None:
        _cut_torn_end(run_dir / "episodes.jsonl")
        lines = list(read_lines(run_dir / "episodes.jsonl"))
        self.n_episodes = len(lines)
        if self._resume:
            self.robot_s_before = sum(line.get("robot_s", 0.0) for line in lines)
            self.n_steps = sum(line["n_steps"] for line in lines)
        path = run_dir / "schedule.json"
        known = read_json(path) if self._resume and path.is_file() else {}
        self._goes_on = known.get("schedule") == self._schedule
        if self._goes_on:
            self._lines = lines[int(known["first_line"]) :]
        else:
            self._begin_schedule()

    def _begin_schedule(self) -> None:
        """The schedule begins at the line that is written next."""
        if self._run_dir is not None and self._schedule:
            facts = {"schedule": self._schedule, "first_line": self.n_episodes}
            write_json(self._run_dir / "schedule.json", facts)

    @property
    def block(self) -> int:
        """Of the schedule, the one that the last episode was of."""
        return int(self._lines[-1].get("block", 0)) if self._lines else 0

    def of_block(self, block: int) -> list[Mapping[str, Any]]:
        """The lines that the episodes of a block of this schedule left, oldest first."""
        return [line for line in self._lines if line.get("block", 0) == block]

    def begin(self, episode: str, *, block: int, mode: str, seed: int) -> None:
        """An episode begins: whoever finds this and no line of its end knows that it was cut short."""
        if self._run_dir is not None:
            facts = {"id": episode, "block": block, "mode": mode, "seed": seed}
            write_json(self._run_dir / "episode.json", facts)

    def end(self, line: Mapping[str, Any]) -> None:
        """Write down how an episode ended. Needed: id, block, n_steps, outcome, termination."""
        self.n_episodes, self.n_steps = self.n_episodes + 1, self.n_steps + line["n_steps"]
        self._lines.append(dict(line))
        if self._run_dir is not None:
            append_line(self._run_dir / "episodes.jsonl", line)

    def relabel(self, episode: str, word: Word, *, by: str, note: str = "") -> Relabelling:
        """Write down a person's word on an episode that has ended.

        A discard counts nowhere; any later word takes that back. DataError where it is unknown, or was cut short.
        """
        line = next((line for line in self._all() if line["id"] == episode), None)
        if line is None:
            raise DataError(f"no episode '{episode}' has ended in this run; see its episodes.jsonl")
        if was_cut_short(line):
            raise DataError(f"{episode} was cut short, and is nowhere kept; label one that is whole")
        after = relabelled_line(line, word, by=by, note=note)
        for known in self._lines:
            if known["id"] == episode:
                known.clear()
                known.update(after)
        if self._run_dir is not None:
            replace_line(self._run_dir / "episodes.jsonl", after)
        return Relabelling(line, after)

    def _all(self) -> list[dict[str, Any]]:
        """Every line of the folder; without one, of this schedule."""
        if self._run_dir is None:
            return [dict(line) for line in self._lines]
        return list(read_lines(self._run_dir / "episodes.jsonl"))

    def settle(self, last_said: str = "", *, n_steps: int = 0) -> str:
        """Write the end of the episode that a crash left open: discarded. Its id, or nothing; no other gets that id.

        last_said, n_steps: the episode of the last step that was said, and how many steps of it were.
        """
        path = None if self._run_dir is None else self._run_dir / "episode.json"
        if path is None or not path.is_file():
            return ""
        opened = read_json(path)
        if opened["id"] in {line["id"] for line in read_lines(path.with_name("episodes.jsonl"))}:
            return ""
        ended = {"outcome": Outcome.INCOMPLETE.value, "termination": Termination.FAULT.value, "discarded": True}
        said = n_steps if opened["id"] == last_said else 0
        blank = {"reward_sum": 0.0, "steps_changed": 0, "revision": 0, "wall_s": 0.0, "robot_s": 0.0}
        self.end({**opened, **ended, "n_steps": said, **blank, "steps_before": self.n_steps})
        if not self._goes_on:  # it was of the schedule before this one
            self._lines.clear()
            self._begin_schedule()
        return str(opened["id"])


def was_cut_short(line: Mapping[str, Any]) -> bool:
    """Whether an episode is not whole: the session, or a node it needs, ended before it did.

    A person who ended it as incomplete, or discarded it, did so with its last Step said.
    """
    return line["termination"] in CUT_SHORT and not line.get("labelled_by")


def relabelled_line(line: Mapping[str, Any], word: Word, *, by: str, note: str = "") -> dict[str, Any]:
    """An episode's line after a person's word; what was judged stays in it as outcome_judged."""
    after = {**line, "labelled_by": by, "outcome_judged": line.get("outcome_judged", line["outcome"])}
    after["outcome"] = Outcome.INCOMPLETE.value if word == "discard" else word
    after.pop("discarded", None)
    return after | ({"discarded": True} if word == "discard" else {}) | ({"note": note} if note else {})


def replace_line(path: Path, after: Mapping[str, Any]) -> None:
    """Write the line of the same id anew, the file aside and renamed. No line gets shorter.

    Whoever follows the file by its length then finds a piece of a line at worst, and never misses one.
    """
    lines = path.read_text().splitlines()
    at = next(i for i, text in enumerate(lines) if json.loads(text)["id"] == after["id"])
    lines[at] = json.dumps(dict(after)).ljust(len(lines[at]))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text("".join(f"{text}\n" for text in lines))
    aside.replace(path)


def _cut_torn_end(path: Path) -> None:
    """Remove a last line that a crash cut short: what is appended would join it, and be lost with it."""
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
