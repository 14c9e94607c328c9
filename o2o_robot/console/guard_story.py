"""The guard's present state in words, and which reasons came lately: its counters say how often, not when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from o2o_robot.black_box.stops import why_stopped
from o2o_robot.safety.reason import names

LATEST = 8
MEANING = {
    "UNCONFIGURED": "not ready; no state of the arm was heard yet",
    "IDLE": "stands still and follows nothing until it is armed",
    "ARMED": "armed; the next command moves the arm",
    "RUN": "the arm follows, within the limits",
    "SOFT_STOP": "stopped; goes on with the next episode once the cause is gone",
    "LATCHED": "stopped for good, until a person resets",
}
BY_SERVICE = ("call arm_node/reset and arm_node/arm", "press Reset guard, then Arm")


class GuardStory:
    """facts = story.see("RUN", reasons, {"tool speed": 3}): what the page shows of the guard.

    latest: newest first, each reason with when its counter last rose and by how much it has risen since it was first
    seen. What was counted before the console came is in `counts` alone.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: Mapping[str, int] | None = None
        self._latest: deque[dict[str, Any]] = deque(maxlen=LATEST)

    def see(self, state: str, reasons: int, counts: Mapping[str, int]) -> dict[str, Any]:
        before = counts if self._counts is None else self._counts
        for name, n in counts.items():
            if (more := n - before.get(name, 0)) > 0:
                self._note(name, more)
        self._counts = dict(counts)
        return {
            "state": state,
            "meaning": MEANING.get(state, "unknown"),
            "reasons": list(names(reasons)),
            "remedy": "; ".join(why_stopped(state, reasons)).replace(*BY_SERVICE),
            "latest": list(self._latest),
            "counts": dict(sorted(counts.items(), key=lambda pair: -pair[1])),
        }

    def _note(self, name: str, more: int) -> None:
        known = next((one for one in self._latest if one["name"] == name), None)
        if known is not None:
            self._latest.remove(known)
            more += known["n"]
        self._latest.appendleft({"name": name, "n": more, "at": self._clock()})
