"""One episode's messages to one MCAP file that is whole or not there, and the schemas that make it readable."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

from mcap.writer import CompressionType, Writer

from o2o_robot.errors import DataError, StoreError

_COMPRESSION = {"zstd": CompressionType.ZSTD, "lz4": CompressionType.LZ4, "none": CompressionType.NONE}
_SEPARATOR = "=" * 80
_PRIMITIVES = frozenset(
    {"bool", "byte", "char", "string", "wstring", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
_FIELD = re.compile(r"^([A-Za-z][\w/]*)(?:<=\d+)?(?:\[(?:<=)?\d*\])?\s+[A-Za-z]\w*")


class McapEpisodeWriter:
    """Writes `path`, profile ros2, CDR messages. Until `finish` it is `path`.part, which no reader takes for a bag.

    with McapEpisodeWriter(folder / "episode_7.mcap") as writer:      # finish, or abort where an error comes
        writer.register("/joint_states", "sensor_msgs/msg/JointState", schema_text("sensor_msgs/msg/JointState"))
        writer.write("/joint_states", cdr_bytes, log_time_ns=now_ns, publish_time_ns=now_ns)

    zstd by default: up to a fifth smaller than lz4 on joint states, and at most twice its time, 3 ms for each second of
    two 64x64 cameras (benchmarks/ingest.py).
    """

    def __init__(
        self, path: Path, *, compression: Literal["zstd", "lz4", "none"] = "zstd", chunk_bytes: int = 1 << 20
    ) -> None:
        if compression not in _COMPRESSION:
            raise StoreError(f"MCAP compression '{compression}' is unknown (allowed: {', '.join(_COMPRESSION)})")
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.n_messages = 0
        self._compression = _COMPRESSION[compression]
        self._chunk_bytes = chunk_bytes
        self._file: BinaryIO | None = None
        self._writer: Writer | None = None
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, tuple[int, str]] = {}
        self._sequence: dict[str, int] = {}

    def register(self, topic: str, type_name: str, schema_text: str) -> None:
        """Announce a topic, once; again with the same type does nothing. Raises StoreError where the type differs."""
        if topic in self._channels:
            if self._channels[topic][1] != type_name:
                raise StoreError(f"{self.path}: {topic} is {self._channels[topic][1]}, it cannot become {type_name}")
            return
        with self._as_store_error():
            writer = self._opened()
            if type_name not in self._schemas:
                self._schemas[type_name] = writer.register_schema(type_name, "ros2msg", schema_text.encode())
            # rosbag2 reads this key; [] means that no QoS was recorded
            facts = {"offered_qos_profiles": "[]"}
            self._channels[topic] = (writer.register_channel(topic, "cdr", self._schemas[type_name], facts), type_name)

    def write(self, topic: str, cdr_bytes: bytes, *, log_time_ns: int, publish_time_ns: int) -> None:
        """Append a message. Raises StoreError where the topic was never registered, or the disk refuses."""
        if topic not in self._channels:
            raise StoreError(f"{self.path}: {topic} is not registered (known: {', '.join(self._channels) or 'none'})")
        self._sequence[topic] = self._sequence.get(topic, -1) + 1
        with self._as_store_error():
            self._opened().add_message(
                self._channels[topic][0], log_time_ns, bytes(cdr_bytes), publish_time_ns, self._sequence[topic]
            )
        self.n_messages += 1

    def finish(self) -> Path:
        """Make the file whole and give it its name. Raises StoreError where the disk refuses; the part then stays."""
        with self._as_store_error():
            self._opened().finish()
            assert self._file is not None
            self._file.flush()
            os.fsync(self._file.fileno())
            self._close()
            self.part.replace(self.path)
        return self.path

    def abort(self) -> None:
        """Forget this episode: nothing of it stays on disk."""
        self._close()
        with suppress(OSError):  # a folder that could not be made holds nothing to remove
            self.part.unlink(missing_ok=True)

    def __enter__(self) -> McapEpisodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abort()

    def _opened(self) -> Writer:
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.part.open("wb")
            self._writer = Writer(self._file, chunk_size=self._chunk_bytes, compression=self._compression)
            self._writer.start(profile="ros2", library="o2o_robot")
        return self._writer

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None

    @contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise StoreError(
                f"{self.part}: cannot be written ({problem.strerror}); free space or choose another folder"
            ) from None


def schema_text(type_name: str, share_dirs: Iterable[Path] | None = None) -> str:
    """The full ros2msg definition of `type_name` (pkg/msg/Name), what it is made of appended after lines of `=`.

    share_dirs: folders that hold <pkg>/msg/<Name>.msg; without them the `share` of every AMENT_PREFIX_PATH entry.
    Raises DataError naming the .msg file that is nowhere.
    """
    folders = [Path(folder) for folder in share_dirs] if share_dirs is not None else ament_share_dirs()
    text = _definition(type_name, folders)
    parts, seen = [text], {type_name}
    waiting = _made_of(text, type_name)
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            text = _definition(name, folders)
            package, _, short = name.split("/")
            parts.append(f"{_SEPARATOR}\nMSG: {package}/{short}\n{text}")
            waiting += _made_of(text, name)
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def ament_share_dirs() -> list[Path]:
    """The `share` folders of AMENT_PREFIX_PATH, in its order."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) / "share" for prefix in prefixes if prefix]


def _definition(type_name: str, folders: Sequence[Path]) -> str:
    if type_name.count("/") != 2:
        raise DataError(f"message type '{type_name}' must read package/msg/Name")
    package, kind, short = type_name.split("/")
    for folder in folders:
        path = folder / package / kind / f"{short}.msg"
        if path.is_file():
            return path.read_text()
    raise DataError(
        f"no {package}/{kind}/{short}.msg under {', '.join(map(str, folders)) or 'AMENT_PREFIX_PATH (not set)'}; "
        "source the workspace that defines it"
    )


def _made_of(text: str, type_name: str) -> list[str]:
    """Full names of the message types that fields of this definition have."""
    package = type_name.split("/")[0]
    found = []
    for line in text.splitlines():
        match = _FIELD.match(line.split("#")[0].strip())
        name = match.group(1) if match else "bool"
        if name not in _PRIMITIVES:
            home, _, short = name.rpartition("/")
            found.append(f"{home.split('/')[0] or package}/msg/{short}")
    return found
