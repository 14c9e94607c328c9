"""The reference between two targets."""

from __future__ import annotations

import numpy as np

from o2o_sim.reference import Reference, minimum_jerk


def test_a_reference_starts_as_it_was_and_ends_at_rest_on_the_goal() -> None:
    rng = np.random.default_rng(0)
    start = Reference(*rng.normal(size=(3, 6)))
    path = minimum_jerk(start, 0.1, np.array([0.0, 0.1 - 1e-9, 0.1, 5.0]))
    for now, then in zip(path, start, strict=True):
        np.testing.assert_allclose(now[0], then, atol=1e-9)
        np.testing.assert_allclose(now[1:], 0.0, atol=1e-4)


def test_rate_and_acceleration_are_derivatives_of_the_offset() -> None:
    start = Reference(*np.random.default_rng(1).normal(size=(3, 6)))
    t_s = np.linspace(0.0, 0.099, 2001)
    path = minimum_jerk(start, 0.1, t_s)
    np.testing.assert_allclose(np.gradient(path.offset, t_s, axis=0)[1:-1], path.rate[1:-1], atol=1e-2)
    np.testing.assert_allclose(np.gradient(path.rate, t_s, axis=0)[1:-1], path.acceleration[1:-1], atol=1.0)


def test_from_rest_it_never_overshoots() -> None:
    start = Reference(np.full(6, 0.025), np.zeros(6), np.zeros(6))
    path = minimum_jerk(start, 0.1, np.linspace(0, 0.2, 200))
    assert path.offset.min() >= 0.0
    assert (np.diff(path.offset[:, 0]) <= 1e-12).all()
