"""One sitting of labelling by hand: what is open, what was pressed, and how to take it back."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Literal, NamedTuple

from o2o_robot.data.labels import Correction, OutcomeWord
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.labelling.film import Film, film
from o2o_robot.labelling.overview import DOUBTFUL, Entry, entries, entry, summary

Press = Literal["success", "failure", "unknown", "doubtful", "recorded"]
_FILMS_KEPT = 24


class _Done(NamedTuple):
    episode: int
    before: Correction | None


class Session:
    """A store open to write, its labels and an undo; safe to use from several threads.

    with EpisodeStore.open(path, "a") as store:
        session = Session(store, who="kim", clock=now_iso, probability=read_opinions(path))
        session.press(3, "success")
        session.undo()
    """

    def __init__(
        self, store: EpisodeStore, *, who: str, clock: Callable[[], str], probability: Mapping[str, float]
    ) -> None:
        """clock: the time in ISO form. probability: of success, by episode number, what a classifier thought."""
        self._store, self._who, self._clock, self._probability = store, who, clock, dict(probability)
        self._lock, self._film_lock = threading.Lock(), threading.Lock()  # no press waits for pictures
        self._entries = entries(store)
        self._before = {e.index: e.outcome for e in self._entries}
        self._done: list[_Done] = []
        self._films: OrderedDict[int, Film | None] = OrderedDict()
        self.revision = 0

    def overview(self) -> dict[str, Any]:
        """Every episode, the order in which to look at them, and how far the work is."""
        with self._lock:
            rows = [self._row(e) for e in self._entries]
            n_done = sum(e.is_decided for e in self._entries)
            order = sorted(range(len(rows)), key=lambda i: self._urgency(self._entries[i]))
            return {
                "store": str(self._store.path),
                "revision": self.revision,
                "episodes": rows,
                "order": order,
                "n_done": n_done,
                "can_undo": bool(self._done),
            }

    def film(self, index: int) -> Film | None:
        """The episode's pictures, None where it has no camera; the latest few are kept."""
        with self._film_lock:
            if index not in self._films:
                self._films[index] = film(self._store.read(self._known(index), corrected=False))
                while len(self._films) > _FILMS_KEPT:
                    self._films.popitem(last=False)
            self._films.move_to_end(index)
            return self._films[index]

    def press(self, index: int, what: Press) -> None:
        """Label an episode; it is in the log when this returns. "doubtful" keeps its outcome and puts it first."""
        with self._lock:
            now = self._entries[self._known(index)]
            fresh = Correction(now.outcome if what == "doubtful" else None, by="hand", who=self._who, at=self._clock())
            if what == "doubtful":
                fresh = replace(fresh, note=DOUBTFUL)
            elif what != "recorded":
                fresh = replace(fresh, outcome=what)
            self._write(index, fresh)

    def undo(self) -> int | None:
        """Take back the last press of this sitting; the episode it was of, None where there is nothing to take back."""
        with self._lock:
            if not self._done:
                return None
            last = self._done[-1]
            before = last.before or Correction.recorded(by="hand", who=self._who, at=self._clock())
            self._write(last.episode, replace(before, at=self._clock()))
            del self._done[-2:]  # the press and its undo
            return last.episode

    def summary(self) -> str:
        """One line on what this sitting changed."""
        with self._lock:
            changed = {e.index: e.outcome for e in self._entries if e.outcome != self._before[e.index]}
            return summary(len(self._entries), self._before, changed)

    def _write(self, index: int, correction: Correction) -> None:
        before = self._store.correction(index)
        self._store.correct(index, correction)
        self._entries[index] = entry(self._store, index)
        self._done.append(_Done(index, before))
        self.revision += 1

    def _known(self, index: int) -> int:
        if not 0 <= index < len(self._entries):
            raise DataError(f"there is no episode {index}; the store holds {len(self._entries)}")
        return index

    def _row(self, e: Entry) -> dict[str, Any]:
        is_doubtful = e.note == DOUBTFUL
        facts = {"is_decided": e.is_decided, "is_doubtful": is_doubtful, "disagrees": self._disagrees(e)}
        return {**asdict(e), **facts, "probability": self._probability.get(e.number)}

    def _urgency(self, e: Entry) -> tuple[int, float, int]:
        """What to look at first: doubts, labels the classifier contradicts, the open (least sure first), the rest."""
        p = self._probability.get(e.number)
        doubt = 1.0 if p is None else abs(p - 0.5)
        if e.note == DOUBTFUL:
            return (0, doubt, e.index)
        if self._disagrees(e):
            return (1, -doubt, e.index)
        return (3 if e.is_decided else 2, 0.0 if e.is_decided else doubt, e.index)

    def _disagrees(self, e: Entry) -> bool:
        """Whether the classifier is sure of the contrary of what stands there, and no person said it."""
        p = self._probability.get(e.number)
        sure: dict[OutcomeWord, bool] = {"success": p is not None and p < 0.1, "failure": p is not None and p > 0.9}
        return e.by != "hand" and sure.get(e.outcome, False)
