"""The run so far, from <run_dir>/episodes.jsonl as it grows: success with its interval and trend, people's part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.diagnostics.interval import wilson
from o2o_robot.journal import CUT_SHORT
from o2o_robot.report.statistics import rolling_success

WINDOW = 20
SHOWN = 120
MAX_READ_BYTES = 4_000_000  # at once; a longer log is read over several looks


class Growing:
    """New whole lines of a JSON-lines file at each look. A file that was replaced by a shorter one is read anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def look(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as log:
                size = log.seek(0, 2)
                self._at = log.seek(self._at if size >= self._at else 0)
                data = log.read(MAX_READ_BYTES)
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found


def story(lines: Sequence[Mapping[str, Any]], mode: str) -> dict[str, Any]:
    """Of the episodes of one mode: the share of successes lately, how it went before, and what people did.

    An episode counts once it has an outcome: one that was discarded or cut short says nothing about the policy.
    """
    there = [line for line in lines if line.get("mode") == mode]
    counted = [line for line in there if _counts(line)]
    is_success = np.array([line["outcome"] == "success" for line in counted], bool)
    return {
        "mode": mode,
        "episodes": len(there),
        "counted": len(counted),
        "now": _share(is_success[-WINDOW:]),
        "before": _share(is_success[-2 * WINDOW : -WINDOW]),
        "window": WINDOW,
        "curve": _curve(is_success),
        "chips": [_chip(line) for line in there[-WINDOW:]],
        **_people(there),
    }


def _counts(line: Mapping[str, Any]) -> bool:
    whole = line.get("termination") not in CUT_SHORT or bool(line.get("labelled_by"))
    return whole and not line.get("discarded") and line.get("outcome") in ("success", "failure")


def _share(is_success: np.ndarray) -> dict[str, Any]:
    k, n = int(is_success.sum()), len(is_success)
    band = wilson(k, n)
    return {"n": n, "k": k, "rate": k / n if n else None, "lo": band.lo, "hi": band.hi}


def _curve(is_success: np.ndarray) -> dict[str, list[float]]:
    rolling = rolling_success(is_success, WINDOW)
    tail = slice(max(0, len(is_success) - SHOWN), None)
    return {name: [round(float(v), 3) for v in getattr(rolling, name)[tail]] for name in ("rate", "lo", "hi")}


def _chip(line: Mapping[str, Any]) -> dict[str, Any]:
    word = "discarded" if line.get("discarded") else str(line.get("outcome", "incomplete"))
    return {"id": str(line.get("id", "")), "word": word, "why": str(line.get("termination", ""))}


def _people(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Takings-over an episode and a person's share of the steps, lately and before; None where nobody counts them."""
    told = [line for line in lines if "interventions" in line]
    late, early = told[-WINDOW:], told[-2 * WINDOW : -WINDOW]
    return {
        "takings_over": _mean(late, "interventions"),
        "takings_over_before": _mean(early, "interventions"),
        "human_share": _ratio(late, "steps_human", "n_steps"),
    }


def _mean(lines: Sequence[Mapping[str, Any]], key: str) -> float | None:
    return sum(float(line[key]) for line in lines) / len(lines) if lines else None


def _ratio(lines: Sequence[Mapping[str, Any]], part: str, whole: str) -> float | None:
    total = sum(float(line.get(whole, 0)) for line in lines)
    return sum(float(line.get(part, 0)) for line in lines) / total if total else None
