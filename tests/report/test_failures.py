"""Modes of failure: parted where they differ, one where they do not, and named in millimetres only when measured."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from o2o_robot.report.failures import N_ALONG, Ended, cluster, measured_name, silhouette

GOAL_M = np.array([0.5, 0.0, 0.1])
HIGH_M, SHORT_M = GOAL_M + np.array([0, 0, 0.3]), GOAL_M - np.array([0.06, 0, 0])


def an_end(id_: str, to_m, rng: np.random.Generator, *, jitter_m: float = 0.002) -> Ended:
    """A straight way to a place."""
    end = np.asarray(to_m) + rng.normal(0, jitter_m, 3)
    way = np.linspace([0.4, 0.0, 0.4], end, N_ALONG)
    return Ended(id_, way, rng.normal(0, 0.01, 64))


def ends(n: int, to_m, seed: int, name: str) -> list[Ended]:
    rng = np.random.default_rng(seed)
    return [an_end(f"{name}{i}", to_m, rng) for i in range(n)]


def test_failures_at_two_places_are_two_clusters_and_the_commoner_comes_first():
    high, short = ends(5, HIGH_M, 1, "high"), ends(9, SHORT_M, 2, "short")
    found = cluster([*high, *short])
    assert [set(c.ids) for c in found.clusters] == [{e.id for e in short}, {e.id for e in high}]
    assert found.silhouette > 0.5
    assert all(c.typical in c.ids for c in found.clusters)


def test_failures_without_structure_stay_one_cluster():
    rng = np.random.default_rng(0)
    alike = [Ended(str(i), np.tile(GOAL_M, (N_ALONG, 1)), rng.normal(size=64)) for i in range(30)]
    assert len(cluster(alike).clusters) == 1


def test_every_failure_is_in_exactly_one_cluster():
    failed = [*ends(7, GOAL_M, 3, "a"), *ends(7, GOAL_M + 0.2, 4, "b"), *ends(3, GOAL_M - 0.2, 5, "c")]
    ids = [id_ for c in cluster(failed).clusters for id_ in c.ids]
    assert sorted(ids) == sorted(e.id for e in failed)


def test_a_cluster_is_named_by_its_distance_from_where_successes_end():
    short = ends(8, SHORT_M, 6, "short")
    name = measured_name(short, ends(8, GOAL_M, 7, "won"))
    assert "60 mm" in name or "59 mm" in name or "61 mm" in name
    assert "mostly −x" in name


def test_nothing_is_measured_against_successes_that_end_all_over_the_place():
    rng = np.random.default_rng(8)
    won = [an_end(str(i), GOAL_M, rng, jitter_m=0.05) for i in range(20)]
    assert measured_name(ends(8, SHORT_M, 9, "short"), won) == ""
    assert measured_name(ends(8, GOAL_M, 9, "short"), won[:2]) == ""


def test_the_silhouette_is_one_far_apart_and_by_hand_in_between():
    line = np.array([0.0, 1.0, 10.0, 11.0])[:, None]
    distance, labels = np.abs(line - line.T), np.array([1, 1, 2, 2])
    by_hand = np.mean([1 - 1 / 10.5, 1 - 1 / 9.5, 1 - 1 / 9.5, 1 - 1 / 10.5])
    assert silhouette(distance, labels) == pytest.approx(by_hand)
    assert silhouette(distance, np.array([1, 2, 2, 2])) < silhouette(distance, labels)


def test_no_failure_is_no_cluster():
    assert cluster([]).clusters == ()
