"""An Episode as an MCAP of plain ROS messages: Foxglove shows it, `ros2 bag play` plays it, `o2o ingest` reads it.

/<camera>/color/image_raw/compressed   sensor_msgs/CompressedImage, PNG
/state/<field>                         std_msgs/Float64MultiArray, every field as it is
/joint_states, /current_pose           of q_rad (dq_rad), and of tool_position_m and tool_quat_xyzw, where they are
/action, /proposed, /reward            std_msgs/Float64MultiArray, Float64
/guard, /source, /end, /meta           std_msgs/String: reasons where a step was changed, who moved, the end, all facts
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from o2o_robot.data.bags import encode
from o2o_robot.data.bags.encode import Encoded
from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter
from o2o_robot.errors import DataError
from o2o_robot.safety import reason
from o2o_robot.types import Episode, Source

_LEAST_NS, _MOST_NS = 0, (1 << 31) * 10**9  # a ROS stamp has 32 bits of seconds


def write_episode(episode: Episode, path: Path) -> Path:
    """Write the episode to `path`, stamped (header and log time) with its own stamps. Raises StoreError, DataError."""
    if not _LEAST_NS <= int(episode.stamp_ns[0]) <= int(episode.stamp_ns[-1]) < _MOST_NS:
        raise DataError(f"stamps {episode.stamp_ns[0]} to {episode.stamp_ns[-1]} ns are not between 1970 and 2038")
    with McapEpisodeWriter(path) as writer:
        for stamp_ns, topic, message in messages(episode):
            writer.register(topic, message.type_name, encode.definition(message.type_name))
            writer.write(topic, message.data, log_time_ns=stamp_ns, publish_time_ns=stamp_ns)
    return path


def messages(episode: Episode) -> Iterator[tuple[int, str, Encoded]]:
    """(stamp_ns, topic, message) in the order of their stamps: at each row what was seen, then what was done."""
    first_ns = int(episode.stamp_ns[0])
    yield first_ns, "/meta", encode.text(json.dumps(dict(episode.meta), sort_keys=True))
    for row, stamp in enumerate(episode.stamp_ns):
        stamp_ns = int(stamp)
        for topic, message in (*_seen(episode, row, stamp_ns), *_done(episode, row)):
            yield stamp_ns, topic, message


def _seen(episode: Episode, row: int, stamp_ns: int) -> Iterator[tuple[str, Encoded]]:
    for camera, frames in episode.images.items():
        yield f"/{camera}/color/image_raw/compressed", encode.picture(stamp_ns, camera, frames[row])
    state = {name: values[row] for name, values in episode.state.items()}
    for name, values in state.items():
        yield f"/state/{name}", encode.numbers(name, values)
    if "q_rad" in state:
        dq_rad = state.get("dq_rad", np.zeros(0))
        yield "/joint_states", encode.joints(stamp_ns, state["q_rad"], dq_rad)
    if len(state.get("tool_position_m", ())) == 3 and len(state.get("tool_quat_xyzw", ())) == 4:
        yield "/current_pose", encode.pose(stamp_ns, state["tool_position_m"], state["tool_quat_xyzw"])


def _done(episode: Episode, row: int) -> Iterator[tuple[str, Encoded]]:
    """What was done from `row` on; at the last row nothing was."""
    if row == len(episode):
        return
    yield "/action", encode.numbers("action", episode.action[row])
    yield "/proposed", encode.numbers("proposed", episode.proposed[row])
    yield "/reward", encode.number(episode.reward[row])
    yield "/source", encode.text(source_name(int(episode.source[row])))
    if episode.reasons[row]:
        yield "/guard", encode.text(", ".join(reason.names(int(episode.reasons[row]))))
    if episode.terminated[row] or episode.truncated[row]:
        yield "/end", encode.text("terminated" if episode.terminated[row] else "truncated")


def source_name(value: int) -> str:
    """Who moved, as a word; a number that no Source has stays a number."""
    known = value in Source.__members__.values()
    return Source(value).name.lower() if known else f"source {value}"
