"""How much the guard may have to do before a run is paused for a person to look at it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from o2o_robot.errors import LimitError
from o2o_robot.safety.reason import Reason

HOUR_S = 3600.0
_FORCE = Reason.FORCE | Reason.FORCE_HARD
_SHORTER = Reason.STEP_SIZE | Reason.SPEED


@dataclass(frozen=True)
class BudgetRules:
    """The most of each that is allowed; 0: any number.

    An intervention is a command that was changed or refused, but not one that was only shortened to a profile's step
    (in warm-up that is every second one, by intent), nor one refused since a person holds or has the arm. A force event
    is one whose reasons name force: pressing on, or a hard stop, counted when it begins.
    """

    interventions_per_episode: int = 100
    interventions_per_hour: int = 1000
    force_events_per_episode: int = 5
    force_events_per_hour: int = 30

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise LimitError(f"{name} must be >= 0, got {value}; {getattr(BudgetRules, name)} is usual, 0 is any")


ANY = BudgetRules(0, 0, 0, 0)
"""Nothing is counted: for a simulated arm, which nobody has to look after."""


class Budget:
    """Counts by a steady `clock` (s), and says why the run is to pause: an empty text while it may go on.

    budget.start_episode()
    budget.note(executed.reasons)                   # each executed action
    budget.note_tick(safety_state.reasons)          # each tick between them: a contact may begin there
    if budget.why_paused: pause(budget.why_paused)
    budget.forgive()                                # a person has looked: everything counts from none again
    """

    def __init__(self, rules: BudgetRules, clock: Callable[[], float]) -> None:
        self._rules, self._clock = rules, clock
        self.forgive()

    def start_episode(self) -> None:
        """The episode's counts begin at none; the hour's and a pause stay."""
        self._episode = {"interventions": 0, "force events": 0}

    def forgive(self) -> None:
        """A person has looked at it: nothing is counted yet, and the run may go on."""
        self.why_paused = ""
        self._hour: dict[str, deque[float]] = {"interventions": deque(), "force events": deque()}
        self._is_pressed = False
        self.start_episode()

    def note(self, reasons: int) -> None:
        """One executed action and the guard's reasons (bits of Reason; 0: as asked)."""
        if reasons & ~_SHORTER and reasons != Reason.HOLD and not reasons & Reason.TAKEOVER:
            self._count("interventions")
        self.note_tick(reasons)

    def note_tick(self, reasons: int) -> None:
        """Reasons between actions: only the beginning of a force counts."""
        pressed = bool(reasons & _FORCE)
        if pressed and not self._is_pressed:
            self._count("force events")
        self._is_pressed = pressed

    def _count(self, what: str) -> None:
        now_s, hour = self._clock(), self._hour[what]
        self._episode[what] += 1
        hour.append(now_s)
        while now_s - hour[0] > HOUR_S:
            hour.popleft()
        name = what.replace(" ", "_")
        self._judge(what, self._episode[what], getattr(self._rules, f"{name}_per_episode"), "in this episode")
        self._judge(what, len(hour), getattr(self._rules, f"{name}_per_hour"), "in an hour")

    def _judge(self, what: str, count: int, most: int, within: str) -> None:
        if most and count > most and not self.why_paused:
            self.why_paused = (
                f"{count} {what} of the guard {within}, allowed {most}; look at the scene and at the guard's reasons, "
                "then arm again, or go back to an earlier policy"
            )
