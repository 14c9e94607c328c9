"""Parquet files of a LeRobot dataset, read in batches so that memory follows the rows asked for, not the file.

The one file of the importer that knows pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from o2o_robot.data.bags.pictures import picture
from o2o_robot.errors import DataError
from o2o_robot.types import Array

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS_A_BATCH = 4096
_MOST_VALUES = 1 << 16  # of a cell of a row that is read as a record
_IMAGES_A_BATCH = 16  # a batch of encoded pictures is held at once


class Encoded(NamedTuple):
    """A PNG or JPEG, shaped as pictures.picture takes it."""

    format: str
    data: Array


def records(path: Path, at_most: int, *, without: str) -> Iterator[dict[str, Any]]:
    """Rows of a small table as dicts, leaving out columns whose names begin with `without`."""
    with _reading(path) as file:
        if file.metadata.num_rows > at_most:
            raise DataError(f"{path} claims {file.metadata.num_rows} rows, more than {at_most}")
        names = [name for name in file.schema_arrow.names if not name.startswith(without)]
        _check_values(file, path, range(file.metadata.num_row_groups), {name: _MOST_VALUES for name in names})
        for batch in file.iter_batches(_ROWS_A_BATCH, columns=names):
            yield from batch.select(names).to_pylist()


def record(path: Path, number: int) -> dict[str, Any]:
    """The one row of episode `number`, all columns. Raises DataError where there is none."""
    with _reading(path) as file:
        names = [name for name in file.schema_arrow.names if name != "episode_index"]
        for batch in _of_episode(file, path, number, {name: _MOST_VALUES for name in names}, _IMAGES_A_BATCH):
            return dict(batch.slice(0, 1).to_pylist()[0])
    raise DataError(f"{path} has no row of episode {number}")


def vectors(path: Path, number: int, widths: Mapping[str, int], n_rows: int) -> dict[str, Array]:
    """Columns of episode `number`: key -> (n_rows, width), in the type they are stored in.

    Raises DataError where the file is missing or damaged, or does not hold n_rows rows of these widths.
    """
    parts: dict[str, list[Array]] = {key: [] for key in widths}
    n_found = 0
    with _reading(path) as file:
        for batch in _of_episode(file, path, number, widths, _ROWS_A_BATCH):
            n_found += batch.num_rows
            _check_count(path, number, n_found, n_rows, is_whole=False)
            for key, width in widths.items():
                parts[key].append(_matrix(batch.column(key), width, f"{path}: '{key}'"))
    _check_count(path, number, n_found, n_rows, is_whole=True)
    return {key: np.concatenate(arrays) for key, arrays in parts.items()}


def pictures(path: Path, number: int, key: str, n_rows: int, side: int) -> Array:
    """The PNG or JPEG frames embedded in column `key` of an episode, (n_rows, side, side, 3) uint8 RGB."""
    frames = np.empty((n_rows, side, side, 3), np.uint8)
    n_found = 0
    with _reading(path) as file:
        for batch in _of_episode(file, path, number, {key: 1}, _IMAGES_A_BATCH):
            _check_count(path, number, n_found + batch.num_rows, n_rows, is_whole=False)
            for cell in batch.column(key).to_pylist():
                frames[n_found] = _picture(cell, side, f"{path}: '{key}' at row {n_found} of episode {number}")
                n_found += 1
    _check_count(path, number, n_found, n_rows, is_whole=True)
    return frames


def span(path: Path, key: str, width: int) -> tuple[Array, Array] | None:
    """Least and greatest of every value of column `key` over the whole file, (width,) each; None without a row."""
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    with _reading(path) as file:
        _require(file, path, [key])
        _check_values(file, path, range(file.metadata.num_row_groups), {key: width})
        for batch in file.iter_batches(_ROWS_A_BATCH, columns=[key]):
            values = _matrix(batch.column(key), width, f"{path}: '{key}'").astype(np.float64)
            values = values[np.isfinite(values).all(axis=1)]
            low, high = np.minimum(low, values.min(axis=0, initial=np.inf)), np.maximum(high, _top(values))
    return (low, high) if (low <= high).all() else None


def _top(values: Array) -> Array:
    return values.max(axis=0, initial=-np.inf)


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path} is missing; the dataset was copied in part")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise DataError(f"{path} cannot be read as parquet ({reason[:200]}); copy it again from its source") from None


def _of_episode(
    file: pq.ParquetFile, path: Path, number: int, widths: Mapping[str, int], rows_a_batch: int
) -> Iterator[pa.RecordBatch]:
    """Batches of the rows of an episode. widths: column -> most values a row."""
    import pyarrow.compute as pc

    keys = ["episode_index", *widths]
    _require(file, path, keys)
    groups = _groups_with(file, number)
    _check_values(file, path, groups, widths)
    for batch in file.iter_batches(rows_a_batch, row_groups=groups, columns=keys) if groups else ():
        chosen = batch.filter(pc.equal(batch.column("episode_index"), number))
        if chosen.num_rows:
            yield chosen


def _groups_with(file: pq.ParquetFile, number: int) -> list[int]:
    """Row groups that may hold rows of an episode, by the statistics of the file where there are any."""
    names = [file.metadata.schema.column(i).path for i in range(file.metadata.num_columns)]
    column = names.index("episode_index")
    groups = []
    for i in range(file.metadata.num_row_groups):
        facts = file.metadata.row_group(i).column(column).statistics
        if facts is None or not facts.has_min_max or facts.min <= number <= facts.max:
            groups.append(i)
    return groups


def _check_values(file: pq.ParquetFile, path: Path, groups: Iterable[int], widths: Mapping[str, int]) -> None:
    """Before a batch of rows is asked for: each may hold any number of values, and they compress to nothing."""
    for group in (file.metadata.row_group(i) for i in groups):
        for column in (group.column(i) for i in range(group.num_columns)):
            key = next((key for key in widths if f"{column.path_in_schema}.".startswith(f"{key}.")), None)
            if key is not None and column.num_values > max(group.num_rows, 1) * widths[key]:
                raise DataError(
                    f"{path}: '{key}' has {column.num_values} values in {group.num_rows} rows, "
                    f"at most {widths[key]} a row are read"
                )


def _require(file: pq.ParquetFile, path: Path, keys: Sequence[str]) -> None:
    import pyarrow as pa

    missing = [key for key in keys if key not in file.schema_arrow.names]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)} (it has {', '.join(file.schema_arrow.names)})")
    if "episode_index" in keys and not pa.types.is_integer(file.schema_arrow.field("episode_index").type):
        raise DataError(f"{path}: episode_index is not made of whole numbers")


def _matrix(column: pa.Array, width: int, what: str) -> Array:
    """A column of numbers, or of lists of `width` numbers, as (n, width)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    n_rows, n_missing = len(column), column.null_count
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type):
        sizes = {size for size in pc.unique(pc.list_value_length(column)).to_pylist() if size is not None}
        if sizes - {width}:
            raise DataError(
                f"{what} has rows of {', '.join(map(str, sorted(sizes)))} values, meta/info.json says {width}"
            )
        column = pc.list_flatten(column)
    if n_missing or column.null_count or not _is_number(column.type) or len(column) != n_rows * width:
        raise DataError(
            f"{what} is {column.type} with {n_missing + column.null_count} gaps, expected {width} numbers a row"
        )
    return column.to_numpy(zero_copy_only=False).reshape(n_rows, width)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _picture(cell: Any, side: int, what: str) -> Array:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise DataError(f"{what} is not embedded in the file; make the dataset anew with its images embedded")
    try:
        return picture(Encoded("image", np.frombuffer(data, np.uint8)), side)
    except DataError as problem:
        raise DataError(f"{what}: {problem}") from None


def _check_count(path: Path, number: int, n_found: int, n_rows: int, *, is_whole: bool) -> None:
    if n_found > n_rows or (is_whole and n_found < n_rows):
        found = f"{n_found}" if is_whole else f"at least {n_found}"
        raise DataError(f"{path} has {found} rows of episode {number}, meta/ says {n_rows}; one of the two is damaged")
