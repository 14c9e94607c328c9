"""Failed episodes parted into modes of failure by where the tool went and what the cameras saw last.

Ward's clustering (Ward, J. Am. Stat. Assoc. 58 (1963) 236) needs no random start; the number of clusters is the one of
the largest mean silhouette (Rousseeuw, J. Comput. Appl. Math. 20 (1987) 53), and one where none is clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array, Episode

N_ALONG, N_SEEN, SIDE = 12, 4, 8  # points of the path, components of the last picture, its side once shrunk
SEEN_WEIGHT = 0.5  # where the tool went says more of a failure than what the pictures differ by: scenes differ too
# Kaufman and Rousseeuw (1990) call a silhouette below 0.25 none and below 0.5 weak; noise in four dimensions makes 0.3
MOST_CLUSTERS, CLEAR = 5, 0.4
TOOL = "tool_position_m"


class Ended(NamedTuple):
    """One episode, as far as its failure is told apart.

    path_m (N_ALONG, 3): the tool along the episode, evenly in time; seen (k,): its last pictures, shrunk and grey.
    """

    id: str
    path_m: Array
    seen: Array


class Cluster(NamedTuple):
    """A mode of failure: its name, the episodes (their ids) and the one in the middle."""

    name: str
    ids: tuple[str, ...]
    typical: str


class Clusters(NamedTuple):
    """silhouette: of the parting that was chosen, NaN where there is one cluster."""

    clusters: tuple[Cluster, ...]
    silhouette: float


def ended(episode: Episode) -> Ended:
    """What tells the failure of this episode apart; an episode without a tool position stays at nought."""
    path = np.asarray(episode.state.get(TOOL, np.zeros((1, 3))), np.float64)
    rows = np.linspace(0, len(path) - 1, N_ALONG).round().astype(int)
    seen = [_shrunk(image[-1]) for image in episode.images.values()]
    return Ended(str(episode.meta.get("id", "")), path[rows], np.concatenate(seen) if seen else np.zeros(1))


def cluster(failed: Sequence[Ended], won: Sequence[Ended] = ()) -> Clusters:
    """Modes of failure, the commonest first. won: successes, to measure against where the failures ended."""
    if not failed:
        return Clusters((), float("nan"))
    features = _features(failed)
    labels, silhouette_ = _parted(features)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups.sort(key=lambda rows: (-len(rows), rows[0]))
    found = []
    for k, rows in enumerate(groups):
        members = [failed[i] for i in rows.tolist()]
        middle = int(np.linalg.norm(features[rows] - features[rows].mean(axis=0), axis=1).argmin())
        letter, words = chr(ord("A") + k), measured_name(members, won)
        name = f"cluster {letter}: {words}" if words else f"cluster {letter}"
        found.append(Cluster(name, tuple(e.id for e in members), members[middle].id))
    return Clusters(tuple(found), silhouette_)


def silhouette(distance: Array, labels: Array) -> float:
    """Mean silhouette of distances (N, N) under labels (N,): 1 well apart, 0 between two; 0 for a cluster of one."""
    names = np.unique(labels)
    mean_to = np.stack([distance[:, labels == name].mean(axis=1) for name in names], axis=1)
    own = labels[:, None] == names
    size = own.sum(axis=0)[np.argmax(own, axis=1)]
    within = mean_to[own] * size / np.maximum(size - 1, 1)  # leaves out the distance to itself
    nearest = np.where(own, np.inf, mean_to).min(axis=1)
    score = (nearest - within) / np.maximum(np.maximum(nearest, within), 1e-12)
    return float(np.where(size > 1, score, 0.0).mean())


def measured_name(failed: Sequence[Ended], won: Sequence[Ended]) -> str:
    """A name in millimetres, or "" where successes do not end in one place, so that nothing can be measured against."""
    ends = np.array([e.path_m[-1] for e in failed])
    goals = np.array([e.path_m[-1] for e in won])
    if len(goals) < 3 or not np.ptp(goals):  # too few, or no tool position was stored
        return ""
    offset_mm = 1e3 * (ends.mean(axis=0) - goals.mean(axis=0))
    spread_mm = 1e3 * float(np.linalg.norm(goals.std(axis=0)))
    own_mm = 1e3 * float(np.linalg.norm(ends.std(axis=0)))
    far_mm = float(np.linalg.norm(offset_mm))
    if far_mm < 2 * spread_mm or far_mm < 2 * own_mm:
        return ""
    axis = int(np.abs(offset_mm).argmax())
    return (
        f"the tool stops {far_mm:.0f} mm (± {own_mm:.0f}) from where successes end, "
        f"mostly {'+' if offset_mm[axis] > 0 else '−'}{'xyz'[axis]}"
    )


def _features(failed: Sequence[Ended]) -> Array:
    """(N, k): the path and the last pictures, each of unit variance before its weight: neither drowns the other."""
    path = np.array([e.path_m.ravel() for e in failed])
    seen = np.array([e.seen for e in failed])
    seen = seen - seen.mean(axis=0)
    left, scale, _ = np.linalg.svd(seen, full_matrices=False)
    return np.hstack([_scaled(path), SEEN_WEIGHT * _scaled((left * scale)[:, :N_SEEN])])


def _scaled(values: Array) -> Array:
    """Centred, with total variance one."""
    centred = values - values.mean(axis=0)
    total = float(np.sqrt((centred**2).sum() / len(values)))
    return centred / total if total > 1e-9 else centred


def _parted(features: Array) -> tuple[Array, float]:
    """Labels (N,) and their silhouette; all one where fewer than six episodes or no parting is clear."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import cdist

    one = np.ones(len(features), int)
    if len(features) < 6:
        return one, float("nan")
    tree, distance = linkage(features, method="ward"), cdist(features, features)
    best, chosen = CLEAR, one
    for k in range(2, MOST_CLUSTERS + 1):
        labels = fcluster(tree, k, criterion="maxclust")
        score = silhouette(distance, labels) if len(np.unique(labels)) > 1 else -1.0
        if score > best:
            best, chosen = score, labels
    return chosen, best if chosen is not one else float("nan")


def _shrunk(image: Array) -> Array:
    """A picture (H, W, 3) as SIDE x SIDE means of grey, (64,) in 0..1; one smaller than that as it is."""
    grey = np.asarray(image, np.float64).mean(axis=2) / 255.0
    n = min(SIDE, *grey.shape)
    rows, columns = (np.array_split(np.arange(size), n) for size in grey.shape)
    return np.array([grey[np.ix_(r, c)].mean() for r in rows for c in columns])
