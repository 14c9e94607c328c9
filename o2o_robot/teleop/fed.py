"""A device that somebody else's driver reads: whoever hears its topic feeds it here."""

from __future__ import annotations

from typing import Any

from o2o_robot.teleop.device import Clock, Moment, Reading


class Fed:
    """What siblings share: the newest reading, stamped when it was heard. Silence is a release (HandRules.stale_s).

    device.hear(...)            # each sibling's own; what it makes of a message goes to _keep
    reading = device.read(moment)
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: Reading | None = None
        self.trouble = ""  # silence is none: many drivers speak only while the device moves

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_problem: Any) -> None:
        self._newest = None

    def begin(self, seed: int) -> None:
        """Nothing is random here."""

    def read(self, moment: Moment) -> Reading | None:
        return self._newest

    def let_go(self) -> None:
        """The driver said that nobody has hold of it."""
        self._newest = None

    def _keep(self, reading: Reading) -> None:
        self._newest = reading
