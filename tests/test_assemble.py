"""One look at the world: what belongs to a tick, and when a tick is made."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from o2o_robot.errors import ConfigError
from o2o_robot.robot.assemble import Assembler, Tick

MS = 1_000_000
PERIOD_NS = 100 * MS


def assembler(*, tolerance_ms: int = 50, streams: tuple[str, ...] = ("camera", "arm")) -> Assembler:
    return Assembler(streams, reference="camera", period_ns=PERIOD_NS, tolerance_ns=tolerance_ms * MS)


def feed(subject: Assembler, samples: list[tuple[int, str]]) -> list[Tick]:
    """Samples (stamp_ns, stream) in the order of their arrival; each one's value is its own stamp."""
    ticks = []
    for stamp_ns, stream in samples:
        subject.add(stream, stamp_ns, stamp_ns)
        if (tick := subject.next_tick()) is not None:
            ticks.append(tick)
    return ticks


@given(st.lists(st.tuples(st.integers(0, 2000 * MS), st.sampled_from(["camera", "arm"])), max_size=60))
def test_no_sample_of_a_tick_is_newer_than_the_tick_or_older_than_the_tolerance(samples):
    for tick in feed(assembler(), samples):
        for stamp_ns in tick.samples.values():
            assert 0 <= tick.stamp_ns - stamp_ns <= 50 * MS
        assert tick.samples["camera"] == tick.stamp_ns


@given(st.lists(st.tuples(st.integers(0, 2000 * MS), st.sampled_from(["camera", "arm"])), max_size=60))
def test_ticks_go_forward_by_at_least_three_quarters_of_a_period(samples):
    stamps = [tick.stamp_ns for tick in feed(assembler(), samples)]
    assert all(b - a >= PERIOD_NS - PERIOD_NS // 4 for a, b in itertools.pairwise(stamps))


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["camera", "arm"])), max_size=60))
def test_in_lockstep_every_stream_carries_the_very_stamp_of_the_tick(samples):
    for tick in feed(assembler(tolerance_ms=0), [(n * PERIOD_NS, stream) for n, stream in samples]):
        assert set(tick.samples.values()) == {tick.stamp_ns}


@pytest.mark.parametrize("seed", range(10))
def test_a_jittery_30_hz_camera_at_10_hz_gives_every_third_frame(seed):
    jitter_ms = np.random.default_rng(seed).uniform(-4, 4, 300)
    frames = [(round((n * 1000 / 30 + late_ms + 100) * MS), "camera") for n, late_ms in enumerate(jitter_ms)]
    states = [(n * 5 * MS, "arm") for n in range(2200)]
    ticks = feed(assembler(), sorted(frames + states))
    index_of = {stamp_ns: n for n, (stamp_ns, _) in enumerate(frames)}
    taken = [index_of[tick.stamp_ns] for tick in ticks]
    assert taken == list(range(0, 300, 3))


def test_a_tick_waits_for_the_last_stream_whichever_that_is():
    subject = assembler(tolerance_ms=0)
    assert feed(subject, [(PERIOD_NS, "camera")]) == []
    assert [tick.stamp_ns for tick in feed(subject, [(PERIOD_NS, "arm")])] == [PERIOD_NS]
    assert subject.next_tick() is None, "a frame makes one tick"


def test_after_a_restart_nothing_older_is_used():
    subject = assembler(tolerance_ms=500)
    subject.add("arm", 90 * MS, "old scene")
    subject.restart(100 * MS)
    assert feed(subject, [(100 * MS, "camera")]) == []
    assert [tick.samples["arm"] for tick in feed(subject, [(100 * MS, "arm")])] == [100 * MS]


def test_samples_that_came_before_the_restart_was_known_are_kept():
    """The first observation of a scene may overtake the answer that says the scene was reset."""
    subject = assembler(tolerance_ms=0)
    subject.add("camera", 200 * MS, "new scene")
    subject.add("arm", 200 * MS, "new scene")
    subject.restart(200 * MS)
    assert subject.next_tick() == Tick(200 * MS, {"camera": "new scene", "arm": "new scene"})


def test_a_late_or_repeated_sample_replaces_nothing():
    subject = assembler()
    subject.add("arm", 100 * MS, "first")
    subject.add("arm", 100 * MS, "again")
    subject.add("arm", 90 * MS, "late")
    subject.add("camera", 100 * MS, "frame")
    tick = subject.next_tick()
    assert tick is not None
    assert tick.samples["arm"] == "first"


@pytest.mark.parametrize(("wrong", "named"), [({"reference": "lidar"}, "lidar"), ({"period_ns": 0}, "period_ns")])
def test_an_impossible_assembler_is_refused_at_build(wrong, named):
    right = {"streams": ("camera",), "reference": "camera", "period_ns": 1, "tolerance_ns": 0}
    with pytest.raises(ConfigError, match=named):
        Assembler(**{**right, **wrong})


@pytest.mark.parametrize("tolerance_ms", [0, 50])
@pytest.mark.parametrize("liar", ["camera", "arm"])
def test_a_stamp_from_the_future_blinds_no_longer_than_until_the_next_episode(tolerance_ms, liar):
    subject = assembler(tolerance_ms=tolerance_ms)
    feed(subject, [(n * PERIOD_NS, stream) for n in range(1, 5) for stream in ("arm", "camera")])
    subject.add(liar, 100 * PERIOD_NS, 100 * PERIOD_NS)
    subject.restart(5 * PERIOD_NS)
    ticks = feed(subject, [(n * PERIOD_NS, stream) for n in (5, 6) for stream in ("arm", "camera")])
    assert [tick.stamp_ns for tick in ticks] == [5 * PERIOD_NS, 6 * PERIOD_NS]


def test_a_sample_that_is_only_late_displaces_none_that_is_newer():
    subject = assembler()
    late = [(3 * PERIOD_NS, "arm"), (2 * PERIOD_NS, "arm"), (3 * PERIOD_NS, "camera")]
    (tick,) = feed(subject, late)
    assert tick.samples["arm"] == 3 * PERIOD_NS
