"""The whole way from labelled frames to a classifier whose threshold keeps what it promises on frames held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.algorithms.encoder_checkpoint import EncoderShape
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.reward.examples import Examples, require_enough
from o2o_robot.reward.familiar import ranges
from o2o_robot.reward.fit import FitConfig, Scaling, calibrated, fit, log_odds
from o2o_robot.reward.network import SuccessNet
from o2o_robot.reward.saved import RewardClassifier, RewardFacts
from o2o_robot.reward.split import by_episode
from o2o_robot.reward.threshold import Quality, choose_inside, quality
from o2o_robot.types import Array

MIN_EACH = 10  # episodes of an outcome; fewer, shared in three, say nothing about the next one
_RECALL_AIM = 0.95
_OFF_SHARE = 0.4  # of the threshold: what falls below it is no success any more


@dataclass(frozen=True)
class LearnConfig:
    """precision: share of what is called success that must be, on held-out frames. at_least: episodes of each kind."""

    precision: float = 0.98
    seed: int = 0
    at_least: int = MIN_EACH
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if not 0.5 <= self.precision < 1:
            raise ConfigError(f"precision must be 0.5 to below 1, got {self.precision:g}; 0.98 is usual")
        if self.at_least < 3:
            raise ConfigError(f"at_least must be >= 3, got {self.at_least}: to learn, to calibrate, to hold out")


class Learned(NamedTuple):
    """held_out: frames that took no part, their probability (n,), and how the threshold does on them.

    Where the precision fell short there, `falls_short` says so; the classifier is then for suggestions, not a judge.
    """

    classifier: RewardClassifier
    held_out: Examples
    probability: Array
    quality: Quality
    falls_short: str


def learn(
    examples: Examples,
    shape: EncoderShape,
    config: LearnConfig,
    *,
    prepare: Callable[[SuccessNet], None] = lambda net: None,
    tick: Callable[[float], None] = lambda loss: None,
) -> Learned:
    """Fit, calibrate and choose a threshold, each on episodes of its own, and judge by the rest.

    DataError where too few episodes of an outcome are known, or no threshold is precise enough.
    """
    require_enough(examples, at_least=config.at_least)
    split = by_episode(examples, np.random.default_rng(config.seed))
    train, calibration, held_out = (examples.at(rows) for rows in split)
    net = fit(train, shape, config.fit, seed=config.seed, prepare=prepare, tick=tick)
    odds = log_odds(net, calibration.images)
    scaling = calibrated(odds, calibration.is_success)
    threshold = choose_inside(scaling.probability(odds), calibration.is_success, config.precision, recall=_RECALL_AIM)
    if threshold is None:
        raise DataError(
            f"no threshold reaches a precision of {config.precision:g} on {len(calibration)} frames to calibrate on, "
            f"{int(calibration.is_success.sum())} of them of success; record more episodes, go on recording for a "
            "moment once it is done, look at larger images, or lower --precision"
        )
    probability = scaling.probability(log_odds(net, held_out.images))
    found = quality(probability, held_out.is_success, threshold)
    facts = _facts(shape, examples, scaling, threshold, config, found.facts())
    short = "" if found.precision >= config.precision else _short(found, config)
    return Learned(RewardClassifier(net, facts), held_out, probability, found, short)


def _facts(
    shape: EncoderShape,
    examples: Examples,
    scaling: Scaling,
    threshold: float,
    config: LearnConfig,
    held_out: Mapping[str, Any],
) -> RewardFacts:
    return RewardFacts(
        shape=shape,
        familiar=ranges(examples.images),
        temperature=scaling.temperature,
        bias=scaling.bias,
        threshold=threshold,
        off=_OFF_SHARE * threshold,
        precision=config.precision,
        held_out=held_out,
    )


def _short(found: Quality, config: LearnConfig) -> str:
    return (
        f"held-out precision {found.precision:.3f} is below {config.precision:g}: not fit to judge; "
        "label more episodes (`o2o reward suggest` says which), or train longer"
    )
