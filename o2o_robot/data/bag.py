"""Recordings on disk: rosbag2 folders, split bags and bare .mcap or .db3 files, without a ROS installation."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from o2o_robot.data.db3_file import Db3File
from o2o_robot.data.mcap_file import McapFile, Message, Topic
from o2o_robot.errors import DataError

_READERS = (".mcap", ".db3")
_MAX_METADATA_BYTES = 16 << 20


@dataclass(frozen=True)
class Bag:
    """One recording: a path to name it by, and its files in order of time.

    bag = Bag.open(path)
    if "/joint_states" in bag.topics():
        for message in bag.messages({"/joint_states"}):
            ...                              # message.data is CDR; b"" for topics that were not asked for
    """

    path: Path
    files: tuple[Path, ...]

    @classmethod
    def open(cls, path: Path) -> Bag:
        """The bag at `path`: a rosbag2 folder or one file. Raises DataError where it is neither."""
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
        if path.is_dir():
            return cls(path, _files_of_folder(path))
        if path.suffix not in _READERS:
            raise DataError(f"{path}: not a bag (known: {', '.join(_READERS)} and folders with a metadata.yaml)")
        return cls(path, (path,))

    def topics(self) -> dict[str, Topic]:
        """Every topic of every file, by name. Raises DataError where a topic changes its type between files."""
        found: dict[str, Topic] = {}
        for file in self.files:
            for name, topic in _reader(file).topics().items():
                if name in found and found[name].type_name != topic.type_name:
                    raise DataError(f"{self.path}: topic {name} is {found[name].type_name} and {topic.type_name}")
                found[name] = topic if name not in found or topic.definition else found[name]
        return found

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        """Every message, file after file. data is b'' where the topic is not wanted: counted, not copied."""
        for file in self.files:
            yield from _reader(file).messages(wanted)

    @property
    def n_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


def find_bags(paths: Iterable[Path]) -> list[Path]:
    """Every recording under `paths`, sorted within each: rosbag2 folders, split bags and bare files, none twice.

    A folder that has a metadata.yaml, or whose files are named after it with numbers (`run/run_0.mcap`, rosbag2's way),
    is one bag. Any other folder is searched. A path that is no bag at all is kept: opening it tells why.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_search(path) or [path]))
    return list(found)


def _search(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    if _is_bag_folder(folder):
        return [folder]
    bags: list[Path] = []
    for entry in sorted(folder.iterdir(), key=_natural):
        if entry.is_dir():
            bags += _search(entry)
        elif entry.suffix in _READERS:
            bags.append(entry)
    return bags


def _is_bag_folder(folder: Path) -> bool:
    return (folder / "metadata.yaml").is_file() or bool(_numbered_files(folder))


def _files_of_folder(folder: Path) -> tuple[Path, ...]:
    if (folder / "metadata.yaml").is_file():
        return _files_of_metadata(folder)
    files = _numbered_files(folder)
    if not files:
        raise DataError(f"{folder}: no bag in this folder (no metadata.yaml, no .mcap or .db3 file)")
    return files


def _numbered_files(folder: Path) -> tuple[Path, ...]:
    """`<folder>_0.mcap, <folder>_1.mcap, ...` in order of number; empty where the folder is not named that way."""
    pattern = re.compile(re.escape(folder.resolve().name) + r"_\d+")
    files = [file for file in folder.iterdir() if file.suffix in _READERS and pattern.fullmatch(file.stem)]
    return tuple(sorted(files, key=_natural))


def _files_of_metadata(folder: Path) -> tuple[Path, ...]:
    where = folder / "metadata.yaml"
    if where.stat().st_size > _MAX_METADATA_BYTES:
        raise DataError(f"{where}: {where.stat().st_size} bytes is too large for bag metadata")
    try:
        facts = yaml.load(where.read_text(), Loader=_LOADER)["rosbag2_bagfile_information"]
        names = [Path(name).name for name in facts["relative_file_paths"]]
        compression = str(facts.get("compression_mode") or "").lower()
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise DataError(f"{where}: not the metadata of a rosbag2 bag ({type(problem).__name__}: {problem})") from None
    if compression not in ("", "none"):
        raise DataError(f"{folder}: {compression}-compressed bags are not read; unpack it with `ros2 bag convert`")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise DataError(f"{folder}: metadata.yaml lists {', '.join(missing) or 'no file'}, not found in the folder")
    return tuple(folder / name for name in names)


def _reader(file: Path) -> McapFile | Db3File:
    if file.suffix not in _READERS:
        raise DataError(f"{file}: not a bag file (known: {', '.join(_READERS)})")
    return McapFile(file) if file.suffix == ".mcap" else Db3File(file)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which run_2 comes before run_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
