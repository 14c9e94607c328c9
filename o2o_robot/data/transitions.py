"""What a replay gives: transitions drawn at random and gathered into a batch, each row by index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from o2o_robot.data.memmap import FrameMap
from o2o_robot.data.returns import RewardTransform, require_same
from o2o_robot.data.ring import empty_batch, empty_ring, gather
from o2o_robot.data.windows import Window, rows_seen
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Batch, Mode, ObservationSpec, Source

MODES = [mode.value for mode in Mode]


class Transitions:
    """A ring of observations that can be sampled; `replay.ReplayBuffer` is how they get there.

    Row t holds the observation and the transition that starts at it; its next observation is row t + 1, and `valid`
    says where that is so: not at the last observation of an episode, not at the newest one of an episode still
    running, not where the ring has overwritten it. Action chunks and frame stacks follow the same links.
    """

    def __init__(
        self,
        n_rows: int,
        spec: ObservationSpec,
        n_action: int,
        transform: RewardTransform,
        frames: FrameMap | None = None,
    ) -> None:
        self.spec, self.n_action, self.transform = spec, int(n_action), transform
        self._frames = frames
        self._ring = empty_ring(n_rows, spec, self.n_action, frames.arrays if frames else None)
        self._valid = self._ring["valid"]
        self._pools: dict[bool, Array] = {}

    def __len__(self) -> int:
        """Number of transitions that can be sampled now."""
        return len(self._pool(with_return_only=False))

    @property
    def n_bytes(self) -> int:
        """Memory that the full ring takes."""
        return sum(array.nbytes for array in self._ring.values())

    def sample(
        self,
        batch_size: int,
        rng: np.random.Generator,
        *,
        with_return_only: bool = False,
        chunk: int = 1,
        frame_stack: int = 1,
        keep: Array | None = None,
    ) -> Batch:
        """B transitions, uniformly, with replacement. Raises DataError where there are none yet.

        with_return_only: leave out those whose mc_return is -inf (running or abandoned episodes; tail "invalid").
        chunk, frame_stack: how many actions and frames each row spans (`types.Batch`); mc_return stays that of the
        row's first step. keep: which rows of that batch to give, (b,) places in it, of which only these are read: b
        processes with one rng then share out one batch.
        """
        window = Window(chunk, frame_stack)
        rows = self.draw(batch_size, rng, with_return_only=with_return_only)
        rows = rows if keep is None else rows[keep]
        batch = empty_batch(self.spec, self.n_action, len(rows), window)
        self.fill(batch, None, rows, window)
        return batch

    def draw(self, n: int, rng: np.random.Generator, *, with_return_only: bool) -> Array:
        """Rows of n transitions, (n,)."""
        pool = self._pool(with_return_only)
        if not len(pool):
            raise DataError("the replay holds no transition to sample; add an episode, or wait for the second step")
        return pool[rng.integers(len(pool), size=n)]

    def fill(self, batch: Batch, places: Array | None, rows: Array, window: Window) -> None:
        """Write the transitions at `rows`, as `draw` gave them, into the rows `places` of `batch` (None: into all)."""
        if self._frames is not None and batch.images:
            self._frames.will_need(rows_seen(self._valid, rows, window))
            self._touched(2 * len(rows) * window.frame_stack)
        gather(self._ring, rows, batch, places, window, self.transform.discount)

    def require_transform(self, transform: RewardTransform) -> None:
        """Raises ConfigError where TD targets by `transform` would not have the units of the mc_returns held here."""
        require_same(transform, self.transform, where="replay returns against the learner's TD target")

    def counts(self) -> dict[str, dict[str, int]]:
        """How many transitions came of which "mode", "source" and policy "revision"."""
        rows = self._pool(with_return_only=False)
        names = {"mode": [*MODES, "unknown"], "source": [source.name.lower() for source in Source]}
        tables = {}
        for tag in ("mode", "source", "revision"):
            values, numbers = np.unique(self._ring[tag][rows], return_counts=True)
            pairs = zip(values.tolist(), numbers.tolist(), strict=True)
            tables[tag] = {names[tag][v] if tag in names and v < len(names[tag]) else str(v): n for v, n in pairs}
        return tables

    def rows_of(self, sources: Sequence[Source], *, with_return_only: bool) -> Array:
        """Rows that may be drawn and began with a motion of one of these sources, (n,)."""
        rows = self._pool(with_return_only)
        return rows[np.isin(self._ring["source"][rows], [int(source) for source in sources])]

    def _pool(self, with_return_only: bool) -> Array:
        """Rows that may be drawn; built once after each change, so that drawing is one integer a row."""
        if with_return_only not in self._pools:
            allowed = self._valid & np.isfinite(self._ring["mc_return"]) if with_return_only else self._valid
            self._pools[with_return_only] = np.flatnonzero(allowed)
        return self._pools[with_return_only]

    def _touched(self, n_rows: int) -> None:
        """Tell a memory map how much of it was used."""
        if self._frames is not None:
            self._frames.touched(n_rows * len(self.spec.cameras) * self.spec.image_size**2 * 3)
