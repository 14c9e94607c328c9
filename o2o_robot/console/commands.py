"""What the console can ask for: the buttons, who may press which, and the seam to whatever carries them out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal, NamedTuple, Protocol, get_args

from o2o_robot.errors import O2OError

Command = Literal[
    "estop", "hold", "arm", "reset", "success", "failure", "discard", "reset_done", "pause", "resume", "end"
]
COMMANDS: tuple[Command, ...] = get_args(Command)
LABELS: tuple[Command, ...] = ("success", "failure", "discard")
ANYBODY: tuple[Command, ...] = ("estop", "hold")
"""What makes the arm stand still is never refused to anybody who has the page."""

N_AXES = 6


class Refused(O2OError):
    """The console does not do what it was asked; the line says why and what to try."""


class Answer(NamedTuple):
    """What came of a command. text: one line, shown as it is."""

    ok: bool
    text: str = ""


class Commands(Protocol):
    """The robot's side of the buttons; over ROS it is o2o_nodes/console_hands.py. Every call returns at once."""

    def estop(self) -> None:
        """Stop the arm. From any thread; nothing is waited for, least of all a lock or an answer."""
        ...

    def press(self, command: Command, *, by: str, episode: str = "") -> Future[Answer]:
        """Ask for a command. episode: which one a label is for, as the page showed it; empty: the one that runs."""
        ...

    def joy(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        """A person's hand on the arm: x, y, z and the rotations about them in [-1, 1]; without axes it lets go."""
        ...
