"""The camera's clock on the host's: laws over delays that jitter, crystals that drift, and stamps that jump."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.robot.camera_clock import MS, DeviceClock

FRAME_NS, SHORTEST_NS = 33 * MS, 2 * MS
BOOTED_NS = 5_000_000 * MS  # what the host's clock says when the device's says 0


def frames(seed: int, n: int, *, ppm: float = 0.0, jitter_ms: float = 5.0) -> list[tuple[int, int, int]]:
    """(true host time, device stamp, arrival) of n frames: at least 2 ms on the way, exponentially more."""
    rng = np.random.default_rng(seed)
    true_ns = BOOTED_NS + np.arange(n) * FRAME_NS
    device_ns = ((true_ns - BOOTED_NS) * (1 + ppm * 1e-6)).astype(np.int64)
    late_ns = np.minimum(rng.exponential(jitter_ms * MS, n), 30 * MS).astype(np.int64)
    return [
        (int(t), int(d), int(t + SHORTEST_NS + late)) for t, d, late in zip(true_ns, device_ns, late_ns, strict=True)
    ]


def mapped(seen: list[tuple[int, int, int]]) -> np.ndarray:
    clock = DeviceClock()
    return np.array([clock.host_ns(device_ns, arrival_ns) for _, device_ns, arrival_ns in seen])


@pytest.mark.parametrize("ppm", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("seed", range(5))
def test_after_two_seconds_a_stamp_is_as_late_as_the_quickest_delay_and_3_ms_at_most(seed, ppm):
    seen = frames(seed, 3000, ppm=ppm)
    error_ns = mapped(seen) - np.array([true_ns for true_ns, _, _ in seen]) - SHORTEST_NS
    assert np.abs(error_ns[60:]).max() < 3 * MS


@pytest.mark.parametrize("seed", range(20))
def test_stamps_rise_strictly_and_never_lie_after_the_arrival_whatever_the_device_says(seed):
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.integers(1, 60 * MS, 400)) + BOOTED_NS
    stamps = np.cumsum(rng.integers(-5 * MS, 60 * MS, 400)) + rng.choice([0, 3_600_000 * MS], 400, p=[0.98, 0.02])
    out = mapped([(0, int(d), int(a)) for d, a in zip(stamps, arrivals, strict=True)])
    assert (np.diff(out) > 0).all()
    assert (out <= arrivals).all()


def test_frames_that_queued_behind_a_stall_of_300_ms_move_no_stamp():
    seen = frames(1, 200)
    late = list(seen)
    late[150] = (seen[150][0], seen[150][1], seen[150][2] + 300 * MS)
    late[151:] = [(t, d, max(a, late[150][2] + k)) for k, (t, d, a) in enumerate(seen[151:], 1)]
    np.testing.assert_array_equal(mapped(late), mapped(seen))


@pytest.mark.parametrize("seed", range(20))
def test_stamps_rise_strictly_through_a_leap_of_the_device(seed):
    seen = frames(seed, 60)
    leapt = [(t, d + 500 * MS, a) for t, d, a in seen[30:]]
    late_ns = np.random.default_rng(seed).choice([0, 70 * MS], 60)  # two frames' time
    arrivals_ns = np.maximum.accumulate([a for _, _, a in seen] + late_ns) + np.arange(60)
    rising = [(t, d, int(a)) for (t, d, _), a in zip(seen[:30] + leapt, arrivals_ns, strict=True)]
    assert (np.diff(mapped(rising)) > 0).all()


def test_a_device_that_counts_from_zero_again_is_followed_from_its_first_frame():
    seen = frames(2, 200)
    again = [(t + 60_000 * MS, d, a + 60_000 * MS) for t, d, a in seen]
    error_ns = mapped(seen + again)[200:] - np.array([true_ns for true_ns, _, _ in again])
    assert (error_ns >= 0).all()
    assert error_ns[0] <= 35 * MS
    assert error_ns[60:].max() < 5 * MS


@pytest.mark.parametrize("jump_ms", [-10_000, -500, 500, 3_600_000])
def test_a_jump_between_the_clocks_is_followed_after_a_third_of_a_second(jump_ms):
    seen = frames(3, 200)
    slept = [(t + 20_000 * MS, d + (20_000 + jump_ms) * MS, a + 20_000 * MS) for t, d, a in seen[100:]]
    error_ns = mapped(seen[:100] + slept)[100:] - np.array([true_ns for true_ns, _, _ in slept])
    assert (error_ns[11:] >= 0).all()
    assert error_ns[11:].max() < 40 * MS
    assert abs(error_ns[60:] - SHORTEST_NS).max() < 3 * MS
