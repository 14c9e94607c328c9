"""What a checkpoint's critic says of recorded episodes, beside what they then returned."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2o_robot.data.returns import mc_returns
from o2o_robot.data.store import EpisodeStore
from o2o_robot.diagnostics.calibration import Calibration, calibration
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Batch, Episode, ObservationSpec


class Values(NamedTuple):
    """Of N transitions: the critics' minimum at the policy's and at the executed action, the return, how it ended.

    q_policy, q_data, mc_return (N,) in the units of the checkpoint's RewardTransform; is_exact (N,) bool: the episode
    terminated, so that its return was seen to the end. Elsewhere the last reward stands for all that was cut off.
    """

    q_policy: Array
    q_data: Array
    mc_return: Array
    is_exact: Array

    def calibration(self) -> Calibration:
        return calibration(self.q_policy, self.q_data, self.mc_return)


def values(store: Path, checkpoint: Path, *, latest: int | None = None) -> Values:
    """The critic of `checkpoint` on every transition in `store`, or of its `latest` episodes, in order.

    Raises CheckpointError, StoreError or DataError where one of them is missing, damaged or does not fit the other.
    """
    from o2o_robot.algorithms import checkpoint as checkpoints  # brings torch, which the rest of a report does not need

    with EpisodeStore.open(store) as episodes:
        learner = checkpoints.load(checkpoint)
        parts = []
        first = 0 if latest is None else max(0, len(episodes) - latest)
        for episode in map(episodes.read, range(first, len(episodes))):
            returns = mc_returns(episode.reward, episode.terminated, episode.truncated, learner.transform)
            q_policy, q_data = learner.values(_batch(episode, learner.spec, returns))
            is_exact = np.full(len(episode), bool(episode.terminated[-1]))
            parts.append((q_policy.cpu().numpy(), q_data.cpu().numpy(), returns, is_exact))
    if not parts:
        nothing = np.zeros(0)
        return Values(nothing, nothing, nothing, nothing.astype(bool))
    return Values(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _batch(episode: Episode, spec: ObservationSpec, returns: Array) -> Batch:
    """Every transition of the episode as one batch."""
    _require_fit(episode, spec)
    state = spec.state_vector(episode.state) if spec.proprio else np.zeros((len(episode) + 1, 0), np.float32)
    images = {name: episode.images[name] for name in spec.cameras}
    return Batch(
        images={name: image[:-1] for name, image in images.items()},
        next_images={name: image[1:] for name, image in images.items()},
        state=state[:-1],
        next_state=state[1:],
        action=episode.action,
        reward=episode.reward,
        terminated=episode.terminated,
        mc_return=returns,
    )


def _require_fit(episode: Episode, spec: ObservationSpec) -> None:
    """Raises DataError where the episode does not hold what the checkpoint looks at."""
    have = {name: image.shape[1:] for name, image in episode.images.items()}
    have |= {name: values.shape[1:] for name, values in episode.state.items()}
    want = {name: (spec.image_size, spec.image_size, 3) for name in spec.cameras}
    for name, shape in (want | {name: (size,) for name, size in spec.proprio}).items():
        if have.get(name) != shape:
            raise DataError(f"the checkpoint looks at '{name}' of shape {shape}; the episode has {have}")
