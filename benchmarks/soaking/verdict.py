"""What hours of running showed: whether memory grew, steps were lost, or anything stopped without a cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

SETTLE_S = 600.0  # a process's first minutes: libraries are loaded, the replay fills, allocators find their size
FLAT = 0.05
ENOUGH_S = 300.0  # of samples after that, before growth means anything
CAUSE_S = 30.0  # a stop so soon after trouble was made has that for its cause


class Sample(NamedTuple):
    """Resident bytes of a process, t_s after the run began."""

    t_s: float
    node: str
    pid: int
    rss: int


class Growth(NamedTuple):
    """Of one process: share of its median size by which it grew over the window, by the median of all slopes."""

    node: str
    pid: int
    window_s: float
    median_mb: float
    share: float

    @property
    def is_flat(self) -> bool:
        return self.share <= FLAT


class Moment(NamedTuple):
    """Something that happened: trouble that was made, or a stop that was seen."""

    t_s: float
    what: str


def growths(samples: Iterable[Sample], *, settle_s: float = SETTLE_S) -> list[Growth]:
    """Of every process that was watched for ENOUGH_S after it had settled."""
    by_process: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        by_process.setdefault((sample.node, sample.pid), []).append(sample)
    found = (_growth(own, settle_s) for own in by_process.values())
    return [one for one in found if one is not None]


def _growth(own: Sequence[Sample], settle_s: float) -> Growth | None:
    kept = [sample for sample in own if sample.t_s - own[0].t_s >= settle_s]
    if len(kept) < 3 or kept[-1].t_s - kept[0].t_s < ENOUGH_S:
        return None
    t_s, rss = np.array([s.t_s for s in kept]), np.array([s.rss for s in kept], float)
    window_s, median = float(t_s[-1] - t_s[0]), float(np.median(rss))
    return Growth(own[0].node, own[0].pid, window_s, median / 2**20, slope(t_s, rss) * window_s / median)


def slope(t_s: np.ndarray, values: np.ndarray) -> float:
    """The median of the slopes between all pairs (Theil 1950, Sen 1968): a burst or an outlier does not bend it."""
    later, earlier = np.triu_indices(len(t_s), k=1)[::-1]
    return float(np.median((values[later] - values[earlier]) / (t_s[later] - t_s[earlier])))


def unexplained(stops: Iterable[Moment], troubles: Sequence[Moment]) -> list[Moment]:
    """Stops before which no trouble was made for CAUSE_S."""
    return [stop for stop in stops if not any(0.0 <= stop.t_s - made.t_s <= CAUSE_S for made in troubles)]


def lost_steps(told: Iterable[Mapping[str, Any]], stored: Mapping[str, int]) -> dict[str, int]:
    """Episode id -> steps that the session told of and the store lacks. What nobody finished is not counted on."""
    whole = (line for line in told if line.get("termination") in ("task", "time_limit", "safety"))
    missing = {line["id"]: line["n_steps"] - stored.get(line["id"], 0) for line in whole}
    return {name: steps for name, steps in missing.items() if steps}
