"""Writes groups and arrays of the zarr v3 format as plain files, and reads the same ones back.

Any zarr v3 reader opens the result; the tests read it with zarr-python. Written by hand because an episode is many
small arrays, and zarr-python needs 1.6 ms for each (35 ms an episode of 2 cameras and 14 fields; this: 5 ms).
Format: https://zarr-specs.readthedocs.io/en/latest/v3/core/v3.0.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc

from o2o_robot.types import Array

_BLOSC = {"cname": "zstd", "clevel": 1, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0}


def write_group(path: Path, attributes: Mapping[str, Any] | None = None) -> None:
    """Make `path` a zarr group with these attributes."""
    path.mkdir(parents=True, exist_ok=True)
    _write_json(path, {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})})


def read_attributes(path: Path) -> dict[str, Any] | None:
    """The attributes of the group at `path`; None where there is no group or its file is cut short."""
    try:
        return json.loads((path / "zarr.json").read_text())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_array(path: Path, array: Array, *, rows_per_chunk: int | None = None) -> None:
    """Write `array` at `path`: one chunk as it is, or chunks of `rows_per_chunk` rows by blosc-zstd (level 1)."""
    path.mkdir(parents=True)
    rows = len(array) if rows_per_chunk is None else min(rows_per_chunk, len(array))
    for i, start in enumerate(range(0, len(array), rows)):
        chunk = _padded(array[start : start + rows], rows)
        data = chunk.tobytes() if rows_per_chunk is None else _blosc().encode(chunk)
        (path / ".".join(["c", str(i), *["0"] * (array.ndim - 1)])).write_bytes(data)
    _write_json(path, _array_metadata(array, (rows, *array.shape[1:]), is_compressed=rows_per_chunk is not None))


def read_array(path: Path) -> Array:
    """The array at `path`, at once where it was written here, through zarr-python where it was not."""
    metadata = json.loads((path / "zarr.json").read_text())
    dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
    chunk_shape = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    shape = tuple(metadata["shape"])
    for is_compressed in (False, True):
        if metadata == _array_metadata(np.broadcast_to(np.zeros((), dtype), shape), chunk_shape, is_compressed):
            return _read_chunks(path, shape, chunk_shape, dtype, is_compressed)
    return np.asarray(zarr.open_array(str(path), mode="r")[...])


def _read_chunks(
    path: Path, shape: tuple[int, ...], chunk_shape: tuple[int, ...], dtype: np.dtype, is_compressed: bool
) -> Array:
    out = np.empty(shape, dtype.newbyteorder("="))
    for i in range(math.ceil(shape[0] / chunk_shape[0])):
        data = (path / ".".join(["c", str(i), *["0"] * (len(shape) - 1)])).read_bytes()
        chunk = np.frombuffer(_blosc().decode(data) if is_compressed else data, dtype).reshape(chunk_shape)
        part = out[i * chunk_shape[0] : (i + 1) * chunk_shape[0]]
        part[...] = chunk[: len(part)]
    return out


def _blosc() -> Blosc:
    return Blosc(_BLOSC["cname"], _BLOSC["clevel"], Blosc.NOSHUFFLE)


def _padded(chunk: Array, rows: int) -> Array:
    """The chunk, little-endian and contiguous, with zero rows added up to `rows`: zarr chunks are all of one shape."""
    missing = rows - len(chunk)
    whole = np.concatenate([chunk, np.zeros((missing, *chunk.shape[1:]), chunk.dtype)]) if missing else chunk
    return np.ascontiguousarray(whole, chunk.dtype.newbyteorder("<"))


def _array_metadata(array: Array, chunk_shape: tuple[int, ...], is_compressed: bool) -> dict[str, Any]:
    single_byte = array.dtype.itemsize == 1
    codecs: list[dict[str, Any]] = [
        {"name": "bytes"} | ({} if single_byte else {"configuration": {"endian": "little"}})
    ]
    if is_compressed:
        codecs.append({"name": "blosc", "configuration": _BLOSC})
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(array.shape),
        "data_type": array.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk_shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": False if array.dtype.kind == "b" else 0,
        "codecs": codecs,
        "attributes": {},
    }


def _write_json(path: Path, metadata: dict[str, Any]) -> None:
    (path / "zarr.json").write_text(json.dumps(metadata))
