"""Steps in, committed episodes out: what recorder_node calls, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from o2o_robot.data.episode import EpisodeBuilder
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Episode, Outcome, Step, Termination


@dataclass
class _Running:
    """An episode on its way: its steps, the facts told about it, and whether its end was told."""

    builder: EpisodeBuilder
    facts: dict[str, Any] = field(default_factory=dict)
    n_steps: int | None = None
    has_ended: bool = False


class Recorder:
    """Builds episodes by id from Steps and facts, in whatever order the two arrive, and commits whole ones.

    recorder = Recorder(store, facts={"task": "peg"})
    recorder.start("ep-7", mode="online", seed=3)
    for step in stream: recorder.add(step)
    recorder.end("ep-7", n_steps=50, outcome="success", termination="task")     # committed by now
    recorder.close()
    """

    def __init__(
        self,
        store: EpisodeStore,
        *,
        facts: Mapping[str, Any] | None = None,
        provenance: Callable[[], Mapping[str, Any]] | None = None,
        max_running: int = 8,
    ) -> None:
        """facts: meta of every episode. max_running: episodes kept in memory; past it the oldest is discarded.

        provenance: what meta["provenance"] of an episode committed now shall say (data.provenance.episode_provenance).
        """
        self.episodes_stored = 0
        self.steps_stored = 0
        self.last_episode = ""
        self.discarded: dict[str, str] = {}  # id -> why
        self._store = store
        self._facts = dict(facts or {})
        self._provenance = provenance
        self._max_running = max_running
        self._running: dict[str, _Running] = {}
        self._stored: set[str] = set()

    @property
    def episodes_discarded(self) -> int:
        return len(self.discarded)

    def start(self, episode: str, **facts: Any) -> None:
        """Tell facts of an episode (mode, seed, task, ...), before or after its first Step."""
        if running := self._of(episode):
            running.facts.update(facts)

    def add(self, step: Step) -> int | None:
        """Take a Step; returns the store's index where this completed an episode.

        A Step that does not follow (one was lost) discards its episode. Raises StoreError where the disk is full.
        """
        running = self._of(step.episode)
        if running is None:
            return None
        try:
            running.builder.add(step)
        except DataError as problem:
            self.discard(step.episode, str(problem))
            return None
        return self._commit_if_ready(step.episode)

    def end(self, episode: str, *, n_steps: int | None = None, **facts: Any) -> int | None:
        """Tell how an episode ended (outcome, termination); returns the store's index where this completed it."""
        running = self._of(episode)
        if running is None:
            return None
        running.facts.update(facts)
        running.n_steps, running.has_ended = n_steps, True
        return self._commit_if_ready(episode)

    def discard(self, episode: str, why: str) -> None:
        """Drop an episode; what still comes of it is ignored."""
        self._running.pop(episode, None)
        self.discarded[episode] = why

    def close(self) -> None:
        """Commit whole episodes whose end was never told, discard the rest. The store stays open: it is not ours."""
        for episode, running in list(self._running.items()):
            self._give_up(episode, f"cut short after {len(running.builder)} steps")

    def _give_up(self, episode: str, why: str) -> None:
        """Wait no longer for an end to be told: an episode whose last Step came is whole without it."""
        running = self._running[episode]
        if running.builder.is_whole:
            self._commit(episode, running)
        else:
            self.discard(episode, why)

    def _of(self, episode: str) -> _Running | None:
        """The running episode of that id, new where it is unknown; None where it was stored or discarded."""
        if episode in self._stored or episode in self.discarded:
            return None
        if episode not in self._running:
            self._running[episode] = _Running(EpisodeBuilder(episode))
            if len(self._running) > self._max_running:
                self._give_up(next(iter(self._running)), f"never ended while {self._max_running} later episodes began")
        return self._running[episode]

    def _commit_if_ready(self, episode: str) -> int | None:
        running = self._running[episode]
        return self._commit(episode, running) if running.builder.is_whole and running.has_ended else None

    def _commit(self, episode: str, running: _Running) -> int | None:
        if running.n_steps not in (None, len(running.builder)):
            self.discard(episode, f"{running.n_steps} steps were taken, {len(running.builder)} arrived")
            return None
        try:
            whole = running.builder.build({**self._facts, **running.facts, **self._origin()})
            index = self._store.append(with_outcome(whole))
        except DataError as problem:
            self.discard(episode, str(problem))
            return None
        del self._running[episode]
        self._stored.add(episode)
        self.episodes_stored, self.steps_stored = self.episodes_stored + 1, self.steps_stored + len(whole)
        self.last_episode = episode
        return index

    def _origin(self) -> dict[str, Any]:
        return {} if self._provenance is None else {"provenance": dict(self._provenance())}


def with_outcome(episode: Episode) -> Episode:
    """The episode with outcome and termination in its meta, from its last transition where nobody told them."""
    has_ended = bool(episode.terminated[-1] or episode.truncated[-1])
    is_success = bool(episode.terminated[-1] and episode.reward[-1] > 0)
    outcome = Outcome.SUCCESS if is_success else Outcome.FAILURE if has_ended else Outcome.INCOMPLETE
    stopped = Termination.TASK if episode.terminated[-1] else Termination.TIME_LIMIT
    guess = {"outcome": outcome.value, "termination": stopped.value if has_ended else Termination.FAULT.value}
    return replace(episode, meta={**guess, **episode.meta})
