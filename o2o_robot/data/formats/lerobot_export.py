"""A store as a LeRobot v3.0 dataset: T rows an episode, terminated and truncated apart, nothing lost on the way back.

`action` is what was executed, in the unit of the recording. What LeRobot has no column for goes into columns o2o.*
(lerobot_columns.py) and a table of its own (lerobot_extra.py): the dataset reads back into an equal store.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from o2o_robot.data.formats import lerobot_extra as extra
from o2o_robot.data.formats import lerobot_stats as stats_
from o2o_robot.data.formats import lerobot_write as write
from o2o_robot.data.formats.lerobot_columns import Numbers, Shape, check_shape, columns, features, shape_of
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

Pictures = Literal["video", "png"]
DATA_MB, VIDEO_MB = 100, 200  # LeRobot's own defaults


class Exported(NamedTuple):
    """What was written."""

    path: Path
    n_episodes: int
    n_rows: int
    fps: int


def export(
    store: EpisodeStore,
    out: str | Path,
    *,
    fps: int | None = None,
    task: str = "",
    pictures: Pictures = "video",
    progress: Callable[[int], None] = lambda n_done: None,
) -> Exported:
    """Write all episodes of `store` to the new folder `out`; it is there whole, or not at all.

    fps: rate of the grid LeRobot wants, None takes the one of the stamps (which are kept as well). task: for episodes
    without one. pictures: h264 video (lossy: chroma at half size), or PNG within the parquet. progress: called with
    the number of episodes done. Raises DataError: `out` is there, nothing to export, episodes unlike, disk full.
    """
    out = Path(out)
    if out.exists():
        raise DataError(f"{out} exists; choose another path, or remove it first")
    if not len(store):
        raise DataError(f"{store.path} holds no episode, there is nothing to export")
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    with _cleanly(aside, out):
        writer = _Writer(aside, fps or _rate_of(store), task, pictures)
        with writer:
            for number in range(len(store)):
                writer.add(store.read(number))
                progress(number + 1)
        writer.finish()
        aside.rename(out)
    return Exported(out, writer.n_episodes, writer.n_rows, writer.fps)


class _Writer:
    """Takes episodes in order; `finish` writes what is known only at the end."""

    def __init__(self, root: Path, fps: int, task: str, pictures: Pictures) -> None:
        self.fps, self.n_episodes, self.n_rows = fps, 0, 0
        self._root, self._task = root, task
        self._codec = write.CODECS[write.encoder()] if pictures == "video" else None
        self._videos: dict[str, write.Video] = {}
        self._tasks: dict[str, int] = {}
        self._stats: dict[str, stats_.Stats] = {}
        self._features: dict[str, Any] = {}
        self._robot: str | None = None
        self._shape: Shape | None = None
        self._open = ExitStack()

    def __enter__(self) -> _Writer:
        enter = self._open.enter_context
        self._rows = enter(write.Rows(self._root, write.DATA_PATH, most_bytes=DATA_MB << 20))
        self._episodes = enter(write.Records(self._root / write.EPISODES_PATH))
        self._finals = enter(write.Records(self._root / extra.TABLE))
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)

    def add(self, episode: Episode) -> None:
        task = str(episode.meta.get("task") or self._task)
        numbers = Numbers(self.n_episodes, self.n_rows, self._tasks.setdefault(task, len(self._tasks)))
        rows = columns(episode, numbers, self.fps)
        self._agree(episode, rows)
        stats = {key: stats_.of_vectors(values.reshape(len(values), -1)) for key, values in rows.items()}
        cameras = {f"observation.images.{name}": pixels[:-1] for name, pixels in episode.images.items()}
        stats |= {key: stats_.of_frames(frames) for key, frames in cameras.items()}
        places = self._write_pictures(cameras)
        embedded = {} if self._codec else {key: [write.png(f) for f in frames] for key, frames in cameras.items()}
        place = self._rows.add(write.table({**embedded, **rows}))
        self._episodes.add(self._record(numbers, task, len(episode), place, places, stats))
        self._finals.add(extra.record(numbers.episode, episode))
        self._stats = {
            key: stats_.merged(self._stats[key], one) if self.n_episodes else one for key, one in stats.items()
        }
        self.n_episodes += 1
        self.n_rows += len(episode)

    def _agree(self, episode: Episode, rows: Mapping[str, Array]) -> None:
        """The first episode says what the dataset is made of; each other must be like it."""
        if self._shape is None:
            self._shape = shape_of(episode)
            self._features = features(episode, rows, self.fps, codec=self._codec)
            self._robot = episode.meta.get("robot") or None
        check_shape(self.n_episodes, shape_of(episode), self._shape)

    def _write_pictures(self, cameras: Mapping[str, Array]) -> dict[str, write.Place]:
        places = {}
        for key, frames in cameras.items() if self._codec else ():
            if key not in self._videos:
                video = write.Video(self._root, key, fps=self.fps, most_bytes=VIDEO_MB << 20)
                self._videos[key] = self._open.enter_context(video)
            places[key] = self._videos[key].add(frames)
        return places

    def _record(
        self,
        numbers: Numbers,
        task: str,
        n_rows: int,
        place: write.Place,
        videos: Mapping[str, write.Place],
        stats: Mapping[str, stats_.Stats],
    ) -> dict[str, Any]:
        """The episode's row of meta/episodes."""
        record: dict[str, Any] = {"episode_index": numbers.episode, "tasks": [task], "length": n_rows}
        record |= {"data/chunk_index": place.chunk_index, "data/file_index": place.file_index}
        record |= {"dataset_from_index": numbers.first_row, "dataset_to_index": numbers.first_row + n_rows}
        for key, clip in videos.items():
            record[f"videos/{key}/chunk_index"] = clip.chunk_index
            record[f"videos/{key}/file_index"] = clip.file_index
            record[f"videos/{key}/from_timestamp"] = clip.start / self.fps
            record[f"videos/{key}/to_timestamp"] = (clip.start + n_rows) / self.fps
        for key, facts in stats_.as_lists(stats).items():
            record |= {f"stats/{key}/{name}": values for name, values in facts.items()}
        return record | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}

    def finish(self) -> None:
        import pyarrow.parquet as pq

        pq.write_table(write.tasks_table(list(self._tasks)), self._root / "meta" / "tasks.parquet")
        _write_json(self._root / "meta" / "stats.json", stats_.as_lists(self._stats))
        _write_json(
            self._root / "meta" / "info.json",
            {
                "codebase_version": "v3.0",
                "robot_type": self._robot,
                "total_episodes": self.n_episodes,
                "total_frames": self.n_rows,
                "total_tasks": len(self._tasks),
                "chunks_size": write.FILES_A_CHUNK,
                "data_files_size_in_mb": DATA_MB,
                "video_files_size_in_mb": VIDEO_MB,
                "fps": self.fps,
                "splits": {"train": f"0:{self.n_episodes}"},
                "data_path": write.DATA_PATH,
                "video_path": write.VIDEO_PATH if self._codec and self._videos else None,
                "features": self._features,
            },
        )


def _rate_of(store: EpisodeStore) -> int:
    """Observations a second by the stamps of the first episode, at least 1. Raises DataError where they stand still."""
    period_ns = float(np.median(np.diff(store.read(0).stamp_ns)))
    if period_ns <= 0:
        raise DataError(f"{store.path}: the stamps of episode 0 stand still, so its rate is not known; pass fps")
    return max(1, round(1e9 / period_ns))


@contextmanager
def _cleanly(aside: Path, out: Path) -> Iterator[None]:
    """Leave nothing behind where the export fails, and say why the system refused."""
    try:
        yield
    except OSError as problem:
        raise DataError(f"cannot write {out}: {problem.strerror or problem}; free some space, check the path") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=4) + "\n")
