"""Recordings on disk: rosbag2 folders, split bags and bare files, compressed or not, without a ROS installation."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from o2o_robot.data.bags.db3_file import Db3File
from o2o_robot.data.bags.mcap_file import McapFile, Message, Topic
from o2o_robot.data.bags.unpack import SUFFIXES, unpacked, unpacked_message
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.yamlfile import read_yaml

_READERS = (".mcap", ".db3")
_KNOWN = ".mcap, .db3, both also with .zstd"
_OLD_VERSION, _OLD_DISTRO = 5, "humble"  # of metadata.yaml: those do not name the release, Humble was the last of them
_MAX_METADATA_BYTES = 16 << 20


@dataclass(frozen=True)
class Bag:
    """One recording: a path to name it by, and its files in order of time.

    distro: the ROS release that recorded it, '' where it does not say. definitions: a folder of .msg, .srv and .idl
    files for types the recording does not define (contract.Contract.definitions).

    bag = Bag.open(path)
    if "/joint_states" in bag.topics():
        for message in bag.messages({"/joint_states"}):
            ...                              # message.data is CDR; b"" for topics that were not asked for
    """

    path: Path
    files: tuple[Path, ...]
    distro: str = ""
    definitions: str = ""

    @classmethod
    def open(cls, path: Path) -> Bag:
        """The bag at `path`: a rosbag2 folder or one file. Raises DataError where it is neither."""
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
        if path.is_dir():
            return cls(path, *_files_of_folder(path))
        if not _form(path):
            raise DataError(f"{path}: not a bag (known: {_KNOWN} and folders with a metadata.yaml)")
        return cls(path, (path,))

    def defined_by(self, definitions: str) -> Bag:
        """The same recording with a folder of message definitions beside it; '' for none."""
        return replace(self, definitions=definitions)

    def topics(self) -> dict[str, Topic]:
        """Every topic of every file, by name. Raises DataError where a topic changes its type between files."""
        found: dict[str, Topic] = {}
        for file in self.files:
            with _reader(file) as reader:
                held = reader.topics()
            for name, topic in held.items():
                if name in found and found[name].type_name != topic.type_name:
                    raise DataError(f"{self.path}: topic {name} is {found[name].type_name} and {topic.type_name}")
                found[name] = topic if name not in found or topic.definition else found[name]
        return {
            name: topic._replace(distro=topic.distro or self.distro, definitions=self.definitions)
            for name, topic in found.items()
        }

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        """Every message, file after file. data is b'' where the topic is not wanted: counted, not copied."""
        for file in self.files:
            with _reader(file) as reader:
                for message in reader.messages(wanted):
                    data = unpacked_message(message.data, message.topic)
                    yield message if data is message.data else message._replace(data=data)

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
        elif _form(entry) and not _is_packed_twin(entry):
            bags.append(entry)
    return bags


def _is_bag_folder(folder: Path) -> bool:
    return (folder / "metadata.yaml").is_file() or bool(_numbered_files(folder))


class _Held(NamedTuple):
    """The files of a bag folder in order of time, and the ROS release that recorded them ('': it does not say)."""

    files: tuple[Path, ...]
    distro: str = ""


def _files_of_folder(folder: Path) -> _Held:
    if (folder / "metadata.yaml").is_file():
        return _files_of_metadata(folder)
    files = _numbered_files(folder)
    if not files:
        raise DataError(f"{folder}: no bag in this folder (no metadata.yaml, no {_KNOWN} file)")
    return _Held(files)


def _numbered_files(folder: Path) -> tuple[Path, ...]:
    """`<folder>_0.mcap, <folder>_1.mcap, ...` in order of number; empty where the folder is not named that way."""
    pattern = re.compile(re.escape(folder.resolve().name) + r"_\d+")
    files = [file for file in folder.iterdir() if _form(file) and pattern.fullmatch(file.name.split(_form(file))[0])]
    return tuple(sorted((file for file in files if not _is_packed_twin(file)), key=_natural))


def _files_of_metadata(folder: Path) -> _Held:
    where = folder / "metadata.yaml"
    try:
        facts = read_yaml(where, max_bytes=_MAX_METADATA_BYTES)["rosbag2_bagfile_information"]
        names = [Path(name).name for name in facts["relative_file_paths"]]
        compression = str(facts.get("compression_format") or "zstd").lower()
        distro = str(facts.get("ros_distro") or (_OLD_DISTRO if int(facts.get("version", 9)) <= _OLD_VERSION else ""))
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DataError(f"{where}: not the metadata of a rosbag2 bag ({type(problem).__name__}: {problem})") from None
    if compression != "zstd":
        raise DataError(f"{folder}: compressed with '{compression}', only zstd is read; try `ros2 bag convert`")
    files = [_as_it_lies(folder / name) for name in names]
    missing = [name for name, file in zip(names, files, strict=True) if not file.is_file()]
    if missing or not names:
        raise DataError(f"{folder}: metadata.yaml lists {', '.join(missing) or 'no file'}, not found in the folder")
    return _Held(tuple(files), distro)


def _as_it_lies(file: Path) -> Path:
    """The file, with a compression suffix more or less: a recorder that was stopped lists what it had yet to do."""
    spellings = [file, *(file.with_name(file.name + suffix) for suffix in SUFFIXES)]
    if file.suffix in SUFFIXES:
        spellings.append(file.with_suffix(""))
    return next((each for each in spellings if each.is_file()), file)


def _form(file: Path) -> str:
    """`.mcap` or `.db3`, compressed or not; '' for what is no bag file."""
    suffix = Path(file.stem).suffix if file.suffix in SUFFIXES else file.suffix
    return suffix if suffix in _READERS else ""


def _is_packed_twin(file: Path) -> bool:
    """True where the same file lies beside it unpacked."""
    return file.suffix in SUFFIXES and file.with_suffix("").is_file()


@contextmanager
def _reader(file: Path) -> Iterator[McapFile | Db3File]:
    """The reader of one file, which is unpacked first where it is compressed."""
    if not _form(file):
        raise DataError(f"{file}: not a bag file (known: {_KNOWN})")
    kind = McapFile if _form(file) == ".mcap" else Db3File
    if file.suffix not in SUFFIXES:
        yield kind(file)
        return
    held = unpacked(file)
    try:
        yield kind(held.path)
    except DataError as problem:  # named after the file that the user has
        raise DataError(str(problem).replace(str(held.path), str(file))) from None


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which run_2 comes before run_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
