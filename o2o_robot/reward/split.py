"""Episodes shared out to learn from, to calibrate on and to be judged by: never two frames of one episode apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.reward.examples import Examples
from o2o_robot.types import Array

CALIBRATION_SHARE = HELD_OUT_SHARE = 0.2


class Split(NamedTuple):
    """Rows of Examples, each a mask (N,)."""

    train: Array
    calibration: Array
    held_out: Array


def by_episode(examples: Examples, rng: np.random.Generator) -> Split:
    """A fifth of the successes and of the failures to calibrate on, as many held out (one of each at least)."""
    calibration, held_out = set[int](), set[int]()
    for outcome in (True, False):
        episodes = rng.permutation(np.unique(examples.episode[examples.outcome == outcome]))
        n_calibration = max(1, round(CALIBRATION_SHARE * len(episodes)))
        n_held_out = max(1, round(HELD_OUT_SHARE * len(episodes)))
        calibration.update(episodes[:n_calibration].tolist())
        held_out.update(episodes[n_calibration : n_calibration + n_held_out].tolist())
    masks = [np.isin(examples.episode, sorted(part)) for part in (calibration, held_out)]
    return Split(~(masks[0] | masks[1]), *masks)
