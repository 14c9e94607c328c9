"""Batches made ahead of time by a thread of their own, in order, so that an update does not wait for the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from o2o_robot.errors import ConfigError

T = TypeVar("T")


class _Failed(NamedTuple):
    problem: BaseException


_END = object()


@contextmanager
def prefetched(items: Iterable[T], *, ahead: int) -> Iterator[Iterator[T]]:
    """The same items in the same order, up to `ahead` of them made before they are asked for; 0 makes none early.

        draws = (replay.sample(256, np.random.default_rng((seed, k))) for k in range(1, steps + 1))
        with prefetched(draws, ahead=2) as batches:
            for batch in batches: learner.update(batch)

    What `items` touches must not change meanwhile. An error in making an item is raised where that item is due, not
    before. Leaving the block early stops the thread after the item it is at.
    """
    if ahead < 0:
        raise ConfigError(f"ahead must be >= 0, got {ahead}; 0 makes every batch when it is asked for")
    if ahead == 0:
        yield iter(items)
        return
    making = _Making(iter(items), ahead)
    try:
        yield making.taken()
    finally:
        making.stop()


class _Making(Generic[T]):
    """A thread that fills a queue; `_room` counts how many items more it may make before one is taken."""

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        self._items = items
        self._room = threading.Semaphore(ahead)
        self._made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._is_wanted = True
        self._thread = threading.Thread(target=self._make, name="prefetch", daemon=True)
        self._thread.start()

    def taken(self) -> Iterator[T]:
        while (item := self._made.get()) is not _END:
            self._room.release()
            if isinstance(item, _Failed):
                raise item.problem
            yield item

    def stop(self) -> None:
        self._is_wanted = False
        self._room.release()
        self._thread.join()

    def _make(self) -> None:
        try:
            while self._may_go_on():
                try:
                    self._made.put(next(self._items))
                except StopIteration:
                    return
        except BaseException as problem:
            self._made.put(_Failed(problem))
        finally:
            self._made.put(_END)

    def _may_go_on(self) -> bool:
        self._room.acquire()
        return self._is_wanted
