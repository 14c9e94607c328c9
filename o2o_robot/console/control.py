"""Who has control: one person at a time, by name, taken openly. E-stop and hold need none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from o2o_robot.console.commands import ANYBODY, Command, Refused

GRACE_S = 10.0


class Control:
    """Pages come and go; one of them may press everything, the others see and may stop.

    `client` is a page's own secret, which it keeps over a reload: so long as it is back within `grace_s`, control is
    still its own. A page that is driving the arm keeps control until it lets go.
    """

    def __init__(self, clock: Callable[[], float], *, grace_s: float = GRACE_S) -> None:
        self._clock, self._grace_s = clock, grace_s
        self._open: dict[str, int] = {}
        self._client = self._name = ""
        self._gone_s: float | None = None
        self.is_driven = False

    def came(self, client: str) -> None:
        self._open[client] = self._open.get(client, 0) + 1
        if client == self._client:
            self._gone_s = None

    def went(self, client: str) -> None:
        """A connection of this page has ended."""
        self._open[client] = self._open.get(client, 1) - 1
        if self._open[client] > 0:
            return
        del self._open[client]
        if client == self._client:
            self.is_driven, self._gone_s = False, self._clock()

    @property
    def n_open(self) -> int:
        """Pages that look on."""
        return len(self._open)

    @property
    def name(self) -> str:
        """Of whoever has control; empty: nobody."""
        if self._gone_s is not None and self._clock() - self._gone_s > self._grace_s:
            self._client, self._name, self._gone_s = "", "", None
        return self._name

    def has(self, client: str) -> bool:
        return bool(self.name) and client == self._client

    def take(self, client: str, name: str, *, take_from: str = "") -> None:
        """Become the one. take_from: who is known to have it: it is not taken from somebody unseen. Raises Refused."""
        if self.name and not self.has(client):
            if take_from != self.name:
                raise Refused(f"{self.name} has control; say that it is to be taken from {self.name}")
            if self.is_driven:
                raise Refused(f"{self.name} is moving the arm; wait until they let go, or press hold first")
        self._client, self._name, self._gone_s = client, name, None
        if client not in self._open:
            self._gone_s = self._clock()

    def leave(self, client: str) -> None:
        if self.has(client):
            self._client = self._name = ""
            self.is_driven = False

    def require(self, client: str, command: Command | Literal["joy"]) -> None:
        """Raises Refused where this page may not ask for that."""
        if command in ANYBODY or self.has(client):
            return
        who = f"{self.name} has control" if self.name else "nobody has control"
        raise Refused(f"{who}; take control first (e-stop and hold need none)")
