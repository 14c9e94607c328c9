"""A random number's range: what a setting of the twin is drawn from, once an episode."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.types import Array


@dataclass(frozen=True)
class Spread:
    """Uniform from low to high; with `std` a normal about their middle, drawn again until it is between them."""

    low: float
    high: float
    std: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low <= self.high):
            raise ConfigError(f"a spread goes from low to high, finite, got low={self.low}, high={self.high}")
        if self.std is not None and not 0 < self.std <= self.high - self.low:
            raise ConfigError(f"std must be > 0 and <= high - low = {self.high - self.low}, got {self.std}")

    @property
    def is_fixed(self) -> bool:
        return self.low == self.high

    def draw(self, rng: np.random.Generator, size: tuple[int, ...] = ()) -> Array:
        """Numbers of shape `size`, all between low and high."""
        if self.std is None:
            return np.asarray(rng.uniform(self.low, self.high, size))
        middle = (self.low + self.high) / 2
        values = np.asarray(rng.normal(middle, self.std, size))
        while (outside := (values < self.low) | (values > self.high)).any():
            values = np.where(outside, rng.normal(middle, self.std, size), values)
        return values


ZERO, ONE = Spread(0.0, 0.0), Spread(1.0, 1.0)


class Draws:
    """The numbers of one scene. Each quantity has a stream of its own, made of the scene's seed and its name.

    So a quantity that is switched on, or drawn more often, changes no other one, and no object's place.
    `facts` is what was drawn so far, ready for JSON.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.facts: dict[str, Any] = {}

    def __call__(self, name: str, spread: Spread, size: tuple[int, ...] = ()) -> Array:
        value = spread.draw(stream(self.seed, name), size)
        if not spread.is_fixed and value.size > 0:
            self.facts[name] = value.tolist()
        return value


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator for one purpose of one scene, independent of default_rng(seed) and of every other purpose."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),)))
