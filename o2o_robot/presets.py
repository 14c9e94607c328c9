"""The known algorithms, each its parent plus the lines that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.errors import ConfigError


def sac() -> AlgoConfig:
    """Soft actor-critic on images: two critics with LayerNorm, random crop (DrQ), no entropy in the backup."""
    return AlgoConfig()


def cql() -> AlgoConfig:
    """Conservative Q-learning, CQL(H) with importance weights and max-target backup."""
    return replace(sac(), cql_alpha=5.0, max_target_backup=True)


def calql() -> AlgoConfig:
    """Cal-QL: CQL whose push-down stops at the Monte-Carlo return of the data."""
    return replace(cql(), calibrate=True)


def wsrl() -> AlgoConfig:
    """What WSRL runs online after `calql`: no conservatism, no offline data, and no max-target backup.

    Without the conservative term a maximum over sampled actions is a maximum over errors: on the demo's hardest data it
    kept success at a third for 1200 steps. The critic learns faster than offline, since its data change under it
    (docs/decisions/0007). The switch logs all of these.
    """
    return replace(calql(), cql_alpha=0.0, calibrate=False, max_target_backup=False, critic_lr=6e-4, tau=0.02)


def rlpd() -> AlgoConfig:
    """RLPD: ten critics, a subset of two in the target, their mean for the actor, twenty critic steps a step."""
    return replace(sac(), n_critics=10, n_min=2, actor_q="mean", utd=20.0, critic_steps=20)


PRESETS: dict[str, Callable[[], AlgoConfig]] = {"sac": sac, "cql": cql, "calql": calql, "wsrl": wsrl, "rlpd": rlpd}


def preset(name: str) -> AlgoConfig:
    """The preset of that name; ConfigError lists the known ones."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset '{name}'; known: {', '.join(PRESETS)}")
    return PRESETS[name]()
