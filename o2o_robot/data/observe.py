"""The messages that a Plan names become arrays: numbers and pictures, and only what is used is decoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.contract import ActionStream, Contract, StateField
from o2o_robot.data.plan import Plan
from o2o_robot.data.streams import Raw, Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Array

_DECODERS = 2
_IN_FLIGHT = 64  # images decoded at a time: full-size pixels never pile up


class Undecodable(Exception):
    """Messages of `topic` that no one can read, and why the first could not be."""

    def __init__(self, topic: str, indices: list[int], reason: str) -> None:
        super().__init__(reason)
        self.topic, self.indices, self.reason = topic, indices, reason


def observe(
    recording: Recording, contract: Contract, names: dict[str, str], plan: Plan
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Images and state of every tick of the plan, as an Episode holds them. Raises Undecodable naming the messages."""
    state = {
        name: vectors(recording, names[each.topic], plan.observed[each.topic], each)
        for name, each in contract.state.items()
    }
    images = {
        name: _pictures(recording, names[each.topic], plan.observed[each.topic], each.side)
        for name, each in contract.images.items()
    }
    return images, state


def vectors(recording: Recording, topic: str, index: Array, what: StateField | ActionStream) -> Array:
    """The field of `what` in messages `index` (N,) as float32 (N, k)."""
    rows, bad = [], []
    for number, message in zip(index, messages(recording, topic, index), strict=True):
        try:
            rows.append(decode.numbers(message, what.field, what.joints, getattr(what, "default", None)))
        except DataError as problem:
            bad.append((int(number), str(problem)))
    if bad:
        raise Undecodable(topic, [number for number, _ in bad], bad[0][1])
    return stack(rows, f"'{what.field}' of {topic}")


def messages(recording: Recording, topic: str, index: Array) -> list[Any]:
    """Messages `index` (N,) of a topic, decoded, in that order."""
    found: dict[int, Any] = {}
    bad = []
    for raw in recording.select({topic: np.unique(index)}):
        try:
            found[raw.number] = recording.types.message(topic, raw.data)
        except DataError as problem:
            bad.append((raw.number, str(problem)))
    if bad:
        raise Undecodable(topic, [number for number, _ in bad], bad[0][1])
    return [found[int(number)] for number in index]


def stack(rows: list[Array], what: str) -> Array:
    """Rows (k,) as (N, k). Raises DataError where they differ in length."""
    sizes = sorted({len(row) for row in rows})
    if len(sizes) != 1:
        raise DataError(f"{what}: messages hold {' and '.join(map(str, sizes))} values; their number must not change")
    return np.stack(rows)


def _pictures(recording: Recording, topic: str, index: Array, side: int) -> Array:
    """The pictures of messages `index` (N,) as uint8 (N, side, side, 3), each message decoded once."""
    once, place = np.unique(index, return_inverse=True)
    pixels = np.empty((len(once), side, side, 3), np.uint8)
    row = {int(number): i for i, number in enumerate(once)}
    bad: list[tuple[int, str]] = []
    n_seen = 0

    def decode_one(raw: Raw) -> None:
        try:
            pixels[row[raw.number]] = decode.picture(recording.types.message(topic, raw.data), side)
        except DataError as problem:
            bad.append((raw.number, str(problem)))

    with ThreadPoolExecutor(_DECODERS) as pool:  # OpenCV lets go of the interpreter lock
        for some in _batches(recording.select({topic: once}), _IN_FLIGHT):
            list(pool.map(decode_one, some))
            n_seen += len(some)
    if n_seen != len(once):
        raise DataError(f"{topic}: {len(once)} images were there a moment ago, now {n_seen}; is the bag being written?")
    if bad:
        raise Undecodable(topic, sorted(index for index, _ in bad), min(bad)[1])
    return pixels if len(once) == len(index) else pixels[place]


def _batches(items: Iterable[Raw], size: int) -> Iterator[list[Raw]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some
