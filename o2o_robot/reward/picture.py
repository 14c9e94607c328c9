"""What a classifier came to, in pictures: how far its probabilities can be believed, and where it is most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from o2o_robot.reward.examples import Examples
from o2o_robot.reward.threshold import quality
from o2o_robot.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

N_BINS = 10
N_WORST = 8


def reliability(probability: Array, is_true: Array) -> list[tuple[float, float, int]]:
    """Of each tenth of the probabilities that has any: their mean, the share that was true, how many."""
    place = np.minimum((probability * N_BINS).astype(int), N_BINS - 1)
    return [
        (float(probability[place == k].mean()), float(is_true[place == k].mean()), int((place == k).sum()))
        for k in range(N_BINS)
        if (place == k).any()
    ]


def worst(probability: Array, is_true: Array, threshold: float, n: int = N_WORST) -> tuple[Array, Array]:
    """Rows of the false positives, surest first, and of the false negatives, surest first; at most n each."""
    positive = np.flatnonzero((probability >= threshold) & ~is_true)
    negative = np.flatnonzero((probability < threshold) & is_true)
    return positive[np.argsort(-probability[positive])][:n], negative[np.argsort(probability[negative])][:n]


def save(path: Path, examples: Examples, probability: Array, threshold: float, *, title: str) -> None:
    """PNG: reliability, precision and recall by threshold, then the worst of both errors, a column a frame."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 10), layout="constrained")
    above, below = cast("Sequence[SubFigure]", figure.subfigures(2, 1, height_ratios=(1, 1.35)))
    figure.suptitle(title, fontsize=10)
    left, right = above.subplots(1, 2)
    _reliability(left, probability, examples.is_success)
    _curve(right, probability, examples.is_success, threshold)
    positive, negative = worst(probability, examples.is_success, threshold)
    rows = below.subplots(2, N_WORST, squeeze=False)
    told = ("called success, is not", "success, not called so")
    for axes, chosen, what in zip(rows, (positive, negative), told, strict=True):
        _frames(axes, examples, probability, chosen, what)
    figure.savefig(path, dpi=100)


def _reliability(axes: Axes, probability: Array, is_true: Array) -> None:
    said, right, counts = zip(*reliability(probability, is_true), strict=True)
    axes.plot([0, 1], [0, 1], color="0.8", lw=1)
    axes.plot(said, right, "o-", color="tab:blue")
    for x, y, n in zip(said, right, counts, strict=True):
        axes.annotate(str(n), (x, y), textcoords="offset points", xytext=(6, -10), fontsize=7)
    axes.set(xlabel="probability that was told", ylabel="share that was success", title="held out, frames by tenth")


def _curve(axes: Axes, probability: Array, is_true: Array, threshold: float) -> None:
    thresholds = np.unique(np.concatenate([np.linspace(0.02, 0.98, 97), [threshold]]))
    found = [quality(probability, is_true, t) for t in thresholds]
    axes.plot(thresholds, [q.precision for q in found], color="tab:blue", label="precision")
    axes.plot(thresholds, [q.recall for q in found], color="tab:orange", label="recall")
    axes.axvline(threshold, color="0.4", ls="--", lw=1, label=f"chosen, {threshold:.3f}")
    axes.set(xlabel="threshold", ylim=(0.5, 1.01), title=str(quality(probability, is_true, threshold)))
    axes.title.set_fontsize(7)
    axes.legend(fontsize=8)


def _frames(axes: Sequence[Axes], examples: Examples, probability: Array, chosen: Array, what: str) -> None:
    for place in axes:
        place.axis("off")
    for place, i in zip(axes, chosen, strict=False):
        place.imshow(np.concatenate([image[i] for image in examples.images.values()], axis=0))
        where = f"#{examples.episode[i]} frame {examples.row[i]}\np {probability[i]:.3f}"
        place.set_title(where, fontsize=7)
    axes[0].text(-0.05, 0.5, what, rotation=90, va="center", ha="right", transform=axes[0].transAxes, fontsize=8)
    if not len(chosen):
        axes[0].text(0.5, 0.5, "none", ha="center", transform=axes[0].transAxes)
