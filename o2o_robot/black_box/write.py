"""A capture on disk: messages.mcap (profile ros2, as Foxglove opens it), last pictures, facts.json last of all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from o2o_robot.black_box.box import Capture
from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter, schema_text
from o2o_robot.data.decode import header_stamp_ns
from o2o_robot.errors import DataError, StoreError
from o2o_robot.jsonfile import write_json
from o2o_robot.types import Array

MESSAGES, FACTS, PICTURE = "messages.mcap", "facts.json", "stop.png"
_MOST_NAME = 60  # characters of a folder's name that say why


@dataclass(frozen=True)
class TopicType:
    """What a topic carries: pkg/msg/Name, and whether its messages begin with a std_msgs/Header."""

    name: str
    has_header: bool


def write(
    folder: Path,
    capture: Capture,
    types: Mapping[str, TopicType],
    facts: Mapping[str, Any],
    *,
    made_at: datetime,
    pictures: Mapping[str, Array] | None = None,
    definition: Callable[[str], str] = schema_text,
) -> Path:
    """Write a capture into a folder of its own under `folder`, named after when and why; gives that folder.

    types: of every topic in the capture. pictures: camera -> (H, W, 3) uint8 RGB. definition: the text of a message
    type by its name. Raises StoreError where the disk
    refuses. A folder without facts.json was cut short.
    """
    own = _own_folder(folder, capture.reasons[0], made_at)
    try:
        own.mkdir(parents=True)
        _write_messages(own / MESSAGES, capture, types, definition)
        for camera, pixels in (pictures or {}).items():
            _write_picture(own / f"{_slug(camera)}.png", pixels)
        write_json(own / FACTS, {**_facts(capture, made_at), **facts})
    except OSError as problem:
        raise StoreError(f"{own}: the black box cannot be written ({problem.strerror}); free some space") from None
    return own


def _write_messages(
    path: Path, capture: Capture, types: Mapping[str, TopicType], definition: Callable[[str], str]
) -> None:
    with McapEpisodeWriter(path) as writer:
        for topic, kind in types.items():
            writer.register(topic, kind.name, definition(kind.name))
        for raw in capture.messages:
            stamped_ns = stamp_ns(raw.cdr) if types[raw.topic].has_header else raw.heard_ns
            writer.write(raw.topic, raw.cdr, log_time_ns=raw.heard_ns, publish_time_ns=stamped_ns)


def _write_picture(path: Path, pixels: Array) -> None:
    import cv2

    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())


def _facts(capture: Capture, made_at: datetime) -> dict[str, Any]:
    first_ns = min((raw.heard_ns for raw in capture.messages), default=capture.stop_ns)
    last_ns = max((raw.heard_ns for raw in capture.messages), default=capture.stop_ns)
    return {
        "reason": capture.reasons[0],
        "also": list(capture.reasons[1:]),
        "stop_ns": capture.stop_ns,
        "made_at": made_at.isoformat(timespec="seconds"),
        "seconds_before": round((capture.stop_ns - first_ns) * 1e-9, 3),
        "seconds_after": round((last_ns - capture.stop_ns) * 1e-9, 3),
        "messages": dict(Counter(raw.topic for raw in capture.messages)),
    }


def _own_folder(folder: Path, reason: str, made_at: datetime) -> Path:
    name = f"{made_at:%Y%m%d-%H%M%S}-{_slug(reason)}"
    taken = (folder / (name if n == 1 else f"{name}-{n}") for n in range(1, 1000))
    return next(path for path in taken if not path.exists())


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_MOST_NAME].strip("-") or "stop"


def stamp_ns(cdr: bytes) -> int:
    """The stamp of a message that begins with a header; 0 where it is too short, or before 1970."""
    try:
        return max(0, header_stamp_ns(cdr))
    except DataError:
        return 0
