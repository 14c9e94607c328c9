"""The replay: transitions in memory, each frame stored once, the next observation found by index.

One ring of observations. Row t holds the observation and the transition that starts at it; its next observation is row
t + 1, and `_valid` says where that is so: not at the last observation of an episode, not at the newest one of an
episode still running, not where the ring has overwritten it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from o2o_robot import config
from o2o_robot.data.returns import RewardTransform, Tail, mc_returns, require_same, require_tail
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.types import Array, Batch, Episode, Mode, ObservationSpec, Source, Step

_MODES = [mode.value for mode in Mode]
_UNKNOWN_MODE = len(_MODES)


class ReplayBuffer:
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
    ) -> None:
        """Room for `capacity_steps` observations; an episode of T transitions takes T + 1 of them."""
        if capacity_steps < 2 or n_action < 1:
            raise ConfigError(f"a replay needs capacity_steps >= 2 and n_action >= 1, got {capacity_steps}, {n_action}")
        require_tail(tail)
        self.capacity_steps, self.spec, self.n_action = int(capacity_steps), spec, int(n_action)
        self.transform, self.tail = transform, tail
        self._ring = _empty_ring(self.capacity_steps, spec, self.n_action)
        self._valid = self._ring["valid"]
        self._cursor = 0  # the row that is written next
        self._steps_added = 0
        self._open_id: str | None = None
        self._open_index = 0
        self._pools: dict[bool, Array] = {}

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
    ) -> ReplayBuffer:
        """A replay of the store's episodes (all, or those at `indices`), with just the room they need unless told."""
        chosen = list(range(len(store)) if indices is None else indices)
        if not chosen:
            raise DataError(f"no episode of {store.path} was chosen (it holds {len(store)}); there is nothing to learn")
        rows = sum(store.length(i) + 1 for i in chosen)
        replay: ReplayBuffer | None = None
        for episode in map(store.read, chosen):
            replay = replay or cls(capacity_steps or rows, spec, episode.action.shape[1], transform, tail)
            replay.add_episode(episode)
        assert replay is not None
        return replay

    def __len__(self) -> int:
        """Number of transitions that can be sampled now."""
        return len(self._pool(with_return_only=False))

    @property
    def steps_added(self) -> int:
        """Transitions ever added, overwritten ones too: what a ratio of updates to data counts."""
        return self._steps_added

    @property
    def n_bytes(self) -> int:
        """Memory that the full ring takes."""
        return sum(array.nbytes for array in self._ring.values())

    def add_episode(self, episode: Episode) -> None:
        """Add a whole episode. Raises DataError where it does not fit the spec or the ring, or a stream is open."""
        n_steps = len(episode)
        if self._open_id is not None:
            raise DataError(f"episode '{self._open_id}' is still streaming in; end it, or `abandon` it first")
        if n_steps + 1 > self.capacity_steps:
            raise DataError(f"{n_steps} steps do not fit in {self.capacity_steps} observations; raise capacity_steps")
        self._check(episode.images, episode.state, episode.action)
        rows = (self._cursor + np.arange(n_steps + 1)) % self.capacity_steps
        for camera in self.spec.cameras:
            self._ring[f"images/{camera}"][rows] = episode.images[camera]
        self._ring["state"][rows] = self.spec.state_vector(episode.state)
        self._ring["mode"][rows] = _mode_code(episode.meta.get("mode"))
        for name in ("action", "reward", "terminated", "truncated", "source", "revision"):
            self._ring[name][rows[:-1]] = getattr(episode, name)
        self._valid[rows] = np.arange(n_steps + 1) < n_steps
        self._fill_returns(rows[:-1])
        self._advance(n_steps + 1, n_steps)

    def add_step(self, step: Step, *, mode: Mode | str | None = None) -> None:
        """Add the next Step of the running episode; it can be sampled once its next observation has come.

        Until the last Step has come mc_return is -inf; then it is filled in for the whole episode. Index 0 starts an
        episode; one that was left open keeps its transitions, without returns. Raises DataError where a Step was lost:
        the rest of that episode is refused, so that no transition ever joins two moments that did not follow.
        """
        if step.index == 0:
            self._open_id, self._open_index = step.episode, 0
        elif (step.episode, step.index) != (self._open_id, self._open_index):
            due = (
                f"step {self._open_index} of '{self._open_id}'" if self._open_id is not None else "step 0 of an episode"
            )
            self.abandon()
            raise DataError(f"step {step.index} of episode '{step.episode}' came, {due} was due; its rest is not added")
        self._check_step(step)
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

    def sample(self, batch_size: int, rng: np.random.Generator, *, with_return_only: bool = False) -> Batch:
        """B transitions, uniformly, with replacement. Raises DataError where there are none yet.

        with_return_only: leave out those whose mc_return is -inf (running or abandoned episodes; tail "invalid").
        """
        batch = empty_batch(self.spec, self.n_action, batch_size)
        self.fill(batch, None, rng, with_return_only=with_return_only)
        return batch

    def fill(self, batch: Batch, places: Array | None, rng: np.random.Generator, *, with_return_only: bool) -> None:
        """Draw transitions into the rows `places` of `batch` (None: into all of them)."""
        pool = self._pool(with_return_only)
        if not len(pool):
            raise DataError("the replay holds no transition to sample; add an episode, or wait for the second step")
        rows = pool[rng.integers(len(pool), size=len(batch.reward) if places is None else len(places))]
        next_rows = (rows + 1) % self.capacity_steps
        for camera in self.spec.cameras:
            _copy_rows(self._ring[f"images/{camera}"], rows, batch.images[camera], places)
            _copy_rows(self._ring[f"images/{camera}"], next_rows, batch.next_images[camera], places)
        for name in ("state", "action", "reward", "terminated", "mc_return"):
            _copy_rows(self._ring[name], rows, getattr(batch, name), places)
        _copy_rows(self._ring["state"], next_rows, batch.next_state, places)

    def require_transform(self, transform: RewardTransform) -> None:
        """Raises ConfigError where TD targets by `transform` would not have the units of the mc_returns held here."""
        require_same(transform, self.transform, where="replay returns against the learner's TD target")

    def counts(self) -> dict[str, dict[str, int]]:
        """How many transitions came of which "mode", "source" and policy "revision"."""
        rows = self._pool(with_return_only=False)
        names = {"mode": [*_MODES, "unknown"], "source": [source.name.lower() for source in Source]}
        tables = {}
        for tag in ("mode", "source", "revision"):
            values, numbers = np.unique(self._ring[tag][rows], return_counts=True)
            pairs = zip(values.tolist(), numbers.tolist(), strict=True)
            tables[tag] = {names[tag][v] if tag in names and v < len(names[tag]) else str(v): n for v, n in pairs}
        return tables

    def state_dict(self) -> dict[str, Array]:
        """Everything needed to go on as if nothing had happened, as NumPy arrays.

        The ring's used part comes as read-only views, not copies (it may fill half the memory): write them out before
        the replay changes.
        """
        used = self.capacity_steps if self._ring["used"].all() else self._cursor
        state = {f"ring/{name}": _read_only(array[:used]) for name, array in self._ring.items()}
        state["cursor"] = np.array([self._cursor, self._steps_added, self._open_index, self.capacity_steps], np.int64)
        state["open_id"] = _as_bytes(self._open_id or "")
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
        self._pools.clear()

    def _pool(self, with_return_only: bool) -> Array:
        """Rows that may be drawn; built once after each change, so that drawing is one integer a row."""
        if with_return_only not in self._pools:
            allowed = self._valid & np.isfinite(self._ring["mc_return"]) if with_return_only else self._valid
            self._pools[with_return_only] = np.flatnonzero(allowed)
        return self._pools[with_return_only]

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
        self._cursor = (self._cursor + n_rows) % self.capacity_steps
        self._steps_added += n_transitions
        self._pools.clear()

    def _check_step(self, step: Step) -> None:
        images = {name: np.asarray(image)[None] for name, image in step.observation.images.items()}
        state = {name: np.asarray(values)[None] for name, values in step.observation.state.items()}
        action = np.zeros((1, self.n_action), np.float32) if step.executed is None else step.executed.values[None]
        self._check(images, state, action)

    def _check(self, images: Mapping[str, Array], state: Mapping[str, Array], action: Array) -> None:
        """Raises DataError naming the first thing that does not fit the spec; rows are the first axis of each."""
        side = self.spec.image_size
        for camera in self.spec.cameras:
            _check_field(camera, images, (side, side, 3), "resize at ingest, or build the replay with that image_size")
            if images[camera].dtype != np.uint8:
                raise DataError(f"camera '{camera}' is {images[camera].dtype}, expected uint8; do not normalise before")
        for name, size in self.spec.proprio:
            _check_field(name, state, (size,), "choose the proprioception fields that the recording has")
        if action.shape[1:] != (self.n_action,) or not np.isfinite(action).all():
            raise DataError(f"action has shape {action.shape[1:]}, expected ({self.n_action},) and finite values")

    def _fingerprint(self) -> str:
        return f"{config.fingerprint(self.spec)} {self.transform.fingerprint()} {self.tail} {self.n_action}"


def _empty_ring(n_rows: int, spec: ObservationSpec, n_action: int) -> dict[str, Array]:
    """Zeros, which the operating system hands out page by page as rows are written."""
    side = spec.image_size
    ring: dict[str, Array] = {
        f"images/{camera}": np.zeros((n_rows, side, side, 3), np.uint8) for camera in spec.cameras
    }
    ring |= {"state": np.zeros((n_rows, spec.n_state), np.float32), "action": np.zeros((n_rows, n_action), np.float32)}
    ring |= {name: np.zeros(n_rows, np.float32) for name in ("reward", "mc_return")}
    ring |= {name: np.zeros(n_rows, np.bool_) for name in ("terminated", "truncated", "valid", "used")}
    return ring | {"source": np.zeros(n_rows, "u1"), "mode": np.zeros(n_rows, "u1"), "revision": np.zeros(n_rows, "i8")}


def empty_batch(spec: ObservationSpec, n_action: int, batch_size: int) -> Batch:
    """A Batch of `batch_size` rows whose values are still to be written.

    All frames lie in one block: the allocator keeps one block of a known size for the next batch, while four smaller
    ones go back to the operating system each time, and the page faults then cost five times the copying.
    """
    side = spec.image_size
    frames = np.empty((len(spec.cameras), 2, batch_size, side, side, 3), np.uint8)
    return Batch(
        images={camera: frames[i, 0] for i, camera in enumerate(spec.cameras)},
        next_images={camera: frames[i, 1] for i, camera in enumerate(spec.cameras)},
        state=np.empty((batch_size, spec.n_state), np.float32),
        next_state=np.empty((batch_size, spec.n_state), np.float32),
        action=np.empty((batch_size, n_action), np.float32),
        reward=np.empty(batch_size, np.float32),
        terminated=np.empty(batch_size, np.bool_),
        mc_return=np.empty(batch_size, np.float32),
    )


def _copy_rows(ring: Array, rows: Array, out: Array, places: Array | None) -> None:
    if places is None:
        np.take(ring, rows, axis=0, out=out, mode="clip")  # rows are in range; "raise" would copy twice
    else:
        out[places] = np.take(ring, rows, axis=0)


def _check_field(name: str, holder: Mapping[str, Array], shape: tuple[int, ...], remedy: str) -> None:
    if name not in holder:
        raise DataError(f"'{name}' is not in the recording, which has {', '.join(holder) or 'nothing'}; {remedy}")
    if holder[name].shape[1:] != shape:
        raise DataError(f"'{name}' has shape {holder[name].shape[1:]}, the spec says {shape}; {remedy}")


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _mode_code(mode: Mode | str | None) -> int:
    value = mode.value if isinstance(mode, Mode) else mode
    return _MODES.index(value) if value in _MODES else _UNKNOWN_MODE


def _as_bytes(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8).copy()
