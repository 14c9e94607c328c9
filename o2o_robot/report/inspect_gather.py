"""One pass over a store, one episode in memory at a time: its vital signs, a sample of its numbers, its pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from o2o_robot.data.contact_sheet import strip_jpeg
from o2o_robot.data.health.finding import Finding, Level
from o2o_robot.data.health.findings import findings
from o2o_robot.data.health.vitals import Vitals, even_rows, vitals
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode


class Card(NamedTuple):
    """An episode in pictures: a strip (JPEG; first, middle, last frame) for each camera."""

    vitals: Vitals
    strips: tuple[tuple[str, bytes], ...]


class Sample(NamedTuple):
    """N steps, evenly over the store: episode (N,) numbers, state by field (N, k), action (N, a), wait_s (N,)."""

    episode: Array
    state: dict[str, Array]
    action: Array
    wait_s: Array


class Look(NamedTuple):
    """What a store holds. cards: by episode number. every: one step in so many was sampled."""

    vitals: tuple[Vitals, ...]
    findings: tuple[Finding, ...]
    cards: dict[int, Card]
    sample: Sample
    every: int

    @property
    def n_steps(self) -> int:
        return sum(v.n_steps for v in self.vitals)


def look(
    store: EpisodeStore,
    visit: Callable[[int, Episode], None] = lambda number, episode: None,
    *,
    sampled_steps: int = 20_000,
    shown: int = 48,
    shown_besides: int = 24,
) -> Look:
    """Read every episode once; visit is called with each. An episode that cannot be read becomes a finding.

    Pictures are kept of `shown` episodes, evenly over the store, and of `shown_besides` that something ails.
    """
    gathered = _Gathering(every=max(1, -(-store.n_steps // sampled_steps)))
    pictured = set(even_rows(len(store), min(shown, len(store))).tolist())
    damaged: list[Finding] = []
    for number in range(len(store)):
        try:
            episode = store.read(number)
        except DataError as problem:
            remedy = "delete it, or record and ingest it again"
            damaged.append(Finding(Level.FAULT, "an episode cannot be read", str(problem), (number,), remedy))
            continue
        gathered.take(number, episode)
        if number in pictured:
            gathered.show(number, episode)
        visit(number, episode)
    found = (*damaged, *findings(gathered.vitals))
    unreadable = {number for finding in damaged for number in finding.episodes}
    for number in ailing(found, len(store), besides=pictured | unreadable)[:shown_besides]:
        gathered.show(number, store.read(number))
    return Look(tuple(gathered.vitals), found, dict(sorted(gathered.cards.items())), gathered.sample(), gathered.every)


def ailing(found: Sequence[Finding], n_episodes: int, *, besides: set[int]) -> list[int]:
    """Episodes that something ails, the gravest first."""
    named = (number for finding in found if is_telling(finding, n_episodes) for number in finding.episodes)
    return [number for number in dict.fromkeys(named) if number not in besides]


def is_telling(finding: Finding, n_episodes: int) -> bool:
    """Whether a finding sets its episodes apart: what most of the store has is said once, of the store."""
    return finding.level < Level.NOTE and len(finding.episodes) <= max(1, n_episodes // 4)


@dataclass
class _Gathering:
    """What has been seen so far."""

    every: int
    vitals: list[Vitals] = field(default_factory=list)
    cards: dict[int, Card] = field(default_factory=dict)
    _rows: list[Sample] = field(default_factory=list)
    _n_steps: int = 0

    def take(self, number: int, episode: Episode) -> None:
        self.vitals.append(vitals(number, episode))
        if self.vitals[-1].layout == self.vitals[0].layout:
            at = np.arange(-self._n_steps % self.every, len(episode), self.every)
            state = {name: values[at] for name, values in episode.state.items()}
            wait_s = np.diff(episode.stamp_ns)[at] / 1e9
            self._rows.append(Sample(np.full(len(at), number), state, episode.action[at], wait_s))
        self._n_steps += len(episode)

    def show(self, number: int, episode: Episode) -> None:
        if episode.images:
            strips = tuple((camera, strip_jpeg(frames)) for camera, frames in episode.images.items())
            known = next(v for v in self.vitals if v.number == number)
            self.cards[number] = Card(known, strips)

    def sample(self) -> Sample:
        if not self._rows:
            return Sample(np.zeros(0, int), {}, np.zeros((0, 0)), np.zeros(0))
        state = {name: np.concatenate([part.state[name] for part in self._rows]) for name in self._rows[0].state}
        episode, action, wait_s = (
            np.concatenate([getattr(part, name) for part in self._rows]) for name in ("episode", "action", "wait_s")
        )
        return Sample(episode, state, action, wait_s)
