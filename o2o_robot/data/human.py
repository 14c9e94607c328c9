"""A fixed share of each mini-batch from what people did: interventions as they happen, and demonstrations.

HIL-SERL (Luo et al. 2024, arXiv:2410.21845, section 3 and its train_rlpd.py) keeps demonstrations and interventions in
a buffer of their own, and draws half of each batch from it. Here they stay where they are, once, and are found by the
source of each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.data.mixture import Mixture
from o2o_robot.data.returns import RewardTransform
from o2o_robot.data.transitions import Transitions
from o2o_robot.data.windows import Window
from o2o_robot.errors import ConfigError
from o2o_robot.types import Array, Batch, ObservationSpec, Source

INTERVENED = (Source.TELEOP,)
DEMONSTRATED = (Source.TELEOP, Source.SCRIPTED)


class BySource(NamedTuple):
    """Of a replay, the transitions that began with a motion of one of these sources."""

    replay: Transitions
    sources: tuple[Source, ...]


class HumanSteps:
    """What people did in several replays, as one of the parts of a mixture; each transition as likely as any other.

    human = HumanSteps([BySource(online, INTERVENED), BySource(offline, DEMONSTRATED)])
    mixture = Mixture([(online, 0.5), (human, 0.5)])
    """

    def __init__(self, parts: Sequence[BySource]) -> None:
        self._parts = tuple(parts)

    @property
    def transform(self) -> RewardTransform:
        return self._parts[0].replay.transform

    @property
    def spec(self) -> ObservationSpec:
        return self._parts[0].replay.spec

    @property
    def n_action(self) -> int:
        return self._parts[0].replay.n_action

    def __len__(self) -> int:
        return self.n_known(with_return_only=False)

    def n_known(self, *, with_return_only: bool) -> int:
        """Transitions that can be drawn now; with_return_only as in `Transitions.sample`."""
        return sum(len(rows) for rows in self._rows(with_return_only))

    def draw(self, n: int, rng: np.random.Generator, *, with_return_only: bool) -> Array:
        """n of them, (n, 2): which replay, and the row in it."""
        rows = self._rows(with_return_only)
        which = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        return np.stack([which, np.concatenate(rows)], axis=1)[rng.integers(len(which), size=n)]

    def fill(self, batch: Batch, places: Array | None, drawn: Array, window: Window) -> None:
        """As `Transitions.fill`, for what `draw` gave."""
        at = np.arange(len(drawn)) if places is None else places
        for i, part in enumerate(self._parts):
            here = drawn[:, 0] == i
            if here.any():
                part.replay.fill(batch, at[here], drawn[here, 1], window)

    def _rows(self, with_return_only: bool) -> list[Array]:
        return [part.replay.rows_of(part.sources, with_return_only=with_return_only) for part in self._parts]


class WithHuman:
    """Batches of a source, of which a share is human steps once there are any; until then the source's own, bit for
    bit. The other parts keep their proportions."""

    def __init__(self, others: Sequence[tuple[Transitions, float]], human: HumanSteps, share: float) -> None:
        """others: replays and their shares of what is not human, which sum to 1."""
        if not 0 <= share <= 1:
            raise ConfigError(f"intervention_share must lie in [0, 1], got {share}; HIL-SERL keeps 0.5")
        left = [(replay, part * (1.0 - share)) for replay, part in others]
        self._without = others[0][0] if len(others) == 1 else Mixture(others)
        self._with = Mixture([*left, (human, share)])
        self._human = human

    def sample(
        self,
        batch_size: int,
        rng: np.random.Generator,
        *,
        with_return_only: bool = False,
        chunk: int = 1,
        frame_stack: int = 1,
    ) -> Batch:
        """B transitions, as of a Mixture."""
        known = self._human.n_known(with_return_only=with_return_only)
        source = self._with if known else self._without
        return source.sample(batch_size, rng, with_return_only=with_return_only, chunk=chunk, frame_stack=frame_stack)


Drawn = Transitions | Mixture | WithHuman


def source(
    online: Transitions, offline: Transitions | None, *, offline_share: float, intervention_share: float
) -> Drawn:
    """What batches are drawn from. offline_share is of what intervention_share leaves; both 0: the online replay alone.

    Human steps are the interventions online and, where offline data are given, the demonstrations among them.
    """
    others, told = [(online, 1.0)], [BySource(online, INTERVENED)]
    if offline is not None:
        told.append(BySource(offline, DEMONSTRATED))
        if offline_share > 0:
            others = [(online, 1.0 - offline_share), (offline, offline_share)]
    if intervention_share > 0:
        return WithHuman(others, HumanSteps(told), intervention_share)
    return Mixture(others) if len(others) > 1 else online
