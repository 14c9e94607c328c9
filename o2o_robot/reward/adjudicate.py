"""Where the classifier is in doubt, and where a person says otherwise.

RUN/reward.jsonl      a line for each episode judged, and for each word of a person on one
RUN/doubtful.jsonl    episodes that somebody should look at: probability between the thresholds, or trouble at the end
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from o2o_robot.jsonfile import append_line, read_lines
from o2o_robot.reward.judge import Verdict

LOG, DOUBTFUL = "reward.jsonl", "doubtful.jsonl"
SETTLING = ("success", "failure")  # words that can agree with a verdict or not


class Adjudication:
    """Both logs of one run, and their counts; without a run folder it only counts.

    log = Adjudication(run_dir, on=0.9, off=0.4)
    log.ended("online-000003", verdict, outcome="failure")
    log.labelled("online-000003", "success", by="kim", at=...)     # false where that contradicts the verdict
    """

    def __init__(self, run_dir: Path | None, *, on: float, off: float) -> None:
        self._run_dir, self._on, self._off = run_dir, on, off
        self.counts: Counter[str] = Counter()
        self._verdicts: dict[str, str] = {}
        for line in read_lines(run_dir / LOG) if run_dir is not None else ():
            self._count(line)

    def ended(self, episode: str, last: Verdict | None, *, outcome: str) -> str:
        """An episode is over: why it is doubtful, "" where it is not. outcome: as the session has it."""
        why = self._doubt(last)
        verdict = "unsure" if why else "success" if last is not None and last.success else "failure"
        probability = None if last is None or not math.isfinite(last.probability) else round(last.probability, 4)
        facts = {"episode": episode, "probability": probability, "outcome": outcome}
        self._write(LOG, {"kind": "verdict", **facts, "verdict": verdict})
        if why:
            self._write(DOUBTFUL, {**facts, "why": why})
        return why

    def labelled(self, episode: str, outcome: str, *, by: str, at: str, note: str = "") -> bool:
        """A person's word; whether it goes with what the source had said (or the source had said nothing)."""
        said = self._verdicts.get(episode, "")
        agrees = outcome not in SETTLING or said not in SETTLING or said == outcome
        facts = {"episode": episode, "outcome": outcome, "verdict": said, "agrees": agrees}
        self._write(LOG, {"kind": "label", **facts, "by": by, "at": at, "note": note})
        return agrees

    def summary(self) -> dict[str, int]:
        """Episodes judged, doubtful ones, labels, and labels that contradict the verdict."""
        return {name: self.counts[name] for name in ("judged", "doubtful", "labelled", "disagreed")}

    def _doubt(self, last: Verdict | None) -> str:
        if last is None:
            return "nothing was judged"
        if last.trouble:
            return last.trouble
        p = last.probability
        if math.isfinite(p) and self._off <= p < self._on:
            return f"probability {p:.2f} is between {self._off:.2f} and {self._on:.2f}"
        return ""

    def _write(self, name: str, line: dict[str, Any]) -> None:
        if self._run_dir is not None:
            append_line(self._run_dir / name, line)
        if name == LOG:
            self._count(line)

    def _count(self, line: dict[str, Any]) -> None:
        if line.get("kind") == "verdict":
            self._verdicts[str(line.get("episode"))] = str(line.get("verdict"))
            self.counts.update(["judged", *(["doubtful"] if line.get("verdict") == "unsure" else [])])
        elif line.get("kind") == "label":
            self.counts.update(["labelled", *([] if line.get("agrees", True) else ["disagreed"])])
