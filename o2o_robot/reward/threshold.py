"""A threshold of the precision that is asked for, and how a classifier does by it, with intervals."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.diagnostics.interval import Interval, wilson
from o2o_robot.types import Array

MIN_SUPPORT = 5  # judgements beyond a threshold; fewer prove nothing about its precision


class Quality(NamedTuple):
    """Of n that are true (and n_not that are not), n_said were said to be, n_right of them rightly.

    Frames of one episode are alike, so the intervals, which count them as independent, are the narrowest there can be.
    """

    n: int
    n_not: int
    n_said: int
    n_right: int

    @property
    def precision(self) -> float:
        return self.n_right / self.n_said if self.n_said else math.nan

    @property
    def recall(self) -> float:
        return self.n_right / self.n if self.n else math.nan

    @property
    def precision_interval(self) -> Interval:
        return wilson(self.n_right, self.n_said)

    @property
    def recall_interval(self) -> Interval:
        return wilson(self.n_right, self.n)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self._asdict(),
            "precision": _rounded(self.precision),
            "precision_95": [round(end, 4) for end in self.precision_interval],
            "recall": _rounded(self.recall),
            "recall_95": [round(end, 4) for end in self.recall_interval],
        }

    def __str__(self) -> str:
        (p_lo, p_hi), (r_lo, r_hi) = self.precision_interval, self.recall_interval
        return (
            f"precision {self.precision:.3f} ({p_lo:.3f} to {p_hi:.3f}, {self.n_right} of {self.n_said}), "
            f"recall {self.recall:.3f} ({r_lo:.3f} to {r_hi:.3f}, {self.n_right} of {self.n})"
        )


def quality(probability: Array, is_true: Array, threshold: float) -> Quality:
    """How saying "yes" at and above the threshold does on (n,) probabilities and truths."""
    is_said = probability >= threshold
    n = int(is_true.sum())
    return Quality(n, len(is_true) - n, int(is_said.sum()), int((is_said & is_true).sum()))


def choose(probability: Array, is_true: Array, precision: float, *, at_least: float = 0.5) -> float | None:
    """The lowest threshold, `at_least` or more, at and above which that share is true; None where there is none."""
    order = np.argsort(-probability, kind="stable")
    ranked, n_true = probability[order], np.cumsum(is_true[order])
    size = np.arange(1, len(order) + 1)
    is_last_of_ties = np.append(ranked[:-1] != ranked[1:], True)
    is_good = (n_true >= precision * size) & (size >= MIN_SUPPORT) & (ranked >= at_least) & is_last_of_ties
    return float(ranked[np.flatnonzero(is_good)[-1]]) if is_good.any() else None


def choose_inside(probability: Array, is_true: Array, precision: float, *, recall: float) -> float | None:
    """A threshold between the lowest that is precise enough and the highest that still finds `recall` of the true.

    Half-way in log-odds: on what it has not seen either end would be missed as often as met. The lowest alone where it
    already finds fewer, or where half-way is less precise (precision is not monotone); None where nothing is enough.
    """
    lowest = choose(probability, is_true, precision)
    if lowest is None:
        return None
    highest = float(np.quantile(probability[is_true], 1 - recall, method="lower"))
    if highest <= lowest:
        return lowest
    between = 1 / (1 + math.exp(-(_logit(lowest) + _logit(highest)) / 2))
    return between if quality(probability, is_true, between).precision >= precision else lowest


def _logit(p: float) -> float:
    inside = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(inside / (1 - inside))


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
