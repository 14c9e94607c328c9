"""The replay: transitions in memory, each frame stored once, the next observation found by index.

One ring of observations. Row t holds the observation and the transition that starts at it; its next observation is row
t + 1, and `valid` says where that is so: not at the last observation of an episode, not at the newest one of an
episode still running, not where the ring has overwritten it. Action chunks and frame stacks follow the same links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from o2o_robot import config
from o2o_robot.data import replay_cache
from o2o_robot.data.coreset import choose_episodes
from o2o_robot.data.episode_book import EpisodeBook
from o2o_robot.data.fit import require_fit, require_step_fits
from o2o_robot.data.memmap import FrameMap
from o2o_robot.data.relabel import Word, ending_of, relabelled, require_word
from o2o_robot.data.returns import RewardTransform, Tail, mc_returns, require_tail
from o2o_robot.data.ring import runs
from o2o_robot.data.store import EpisodeStore
from o2o_robot.data.transitions import MODES, Transitions
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.types import Array, Episode, Mode, ObservationSpec, Step


class ReplayBuffer(Transitions):
    """Transitions to learn from, whole episodes or steps as they happen; the oldest give way to the newest.

    replay = ReplayBuffer(50_000, spec, n_action=3, transform=RewardTransform(bias=-1.0))
    for step in stream:
        replay.add_step(step, mode=Mode.ONLINE)
        batch = replay.sample(256, rng)
    """

    def __init__(
        self,
        capacity_steps: int,
        spec: ObservationSpec,
        n_action: int,
        transform: RewardTransform,
        tail: Tail = "stationary",
        *,
        frames: FrameMap | None = None,
    ) -> None:
        """Room for `capacity_steps` observations; an episode of T transitions takes T + 1 of them.

        frames: where the images are kept, of `capacity_steps` rows (`memmap.FrameMap`); in memory unless told.
        """
        if capacity_steps < 2 or n_action < 1:
            raise ConfigError(f"a replay needs capacity_steps >= 2 and n_action >= 1, got {capacity_steps}, {n_action}")
        require_tail(tail)
        super().__init__(int(capacity_steps), spec, n_action, transform, frames)
        self.capacity_steps, self.tail = int(capacity_steps), tail
        self._cursor = 0  # the row that is written next
        self._steps_added = 0
        self._book = EpisodeBook(self.capacity_steps)
        self._open_id: str | None = None
        self._open_index = 0

    @classmethod
    def from_store(
        cls,
        store: EpisodeStore,
        spec: ObservationSpec,
        *,
        transform: RewardTransform,
        tail: Tail = "stationary",
        capacity_steps: int | None = None,
        indices: Sequence[int] | None = None,
        cache: str | Path | None = None,
    ) -> ReplayBuffer:
        """A replay of the store's episodes (all, or those at `indices`), with just the room they need unless told.

        cache: a folder to keep the decoded frames in; they are then mapped from there and not held in memory. It is
        made when it is not there, used again when store, spec and indices are the same, else made anew. A replay with
        a cache holds these episodes and takes no others.
        """
        chosen = list(range(len(store)) if indices is None else indices)
        if not chosen:
            raise DataError(f"no episode of {store.path} was chosen (it holds {len(store)}); there is nothing to learn")
        rows = capacity_steps or sum(store.length(i) + 1 for i in chosen)
        if cache is None:
            return cls._read(store, chosen, rows, spec, transform, tail)
        if capacity_steps is not None:
            raise ConfigError(f"a cached replay has just the room its episodes need; leave out capacity_steps={rows}")
        columns, frames = replay_cache.open_or_build(
            cache,
            store,
            chosen,
            spec,
            lambda frames: cls._read(store, chosen, rows, spec, transform, frames=frames)._ring,
        )
        return cls._mapped(columns, frames, spec, transform, tail)

    @classmethod
    def _read(
        cls,
        store: EpisodeStore,
        chosen: Sequence[int],
        rows: int,
        spec: ObservationSpec,
        transform: RewardTransform,
        tail: Tail = "stationary",
        frames: FrameMap | None = None,
    ) -> ReplayBuffer:
        replay: ReplayBuffer | None = None
        for episode in map(store.read, chosen):
            replay = replay or cls(rows, spec, episode.action.shape[1], transform, tail, frames=frames)
            replay.add_episode(episode)
        assert replay is not None
        return replay

    @classmethod
    def _mapped(
        cls,
        columns: Mapping[str, Array],
        frames: FrameMap,
        spec: ObservationSpec,
        transform: RewardTransform,
        tail: Tail,
    ) -> ReplayBuffer:
        """A full replay over a cache; the returns are computed here, by this reader's transform and tail."""
        replay = cls(len(columns["valid"]), spec, columns["action"].shape[1], transform, tail, frames=frames)
        for name, column in columns.items():
            replay._ring[name][:] = column
        for rows in runs(replay._valid, 0):
            replay._fill_returns(rows)
        replay._steps_added = int(replay._valid.sum())
        return replay

    @property
    def steps_added(self) -> int:
        """Transitions ever added, overwritten ones too: what a ratio of updates to data counts."""
        return self._steps_added

    def add_episode(self, episode: Episode) -> None:
        """Add a whole episode. Raises DataError where it does not fit the spec or the ring, or a stream is open."""
        n_steps = len(episode)
        self._require_writable()
        if self._open_id is not None:
            raise DataError(f"episode '{self._open_id}' is still streaming in; end it, or `abandon` it first")
        if n_steps + 1 > self.capacity_steps:
            raise DataError(f"{n_steps} steps do not fit in {self.capacity_steps} observations; raise capacity_steps")
        require_fit(self.spec, self.n_action, episode.images, episode.state, episode.action)
        rows = (self._cursor + np.arange(n_steps + 1)) % self.capacity_steps
        for camera in self.spec.cameras:
            self._ring[f"images/{camera}"][rows] = episode.images[camera]
        self._ring["state"][rows] = self.spec.state_vector(episode.state)
        self._ring["mode"][rows] = _mode_code(episode.meta.get("mode"))
        for name in ("action", "reward", "terminated", "truncated", "source", "revision"):
            self._ring[name][rows[:-1]] = getattr(episode, name)
        self._valid[rows] = np.arange(n_steps + 1) < n_steps
        self._fill_returns(rows[:-1])
        self._book.begin(str(episode.meta.get("id", "")), str(episode.meta.get("outcome", "")))
        self._advance(n_steps + 1, n_steps)
        self._touched(n_steps + 1)

    def add_step(self, step: Step, *, mode: Mode | str | None = None) -> None:
        """Add the next Step of the running episode; it can be sampled once its next observation has come.

        Until the last Step has come mc_return is -inf; then it is filled in for the whole episode. Index 0 starts an
        episode; one that was left open keeps its transitions, without returns. Raises DataError where a Step was lost:
        the rest of that episode is refused, so that no transition ever joins two moments that did not follow.
        """
        self._require_writable()
        if step.index == 0:
            self._open_id, self._open_index = step.episode, 0
            self._book.begin(step.episode)
        elif (step.episode, step.index) != (self._open_id, self._open_index):
            due = (
                f"step {self._open_index} of '{self._open_id}'" if self._open_id is not None else "step 0 of an episode"
            )
            self.abandon()
            raise DataError(f"step {step.index} of episode '{step.episode}' came, {due} was due; its rest is not added")
        require_step_fits(self.spec, self.n_action, step)
        self._write(step, mode)
        if step.index > 0:
            self._valid[(self._cursor - 1) % self.capacity_steps] = True
        if step.is_last:
            n_kept = min(step.index, self.capacity_steps - 1)
            self._fill_returns((self._cursor - n_kept + np.arange(n_kept)) % self.capacity_steps)
            self.abandon()
        else:
            self._open_index += 1
        self._advance(1, int(step.index > 0))

    def abandon(self) -> None:
        """Forget the running episode's end: its transitions stay, the next Step must have index 0."""
        self._open_id, self._open_index = None, 0

    def leave_out(self, n_steps: int) -> None:
        """Sample the newest n_steps transitions no more, as though they had not come: an episode that just ended.

        They keep their rows, and count as added.
        """
        newest = (self._cursor - 1 - np.arange(min(n_steps + 1, self.capacity_steps))) % self.capacity_steps
        self._valid[newest] = False
        self._pools.clear()

    def relabel(self, episode: str, outcome: Word) -> int:
        """A person's late word on an episode held here: its rewards, end and returns become what a store would say.

        "discard" takes its transitions out; any later word brings them back. The number of its transitions; 0 where it
        is not here (never was, or its beginning was overwritten). Raises DataError while it is still streaming in.
        """
        require_word(outcome)
        if episode == self._open_id:
            raise DataError(f"episode '{episode}' is still running; label it once it has ended")
        entry = self._book.find(episode)
        rows = self._book.rows(entry) if entry is not None else np.zeros(0, int)
        if entry is None or not len(rows):
            return 0
        columns = [self._ring[name][rows] for name in ("reward", "terminated", "truncated")]
        entry.recorded = entry.recorded or ending_of(*columns)
        if outcome == "discard":
            entry.is_discarded = entry.is_discarded or bool(self._valid[rows].any())
            self._valid[rows] = False
        else:
            after = relabelled(entry.recorded, outcome, recorded_outcome=entry.outcome)
            for name, column in after._asdict().items():
                self._ring[name][rows] = column
            self._valid[rows] |= entry.is_discarded
            entry.is_discarded = False
            self._fill_returns(rows)
        self._pools.clear()
        return len(rows)

    def coreset(self, fraction: float, rng: np.random.Generator) -> ReplayBuffer:
        """A small replay of its own with about `fraction` of the transitions, by whole episodes drawn at random.

        What stays of offline data to steady the online phase (1 to 5 %) costs no large data set then. Episodes are
        added until the fraction is reached, at least one; one that is still running, or was abandoned, is left out.
        """
        whole = [rows for rows in runs(self._valid, self._cursor) if not self._is_open(rows)]
        chosen = [whole[i] for i in choose_episodes([len(rows) for rows in whole], fraction, rng)]
        small = ReplayBuffer(sum(len(rows) + 1 for rows in chosen), self.spec, self.n_action, self.transform, self.tail)
        for rows in chosen:
            small._take(self._ring, np.append(rows, (rows[-1] + 1) % self.capacity_steps))
        return small

    def state_dict(self) -> dict[str, Array]:
        """Everything needed to go on as if nothing had happened, as NumPy arrays.

        The ring's used part comes as read-only views, not copies (it may fill half the memory): write them out before
        the replay changes.
        """
        used = self.capacity_steps if self._ring["used"].all() else self._cursor
        state = {f"ring/{name}": _read_only(array[:used]) for name, array in self._ring.items()}
        state["cursor"] = np.array([self._cursor, self._steps_added, self._open_index, self.capacity_steps], np.int64)
        state["open_id"] = _as_bytes(self._open_id or "")
        state["book"] = _as_bytes(self._book.state().decode())
        return state | {"fingerprint": _as_bytes(self._fingerprint())}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Become what `state_dict` described. Raises ConfigError where spec, transform, tail or capacity differ."""
        needed = ("cursor", "open_id", "fingerprint", *(f"ring/{name}" for name in self._ring))
        missing = [name for name in needed if name not in state]
        if missing:
            raise DataError(f"a saved replay lacks {', '.join(missing)}; it was not written by this software")
        cursor, steps_added, open_index, capacity_steps = (int(v) for v in state["cursor"])
        if bytes(state["fingerprint"]).decode() != self._fingerprint() or capacity_steps != self.capacity_steps:
            raise ConfigError(
                "the saved replay was built with another observation spec, reward transform, tail, n_action or "
                f"capacity ({capacity_steps} then, {self.capacity_steps} now); resume with its own settings"
            )
        for name, array in self._ring.items():
            saved = state[f"ring/{name}"]
            array[: len(saved)] = saved
            if name in ("valid", "used"):
                array[len(saved) :] = False
        self._cursor, self._steps_added, self._open_index = cursor, steps_added, open_index
        self._open_id = bytes(state["open_id"]).decode() or None
        book = state.get("book")
        self._book.load(b"" if book is None else bytes(book), cursor=cursor)
        self._pools.clear()

    def _write(self, step: Step, mode: Mode | str | None) -> None:
        row = self._cursor
        for camera in self.spec.cameras:
            self._ring[f"images/{camera}"][row] = step.observation.images[camera]
        self._ring["state"][row] = self.spec.state_vector(step.observation.state)
        self._ring["mode"][row] = _mode_code(mode)
        self._valid[row] = False  # until the next observation is here
        self._ring["mc_return"][row] = -np.inf
        if step.executed is not None:
            for name in ("reward", "terminated", "truncated"):
                self._ring[name][row] = getattr(step, name)
            self._ring["action"][row] = step.executed.values
            self._ring["source"][row] = int(step.executed.source)
            self._ring["revision"][row] = step.executed.revision

    def _fill_returns(self, rows: Array) -> None:
        reward, terminated, truncated = (self._ring[name][rows] for name in ("reward", "terminated", "truncated"))
        self._ring["mc_return"][rows] = mc_returns(reward, terminated, truncated, self.transform, tail=self.tail)

    def _advance(self, n_rows: int, n_transitions: int) -> None:
        self._ring["used"][(self._cursor + np.arange(n_rows)) % self.capacity_steps] = True
        self._book.add(n_rows)
        self._cursor = (self._cursor + n_rows) % self.capacity_steps
        self._steps_added += n_transitions
        self._pools.clear()

    def _take(self, ring: Mapping[str, Array], rows: Array) -> None:
        """Append a run of rows of another replay's ring, its final observation last."""
        here = self._cursor + np.arange(len(rows))
        for name, column in self._ring.items():
            column[here] = ring[name][rows]
        self._valid[here] = np.arange(len(rows)) < len(rows) - 1
        self._book.begin("")
        self._advance(len(rows), len(rows) - 1)

    def _is_open(self, rows: Array) -> bool:
        """Whether a run of transitions is of an episode whose end never came."""
        last = rows[-1]
        has_end = self._ring["terminated"][last] or self._ring["truncated"][last]
        return bool(np.isneginf(self._ring["mc_return"][last]) and not has_end)

    def _require_writable(self) -> None:
        if self._frames is not None and not self._frames.is_writable:
            raise DataError(
                f"this replay is mapped from the cache {self._frames.folder} and takes no more data; add to another "
                "replay and mix the two"
            )

    def _fingerprint(self) -> str:
        return f"{config.fingerprint(self.spec)} {self.transform.fingerprint()} {self.tail} {self.n_action}"


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _mode_code(mode: Mode | str | None) -> int:
    value = mode.value if isinstance(mode, Mode) else mode
    return MODES.index(value) if value in MODES else len(MODES)


def _as_bytes(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8).copy()
