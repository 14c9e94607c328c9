"""Everything a page is connected to, in one place, and what was pressed by whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from o2o_robot.console.board import Board
from o2o_robot.console.commands import Answer, Commands
from o2o_robot.console.control import Control
from o2o_robot.console.frames import Eyes

PRESSES_SHOWN = 6


@dataclass
class Console:
    """clock: the steady one (s) that board, eyes and pages count ages by."""

    board: Board
    eyes: Eyes
    commands: Commands
    control: Control
    clock: Callable[[], float]
    _presses: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=PRESSES_SHOWN))

    def estop(self, by: str) -> Answer:
        """First the stop, then the talk about it."""
        self.commands.estop()
        answer = Answer(True, "e-stop sent")
        self.note("estop", by, answer)
        return answer

    def note(self, command: str, by: str, answer: Answer) -> None:
        """What everybody sees of a press."""
        told = {"command": command, "by": by, "ok": answer.ok, "text": answer.text, "at": self.clock()}
        self._presses.appendleft(told)
        self.board.put("presses", {"latest": list(self._presses)})
