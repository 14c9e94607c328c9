"""What the console knows, each group of facts with when it was heard: nothing on the page is without an age."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any


class Board:
    """The newest facts, from any thread to any thread: a reader sees a group whole, or the one before it.

        board = Board(time.monotonic)
        board.put("guard", {"state": "RUN"})
        board.text()      # JSON: {"guard": {"at": 12.5, "state": "RUN"}}

    Times are seconds of `clock`, the console's own; the page is told that clock and counts every age itself.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.version = 0
        self._groups: dict[str, dict[str, Any]] = {}
        self._text = (-1, "")
        self._writing = threading.Lock()

    def put(self, group: str, facts: Mapping[str, Any], *, at_s: float | None = None) -> None:
        """Facts replace those that the group had. at_s: when they were true, if that was not now."""
        told = {"at": self.clock() if at_s is None else at_s, **facts}
        with self._writing:
            self._groups = {**self._groups, group: told}
            self.version += 1

    def get(self, group: str) -> Mapping[str, Any]:
        """What a group holds; nothing where it was never heard."""
        return self._groups.get(group, {})

    def text(self) -> str:
        """Every group as one JSON object, written once for each version."""
        version, groups = self.version, self._groups
        if self._text[0] != version:
            self._text = (version, json.dumps(_plain(groups), separators=(",", ":"), allow_nan=False))
        return self._text[1]


def _plain(value: Any) -> Any:
    """As JSON has it: a number that is none (NaN, infinity) is null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
