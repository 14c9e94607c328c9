"""The learner's own critic on a step that just came in, for whoever watches live."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from o2o_robot.types import Array, Batch, Observation

if TYPE_CHECKING:
    from o2o_robot.algorithms.actor_critic import ActorCritic


def q_of(learner: ActorCritic) -> Callable[[Observation, Array], float] | None:
    """Q(observation, action) by the weights of the moment.

    None where a decision is more than one frame and one action (frame_stack, chunk): one step does not tell it.
    """
    if learner.config.frame_stack != 1 or learner.config.chunk != 1:
        return None
    return lambda observation, action: float(learner.values(_row(learner, observation, action))[1][0])


def _row(learner: ActorCritic, observation: Observation, action: Array) -> Batch:
    """One transition as a batch; its reward and what follows do not enter Q."""
    spec = learner.spec
    images = {name: np.asarray(observation.images[name])[None] for name in spec.cameras}
    state = spec.state_vector(observation.state) if spec.proprio else np.zeros(0, np.float32)
    nought = np.zeros(1, np.float32)
    acted = np.asarray(action, np.float32)[None]
    return Batch(images, images, state[None], state[None], acted, nought, np.zeros(1, bool), nought)
