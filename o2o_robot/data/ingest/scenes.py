"""What a recording says was drawn for its scenes (light, friction, ...): the twin's, by the instant each began."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from o2o_robot.data.bag import Bag
from o2o_robot.data.decode import Types
from o2o_robot.errors import DataError
from o2o_robot.types import Episode

TOPIC, TYPE = "scene", "diagnostic_msgs/msg/DiagnosticArray"


def scenes(bag: Bag) -> dict[int, dict[str, Any]]:
    """Stamp (ns) of an episode's first observation -> what was drawn; {} where the recording does not tell.

    Raises DataError where a message of that topic and type is not what recorder_node writes.
    """
    topics = {name: topic for name, topic in bag.topics().items() if _is_scene(name, topic.type_name)}
    if not topics:
        return {}
    types = Types(topics)
    told = [types.message(raw.topic, raw.data) for raw in bag.messages(topics) if raw.topic in topics]
    return {_stamp_ns(message): _drawn(message) for message in told}


def with_scene(episode: Episode, drawn: Mapping[int, dict[str, Any]]) -> Episode:
    """The episode with what was drawn for it as meta["drawn"], where that is known."""
    facts = drawn.get(int(episode.stamp_ns[0]))
    return replace(episode, meta={**episode.meta, "drawn": facts}) if facts else episode


def _is_scene(name: str, type_name: str) -> bool:
    return name.rsplit("/", 1)[-1] == TOPIC and type_name == TYPE


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def _drawn(message: Any) -> dict[str, Any]:
    try:
        return {str(pair.key): json.loads(pair.value) for status in message.status for pair in status.values}
    except ValueError:
        raise DataError(f"topic {TOPIC}: a value is not JSON; it was not recorder_node who wrote it") from None
