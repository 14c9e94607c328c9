"""A device at a wire that may be pulled out and plugged in again, while the arm holds."""

from __future__ import annotations

from typing import Any

from o2o_robot.errors import DeviceError
from o2o_robot.teleop.device import Clock, Moment, Reading

RETRY_S = 1.0


class Plugged:
    """What siblings share: `_plug` takes hold of the device (DeviceError: not there), `_pull` lets go of it, `_look`
    reads it (OSError: it is gone). Nobody is to be there at `with`; later it may go, and come back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_plugged = False
        self._next_try_s = 0.0
        self.trouble = ""

    def __enter__(self) -> Any:
        self._plug()
        self._is_plugged = True
        return self

    def __exit__(self, *_problem: Any) -> None:
        if self._is_plugged:
            self._is_plugged = False
            self._pull()

    def begin(self, seed: int) -> None:
        """Nothing is random here."""

    def read(self, moment: Moment) -> Reading | None:
        if not self._is_plugged and moment.now_s >= self._next_try_s:
            self._try_again(moment.now_s)
        if not self._is_plugged:
            return None
        try:
            return self._look(moment)
        except OSError as problem:
            self.__exit__()
            self._next_try_s = moment.now_s + RETRY_S
            self.trouble = f"{type(self).__name__.lower()} is gone ({problem.strerror or problem}); plug it in again"
            return None

    def _try_again(self, now_s: float) -> None:
        self._next_try_s = now_s + RETRY_S
        try:
            self.__enter__()
            self.trouble = ""
        except DeviceError as problem:
            self.trouble = str(problem)

    def _plug(self) -> None:
        raise NotImplementedError

    def _pull(self) -> None:
        raise NotImplementedError

    def _look(self, moment: Moment) -> Reading:
        raise NotImplementedError
