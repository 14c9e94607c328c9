"""What the classifier thought of each episode, kept beside the labels for the page: STORE/opinions.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from o2o_robot.errors import DataError
from o2o_robot.jsonfile import read_json, write_json

NAME = "opinions.json"
MAX_BYTES = 64 << 20


def write_opinions(store_path: Path, probability: Mapping[str, float], *, who: str, at: str) -> None:
    """Probability of success by episode number, in place of the last ones."""
    rounded = {number: round(float(p), 4) for number, p in probability.items()}
    write_json(store_path / NAME, {"who": who, "at": at, "probability": rounded})


def read_opinions(store_path: Path) -> dict[str, float]:
    """Probability of success by episode number; empty where no classifier was ever asked.

    Raises DataError where the file is not what `write_opinions` writes.
    """
    path = store_path / NAME
    if not path.exists():
        return {}
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} has {path.stat().st_size} bytes, at most {MAX_BYTES} are read; remove it")
    found = read_json(path).get("probability")
    if not isinstance(found, dict) or not all(_is_probability(p) for p in found.values()):
        raise DataError(f"{path} holds no probabilities by episode; remove it, `o2o label STORE --classify` makes it")
    return {str(number): float(p) for number, p in found.items()}


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1
