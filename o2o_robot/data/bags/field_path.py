"""Paths into a message: `position`, `pose.orientation`, `axes[0:3]`, `points[-1].positions`; empty is the message."""

from __future__ import annotations

import functools
import re
from typing import Any

from o2o_robot.errors import ConfigError, DataError

Step = str | int | slice
_PART = re.compile(r"([A-Za-z_]\w*)((?:\[[^][]*\])*)", re.ASCII)
_INDEX = re.compile(r"\[(?:(-?\d{1,9})|(\d{0,9}):(\d{0,9}))\]", re.ASCII)


@functools.lru_cache(maxsize=256)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path in order. Raises ConfigError where it is none."""
    steps: list[Step] = []
    for part in path.split(".") if path else ():
        match = _PART.fullmatch(part)
        brackets = match[2] if match else ""
        if match is None or _INDEX.sub("", brackets):
            raise ConfigError(
                f"field '{path}': '{part}' is not a name with [index] or [from:to] after it; "
                "try e.g. pose.position or axes[0:3]"
            )
        steps += [match[1], *map(_index, _INDEX.finditer(brackets))]
    return tuple(steps)


def follow(message: Any, path: str) -> Any:
    """What lies at the end of `path`. Raises DataError naming the step that is not there."""
    value = message
    for step in parse(path):
        if isinstance(step, str):
            if not hasattr(value, step):
                raise DataError(f"{kind(message)} has no field '{path}'")
            value = getattr(value, step)
        else:
            value = _taken(value, step, path, message)
    return value


def kind(message: Any) -> str:
    """The ROS type of a decoded message."""
    return str(getattr(message, "__msgtype__", type(message).__name__))


def _index(match: re.Match[str]) -> int | slice:
    if match[1] is not None:
        return int(match[1])
    return slice(int(match[2] or 0), int(match[3]) if match[3] else None)


def _taken(value: Any, step: int | slice, path: str, message: Any) -> Any:
    if not hasattr(value, "__len__") or isinstance(value, str):
        raise DataError(f"field '{path}' of {kind(message)}: what stands before the [ is not a list")
    n = len(value)
    # a slice beyond the end would be shortened in silence, and one message be narrower than the next
    fits = -n <= step < n if isinstance(step, int) else max(step.start, step.stop or 0) <= n
    if not fits:
        raise DataError(f"field '{path}' of {kind(message)}: its list has only {n} entries")
    return value[step]
