"""What a link may and may not do to a sensor's samples."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_sim.channel import NS_PER_S, Channel, Sample, Schedule
from o2o_sim.sensor_config import LinkConfig

STEP_NS = 10_000_000


def carried(config: LinkConfig, n: int = 1000, seed: int = 0) -> list[tuple[int, Sample[int]]]:
    """(arrival, sample) of n samples that are 10 ms apart, read every millisecond."""
    channel: Channel[int] = Channel(config, np.random.default_rng(seed))
    arrived = []
    for now_ns in range(0, n * STEP_NS + 2 * NS_PER_S, 1_000_000):
        if now_ns % STEP_NS == 0 and now_ns < n * STEP_NS:
            channel.send(now_ns, now_ns // STEP_NS)
        arrived += [(now_ns, sample) for sample in channel.due(now_ns)]
    return arrived


def test_a_perfect_link_hands_over_everything_at_once() -> None:
    assert carried(LinkConfig()) == [(k * STEP_NS, Sample(k * STEP_NS, k)) for k in range(1000)]


@pytest.mark.parametrize("reorders", [False, True])
def test_nothing_arrives_before_its_stamp_and_the_latency_nor_after_the_jitter(reorders: bool) -> None:
    arrived = carried(LinkConfig(latency_s=0.03, jitter_s=0.05, reorders=reorders))
    ages_s = np.array([now_ns - sample.stamp_ns for now_ns, sample in arrived]) / NS_PER_S
    assert len(ages_s) == 1000
    assert ages_s.min() >= 0.03
    assert ages_s.max() <= 0.08 + 0.001
    assert ages_s.max() - ages_s.min() > 0.03


def test_the_order_is_kept_unless_reordering_is_asked_for() -> None:
    def in_order(reorders: bool) -> bool:
        values = [s.value for _, s in carried(LinkConfig(latency_s=0.01, jitter_s=0.05, reorders=reorders))]
        assert sorted(values) == list(range(1000))
        return values == sorted(values)

    assert in_order(False)
    assert not in_order(True)


def test_the_share_lost_is_the_share_asked_for_within_four_standard_deviations() -> None:
    for share in (0.05, 0.3):
        n_lost = 1000 - len(carried(LinkConfig(drop_share=share), seed=7))
        assert abs(n_lost - 1000 * share) < 4 * np.sqrt(1000 * share * (1 - share))


def test_losing_some_does_not_delay_the_others() -> None:
    whole = dict(map(reversed, carried(LinkConfig(jitter_s=0.005))))
    rest = carried(LinkConfig(jitter_s=0.005, drop_share=0.5))
    assert 0 < len(rest) < 1000
    assert all(whole[sample] == now_ns for now_ns, sample in rest)


def test_a_sample_never_arrives_before_it_is_made() -> None:
    channel: Channel[str] = Channel(LinkConfig(), np.random.default_rng(0))
    channel.send(0, "slow", ready_ns=5)
    assert channel.due(4) == []
    assert channel.due(5) == [Sample(0, "slow")]


def test_where_nobody_reads_the_oldest_are_lost_and_memory_is_bounded() -> None:
    channel: Channel[int] = Channel(LinkConfig(), np.random.default_rng(0))
    for k in range(5000):
        channel.send(k, k)
    left = [sample.value for sample in channel.due(5000)]
    assert left == list(range(5000 - len(left), 5000))
    assert len(left) <= 1024


def test_a_schedule_of_30_hz_is_taken_30_times_a_second_however_often_it_is_asked() -> None:
    for ask_every_ns in (1_000_000, 2_000_000, 7_000_000):
        schedule = Schedule(30.0, start_ns=5_000_000)
        taken = [t for t in range(0, 10 * NS_PER_S, ask_every_ns) if schedule.take(t)]
        assert len(taken) == 300
        assert np.diff(taken).max() <= NS_PER_S / 30 + ask_every_ns


@pytest.mark.parametrize(
    "wrong", [{"latency_s": -0.1}, {"jitter_s": float("nan")}, {"drop_share": 1.0}, {"latency_s": 0.9, "jitter_s": 0.2}]
)
def test_an_impossible_link_is_refused_at_build(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"latency_s|jitter_s|drop_share"):
        LinkConfig(**wrong)
