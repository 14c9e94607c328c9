"""Columns of .npy, .npz and .csv files as numbers: sizes checked before memory is asked for, nothing unpickled."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

import numpy as np

from o2o_robot.data.formats.demonstration import natural
from o2o_robot.data.formats.table_layout import Columns
from o2o_robot.errors import DataError
from o2o_robot.types import Array

MAX_TABLE_ROWS = 20_000_000
MAX_ARRAY_BYTES = 1 << 30
MAX_CSV_BYTES = 256 << 20
_MAX_MEMBERS = 100_000
_MAX_WIDTH = 4096
_MAX_LINE = 1 << 20
_MAX_HEADER = 10_000  # characters of an array's description, as NumPy's own limit
_READ_HEAD = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_DEFLATE_RATIO = 1100  # deflate packs at most 1032 to 1


def values(path: Path, wanted: Mapping[str, Columns], *, episode: str = "", delimiter: str = ",") -> dict[str, Array]:
    """What is wanted of a table: name -> (N, k) float64, all of one N. episode: a folder of arrays in an .npz.

    Raises DataError naming the file and the columns that are not there, not numbers, or too many.
    """
    kind = path.suffix.lower()
    named = [name for name, columns in wanted.items() if bool(columns.array) != (kind == ".npz")]
    if named:
        raise DataError(f"{path.name}: {named[0]}: give `array` for an .npz, and for no other table")
    try:
        found = {".npy": _npy, ".npz": _npz, ".csv": _csv}[kind](path, wanted, episode, delimiter)
    except DataError as problem:
        raise DataError(f"{path.name}: {problem}") from None
    except Exception as problem:  # strangers' bytes: whatever is wrong with them means the same
        reason = " ".join(str(problem).split())[:160]
        raise DataError(f"{path.name} cannot be read as {path.suffix} ({type(problem).__name__}: {reason})") from None
    lengths = {name: len(array) for name, array in found.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{path.name}: columns differ in rows: {lengths}")
    return found


def episodes(path: Path, pattern: str) -> list[str]:
    """The folders of an .npz ("demo00" of demo00/actions) that fit a pattern, in natural order; [""] for any other.

    Raises DataError where none fits.
    """
    if not pattern or path.suffix.lower() != ".npz":
        return [""]
    try:
        with zipfile.ZipFile(path) as archive:
            folders = {name.rpartition("/")[0] for name in _members(archive)}
    except Exception as problem:  # as in `values`
        raise DataError(f"{path.name} cannot be read as .npz ({' '.join(str(problem).split())[:160]})") from None
    deep = [each for each in folders if each and each.count("/") == pattern.count("/")]
    found = sorted((each for each in deep if fnmatchcase(each, pattern)), key=natural)
    if not found:
        raise DataError(
            f"{path.name}: no folder of arrays fits '{pattern}' (it has {', '.join(sorted(deep)[:12]) or 'none'})"
        )
    return found


def _npy(path: Path, wanted: Mapping[str, Columns], episode: str, delimiter: str) -> dict[str, Array]:
    with path.open("rb") as stream:
        _check_head(stream, path.stat().st_size)
    rows = np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=_MAX_HEADER)
    return {name: _cut(rows, columns, name) for name, columns in wanted.items()}


def _npz(path: Path, wanted: Mapping[str, Columns], episode: str, delimiter: str) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        held = {name: _member(archive, _in(episode, name)) for name in {each.array for each in wanted.values()}}
    return {name: _cut(held[columns.array], columns, name) for name, columns in wanted.items()}


def _in(episode: str, array: str) -> str:
    return f"{episode}/{array}" if episode else array


def _members(archive: zipfile.ZipFile) -> list[str]:
    """Names of its arrays, without .npy."""
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise DataError(f"{len(infos)} arrays in one file, more than {_MAX_MEMBERS}")
    return [info.filename.removesuffix(".npy") for info in infos if info.filename.endswith(".npy")]


def _member(archive: zipfile.ZipFile, name: str) -> Array:
    """One array. What it claims to unpack to is checked against the bytes it has, then it is read no further."""
    names = _members(archive)
    if name not in names:
        raise DataError(f"there is no array '{name}' (it has {', '.join(names[:12])})")
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"'{name}' is packed by method {info.compress_type}; write it with numpy.savez_compressed")
    if info.file_size > min(MAX_ARRAY_BYTES, _DEFLATE_RATIO * info.compress_size + _MAX_HEADER):
        raise DataError(f"'{name}' claims {info.file_size} bytes out of {info.compress_size}")
    with archive.open(info) as stream:
        _check_head(stream, info.file_size)
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False, max_header_size=_MAX_HEADER)


def _check_head(stream: IO[bytes], n_bytes: int) -> None:
    """Raises DataError where the head of an array promises anything but n_bytes of a plain table of numbers."""
    version = np.lib.format.read_magic(stream)
    if version not in _READ_HEAD:
        raise DataError(f"NumPy's format {version[0]}.{version[1]} is not read; write it anew with numpy.save")
    shape, _, dtype = _READ_HEAD[version](stream, max_header_size=_MAX_HEADER)
    if dtype.kind not in "fiub" or len(shape) not in (1, 2) or min(shape) < 1:
        raise DataError(f"an array of {str(dtype)[:40]} and shape {shape} is no table of numbers")
    if shape[0] > MAX_TABLE_ROWS or math.prod(shape) * dtype.itemsize > min(n_bytes, MAX_ARRAY_BYTES):
        raise DataError(f"an array of shape {shape} and {dtype} in {n_bytes} bytes is cut off, or too large")


def _cut(rows: Array, columns: Columns, use: str) -> Array:
    """The columns of (N, k) or (N,) as float64."""
    if columns.names:
        raise DataError(f"{use} asks for columns by name, but these have none; give `first` and `n`")
    table = rows[:, None] if rows.ndim == 1 else rows
    stop = table.shape[1] if columns.n is None else columns.first + columns.n
    _check(columns.first, stop, table.shape[1], use)
    return np.asarray(table[:, columns.first : stop]).astype(np.float64)


def _check(first: int, stop: int, width: int, use: str) -> None:
    if not first < stop <= width or stop - first > _MAX_WIDTH:
        raise DataError(
            f"{use} is columns {first} to {stop - 1} of {width}; check `first` and `n` (at most {_MAX_WIDTH})"
        )


def _csv(path: Path, wanted: Mapping[str, Columns], episode: str, delimiter: str) -> dict[str, Array]:
    n_bytes = path.stat().st_size
    if n_bytes > MAX_CSV_BYTES:
        raise DataError(f"{n_bytes >> 20} MiB of text, more than {MAX_CSV_BYTES >> 20}; save it with numpy.save")
    with path.open(encoding="utf-8-sig") as stream:
        line = stream.readline(_MAX_LINE)
        if len(line) == _MAX_LINE or line.count(delimiter) >= _MAX_WIDTH:
            raise DataError(f"its first line has more than {_MAX_LINE} letters or {_MAX_WIDTH} columns")
        if not line:
            raise DataError("it has no rows")
        cells = _cells(line, delimiter)
        header = [] if _is_numbers(cells) else cells
        positions = {use: _positions(columns, header, len(cells), use) for use, columns in wanted.items()}
        needed = sorted({at for each in positions.values() for at in each})
        if not header:
            stream.seek(0)
        rows = _rows(stream, delimiter, needed)
    return {use: rows[:, np.searchsorted(needed, each)] for use, each in positions.items()}


def _rows(stream: Any, delimiter: str, needed: list[int]) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an empty file, which is told of below
        rows = np.loadtxt(stream, delimiter=delimiter, usecols=needed, ndmin=2, quotechar='"')
    if not len(rows):
        raise DataError("it has no rows")
    return rows


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in line.strip().lstrip("#").split(delimiter)]


def _is_numbers(cells: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


def _positions(columns: Columns, header: list[str], width: int, use: str) -> list[int]:
    if not columns.names:
        stop = width if columns.n is None else columns.first + columns.n
        _check(columns.first, stop, width, use)
        return list(range(columns.first, stop))
    if missing := [name for name in columns.names if header.count(name) != 1]:
        held = ", ".join(header[:24]) or "no header"
        raise DataError(f"{use}: column '{missing[0]}' is there {header.count(missing[0])} times (it has {held})")
    return [header.index(name) for name in columns.names]
