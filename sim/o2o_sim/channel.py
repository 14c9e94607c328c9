"""The way of a sensor's samples to their reader: they arrive late, not at all, or out of order."""

from __future__ import annotations

import heapq
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from o2o_sim.sensor_config import LinkConfig

T = TypeVar("T")
NS_PER_S = 1_000_000_000
CAPACITY = 1024  # samples on their way; where nobody reads, the oldest are lost


class Sample(NamedTuple, Generic[T]):
    """A value with the stamp of its sensing."""

    stamp_ns: int
    value: T


class Channel(Generic[T]):
    """Carries samples by the clock of whoever calls.

    channel.send(stamp_ns, value)                 # at the sensor
    for sample in channel.due(now_ns): ...        # at the reader: what has arrived since it last asked
    """

    def __init__(self, config: LinkConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._latency_ns, self._jitter_ns = round(config.latency_s * NS_PER_S), round(config.jitter_s * NS_PER_S)
        self._on_the_way: list[tuple[int, int, Sample[T]]] = []
        self._n_sent = self._last_arrival_ns = 0

    def send(self, stamp_ns: int, value: T, *, ready_ns: int = 0) -> None:
        """A sample of `stamp_ns`, which cannot arrive before ready_ns, where its making takes until then."""
        late, luck = self._rng.random(2)  # both each time: drops change nobody's jitter
        self._n_sent += 1
        arrives_ns = max(stamp_ns + self._latency_ns + round(late * self._jitter_ns), ready_ns)
        if not self._config.reorders:
            arrives_ns = max(arrives_ns, self._last_arrival_ns)
        if luck < self._config.drop_share:
            return
        self._last_arrival_ns = arrives_ns
        heapq.heappush(self._on_the_way, (arrives_ns, self._n_sent, Sample(stamp_ns, value)))
        if len(self._on_the_way) > CAPACITY:
            heapq.heappop(self._on_the_way)

    def due(self, now_ns: int) -> list[Sample[T]]:
        """What arrived by now and was not handed out yet, in the order of arrival."""
        arrived = []
        while self._on_the_way and self._on_the_way[0][0] <= now_ns:
            arrived.append(heapq.heappop(self._on_the_way)[2])
        return arrived


class Schedule:
    """When a sensor senses: `hz` times a second from start_ns on, or each time it is asked where hz is 0."""

    def __init__(self, hz: float, start_ns: int) -> None:
        self._period_ns = NS_PER_S / hz if hz > 0 else 0.0
        self._start_ns, self._n_taken = start_ns, 0

    def take(self, now_ns: int) -> bool:
        """Whether the time has come; each time comes once."""
        if self._period_ns == 0:
            return True
        if now_ns < self._start_ns + self._n_taken * self._period_ns:
            return False
        self._n_taken = int((now_ns - self._start_ns) // self._period_ns) + 1
        return True
