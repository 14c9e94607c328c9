"""Files of a LeRobot v3.0 dataset as they grow: parquet and mp4. A full file gives way to the next between episodes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.types import Array

if TYPE_CHECKING:
    import av
    import pyarrow as pa
    import pyarrow.parquet as pq

FILES_A_CHUNK = 1000
_RECORDS_A_GROUP = 100
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-000/file-000.parquet"
_ENCODERS = {  # the first that this PyAV has; g 2: a frame is at most one from a key frame, for random access
    "libx264": {"crf": "10", "g": "2", "bf": "0", "preset": "veryfast"},
    "libsvtav1": {"crf": "18", "g": "2", "preset": "10"},
    "mpeg4": {"qscale": "2", "g": "2"},
}
CODECS = {"libx264": "h264", "libsvtav1": "av1", "mpeg4": "mpeg4"}


class Place(NamedTuple):
    """Which file of a dataset something went to, and from which row or frame on."""

    chunk_index: int
    file_index: int
    start: int


class Rows:
    """Parquet files of rows, one row group an episode.

    with Rows(root, DATA_PATH, most_bytes=100 << 20) as rows:
        place = rows.add(table)
    """

    def __init__(self, root: Path, pattern: str, *, most_bytes: int) -> None:
        self._root, self._pattern, self._most_bytes = root, pattern, most_bytes
        self._n_files, self._n_rows = 0, 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> Place:
        """Write the rows of one episode; all tables must have one schema."""
        if self._writer is not None and self._path.stat().st_size >= self._most_bytes:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._open(table.schema)
        assert self._writer is not None  # for the type checker
        place = Place(*divmod(self._n_files - 1, FILES_A_CHUNK), self._n_rows)
        self._writer.write_table(table)
        self._n_rows += table.num_rows
        return place

    def _open(self, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._n_files, self._n_rows = self._n_files + 1, 0
        self._path = _made(self._root, self._pattern, self._n_files - 1)
        self._writer = pq.ParquetWriter(self._path, schema, compression="snappy", write_page_checksum=True)

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()


class Records:
    """A parquet file of one record an episode, a hundred to a row group: footers grow with every row group.

    with Records(root / "meta/extra.parquet") as records:
        records.add({"episode_index": 0, ...})
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record; all must have the keys and types of the first."""
        self._waiting.append(dict(record))
        if len(self._waiting) == _RECORDS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._writer.schema if self._writer is not None else None
        group = pa.Table.from_pylist(self._waiting, schema=schema)
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path, group.schema, compression="snappy", write_page_checksum=True)
        self._writer.write_table(group)
        self._waiting.clear()

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting and kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()


class Video:
    """Videos of one camera, the episodes one after the other without a gap.

    with Video(root, "observation.images.front", fps=10, most_bytes=200 << 20) as video:
        place = video.add(frames)
    """

    def __init__(self, root: Path, key: str, *, fps: int, most_bytes: int) -> None:
        self._root, self._key, self._fps, self._most_bytes = root, key, fps, most_bytes
        self._n_files, self._n_frames = 0, 0
        self._container: av.container.OutputContainer | None = None

    def add(self, frames: Array) -> Place:
        """Write the frames (N, height, width, 3) of one episode; height and width must be even (4:2:0)."""
        import av
        from av.video.reformatter import Interpolation

        if self._container is not None and self._path.stat().st_size >= self._most_bytes:
            self._close()
        if self._container is None:
            self._open(*frames.shape[1:3])
        assert self._container is not None  # for the type checker
        place = Place(*divmod(self._n_files - 1, FILES_A_CHUNK), self._n_frames)
        for pixels in frames:
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            exactly = Interpolation.ACCURATE_RND | Interpolation.BICUBIC
            frame = rgb.reformat(format="yuv420p", interpolation=exactly)
            frame.pts, frame.time_base = self._n_frames, Fraction(1, self._fps)
            self._container.mux(self._stream.encode(frame))
            self._n_frames += 1
        return place

    def _open(self, height: int, width: int) -> None:
        import av

        if height % 2 or width % 2:
            raise DataError(
                f"'{self._key}' is {width}x{height} pixels, a video needs even sizes; export with png images"
            )
        self._n_files, self._n_frames = self._n_files + 1, 0
        self._path = _made(self._root, self._pattern, self._n_files - 1)
        self._container = av.open(str(self._path), "w", format="mp4")
        name = encoder()
        stream = self._container.add_stream(name, rate=self._fps, options=dict(_ENCODERS[name]))
        self._stream = cast("av.video.stream.VideoStream", stream)
        self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "yuv420p"

    @property
    def _pattern(self) -> str:
        return VIDEO_PATH.replace("{video_key}", self._key)

    def _close(self) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def encoder() -> str:
    """The best video encoder there is. Raises DataError where PyAV has none of ours."""
    import av

    for name in _ENCODERS:
        if name in av.codecs_available:
            return name
    raise DataError(f"PyAV has no encoder of {', '.join(_ENCODERS)}; export with png images")


def png(pixels: Array) -> bytes:
    """An RGB frame (height, width, 3) as a PNG, without loss."""
    import cv2

    return bytes(cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1])


def table(columns: Mapping[str, Array | list[bytes]]) -> pa.Table:
    """Rows from columns: (N,) numbers, (N, k) vectors, or N PNG pictures, in the types LeRobot's loader expects.

    Vectors of one value become plain numbers, as LeRobot takes shape (1,).
    """
    import pyarrow as pa

    return pa.table({key: _column(values) for key, values in columns.items()})


def tasks_table(tasks: list[str]) -> pa.Table:
    """The table of tasks, indexed by the task itself, as its metadata tells pandas, with which LeRobot reads it."""
    import pyarrow as pa

    described = {"numpy_type": "object", "pandas_type": "unicode", "metadata": None}
    whole = {"numpy_type": "int64", "pandas_type": "int64", "metadata": None}
    pandas: dict[str, Any] = {
        "index_columns": ["task"],
        "column_indexes": [{"name": None, "field_name": None} | described],
        "columns": [
            {"name": "task_index", "field_name": "task_index"} | whole,
            {"name": "task", "field_name": "task"} | described,
        ],
        "pandas_version": "2.0.0",
    }
    rows = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return rows.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _column(values: Array | list[bytes]) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, list):
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        return pa.array([{"bytes": png, "path": None} for png in values], kind)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    width = math.prod(values.shape[1:])
    return flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)


def _made(root: Path, pattern: str, number: int) -> Path:
    chunk_index, file_index = divmod(number, FILES_A_CHUNK)
    path = root / pattern.format(chunk_index=chunk_index, file_index=file_index)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
