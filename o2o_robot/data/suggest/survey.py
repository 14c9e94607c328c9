"""What a recording holds, topic by topic: how often, how evenly, and a sample of its messages. For suggest.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.mcap_file import Topic
from o2o_robot.data.decode import Types
from o2o_robot.data.ingest.streams import Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Array

_MOST_SAMPLES = 300  # of the messages of a topic; one of an image
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
JOINTS = "sensor_msgs/msg/JointState"
POSES = {"geometry_msgs/msg/PoseStamped": "pose", "geometry_msgs/msg/Pose": ""}
TWISTS = {"geometry_msgs/msg/TwistStamped": "twist", "geometry_msgs/msg/Twist": ""}
WRENCHES = {"geometry_msgs/msg/WrenchStamped": "wrench", "geometry_msgs/msg/Wrench": ""}
ARRAYS = ("std_msgs/msg/Float64MultiArray", "std_msgs/msg/Float32MultiArray")
VALUES = tuple(f"std_msgs/msg/{name}" for name in ("Bool", "String", "Float32", "Float64", "Int8", "Int32", "UInt32"))
OWN = tuple(f"o2o_msgs/msg/{name}" for name in ("ExecutedAction", "TaskState", "EpisodeEvent"))
_KNOWN = {*IMAGES, JOINTS, *POSES, *TWISTS, *WRENCHES, *ARRAYS, *VALUES, *OWN}


class TopicFacts(NamedTuple):
    """A topic with at least one message: n of them, period_s the median and late_s the 99th percentile of the periods.

    longest_s: its longest silence. sample: messages that could be read, evenly over the recording.
    """

    name: str
    type_name: str
    n: int
    period_s: float
    late_s: float
    longest_s: float
    sample: tuple[Any, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The parts of its name, in small letters."""
        return tuple(part for part in self.name.lower().replace("_", "/").split("/") if part)


class Survey(NamedTuple):
    """The recording, its topics that can mean something to a contract, and the number of messages of all the others."""

    recording: Recording
    topics: dict[str, TopicFacts]
    others: dict[str, int]


def survey(bag: Bag) -> Survey:
    """Read a recording once and say what it holds. Raises DataError where nothing was recorded, or it is damaged."""
    topics = bag.topics()
    recording = Recording.load(bag, [name for name, topic in topics.items() if _is_telling(topic)])
    found = {name: facts for name in recording.streams if (facts := _facts(recording, name)) is not None}
    silent = {name: len(stream) for name, stream in recording.streams.items() if len(stream) and name not in found}
    if not found:
        raise DataError(f"{bag.path}: none of its {len(topics)} topics is a camera, a joint state, a pose or a command")
    return Survey(recording, found, recording.others | silent)


def _is_telling(topic: Topic) -> bool:
    is_call = topic.type_name.startswith("std_srvs/") and topic.type_name.endswith("_Event")
    if topic.type_name not in _KNOWN and not is_call:
        return False
    try:
        Types({topic.name: topic})
    except DataError:
        return False
    return True


def _facts(recording: Recording, name: str) -> TopicFacts | None:
    stream = recording.streams[name]
    ordered = stream.ordered()
    most = 1 if stream.type_name in IMAGES else _MOST_SAMPLES
    chosen = ordered.position[np.linspace(0, len(ordered.position) - 1, min(most, len(ordered.position))).astype(int)]
    sample = []
    for raw in recording.select({name: np.unique(chosen)}):
        try:
            sample.append(recording.types.message(name, raw.data))
        except DataError:
            continue
    if not sample:
        return None
    return TopicFacts(name, stream.type_name, len(stream), *_periods(ordered.stamp_ns), tuple(sample))


def _periods(stamp_ns: Array) -> tuple[float, float, float]:
    """Median, 99th percentile and longest of the periods, in seconds; infinite where there is none."""
    if len(stamp_ns) < 2:
        return np.inf, np.inf, np.inf
    period_s = np.diff(stamp_ns) / 1e9
    return float(np.median(period_s)), float(np.percentile(period_s, 99)), float(period_s.max())
