"""Which numbers of a run's logs are worth a curve, and at which step each belongs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from o2o_robot.types import Mode, Outcome

AXES = ("update", "step", "id", "event")  # of a line, told by its step
MOST = 200  # curves of one line: a log that names a new number at every line must not fill a disk


class Told(NamedTuple):
    step: int
    values: dict[str, float]


def learner(line: Mapping[str, Any]) -> Told | None:
    """A line of learner.jsonl, by updates."""
    return _told(line.get("update"), {f"learner/{name}": v for name, v in line.items() if name not in AXES})


def episode(line: Mapping[str, Any]) -> Told | None:
    """A line of episodes.jsonl, by environment steps at its end: success, length, what guard and person did."""
    n, before, mode = line.get("n_steps"), line.get("steps_before"), line.get("mode")
    if not isinstance(n, int) or not isinstance(before, int) or n < 1 or line.get("discarded") is True:
        return None
    if mode not in {one.value for one in Mode} or line.get("outcome") == Outcome.INCOMPLETE.value:
        return None
    values = {
        "success": float(line.get("outcome") == Outcome.SUCCESS.value),
        "n_steps": n,
        "reward_sum": line.get("reward_sum"),
        "share_changed_by_guard": _share(line.get("steps_changed"), n),
        "share_by_hand": _share(line.get("steps_human"), n),
        "robot_s": line.get("robot_s"),
    }
    return _told(before + n, {f"{mode}/{name}": value for name, value in values.items()})


def policy(line: Mapping[str, Any], *, count: int) -> Told | None:
    """An episode of policy.jsonl, by the count of its lines: the never-worse watch and which weights acted."""
    if line.get("event") != "episode":
        return None
    rates = {f"success_{name}": _rate(line.get(name)) for name in ("before", "now")}
    told = {"p_worse": line.get("p_worse"), "revision": line.get("revision"), "best": line.get("best_revision")}
    return _told(count, {f"policy/{name}": value for name, value in (rates | told).items()})


def _told(step: Any, values: Mapping[str, Any]) -> Told | None:
    """The finite ones; None where there is no step or nothing to show."""
    finite = {name: float(value) for name, value in values.items() if _is_number(value)}
    if not finite or not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < 1 << 62:
        return None
    return Told(step, dict(list(finite.items())[:MOST]))


def _share(k: Any, n: int) -> float | None:
    return k / n if _is_number(k) else None


def _rate(pair: Any) -> float | None:
    is_rate = isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) and pair[1] > 0
    return pair[0] / pair[1] if is_rate else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
