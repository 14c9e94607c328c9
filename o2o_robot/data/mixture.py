"""Batches from several replays in a fixed ratio, rows interleaved, so that every mini-batch has that ratio.

Concatenating sources and then cutting a high-UTD block into mini-batches gives pure online and pure offline ones;
RLPD (arXiv:2302.02948) interleaves, and so does this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from o2o_robot.data.returns import RewardTransform, require_same
from o2o_robot.data.ring import empty_batch
from o2o_robot.data.windows import Window
from o2o_robot.errors import ConfigError
from o2o_robot.types import Array, Batch, ObservationSpec


class Part(Protocol):
    """What a mixture draws from: a replay (`transitions.Transitions`), or some of its transitions."""

    @property
    def transform(self) -> RewardTransform: ...

    @property
    def spec(self) -> ObservationSpec: ...

    @property
    def n_action(self) -> int: ...

    def __len__(self) -> int: ...

    def draw(self, n: int, rng: np.random.Generator, *, with_return_only: bool) -> Array:
        """n transitions, (n, ...): whatever `fill` takes."""
        ...

    def fill(self, batch: Batch, places: Array | None, rows: Array, window: Window) -> None:
        """Write them into these rows of the batch."""
        ...


class Mixture:
    """Draws from replays in fixed shares.

    mixture = Mixture([(online, 0.5), (offline, 0.5)])
    batch = mixture.sample(256, rng)      # 128 of each, A B A B ...
    """

    def __init__(self, parts: Sequence[tuple[Part, float]]) -> None:
        """Raises ConfigError where shares do not sum to 1, or the replays differ in spec or reward transform."""
        shares = [share for _, share in parts]
        if not parts or min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ConfigError(f"shares of a mixture are >= 0 and sum to 1, got {shares}; for example 0.5 and 0.5")
        first = parts[0][0]
        for replay, _ in parts[1:]:
            require_same(first.transform, replay.transform, where="replays of a mixture")
            if (replay.spec, replay.n_action) != (first.spec, first.n_action):
                raise ConfigError(
                    "replays of a mixture must share spec and n_action; build them from one ObservationSpec"
                )
        self._replays = [replay for replay, _ in parts]
        self._shares = shares

    @property
    def transform(self) -> RewardTransform:
        """The one reward transform of all parts."""
        return self._replays[0].transform

    @property
    def spec(self) -> ObservationSpec:
        """The one observation spec of all parts."""
        return self._replays[0].spec

    @property
    def n_action(self) -> int:
        """The one action size of all parts."""
        return self._replays[0].n_action

    def __len__(self) -> int:
        """Transitions that can be sampled from parts with a share above 0."""
        return sum(len(replay) for replay, share in zip(self._replays, self._shares, strict=True) if share > 0)

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
        """B transitions, the same number of each part every time, in each of k equal slices of a k-fold batch too.

        chunk, frame_stack and keep are as in `Transitions.sample`.
        """
        window = Window(chunk, frame_stack)
        kept = np.arange(batch_size) if keep is None else np.asarray(keep)
        place_of = np.full(batch_size, -1)
        place_of[kept] = np.arange(len(kept))
        batch = empty_batch(self.spec, self.n_action, len(kept), window)
        for replay, places in zip(self._replays, interleave(split(batch_size, self._shares)), strict=True):
            if len(places):
                rows = replay.draw(len(places), rng, with_return_only=with_return_only)
                here = place_of[places]
                replay.fill(batch, here[here >= 0], rows[here >= 0], window)
        return batch


def split(batch_size: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers nearest to share * batch_size that sum to batch_size (largest remainders rounded up)."""
    wanted = np.asarray(shares, np.float64) * batch_size
    numbers = np.floor(wanted + 1e-9).astype(int)
    for i in np.argsort(numbers - wanted, kind="stable")[: batch_size - numbers.sum()]:
        numbers[i] += 1
    return numbers.tolist()


def interleave(numbers: Sequence[int]) -> list[Array]:
    """For each source its rows in the batch, spread evenly: any slice in which all numbers come out whole is exact."""
    keys = np.concatenate([(np.arange(number) + 0.5) / number if number else np.zeros(0) for number in numbers])
    places = np.empty(len(keys), np.int64)
    places[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    return np.split(places, np.cumsum(numbers)[:-1])
