"""A policy that has learned nothing, small enough to act and learn beside everything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.returns import RewardTransform
from o2o_robot.presets import calql
from o2o_robot.types import ObservationSpec

IMAGE_SIZE = 16


def make_checkpoint(folder: Path) -> Path:
    """As pretraining leaves it, for two cameras of IMAGE_SIZE pixels."""
    small = {"critic_widths": (32, 32), "actor_widths": (32, 32), "convs": ((8, 4, 4),), "batch_size": 16}
    config = replace(calql(), **small, precision="f32", image_latent=8, state_latent=8)
    spec = ObservationSpec(("wrist", "front"), IMAGE_SIZE, (("tool_position_m", 3),))
    learner = ActorCritic(config, spec, 3, RewardTransform(1.0, -1.0, 0.97), seed=0)
    return checkpoint.save(folder, learner, phase=Phase.PRETRAIN, provenance={})
