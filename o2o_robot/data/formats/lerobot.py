"""LeRobot datasets v2.0 to v3.0 as they lie on disk: parquet rows, mp4 or embedded pictures.

Names: "observation.state" is the state field "state", "observation.images.front" the camera "front". A video that is
declared and not there is an error; cameras=("none",) goes without. What counts as a transition: lerobot_episode.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from o2o_robot.data.action_range import ActionRange, covering
from o2o_robot.data.formats import lerobot_episode, lerobot_extra
from o2o_robot.data.formats import lerobot_table as table
from o2o_robot.data.formats import lerobot_video as video
from o2o_robot.data.formats.dataset import Format, Wishes
from o2o_robot.data.formats.demonstration import check_size, choose, plain_name
from o2o_robot.data.formats.lerobot_meta import Entry, Feature, Layout, layout
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

_ENDS_BYTES = 1 << 14  # of each file: a parquet footer with its statistics, the head of an mp4


class LeRobotDataset:
    """Behind formats.dataset.Dataset. Opening reads meta/ alone; an episode is read whole, rows first."""

    kind = "lerobot"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._layout: Layout = layout(path)
        self._is_own = lerobot_extra.is_there(path)

    def __len__(self) -> int:
        return len(self._layout.entries)

    def fingerprint(self) -> str:
        """sha256 over names, sizes and both ends of all its files, 16 digits."""
        total = hashlib.sha256()
        for file in sorted(_files(self.path)):
            n_bytes = file.stat().st_size
            total.update(f"{file.relative_to(self.path).as_posix()} {n_bytes};".encode())
            with file.open("rb") as stream:
                total.update(stream.read(_ENDS_BYTES))
                stream.seek(max(n_bytes - _ENDS_BYTES, 0))
                total.update(stream.read(_ENDS_BYTES))
        return total.hexdigest()[:16]

    def action_range(self) -> ActionRange | None:
        """The range of all actions that are there to be read; None for our own exports, which keep theirs in [-1, 1].

        Taken from the rows: what stats.json says may be of episodes that were added, cut or left out since.
        """
        if self._is_own:
            return None
        width = self._layout.features["action"].shape[0]
        spans = [span for path in self._data_files() if (span := _span_or_none(path, width))]
        if not spans:
            raise DataError(f"{self.path}: no action can be read from any of its {len(self._data_files())} data files")
        return covering(np.array(spans).reshape(-1, width))

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        """Episode at position `number`. Raises DataError naming the file, row or frame that is wrong."""
        if not 0 <= number < len(self):
            raise DataError(f"{self.path} holds {len(self)} episodes, there is no number {number}")
        entry = self._layout.entries[number]
        self._check_size(entry, wishes)
        read = self._own if self._is_own else self._foreign
        return read(entry, wishes, action_range)

    def _check_size(self, entry: Entry, wishes: Wishes) -> None:
        widths = [feature.shape[0] for feature in self._seen()]
        check_size(entry.n_rows, wishes.image_side, len(self._cameras(wishes)), sum(widths), where="meta/")

    def _foreign(self, entry: Entry, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        cameras, fields = self._cameras(wishes), self._fields(wishes)
        features = self._layout.features
        ends = [key for key in (*lerobot_episode.ENDS, "frame_index", "timestamp") if key in features]
        rows = self._rows(entry, ["action", *fields.values(), *ends])
        return lerobot_episode.build(
            rows,
            {name: self._frames(entry, key, wishes.image_side) for name, key in cameras.items()},
            {name: rows[key] for name, key in fields.items()},
            id=f"{self.path.name}-{entry.number:06d}",
            task=entry.task,
            fps=self._layout.fps,
            action_range=action_range,
            wishes=wishes,
            facts={
                "robot": self._layout.robot,
                "fps": self._layout.fps,
                "action_names": list(features["action"].names),
                "state_names": {name: list(features[key].names) for name, key in fields.items()},
            },
        )

    def _own(self, entry: Entry, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        final = lerobot_extra.read(self.path, entry.number)
        state = ["observation.state"] if final.fields else []
        rows = self._rows(entry, [*lerobot_extra.COLUMNS, *state])
        images = {}
        for name, key in self._cameras(wishes).items():
            frames = self._frames(entry, key, wishes.image_side)
            images[name] = np.concatenate([frames, lerobot_extra.last_picture(final, name, wishes.image_side)])
        return lerobot_extra.restore(rows, images, final, action_range, wishes.state)

    def _rows(self, entry: Entry, keys: Iterable[str]) -> dict[str, Array]:
        widths = {key: self._feature(key).shape[0] for key in dict.fromkeys(keys)}
        return table.vectors(entry.data, entry.number, widths, entry.n_rows)

    def _feature(self, key: str) -> Feature:
        feature = self._layout.features.get(key)
        if feature is None or not feature.is_vector:
            raise DataError(
                f"feature '{key}' is not a vector of numbers (there are {', '.join(self._layout.features)})"
            )
        return feature

    def _frames(self, entry: Entry, key: str, side: int) -> Array:
        if self._layout.features[key].is_depth:
            raise DataError(f"'{key}' is a depth map, which is not read; name the other cameras with --cameras")
        if key not in entry.clips:
            return table.pictures(entry.data, entry.number, key, entry.n_rows, side)
        clip, fps = entry.clips[key], self._layout.fps
        if clip.to_s is not None and abs((clip.to_s - clip.from_s) * fps - entry.n_rows) > 0.5:
            n_frames = (clip.to_s - clip.from_s) * fps
            raise DataError(
                f"{clip.path} has {n_frames:.1f} frames of it by meta/episodes, its rows are {entry.n_rows}"
            )
        return video.frames(
            clip.path, from_s=clip.from_s, n_frames=entry.n_rows, fps=fps, side=side, is_whole=clip.to_s is None
        )

    def _cameras(self, wishes: Wishes) -> dict[str, str]:
        return self._chosen([f for f in self._layout.features.values() if f.is_camera], wishes.cameras, "camera")

    def _fields(self, wishes: Wishes) -> dict[str, str]:
        return self._chosen(self._seen(), wishes.state, "state field")

    def _seen(self) -> list[Feature]:
        """Vectors that are part of the observation."""
        return [f for f in self._layout.features.values() if f.is_vector and f.key.startswith("observation.")]

    def _chosen(self, features: list[Feature], wanted: tuple[str, ...], what: str) -> dict[str, str]:
        """Name in the Episode -> key of the features that are wanted, by name or by key."""
        known = {_short(feature.key): feature.key for feature in features}
        names = choose(known, tuple(_short(key) for key in wanted), what=what, where=self.path.name)
        return {plain_name(name): known[name] for name in names}

    def _data_files(self) -> list[Path]:
        return list(dict.fromkeys(entry.data for entry in self._layout.entries))


def _short(key: str) -> str:
    """The name of a feature in an Episode."""
    return key.removeprefix("observation.").removeprefix("images.")


def _span_or_none(path: Path, width: int) -> tuple[Array, Array] | None:
    """A file that cannot be read is told of where an episode of it is asked for."""
    try:
        return table.span(path, "action", width)
    except DataError:
        return None


def _files(root: Path) -> Iterable[Path]:
    return (file for part in ("meta", "data", "videos") for file in (root / part).rglob("*") if file.is_file())


def _recognises(path: Path) -> bool:
    try:
        return (path / "meta" / "info.json").is_file()
    except OSError:
        return False


FORMAT = Format("lerobot", _recognises, LeRobotDataset)
