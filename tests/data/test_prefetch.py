"""Batches ahead of time: the same, in the same order, and no further ahead than was said."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from o2o_robot.data.prefetch import prefetched
from o2o_robot.errors import ConfigError, DataError

PATIENCE_S = 10.0


class Made:
    """Counts what a generator has made, and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.n = 0
        self._changed = threading.Condition()

    def numbers(self, stop: int) -> Iterator[int]:
        for number in range(stop):
            with self._changed:
                self.n += 1
                self._changed.notify_all()
            yield number

    def wait_for(self, n: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.n >= n, PATIENCE_S)


@pytest.mark.parametrize("ahead", [0, 1, 2, 50])
def test_the_same_items_come_in_the_same_order(ahead):
    with prefetched(range(20), ahead=ahead) as items:
        assert list(items) == list(range(20))


@pytest.mark.parametrize("ahead", [1, 3])
def test_so_many_items_are_made_before_one_is_asked_for_and_not_one_more(ahead):
    made = Made()
    with prefetched(made.numbers(20), ahead=ahead) as items:
        assert made.wait_for(ahead)
        assert next(items) == 0
        assert made.wait_for(ahead + 1)
        assert next(items) == 1
        assert made.wait_for(ahead + 2)
    assert made.n == ahead + 2, "the thread has ended: what it made by then is all it made"


def test_nothing_is_made_early_where_none_is_asked_for():
    made = Made()
    with prefetched(made.numbers(20), ahead=0) as items:
        assert made.n == 0
        next(items)
    assert made.n == 1


def test_an_error_is_raised_where_its_item_is_due():
    def failing() -> Iterator[int]:
        yield 0
        yield 1
        raise DataError("frame 2 is gone")

    with prefetched(failing(), ahead=5) as items:
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(DataError, match="frame 2 is gone"):
            next(items)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    with prefetched(iter(range(1000)), ahead=2) as items:
        next(items)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_negative_number_is_refused():
    with pytest.raises(ConfigError, match="ahead must be >= 0, got -1"), prefetched([], ahead=-1):
        pass
