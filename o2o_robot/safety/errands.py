"""What the arm is moved for: an episode or a reset, never both."""

from __future__ import annotations

import enum

from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Source


class Errand(enum.Enum):
    """What an arm is moved for."""

    EPISODE = "episode"
    RESET = "reset"


class Errands:
    """Told of every start and end. The two speak on topics of their own, so an event may come after a later one: an
    end of one in whose place the other has started says nothing.

    if errands.hear(Errand.RESET, starts=True): ...
    unfit |= errands.unfit(action.source)
    """

    def __init__(self) -> None:
        self._now: Errand | None = None

    @property
    def is_a_reset(self) -> bool:
        return self._now is Errand.RESET

    def hear(self, errand: Errand, *, starts: bool) -> bool:
        """Whether the event counts. Whoever starts last has the arm."""
        if not starts and self._now not in (None, errand):
            return False
        self._now = errand if starts else None
        return True

    def unfit(self, source: Source) -> Reason:
        """What stands against a proposal of that source: resets are scripts, nobody else proposes during one."""
        return Reason.SHAPE | Reason.SOURCE if self.is_a_reset and source is not Source.SCRIPTED else NONE
