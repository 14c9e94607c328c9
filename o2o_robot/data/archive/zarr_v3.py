"""Writes groups and arrays of the zarr v3 format as plain files, and reads the same ones back.

Any zarr v3 reader opens the result; the tests read it with zarr-python. Written by hand because an episode is many
small arrays, and zarr-python needs 1.6 ms for each (35 ms an episode of 2 cameras and 14 fields; this: 3 ms).
Format: https://zarr-specs.readthedocs.io/en/latest/v3/core/v3.0.html

Every chunk carries a checksum, so that one array read by itself is either what was written or an error.
Frames are zstd level -1: on a robot's camera it is three times as fast to write and ten times as fast to read as
blosc-zstd 1, which schema version 1 wrote, and takes a tenth less space.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc, Zstd

from o2o_robot.data.archive.mapped import let_go
from o2o_robot.errors import DataError
from o2o_robot.types import Array

MAX_CHUNK_BYTES = 1 << 30  # a kilobyte of zstd can claim any size; 32 frames of 3840x2160 are 0.8 GB
MAX_ARRAY_BYTES = 1 << 36
_MAX_FOREIGN_BYTES = 1 << 32  # what zarr-python may fill by itself, as it does where chunks are missing
_ZSTD = {"level": -1, "checksum": True}
_BLOSC = {"cname": "zstd", "clevel": 1, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0}
_CRC_BYTES = 4

Packing = Literal["crc32c", "zstd", "bytes", "blosc"]


class ArrayFacts(NamedTuple):
    """What an array's metadata says: its shape, its dtype, the shape of its chunks."""

    shape: tuple[int, ...]
    dtype: np.dtype
    chunk_shape: tuple[int, ...]


def write_group(path: Path, attributes: Mapping[str, Any] | None = None) -> None:
    """Make `path` a zarr group with these attributes; a reader sees the old ones or the new ones, never half."""
    path.mkdir(parents=True, exist_ok=True)
    aside = path / f".zarr.json.{os.getpid()}"
    _write_json(aside, {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})})
    aside.replace(path / "zarr.json")


def read_attributes(path: Path) -> dict[str, Any] | None:
    """The attributes of the group at `path`; None where there is no group or its file is cut short."""
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
        return attributes if isinstance(attributes, dict) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_array(path: Path, array: Array, *, rows_per_chunk: int | None = None) -> None:
    """Write `array` at `path`: one chunk as it is, or chunks of `rows_per_chunk` rows by zstd."""
    path.mkdir(parents=True)
    rows = len(array) if rows_per_chunk is None else min(rows_per_chunk, len(array))
    packing: Packing = "crc32c" if rows_per_chunk is None else "zstd"
    for i, start in enumerate(range(0, len(array), rows)):
        chunk = _padded(array[start : start + rows], rows)
        _chunk(path, i, array.ndim).write_bytes(_PACK[packing](chunk))
        let_go(array)
    facts = ArrayFacts(array.shape, array.dtype, (rows, *array.shape[1:]))
    _write_json(path / "zarr.json", _array_metadata(facts, packing))


def array_facts(path: Path) -> ArrayFacts:
    """Shape and dtype of the array at `path` without reading it. Raises DataError, OSError."""
    return _facts(_metadata(path))


def read_array(path: Path) -> Array:
    """The array at `path`, at once where it was written here, through zarr-python where it was not.

    Raises DataError, OSError, ValueError: missing, damaged, or larger than anything that would be written here.
    """
    metadata = _metadata(path)
    facts = _facts(metadata)
    for packing in _UNPACK:
        if metadata == _array_metadata(facts, packing):
            return _read_chunks(path, facts, packing)
    if _n_bytes(facts.shape, facts.dtype) > _MAX_FOREIGN_BYTES:
        raise DataError(f"{path} is {facts.shape}, too large for codecs of another writer; ingest its source again")
    return np.asarray(zarr.open_array(str(path), mode="r")[...])


def _metadata(path: Path) -> dict[str, Any]:
    metadata = json.loads((path / "zarr.json").read_text())
    if not isinstance(metadata, dict) or metadata.get("node_type") != "array":
        raise DataError(f"{path} is not a zarr array")
    return metadata


def _facts(metadata: dict[str, Any]) -> ArrayFacts:
    """Raises DataError where the metadata cannot be of an array that is written here."""
    try:
        shape = tuple(int(n) for n in metadata["shape"])
        chunk_shape = tuple(int(n) for n in metadata["chunk_grid"]["configuration"]["chunk_shape"])
        dtype = np.dtype(str(metadata["data_type"]))
    except (KeyError, TypeError, ValueError):
        raise DataError("its zarr.json lacks shape, chunk_grid or data_type, or one is no number") from None
    is_plain = dtype.kind in "biuf" and len(shape) == len(chunk_shape) and min((*shape, *chunk_shape), default=0) > 0
    too_large = _n_bytes(chunk_shape, dtype) > MAX_CHUNK_BYTES or _n_bytes(shape, dtype) > MAX_ARRAY_BYTES
    if not is_plain or too_large:
        raise DataError(f"an array of shape {shape} in chunks of {chunk_shape} {dtype} is not one that is written here")
    return ArrayFacts(shape, dtype, chunk_shape)


def _n_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


def _read_chunks(path: Path, facts: ArrayFacts, packing: Packing) -> Array:
    rows = facts.chunk_shape[0]
    little = facts.dtype.newbyteorder("<")
    out = np.empty(facts.shape, little)
    for i in range(math.ceil(facts.shape[0] / rows)):
        part = out[i * rows : (i + 1) * rows]
        whole = part if part.shape == facts.chunk_shape else np.empty(facts.chunk_shape, little)
        _UNPACK[packing](_chunk(path, i, len(facts.shape)).read_bytes(), whole)
        if whole is not part:
            part[...] = whole[: len(part)]
    return out.astype(facts.dtype, copy=False)


def _chunk(path: Path, i: int, n_axes: int) -> Path:
    return path / ".".join(["c", str(i), *["0"] * (n_axes - 1)])


def _padded(chunk: Array, rows: int) -> Array:
    """The chunk, little-endian and contiguous, with zero rows added up to `rows`: zarr chunks are all of one shape."""
    missing = rows - len(chunk)
    whole = np.concatenate([chunk, np.zeros((missing, *chunk.shape[1:]), chunk.dtype)]) if missing else chunk
    return np.ascontiguousarray(whole, chunk.dtype.newbyteorder("<"))


def _with_crc(chunk: Array) -> bytes:
    data = chunk.tobytes()
    return data + google_crc32c.value(data).to_bytes(_CRC_BYTES, "little")


def _fill(data: bytes, out: Array) -> None:
    if len(data) != out.nbytes:
        raise DataError(f"a chunk has {len(data)} bytes, {out.nbytes} were expected")
    out[...] = np.frombuffer(data, out.dtype).reshape(out.shape)


def _fill_checked(data: bytes, out: Array) -> None:
    values, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    if google_crc32c.value(values).to_bytes(_CRC_BYTES, "little") != crc:
        raise DataError("a chunk is not what was written (its crc32c differs)")
    _fill(values, out)


def _fill_zstd(data: bytes, out: Array) -> None:
    _check_claim(zstd_content_bytes(data), out)
    Zstd(**_ZSTD).decode(data, out=out)


def zstd_content_bytes(data: bytes) -> int:
    """Bytes that the frame says it unpacks to: RFC 8878, 3.1.1.1; -1 where it does not say."""
    if len(data) < 6:
        return -1
    is_single, size_flag = data[4] >> 5 & 1, data[4] >> 6
    start = 5 + (not is_single) + (0, 1, 2, 4)[data[4] & 3]
    size = int.from_bytes(data[start : start + (is_single, 2, 4, 8)[size_flag]], "little")
    return size + 256 if size_flag == 1 else size if size_flag or is_single else -1


def _check_claim(n_bytes: int, out: Array) -> None:
    """A chunk that unpacks to less would leave part of `out` unset, one to more would not be bounded."""
    if n_bytes != out.nbytes:
        raise DataError(f"a chunk claims {n_bytes} bytes, {out.nbytes} were expected")


def _fill_blosc(data: bytes, out: Array) -> None:
    _check_claim(int.from_bytes(data[4:8], "little"), out)  # nbytes in blosc's header
    Blosc().decode(data, out=out)


_PACK: dict[Packing, Callable[[Array], bytes]] = {
    "crc32c": _with_crc,
    "zstd": lambda chunk: Zstd(**_ZSTD).encode(chunk),
}
_UNPACK: dict[Packing, Callable[[bytes, Array], None]] = {
    "crc32c": _fill_checked,
    "zstd": _fill_zstd,
    "bytes": _fill,
    "blosc": _fill_blosc,
}
_CODECS: dict[Packing, list[dict[str, Any]]] = {
    "crc32c": [{"name": "crc32c"}],
    "zstd": [{"name": "zstd", "configuration": _ZSTD}],
    "bytes": [],
    "blosc": [{"name": "blosc", "configuration": _BLOSC}],
}


def _array_metadata(facts: ArrayFacts, packing: Packing) -> dict[str, Any]:
    endian = {} if facts.dtype.itemsize == 1 else {"configuration": {"endian": "little"}}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(facts.shape),
        "data_type": facts.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(facts.chunk_shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": False if facts.dtype.kind == "b" else 0,
        "codecs": [{"name": "bytes", **endian}, *_CODECS[packing]],
        "attributes": {},
    }


def _write_json(path: Path, metadata: dict[str, Any]) -> None:
    path.write_text(json.dumps(metadata))
