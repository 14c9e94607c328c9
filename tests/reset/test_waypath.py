"""The reference of a way: its bounds hold whatever corners it has, and it begins and ends at rest."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.reset.waypath import Pace

RNG = np.random.default_rng(0)
PACES = [Pace(), Pace(speed_m_s=0.2, build_up_s=0.2), Pace(speed_m_s=0.05, build_up_s=1.0, period_s=0.05)]
WAYS = [RNG.uniform(-0.4, 0.4, (n, 3)) for n in (2, 3, 4, 7) for _ in range(5)]


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("pace", PACES)
def test_no_way_is_gone_faster_than_the_bounds_of_speed_acceleration_and_jerk(pace, stops):
    window_s = pace.window * pace.period_s
    for way in WAYS:
        at = pace.reference(way, stops=stops)
        still = np.concatenate([np.repeat(at[:1], 3, axis=0), at, np.repeat(at[-1:], 3, axis=0)])
        for order, bound in ((1, 1.0), (2, 2.0 / window_s), (3, 4.0 / window_s**2)):
            worst = np.linalg.norm(np.diff(still, n=order, axis=0), axis=1).max() / pace.period_s**order
            assert worst <= bound * pace.speed_m_s * (1 + 1e-9), f"derivative {order}"


@pytest.mark.parametrize("stops", [True, False])
def test_a_way_begins_and_ends_where_it_was_told(stops):
    for way in WAYS:
        reference = Pace().reference(way, stops=stops)
        np.testing.assert_allclose(reference[0], way[0])
        np.testing.assert_allclose(reference[-1], way[-1], atol=1e-12)


def test_it_stops_at_each_point_and_without_stops_passes_nearby():
    pace = Pace()
    for way in WAYS:
        stopping, passing = pace.reference(way), pace.reference(way, stops=False)
        for point in way:
            assert np.linalg.norm(stopping - point, axis=1).min() < 1e-9
            assert np.linalg.norm(passing - point, axis=1).min() < pace.speed_m_s * pace.build_up_s / 2
        assert len(passing) < len(stopping) or len(way) == 2


@pytest.mark.parametrize("wrong", [{"speed_m_s": 0.0}, {"build_up_s": float("nan")}, {"period_s": -0.1}])
def test_an_impossible_pace_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Pace(**wrong)
