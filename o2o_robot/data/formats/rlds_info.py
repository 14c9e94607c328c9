"""features.json and dataset_info.json, which TFDS writes beside its TFRecord files; either may be missing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from o2o_robot.errors import DataError

_MAX_BYTES = 8 << 20
_SHARD = re.compile(r"(?P<split>[^-]+)\.tfrecord-(?P<number>[0-9]{5})-of-(?P<of>[0-9]{5})$")


@dataclass(frozen=True)
class Info:
    """widths: feature -> numbers a row, where its shape is known; shards: split -> records of each of its files."""

    widths: Mapping[str, int] = field(default_factory=dict)
    shards: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def n_records(self, name: str) -> int | None:
        """How many records "set-train.tfrecord-00000-of-00001" should have; None where it is not told."""
        found = _SHARD.search(name)
        if found is None:
            return None
        lengths = self.shards.get(found["split"], ())
        number = int(found["number"])
        return lengths[number] if len(lengths) == int(found["of"]) and number < len(lengths) else None


def read_info(folder: Path) -> Info:
    """What the two files say. Raises DataError where one is there and is not JSON."""
    return Info(dict(_widths(_json(folder / "features.json"), "")), _shards(_json(folder / "dataset_info.json")))


def _json(path: Path) -> Any:
    if not path.is_file():
        return {}
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} has more than {_MAX_BYTES} bytes; take it away to read the records without it")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise DataError(f"{path} is not JSON; copy it again, or take it away to read the records without it") from None


def _widths(node: Any, path: str) -> Iterator[tuple[str, int]]:
    """Of a tree of features, which nests "featuresDict", "sequence" and "tensor" (TFDS, feature.proto)."""
    if not isinstance(node, Mapping):
        return
    held = _at(node, "featuresDict", "features")
    for name, inner in held.items() if isinstance(held, Mapping) else ():
        yield from _widths(inner, f"{path}/{name}" if path else str(name))
    yield from _widths(_at(node, "sequence", "feature"), path)
    if isinstance(node.get("tensor"), Mapping) and _at(node, "tensor", "dtype") != "string":
        sides = _at(node, "tensor", "shape", "dimensions") or []
        numbers = [int(side) for side in sides if re.fullmatch(r"[0-9]{1,9}", str(side))]
        if len(numbers) == len(sides):
            yield path, math.prod(numbers)


def _shards(info: Any) -> dict[str, tuple[int, ...]]:
    splits = info.get("splits") if isinstance(info, Mapping) else None
    found = {}
    for split in splits if isinstance(splits, list) else ():
        lengths = split.get("shardLengths") if isinstance(split, Mapping) else None
        if isinstance(lengths, list) and all(re.fullmatch(r"[0-9]{1,9}", str(each)) for each in lengths):
            found[str(split.get("name"))] = tuple(map(int, lengths))
    return found


def _at(node: Any, *keys: str) -> Any:
    """What lies under nested keys; None where one is not there."""
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
