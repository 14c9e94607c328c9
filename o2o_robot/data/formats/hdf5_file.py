"""HDF5 from strangers: plain arrays that lie in the file itself, their sizes checked before memory is asked for.

Refused: links out of the file or by name, virtual datasets, external storage, references and compound types, filters
other than gzip, shuffle and fletcher32, and arrays that claim far more than their stored bytes can hold.
The one file that knows h5py to read.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from o2o_robot.data.formats import needs_libraries
from o2o_robot.data.formats.demonstration import MAX_ROWS, natural
from o2o_robot.errors import DataError
from o2o_robot.types import Array

_MAX_ATTRIBUTE_BYTES = 1 << 20
_MAX_CHUNK_BYTES = 256 << 20
_MAX_MEMBERS = 1_000_000
_GZIP, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_GZIP_RATIO = 1100  # deflate cannot do better than 1032 to 1 (zlib's technical details)
_SLACK_BYTES = 1 << 16
_HEAP = b"GCOL\x01\x00\x00\x00"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The root group. Whatever h5py raises in the block becomes a DataError of one line."""
    with needs_libraries(f"{path}: HDF5"):
        import h5py
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except Exception as problem:  # a C library over foreign bytes: any kind of error means the same
        reason = " ".join(str(problem).split())[:200]
        raise DataError(f"{path}: not an HDF5 file, or damaged ({type(problem).__name__}: {reason})") from None


def check_heaps(path: Path) -> None:
    """Raises DataError where a heap of long texts holds a free space of no size: libhdf5 (1.14) walks it for ever."""
    if not path.stat().st_size:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_HEAP)
        while at >= 0:
            if not _ends(data, at):
                raise DataError(f"{path}: the heap at byte {at} is damaged; the file must be written again")
            at = data.find(_HEAP, at + 1)


def _ends(data: mmap.mmap, start: int) -> bool:
    """True where walking the objects of the global heap at `start` comes to its end (HDF5 file format 3.0, III.E)."""
    (size,) = struct.unpack_from("<Q", data, start + 8) if start + 16 <= len(data) else (0,)
    at, end = start + 16, min(start + size, len(data))
    while at + 16 <= end:
        index, n_bytes = struct.unpack_from("<H6xQ", data, at)
        if index == 0 and n_bytes == 0:
            return False
        at += 16 + (n_bytes + 7) // 8 * 8 if index else n_bytes
    return True


def members(group: Any) -> list[str]:
    """Names in a group, demo_2 before demo_10."""
    if len(group) > _MAX_MEMBERS:
        raise DataError(f"{_name(group)} has {len(group)} members, more than {_MAX_MEMBERS}")
    return sorted(group, key=natural)


def has(group: Any, name: str) -> bool:
    """True where the group has a member (or a link of any kind) of that name."""
    return group.get(name, getlink=True) is not None


def subgroup(group: Any, name: str) -> Any:
    """The group `name` in `group`. Raises DataError where there is none, or it is reached through a link."""
    found = _member(group, name)
    if not hasattr(found, "keys"):
        raise DataError(f"{_name(group)}/{name} is an array, expected a group")
    return found


def array(group: Any, name: str) -> Any:
    """The dataset `name` in `group`, checked: numbers, in this file, no larger than what is stored can be."""
    found = _member(group, name)
    if not hasattr(found, "chunks"):
        raise DataError(f"{_name(group)}/{name} is a group, expected an array")
    _check_type(found)
    _check_place(found)
    if not found.shape or found.shape[0] > MAX_ROWS:
        raise DataError(f"{_name(found)} has shape {found.shape}, expected up to {MAX_ROWS} rows")
    if found.chunks:
        _check_chunks(found)
    elif found.id.get_offset() is not None and found.id.get_offset() + found.nbytes > _file_bytes(found):
        raise DataError(f"{_name(found)} claims {found.nbytes} bytes beyond the end of the file")
    return found


def values(group: Any, name: str) -> Array:
    """All of an array that is small beside images. Raises DataError where it is not (256 MiB)."""
    found = array(group, name)
    if found.nbytes > _MAX_CHUNK_BYTES:
        raise DataError(f"{_name(found)} has {found.nbytes} bytes, more than {_MAX_CHUNK_BYTES} for numbers")
    return rows(found, 0, found.shape[0])


def rows(dataset: Any, start: int, stop: int) -> Array:
    """Rows [start, stop) of what `array` gave, which the caller knows to fit into memory."""
    codes = _filters(dataset) if dataset.chunks else []
    if _GZIP in codes:
        for places in dataset.iter_chunks((slice(start, stop), *(slice(0, n) for n in dataset.shape[1:]))):
            corner = tuple(each.start // n * n for each, n in zip(places, dataset.chunks, strict=True))
            _check_unpacks(dataset, dataset.id.get_chunk_info_by_coord(corner), codes)
    return dataset[start:stop]


def text(group: Any, name: str) -> str:
    """A short attribute as text, "" where there is none. Raises DataError where it is no text, or long."""
    value = _attribute(group, name)
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise DataError(f"attribute {name} of {_name(group)} is {type(value).__name__}, expected text")
    return value


def integer(group: Any, name: str) -> int | None:
    """An attribute as a whole number, None where there is none."""
    value = _attribute(group, name)
    return None if value is None else int(value)


def strings(group: Any, name: str) -> list[str]:
    """A list of names: a dataset of text of fixed length, or of variable length."""
    import h5py

    found = _member(group, name)
    _check_place(found)
    if not isinstance(found.id.get_type(), h5py.h5t.TypeStringID):
        raise DataError(f"{_name(found)} holds no text")
    if found.dtype.itemsize > 4096 or len(found.shape) != 1 or found.shape[0] > _MAX_MEMBERS:
        raise DataError(f"{_name(found)} is no list of names (shape {found.shape}, {found.dtype.itemsize} bytes each)")
    return [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in found[...]]


def _member(group: Any, name: str) -> Any:
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise DataError(f"{_name(group)} has no '{name}' (it has {', '.join(members(group)[:12]) or 'nothing'})")
    if not isinstance(link, h5py.HardLink):
        raise DataError(
            f"{_name(group)}/{name} is no data but a link ({type(link).__name__}), which may lead anywhere; "
            "copy the data itself (h5copy)"
        )
    return group[name]


def _check_type(dataset: Any) -> None:
    if dataset.dtype.kind not in "biuf" or dataset.dtype.itemsize > 8:
        raise DataError(f"{_name(dataset)} holds neither integers nor floats of up to 8 bytes")


def _check_place(dataset: Any) -> None:
    if dataset.is_virtual or dataset.external:
        raise DataError(f"{_name(dataset)} keeps its data in other files; copy them in (h5repack)")


def _check_chunks(dataset: Any) -> None:
    """Every chunk is there and within the file, and the whole is no larger than they can hold."""
    _filters(dataset)
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    expected = math.prod(math.ceil(n / chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    stored: list[Any] = []
    if chunk_bytes > _MAX_CHUNK_BYTES or dataset.nbytes > _GZIP_RATIO * dataset.id.get_storage_size() + _SLACK_BYTES:
        raise DataError(
            f"{_name(dataset)} claims {dataset.nbytes} bytes in chunks of {chunk_bytes}, "
            f"but {dataset.id.get_storage_size()} are stored"
        )
    dataset.id.chunk_iter(stored.append)
    if len(stored) != expected:
        raise DataError(f"{_name(dataset)} has {len(stored)} of its {expected} chunks; the file is incomplete")
    size = _file_bytes(dataset)
    if sum(chunk.size for chunk in stored) > size or any(chunk.byte_offset + chunk.size > size for chunk in stored):
        raise DataError(f"{_name(dataset)} claims more bytes than the file of {size} has")


def _filters(dataset: Any) -> list[int]:
    """The codes of its filters in the order they were applied."""
    plist = dataset.id.get_create_plist()
    codes = [int(plist.get_filter(i)[0]) for i in range(plist.get_nfilters())]
    if set(codes) - {_GZIP, _SHUFFLE, _FLETCHER32}:
        raise DataError(f"{_name(dataset)} is packed by filters {codes}; pack it by gzip (h5repack -f GZIP=1)")
    if _GZIP in codes and set(codes[codes.index(_GZIP) + 1 :]) - {_FLETCHER32}:
        raise DataError(f"{_name(dataset)} is packed by filters {codes}; gzip must be the last but a checksum")
    return codes


def _check_unpacks(dataset: Any, chunk: Any, codes: list[int]) -> None:
    """HDF5's own gzip filter doubles its buffer until the stream ends, however large the chunk says it is."""
    if chunk.filter_mask & (1 << codes.index(_GZIP)):
        return
    _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    limit = chunk_bytes + (4 if _FLETCHER32 in codes else 0)
    unpacked = zlib.decompressobj().decompress(packed, limit + 1)
    if len(unpacked) > limit:
        raise DataError(f"{_name(dataset)}: a chunk of {chunk_bytes} bytes unpacks to more")


def _attribute(group: Any, name: str) -> Any:
    import h5py

    if name not in group.attrs:
        return None
    found = group.attrs.get_id(name)
    kinds = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)
    size = found.get_storage_size()
    if not isinstance(found.get_type(), kinds) or size > _MAX_ATTRIBUTE_BYTES or math.prod(found.shape) != 1:
        raise DataError(f"attribute {name} of {_name(group)} is not one number or text ({size} bytes)")
    value = group.attrs[name]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, str | bytes) and len(value) > _MAX_ATTRIBUTE_BYTES:
        raise DataError(f"attribute {name} of {_name(group)} has {len(value)} bytes, more than {_MAX_ATTRIBUTE_BYTES}")
    return value


def _file_bytes(dataset: Any) -> int:
    return int(dataset.file.id.get_filesize())


def _name(thing: Any) -> str:
    return f"{Path(thing.file.filename).name}:{thing.name}"
