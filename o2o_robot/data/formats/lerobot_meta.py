"""What a LeRobot dataset says of itself (meta/): features, episodes and where their rows and frames lie.

v2.x: one parquet and one mp4 a camera for each episode. v3.0: many episodes a file, told apart by row and by time.
Everything here was written by a stranger: patterns are filled, never formatted, and no path leaves the dataset.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from o2o_robot.data.formats import lerobot_table as table
from o2o_robot.data.formats.demonstration import MAX_ROWS
from o2o_robot.errors import DataError

MAX_META_BYTES = 256 << 20
MAX_EPISODES = 1_000_000
MAX_WIDTH = 4096  # values of one vector
MAX_FPS = 10_000
_FIELD = re.compile(r"\{(\w+)(?::0(\d)d)?\}")
_NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool")


class Feature(NamedTuple):
    """One column of the rows, or one camera; names as many as values where the dataset names them, else ()."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    is_depth: bool = False

    @property
    def is_camera(self) -> bool:
        return self.dtype in ("video", "image")

    @property
    def is_vector(self) -> bool:
        return self.dtype in _NUMBERS and len(self.shape) == 1


class Clip(NamedTuple):
    """Where the frames of one camera lie. to_s is None where the whole file is this episode's."""

    path: Path
    from_s: float = 0.0
    to_s: float | None = None


class Entry(NamedTuple):
    """One episode: its number, how many rows it claims, its task, its parquet file and its videos by feature key."""

    number: int
    n_rows: int
    task: str
    data: Path
    clips: Mapping[str, Clip]


class Layout(NamedTuple):
    """A whole dataset, nothing of its rows read yet."""

    root: Path
    version: str
    fps: float
    robot: str
    features: Mapping[str, Feature]
    entries: tuple[Entry, ...]


def layout(root: Path) -> Layout:
    """What meta/ of the dataset at `root` says. Raises DataError where it contradicts itself, or is not to be had."""
    info = _json(root / "meta" / "info.json")
    version = str(info.get("codebase_version"))
    if not version.startswith(("v2.", "v3.")):
        raise DataError(
            f"{root}: LeRobot {version} is not read (v2.0 to v3.0 are); convert it with lerobot's own tools"
        )
    features = _features(info, root)
    read = _entries_v3 if version.startswith("v3.") else _entries_v2
    entries = tuple(sorted(read(root, info, features), key=lambda entry: entry.number))
    _check_totals(root, info, entries)
    fps = _number(info.get("fps"), f"{root}: fps", 0.01, MAX_FPS)
    return Layout(root, version, fps, str(info.get("robot_type") or ""), features, entries)


def _features(info: Mapping[str, Any], root: Path) -> dict[str, Feature]:
    described = info.get("features")
    if not isinstance(described, dict):
        raise DataError(f"{root}: meta/info.json has no features")
    features = {str(key): _feature(str(key), facts, root) for key, facts in described.items()}
    if "action" not in features or not features["action"].is_vector:
        raise DataError(f"{root}: no feature 'action' that is a vector of numbers (it has {', '.join(features)})")
    return features


def _feature(key: str, facts: Any, root: Path) -> Feature:
    where = f"{root}: feature '{key}'"
    if not isinstance(facts, dict) or not isinstance(facts.get("shape"), list):
        raise DataError(f"{where} has no shape")
    most = 1 << 16 if facts.get("dtype") in ("video", "image") else MAX_WIDTH
    shape = tuple(_whole(size, f"{where}: a size of its shape", 1, most) for size in facts["shape"])
    names = tuple(_flat(facts.get("names")))
    notes = facts.get("info") or facts.get("video_info") or {}
    is_depth = isinstance(notes, dict) and any(notes.get(name) is True for name in _DEPTH_NOTES)
    return Feature(key, str(facts.get("dtype")), shape, names if (len(names),) == shape else (), is_depth)


_DEPTH_NOTES = ("video.is_depth_map", "is_depth_map")


def _flat(names: Any, depth: int = 3) -> Iterator[str]:
    """Names come as a list, a list of lists, or a mapping of such."""
    if isinstance(names, str):
        yield names
    elif isinstance(names, list | dict) and depth:
        for part in names.values() if isinstance(names, dict) else names:
            yield from _flat(part, depth - 1)


def _entries_v2(root: Path, info: Mapping[str, Any], features: Mapping[str, Feature]) -> Iterator[Entry]:
    chunks_size = _whole(info.get("chunks_size", 1000), f"{root}: chunks_size", 1, MAX_EPISODES)
    for facts in _json_lines(root / "meta" / "episodes.jsonl"):
        number, n_rows, task = _claims(facts, root)
        place = {"episode_chunk": number // chunks_size, "episode_index": number}
        clips = {
            key: Clip(_inside(root, info.get("video_path"), place | {"video_key": key}))
            for key, feature in features.items()
            if feature.dtype == "video"
        }
        yield Entry(number, n_rows, task, _inside(root, info.get("data_path"), place), clips)


def _entries_v3(root: Path, info: Mapping[str, Any], features: Mapping[str, Feature]) -> Iterator[Entry]:
    files = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    if not files:
        raise DataError(f"{root}: meta/episodes holds no parquet file, so no episode is known")
    for facts in (facts for file in files for facts in table.records(file, MAX_EPISODES, without="stats/")):
        number, n_rows, task = _claims(facts, root)
        clips = {
            key: _clip(root, info, facts, key, n_rows) for key, feature in features.items() if feature.dtype == "video"
        }
        yield Entry(number, n_rows, task, _inside(root, info.get("data_path"), _place(facts, "data", root)), clips)


def _clip(root: Path, info: Mapping[str, Any], facts: Mapping[str, Any], key: str, n_rows: int) -> Clip:
    place = _place(facts, f"videos/{key}", root) | {"video_key": key}
    from_s, to_s = (
        _number(facts.get(f"videos/{key}/{side}_timestamp"), f"{root}: {side}_timestamp of '{key}'", 0.0, 1e9)
        for side in ("from", "to")
    )
    if to_s < from_s:
        raise DataError(f"{root}: the video of '{key}' ends at {to_s} s, before it begins at {from_s} s")
    return Clip(_inside(root, info.get("video_path"), place), from_s, to_s)


def _place(facts: Mapping[str, Any], prefix: str, root: Path) -> dict[str, int]:
    names = ("chunk_index", "file_index")
    return {name: _whole(facts.get(f"{prefix}/{name}"), f"{root}: {prefix}/{name}", 0, MAX_EPISODES) for name in names}


def _claims(facts: Mapping[str, Any], root: Path) -> tuple[int, int, str]:
    """Number, rows and task of an episode, as meta/ has them."""
    number = _whole(facts.get("episode_index"), f"{root}: an episode_index", 0, MAX_EPISODES)
    n_rows = _whole(facts.get("length"), f"{root}: length of episode {number}", 1, MAX_ROWS)
    tasks = facts.get("tasks")
    return number, n_rows, "; ".join(str(task) for task in tasks) if isinstance(tasks, list) else ""


def _check_totals(root: Path, info: Mapping[str, Any], entries: tuple[Entry, ...]) -> None:
    if len({entry.number for entry in entries}) != len(entries):
        raise DataError(f"{root}: two episodes have one episode_index; the metadata is damaged")
    for name, n_held in (("total_episodes", len(entries)), ("total_frames", sum(entry.n_rows for entry in entries))):
        if info.get(name, n_held) != n_held:
            raise DataError(f"{root}: meta/info.json says {name} {info[name]}, the episodes listed have {n_held}")


def _inside(root: Path, pattern: Any, values: Mapping[str, int | str]) -> Path:
    """The path that `pattern` of info.json means, beneath `root`. str.format would let it ask for any width."""

    def fill(field: re.Match[str]) -> str:
        value = values.get(field[1])
        if value is None or (field[2] and not isinstance(value, int)):
            raise DataError(f"{root}: a path pattern of meta/info.json asks for '{field[0]}'")
        return str(value).zfill(int(field[2] or 0))

    name = PurePosixPath(_FIELD.sub(fill, pattern)) if isinstance(pattern, str) else None
    if name is None or name.is_absolute() or ".." in name.parts or not name.parts or "\0" in str(name):
        raise DataError(f"{root}: a path pattern of meta/info.json is {pattern!r}, expected a path inside the dataset")
    return root / name


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_text(path))
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{path} is not JSON ({problem})") from None
    if not isinstance(document, dict):
        raise DataError(f"{path} holds a {type(document).__name__}, a JSON object was expected")
    return document


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for i, line in enumerate(_text(path).splitlines()):
        try:
            facts = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{path}: line {i + 1} is not JSON ({problem})") from None
        if not isinstance(facts, dict) or i >= MAX_EPISODES:
            raise DataError(f"{path}: line {i + 1} is not an episode, or there are more than {MAX_EPISODES}")
        if facts:
            yield facts


def _text(path: Path) -> str:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_META_BYTES:
            raise DataError(f"{path} has {n_bytes} bytes, more than {MAX_META_BYTES}; it is no LeRobot metadata")
        return path.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"cannot read {path}: {problem}") from None


def _whole(value: Any, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise DataError(f"{what} is {value!r}, expected a whole number from {least} to {most}")
    return value


def _number(value: Any, what: str, least: float, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        raise DataError(f"{what} is {value!r}, expected a number from {least:g} to {most:g}")
    return float(value)
