"""Steps in, committed episodes out: what recorder_node calls, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from o2o_robot.data.episode import EpisodeBuilder
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Episode, Outcome, Step, Termination

TOLD = ("n_steps", "task", "mode", "seed", "outcome", "termination")
CUT_SHORT = (Termination.FAULT.value, Termination.OPERATOR.value)


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
        stored: Iterable[str] = (),
    ) -> None:
        """facts: meta of every episode. max_running: episodes kept in memory; past it the oldest is discarded.
        stored: ids that lie in the store already; what is said of them again is passed over.

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
        self._stored: set[str] = set(stored)

    @property
    def episodes_discarded(self) -> int:
        return len(self.discarded)

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the episodes that are neither stored nor discarded yet."""
        return tuple(self._running)

    @property
    def waits_for_an_end(self) -> bool:
        """Whether an episode is open that should have ended by now."""
        is_whole = [one.builder.is_whole and not one.has_ended for one in self._running.values()]
        return len(is_whole) > 1 or any(is_whole)

    def settle(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """End the running episodes whose end was written down and not heard. lines: of the session's episodes.jsonl."""
        for line in lines:
            running = self._running.get(line.get("id", ""))
            if running is None or running.has_ended:
                continue
            if running.builder.is_whole:
                self.end(line["id"], **{name: line[name] for name in TOLD if name in line})
            elif line.get("termination") in CUT_SHORT:
                self.discard(line["id"], f"cut short after {len(running.builder)} steps")

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


@dataclass
class Scenes:
    """What was drawn for the scenes that episodes run in, each scene for the first episode that starts in it.

    scenes.hear(stamp_ns, drawn)            # when the scene was reset, before or after the episode's START is heard
    facts = scenes.take(start_ns)           # when it has ended; {} where nothing was told
    """

    _told: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def hear(self, stamp_ns: int, drawn: Mapping[str, Any]) -> None:
        self._told[stamp_ns] = drawn

    def take(self, start_ns: int) -> Mapping[str, Any]:
        """The scene that an episode starting at start_ns ran in; it and all older ones are forgotten."""
        before = [stamp_ns for stamp_ns in self._told if stamp_ns <= start_ns]
        drawn = self._told[max(before)] if before else {}
        for stamp_ns in before:
            del self._told[stamp_ns]
        return drawn


def with_outcome(episode: Episode) -> Episode:
    """The episode with outcome and termination in its meta, from its last transition where nobody told them."""
    has_ended = bool(episode.terminated[-1] or episode.truncated[-1])
    is_success = bool(episode.terminated[-1] and episode.reward[-1] > 0)
    outcome = Outcome.SUCCESS if is_success else Outcome.FAILURE if has_ended else Outcome.INCOMPLETE
    stopped = Termination.TASK if episode.terminated[-1] else Termination.TIME_LIMIT
    guess = {"outcome": outcome.value, "termination": stopped.value if has_ended else Termination.FAULT.value}
    return replace(episode, meta={**guess, **episode.meta})
