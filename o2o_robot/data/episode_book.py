"""Which rows of a replay's ring are of which episode, so that a person's late word finds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.types import Array


class Ending(NamedTuple):
    """How an episode's rewards were recorded, before anybody corrected them; one entry a transition."""

    reward: tuple[float, ...]
    terminated: bool
    truncated: bool


@dataclass
class Entry:
    """first: how many rows the ring had ever been given before its first; n_rows: observations, so far.

    outcome, recorded: as they came, the latter once a label was laid over it. is_discarded: a person took it out.
    """

    id: str
    first: int
    n_rows: int = 0
    outcome: str = ""
    recorded: Ending | None = None
    is_discarded: bool = False


@dataclass
class EpisodeBook:
    """Written along with the ring: `add` for every row, or for all rows of an episode at once."""

    capacity: int
    n_rows: int = 0
    _entries: list[Entry] = field(default_factory=list)

    def begin(self, episode: str, outcome: str = "") -> None:
        """The rows that are added from here on are this episode's."""
        self._entries.append(Entry(episode, self.n_rows, outcome=outcome))

    def add(self, n_rows: int) -> None:
        """Rows have been written. Episodes of which nothing is left in the ring are forgotten."""
        if self._entries:
            self._entries[-1].n_rows += n_rows
        self.n_rows += n_rows
        oldest = self.n_rows - self.capacity
        while self._entries and self._entries[0].first + self._entries[0].n_rows <= oldest:
            del self._entries[0]

    def find(self, episode: str) -> Entry | None:
        """The newest of this id; None where there is none, or its beginning has been overwritten."""
        named = (entry for entry in reversed(self._entries) if episode and entry.id == episode)
        entry = next(named, None)
        return entry if entry is not None and entry.first >= self.n_rows - self.capacity else None

    def rows(self, entry: Entry) -> Array:
        """Of its transitions, in order; the last observation starts none."""
        return (entry.first + np.arange(max(0, entry.n_rows - 1))) % self.capacity

    def state(self) -> bytes:
        """JSON."""
        return json.dumps({"n_rows": self.n_rows, "episodes": [asdict(e) for e in self._entries]}).encode()

    def load(self, state: bytes, *, cursor: int) -> None:
        """Become what `state` gave; b"" is of a replay without a book, whose next row is `cursor`."""
        saved: Mapping[str, Any] = json.loads(state) if state else {"n_rows": cursor, "episodes": []}
        self.n_rows = int(saved["n_rows"])
        self._entries = [
            Entry(**{**one, "recorded": None if one["recorded"] is None else Ending(*one["recorded"])})
            for one in saved["episodes"]
        ]
