"""The statistics LeRobot normalises with: of one episode, and of many merged as LeRobot itself merges them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from o2o_robot.types import Array

Stats = Mapping[str, Array]  # min, max, mean, std, count, q01 ... q99 of one feature

_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_MOST_FRAMES = 100  # LeRobot takes about as many of an episode


def of_vectors(values: Array) -> Stats:
    """Of (N, k) numbers, each over the N rows: (k,)."""
    rows = values.astype(np.float64)
    facts = {"min": rows.min(axis=0), "max": rows.max(axis=0), "mean": rows.mean(axis=0), "std": rows.std(axis=0)}
    quantiles = {name: np.quantile(rows, share, axis=0) for name, share in _QUANTILES.items()}
    return facts | {"count": np.array([len(rows)])} | quantiles


def of_frames(frames: Array) -> Stats:
    """Of (N, height, width, 3) uint8 pixels in [0, 1], each over evenly chosen frames: (3, 1, 1)."""
    chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).round().astype(int)]
    channels = [_of_histogram(np.bincount(chosen[..., c].reshape(-1), minlength=256)) for c in range(3)]
    facts = {name: np.array([each[name] for each in channels]).reshape(3, 1, 1) for name in channels[0]}
    return facts | {"count": np.array([len(chosen)])}


def merged(one: Stats, other: Stats) -> Stats:
    """Of both together. Quantiles are means weighted by count, as LeRobot's aggregate_stats has them: no quantiles."""
    n_one, n_other = float(one["count"][0]), float(other["count"][0])
    share = n_other / (n_one + n_other)
    apart = other["mean"] - one["mean"]
    variance = (1 - share) * one["std"] ** 2 + share * other["std"] ** 2 + share * (1 - share) * apart**2
    weighted = {name: (1 - share) * one[name] + share * other[name] for name in ("mean", *_QUANTILES)}
    extremes = {"min": np.minimum(one["min"], other["min"]), "max": np.maximum(one["max"], other["max"])}
    return extremes | weighted | {"std": np.sqrt(variance), "count": one["count"] + other["count"]}


def as_lists(stats: Mapping[str, Stats]) -> dict[str, dict[str, Any]]:
    """Feature -> name -> nested lists, for JSON and parquet."""
    return {key: {name: values.tolist() for name, values in facts.items()} for key, facts in stats.items()}


def _of_histogram(counts: Array) -> dict[str, float]:
    """Of the pixel values 0 to 255 that occur counts[v] times."""
    values, total = np.arange(256) / 255.0, counts.sum()
    held = np.flatnonzero(counts)
    mean = float((counts * values).sum() / total)
    facts = {"min": float(values[held[0]]), "max": float(values[held[-1]]), "mean": mean}
    facts["std"] = float(np.sqrt((counts * (values - mean) ** 2).sum() / total))
    below = np.cumsum(counts)
    return facts | {name: float(values[np.searchsorted(below, share * total)]) for name, share in _QUANTILES.items()}
