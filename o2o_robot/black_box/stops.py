"""Which changes are stops worth a black box: of the guard's state, of an episode's end, of a node's signs of life."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.reason import LATCHING, STOPPING, WIRE, Reason, names
from o2o_robot.types import Termination
from o2o_robot.vitals import Grave, Level

SILENT_S = 15.0  # of a status told each second: dead, or as good as. A learner that saves a large replay takes ten
STOPPED = (GuardState.SOFT_STOP.value, GuardState.LATCHED.value)
CAUSES = (LATCHING | STOPPING | Reason.STALE_COMMAND | Reason.HEARTBEAT) & WIRE
CONSEQUENCES = Reason.HOLD | Reason.SOFT_STOP | Reason.LATCHED | Reason.NOT_ARMED
MOVING = (GuardState.ARMED.value, GuardState.RUN.value)
DETAILS = {names(bit)[0] for bit in Reason if bit > WIRE and bit is not Reason.LATE_TICK}  # told by counters alone
UNWANTED = (Termination.SAFETY.value, Termination.FAULT.value)


def why_stopped(state: str, reasons: int) -> list[str]:
    """The troubles that a guard's state amounts to, as vitals.judged takes them."""
    why = ", ".join(names(reasons & CAUSES)) or "no cause is told any more"
    if state == GuardState.LATCHED.value:
        return [Grave(f"latched ({why}); clear the cause, then call arm_node/reset and arm_node/arm")]
    if state == GuardState.SOFT_STOP.value:
        return [f"soft stop ({why}); it ends with the next episode once the cause is gone"]
    return []


@dataclass
class _Life:
    """When a node last told its status (steady s), and whether it then acted."""

    heard_s: float
    acts: bool


class StopWatch:
    """Each `on_...` gives the stop's reason in words, or nothing. Times are of one steady clock."""

    def __init__(self, silent_s: float = SILENT_S) -> None:
        self.episode = self.latest_episode = ""  # ids of the one that goes on, and of the last that began
        self._silent_s = silent_s
        self._guard = ""
        self._counts: dict[str, int] = {}
        self._is_old_stop = False  # an episode has ended since the guard stopped
        self._lives: dict[str, _Life] = {}

    def on_safety(self, state: str, reasons: int, counts: Mapping[str, int] | None = None) -> str:
        """SOFT_STOP or LATCHED, come into from another state; disarmed in an episode. The first state is history.

        counts: how often each reason was ever counted; what the guard tells apart and its bits do not is seen there.
        """
        before, self._guard = self._guard, state
        fresh = [name for name, n in (counts or {}).items() if n > self._counts.get(name, 0) and name in DETAILS]
        self._counts = dict(counts or {})
        if self.episode and before in MOVING and state == GuardState.IDLE.value:
            return ", ".join(["disarmed in the middle of an episode", *fresh])
        if not before or state == before or state not in STOPPED:
            return ""
        self._is_old_stop = False
        why = names(reasons & CAUSES) or names(reasons & ~CONSEQUENCES)
        return ", ".join([*why, *fresh]) or state.lower().replace("_", " ")

    def on_start(self, episode: str) -> None:
        self.episode = self.latest_episode = episode

    def on_end(self, termination: str) -> str:
        """No stop is an end by the task, its time or a person; nor that of an episode which met an old stop."""
        began_stopped, self.episode = self._guard in STOPPED and self._is_old_stop, ""
        self._is_old_stop = self._guard in STOPPED
        return f"episode ended by {termination}" if termination in UNWANTED and not began_stopped else ""

    def on_status(self, node: str, level: int, now_s: float) -> None:
        """A node's own status; STALE is what one tells that is not active, or that ends in order."""
        self._lives[node] = _Life(now_s, level != Level.STALE)

    def dead(self, now_s: float) -> str:
        """Nodes that acted and fell silent; each is told once."""
        lost = [node for node, life in self._lives.items() if life.acts and now_s - life.heard_s > self._silent_s]
        for node in lost:
            del self._lives[node]
        return f"{', '.join(lost)} fell silent" if lost else ""

    def at_the_end(self, sessions: Collection[str]) -> str:
        """An episode that goes on while the run comes down, though one of those who may run it never said goodbye."""
        lost = [node for node, life in self._lives.items() if node in sessions and life.acts]
        return f"brought down in the middle of an episode of {', '.join(lost)}" if self.episode and lost else ""
