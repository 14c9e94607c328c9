"""zarr v2 arrays from strangers, in a folder or a zip, read a few rows at a time with every size checked beforehand.

zarr-python opens them as well, but a chunk there may unpack to any size, and a filter may be `pickle`. Here a codec is
one of a short list, is told how many bytes a chunk has, and may not give more; filters and dtype object are refused.
Format: https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html
"""

from __future__ import annotations

import itertools
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from o2o_robot.data.bags.foreign import one_line
from o2o_robot.data.formats import needs_libraries
from o2o_robot.data.formats.demonstration import MAX_ROWS
from o2o_robot.errors import DataError
from o2o_robot.types import Array

MAX_CHUNK_BYTES = 256 << 20
_MAX_METADATA_BYTES = 1 << 20
_MAX_CHUNKS_A_ROW = 64  # a missing chunk costs a look-up and no byte of the file
_SLACK_BYTES = 1 << 16  # what packing may add to bytes that cannot be packed
_DTYPE = re.compile(r"[<>|]([biuf][1248])")


class Files(Protocol):
    """The keys of a zarr v2 store: `data/action/.zarray`, `data/action/0.0`, ..."""

    def read(self, key: str, limit: int) -> bytes | None:
        """The bytes of a key, None where it is not there. Raises DataError where there are more than `limit`."""
        ...

    def arrays(self, group: str) -> list[str]:
        """Names of the arrays in a group, sorted."""
        ...


class Folder:
    """A store that is a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, key: str, limit: int) -> bytes | None:
        file = self.path / key
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            return _within(stream.read(limit + 1), limit, key)

    def arrays(self, group: str) -> list[str]:
        return sorted(each.parent.name for each in (self.path / group).glob("*/.zarray"))


# What zipfile raises on a damaged file; RuntimeError where an entry claims to be encrypted.
_ZIP_DAMAGE = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error)


class Zip:
    """A store that is one zip file (`.zarr.zip`); nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        """Raises DataError where it is no zip file."""
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_DAMAGE as problem:
            raise DataError(f"{path}: not a zip file, or damaged ({one_line(problem)})") from None
        self._keys = set(self._zip.namelist())

    def read(self, key: str, limit: int) -> bytes | None:
        if key not in self._keys:
            return None
        if self._zip.getinfo(key).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{key} is packed by a way other than deflate; pack the zip again")
        try:
            with self._zip.open(key) as stream:
                data = stream.read(limit + 1)
        except _ZIP_DAMAGE as problem:
            raise DataError(f"{key} cannot be read from the zip ({one_line(problem)})") from None
        return _within(data, limit, key)

    def arrays(self, group: str) -> list[str]:
        found = (re.fullmatch(re.escape(group) + r"/([^/]+)/\.zarray", key) for key in self._keys)
        return sorted(each.group(1) for each in found if each)


@dataclass(frozen=True)
class ZarrArray:
    """An array whose metadata is checked: its shape, dtype and chunks; rows are read on demand."""

    files: Files
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...]
    order: str
    separator: str
    fill: Any
    decode: Callable[[bytes, int], bytes]

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def rows(self, start: int, stop: int) -> Array:
        """Rows [start, stop), which the caller knows to fit into memory. Raises DataError: a chunk is damaged."""
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        others = [range(math.ceil(n / c)) for n, c in zip(self.shape[1:], self.chunks[1:], strict=True)]
        for first in range(start // self.chunks[0], math.ceil(stop / self.chunks[0])):
            for rest in itertools.product(*others):
                self._fill_in(out, start, stop, (first, *rest))
        return out

    def _fill_in(self, out: Array, start: int, stop: int, index: tuple[int, ...]) -> None:
        chunk = self._chunk(index)
        low = index[0] * self.chunks[0]
        rows = slice(max(start, low), min(stop, low + self.chunks[0]))
        source, target = [slice(rows.start - low, rows.stop - low)], [slice(rows.start - start, rows.stop - start)]
        for i, c, n in zip(index[1:], self.chunks[1:], self.shape[1:], strict=True):
            source.append(slice(0, min(c, n - i * c)))
            target.append(slice(i * c, min(n, i * c + c)))
        out[tuple(target)] = chunk[tuple(source)] if isinstance(chunk, np.ndarray) else chunk

    def _chunk(self, index: tuple[int, ...]) -> Any:
        key = f"{self.name}/{self.separator.join(map(str, index))}"
        n_bytes = math.prod(self.chunks) * self.dtype.itemsize
        packed = self.files.read(key, n_bytes + n_bytes // 8 + _SLACK_BYTES)
        if packed is None:
            return self.fill
        try:
            data = self.decode(packed, n_bytes)
        except DataError:
            raise
        except Exception as problem:  # C codecs over foreign bytes: any kind of error means the same
            raise DataError(f"{key} cannot be unpacked ({type(problem).__name__}: {str(problem)[:100]})") from None
        if len(data) != n_bytes:
            raise DataError(f"{key} unpacks to {len(data)} bytes, expected {n_bytes}")
        return np.frombuffer(data, self.dtype).reshape(self.chunks, order="F" if self.order == "F" else "C")


def open_array(files: Files, name: str) -> ZarrArray:
    """The array at `name`. Raises DataError: missing, no zarr v2, or of a kind that is not read."""
    text = files.read(f"{name}/.zarray", _MAX_METADATA_BYTES)
    if text is None:
        raise DataError(f"there is no zarr v2 array '{name}'")
    try:
        stated = json.loads(text)
        shape, chunks = (tuple(_whole(n) for n in stated[key]) for key in ("shape", "chunks"))
        dtype, separator = stated["dtype"], stated.get("dimension_separator", ".")
        fill = stated.get("fill_value") or 0
        compressor, filters = stated.get("compressor"), stated.get("filters")
        is_v2 = stated["zarr_format"] == 2 and separator in (".", "/") and stated["order"] in ("C", "F")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{name}/.zarray is not the description of a zarr v2 array") from None
    if not is_v2 or len(shape) != len(chunks) or not shape or 0 in (*shape, *chunks) or len(shape) > 6:
        raise DataError(f"{name}: shape {shape} in chunks {chunks} is not a zarr v2 array with rows")
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise DataError(f"{name} has dtype {str(dtype)[:40]!r}; only plain numbers are read, no objects")
    if not isinstance(fill, int | float):
        raise DataError(f"{name} has fill value {str(fill)[:40]!r}; only a number is read")
    if filters:
        raise DataError(f"{name} goes through filters {_ids(filters)}; they are refused, write it without")
    n_chunk = math.prod(chunks) * np.dtype(dtype).itemsize
    if shape[0] > MAX_ROWS * 100 or n_chunk > MAX_CHUNK_BYTES:
        raise DataError(f"{name}: {shape[0]} rows in chunks of {n_chunk} bytes is beyond {MAX_CHUNK_BYTES} bytes")
    if math.prod(math.ceil(n / chunk) for n, chunk in zip(shape[1:], chunks[1:], strict=True)) > _MAX_CHUNKS_A_ROW:
        raise DataError(f"{name}: shape {shape} in chunks {chunks} has more than {_MAX_CHUNKS_A_ROW} chunks a row")
    made = ZarrArray(files, name, shape, np.dtype(dtype), chunks, stated["order"], separator, fill, _plain)
    return made if compressor is None else _with_codec(made, compressor)


def _with_codec(array: ZarrArray, compressor: Any) -> ZarrArray:
    codec = compressor.get("id") if isinstance(compressor, dict) else None
    if codec not in CODECS:
        raise DataError(f"{array.name} is packed by {str(codec)[:40]!r}; only {', '.join(CODECS)} are read")
    decode = CODECS[codec]
    if codec.endswith("jpeg2k"):
        size, dtype = math.prod(array.chunks), array.dtype
        return ZarrArray(**{**vars(array), "decode": lambda data, n: _jpeg2k(data, size, dtype)})
    return ZarrArray(**{**vars(array), "decode": decode})


def _plain(data: bytes, n_bytes: int) -> bytes:
    return data


def _zlib(data: bytes, n_bytes: int) -> bytes:
    return zlib.decompressobj(wbits=47).decompress(data, n_bytes + 1)  # 47: zlib and gzip, told by the header


def _blosc(data: bytes, n_bytes: int) -> bytes:
    from numcodecs import Blosc

    if (
        len(data) < 16
        or struct.unpack_from("<I", data, 4)[0] != n_bytes
        or struct.unpack_from("<I", data, 12)[0] > len(data)
    ):
        raise DataError(f"a blosc chunk does not state the {n_bytes} bytes it should have")
    return bytes(Blosc().decode(data))


def _zstd(data: bytes, n_bytes: int) -> bytes:
    from numcodecs import Zstd

    if _zstd_size(data) != n_bytes:
        raise DataError(f"a zstd chunk does not state the {n_bytes} bytes it should have")
    return bytes(Zstd().decode(data))


def _zstd_size(data: bytes) -> int:
    """The content size a zstd frame states, -1 where it states none (RFC 8878, 3.1.1.1)."""
    if len(data) < 9 or data[:4] != b"\x28\xb5\x2f\xfd":
        return -1
    flag, is_single, dictionary = data[4] >> 6, data[4] >> 5 & 1, data[4] & 3
    at = 5 + (1 - is_single) + (0, 1, 2, 4)[dictionary]
    width = (is_single, 2, 4, 8)[flag]
    stated = int.from_bytes(data[at : at + width], "little")
    return stated + 256 * (width == 2) if width else -1


def _lz4(data: bytes, n_bytes: int) -> bytes:
    from numcodecs import LZ4

    if len(data) < 4 or struct.unpack_from("<I", data)[0] != n_bytes:
        raise DataError(f"an lz4 chunk does not state the {n_bytes} bytes it should have")
    return bytes(LZ4().decode(data))


def _jpeg2k(data: bytes, n_values: int, dtype: np.dtype) -> bytes:
    """diffusion_policy's codec of frames, one picture a chunk: the size it states is checked before it is decoded."""
    at = data.find(b"\xff\x4f\xff\x51")  # start of codestream, then SIZ (ITU-T T.800 A.5.1)
    if at < 0 or len(data) < at + 42:
        raise DataError("a chunk is no JPEG 2000 picture")
    x1, y1, x0, y0 = struct.unpack_from(">4I", data, at + 8)
    n_components = struct.unpack_from(">H", data, at + 40)[0]
    if (x1 - x0) * (y1 - y0) * n_components != n_values or dtype.itemsize != 1:
        raise DataError(f"a JPEG 2000 chunk of {x1 - x0}x{y1 - y0}x{n_components} pixels should have {n_values}")
    with needs_libraries("JPEG 2000 frames"):
        import imagecodecs
    picture = np.asarray(imagecodecs.jpeg2k_decode(data))
    return np.ascontiguousarray(picture, dtype).tobytes()


CODECS: dict[str, Callable[[bytes, int], bytes]] = {
    "blosc": _blosc,
    "zlib": _zlib,
    "gzip": _zlib,
    "zstd": _zstd,
    "lz4": _lz4,
    "imagecodecs_jpeg2k": _plain,
}


def _within(data: bytes, limit: int, key: str) -> bytes:
    if len(data) > limit:
        raise DataError(f"{key} has more than the {limit} bytes it may have")
    return data


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError(value)
    return value


def _ids(filters: Any) -> str:
    each = filters if isinstance(filters, list) else [filters]
    return ", ".join(str(one.get("id") if isinstance(one, dict) else one)[:40] for one in each[:8])
