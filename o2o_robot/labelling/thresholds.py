"""Which opinions are sure enough to be labels: thresholds of the precision asked for, on held-out episodes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from o2o_robot.data.labels import OutcomeWord
from o2o_robot.labelling.classifier import Opinion
from o2o_robot.reward.threshold import MIN_SUPPORT, choose
from o2o_robot.types import Array

MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # log-odds


class Side(NamedTuple):
    """One outcome's threshold on its own probability, None where nothing is sure enough; how it did held out.

    Of n episodes of that outcome n_said were said to have it, n_right of them rightly, by thresholds that were chosen
    without them.
    """

    threshold: float | None
    n_said: int
    n_right: int
    n: int

    @property
    def precision(self) -> float:
        return self.n_right / self.n_said if self.n_said else float("nan")

    @property
    def recall(self) -> float:
        return self.n_right / self.n if self.n else float("nan")


class Decision(NamedTuple):
    """Both outcomes' thresholds, and a word for each open episode, None where it is in doubt."""

    success: Side
    failure: Side
    words: tuple[OutcomeWord | None, ...]


def decide(opinion: Opinion, is_success: Array, precision: float) -> Decision:
    """Words for the open episodes; an outcome whose held-out precision falls short is not said at all."""
    success = side(opinion.held_out, is_success, opinion.fold, precision)
    failure = side(1 - opinion.held_out, ~is_success, opinion.fold, precision)
    return Decision(success, failure, tuple(_word(p, success.threshold, failure.threshold) for p in opinion.open))


def side(probability: Array, is_true: Array, fold: Array, precision: float) -> Side:
    """The threshold of one outcome from held-out probabilities (n,), is_true (n,), fold (n,).

    It is judged fold by fold: each fold's episodes by the threshold that the other folds give. Where that falls short
    of the precision, the threshold is drawn further in, until it holds or nothing is left.
    """
    found = Side(None, 0, 0, int(is_true.sum()))
    for margin in MARGINS:
        is_said = _said(probability, is_true, fold, precision, margin)
        n_said, n_right = int(is_said.sum()), int((is_said & is_true).sum())
        if n_said < MIN_SUPPORT:
            break
        found = Side(None, n_said, n_right, found.n)
        threshold = choose(probability, is_true, precision)
        if threshold is not None and n_right >= precision * n_said:
            return found._replace(threshold=_drawn_in(threshold, margin))
    return found


def _said(probability: Array, is_true: Array, fold: Array, precision: float, margin: float) -> Array:
    """(n,) whether each episode is beyond the threshold that the other folds give, drawn in by margin."""
    is_said = np.zeros(len(probability), bool)
    for k in np.unique(fold):
        others = choose(probability[fold != k], is_true[fold != k], precision)
        is_said[fold == k] = others is not None and probability[fold == k] >= _drawn_in(others, margin)
    return is_said


def _drawn_in(threshold: float, margin: float) -> float:
    """The threshold whose log-odds are higher by margin."""
    inside = min(threshold, 1 - 1e-9)
    return 1 / (1 + (1 - inside) / inside * math.exp(-margin)) if margin else threshold


def _word(p: float, success: float | None, failure: float | None) -> OutcomeWord | None:
    if success is not None and p >= success:
        return "success"
    return "failure" if failure is not None and 1 - p >= failure else None
