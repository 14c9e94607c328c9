"""What a message must be before anything is done with it: bounded, of one size with itself, finite, of known words.

A publisher may be another version of this software, a broken driver, or nobody's friend. Each check looks at lengths
first and allocates nothing that grows with what the message merely claims; each raises a DataError of one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from sensor_msgs.msg import Image, JointState

from o2o_robot.data.episode import is_plain_name
from o2o_robot.errors import DataError
from o2o_robot.types import Mode, Outcome, Source, Termination

MAX_SIDE_PX, MAX_IMAGES, MAX_FIELDS, MAX_VALUES, MAX_NAME = 8192, 16, 64, 4096, 128
MAX_INDEX = 10_000_000  # a control step of 10 Hz for eleven days
PIXEL_BYTES = {"rgb8": 3, "bgr8": 3}
NANOSECONDS = 1_000_000_000
MODES, SOURCES = [mode.value for mode in Mode], [int(source) for source in Source]


def require(is_sound: bool, what: str, found: object, allowed: str) -> None:
    """Raises DataError, one line however long the thing is."""
    if not is_sound:
        raise DataError(f"{what} is {_short(found)}, it must be {allowed}; look who else publishes there")


def name(text: str, what: str) -> None:
    """A word that may become the name of a file."""
    require(0 < len(text) <= MAX_NAME and is_plain_name(text), what, text, "1 to 128 letters, digits, _ - .")


def words(text: str, what: str) -> None:
    require(len(text) <= MAX_NAME, what, text, "at most 128 characters")


def one_of(word: object, allowed: Collection[Any], what: str) -> None:
    if word not in allowed:
        require(False, what, word, f"one of {', '.join(str(one) for one in allowed)}")


def numbers(values: Sequence[float], what: str, *, finite: bool = True) -> None:
    if len(values) > MAX_VALUES:
        require(False, f"the length of {what}", len(values), f"at most {MAX_VALUES}")
    if finite and not all(map(math.isfinite, values)):
        require(False, what, values, "finite")


def stamp(message: Any) -> None:
    ns = message.header.stamp.nanosec
    require(ns < NANOSECONDS, "the stamp's nanosec", ns, "below 1000000000")


def image(message: Image) -> None:
    require(message.encoding in PIXEL_BYTES, "image encoding", message.encoding, "rgb8 or bgr8")
    width, height, row, n_bytes = message.width, message.height, message.step, len(message.data)
    require(0 < width <= MAX_SIDE_PX, "an image's width", width, "1 to 8192 pixels")
    require(0 < height <= MAX_SIDE_PX, "an image's height", height, "1 to 8192 pixels")
    wide_enough = width * PIXEL_BYTES[message.encoding] <= row <= MAX_SIDE_PX * 4
    require(wide_enough, "an image's step", row, "the bytes of a row")
    require(n_bytes == height * row, "the length of an image's data", n_bytes, "height times step")


def joints(message: JointState) -> None:
    n = len(message.name)
    require(n <= MAX_VALUES, "the number of names", n, "at most 4096")
    require(len(message.position) == n, "the number of positions", len(message.position), "that of names")
    require(len(message.velocity) in (0, n), "the number of velocities", len(message.velocity), "that of names, or 0")
    numbers(message.position, "a position")
    numbers(message.velocity, "a velocity")


def pose(message: PoseStamped) -> None:
    p, q = message.pose.position, message.pose.orientation
    numbers((p.x, p.y, p.z, q.x, q.y, q.z, q.w), "a pose")
    norm = math.hypot(q.x, q.y, q.z, q.w)
    require(abs(norm - 1.0) < 0.1, "the norm of a quaternion", norm, "1")


def task_state(message: m.TaskState) -> None:
    numbers((message.reward,), "a reward")
    numbers(message.privileged, "a task state's privileged")
    require(not (message.success and message.failure), "a task state", "success and failure", "at most one of them")


def action(message: m.Action) -> None:
    """Values that are too many or not finite pass: the guard refuses them, counts them and answers."""
    one_of(message.source, SOURCES, "an action's source")
    stamp(message)


def executed(message: m.ExecutedAction) -> None:
    """What was proposed may be anything; what was executed is finite."""
    one_of(message.source, SOURCES, "an executed action's source")
    numbers(message.proposed, "what was proposed", finite=False)
    numbers(message.executed, "what was executed")
    stamp(message)


def observation(message: m.Observation) -> None:
    sizes, names = message.state_sizes, [*message.image_names, *message.state_names]
    require(len(message.image_names) <= MAX_IMAGES, "the number of images", len(message.image_names), "at most 16")
    require(len(message.state_names) <= MAX_FIELDS, "the number of fields", len(message.state_names), "at most 64")
    require(
        len(message.images) == len(message.image_names), "the number of images", len(message.images), "that of names"
    )
    require(len(sizes) == len(message.state_names), "the number of state_sizes", len(sizes), "that of state_names")
    for one in names:
        name(one, "a name in an observation")
    for part in (message.image_names, message.state_names):
        require(len(set(part)) == len(part), "the names of an observation", list(part), "each there once")
    numbers(message.state, "an observation's state")
    total = sum(map(int, sizes))
    require(total == len(message.state), "the sum of state_sizes", total, "the length of state")
    for one in message.images:
        image(one)
    stamp(message)


def step(message: m.Step) -> None:
    name(message.episode, "a step's episode")
    words(message.run, "a step's run")
    one_of(message.mode, MODES, "a step's mode")
    require(message.index <= MAX_INDEX, "a step's index", message.index, "at most 10000000")
    require(math.isfinite(message.reward), "a step's reward", message.reward, "finite")
    both = message.terminated and message.truncated
    require(not both, "a step", "terminated and truncated", "at most one of them: a time limit only truncates")
    moved = len(message.action.executed)
    if message.is_last:
        require(moved == 0, "the action of an episode's last step", message.action.executed, "empty")
    else:
        require(moved > 0, "a step's executed action", "empty", "there, or is_last set")
        executed(message.action)
    observation(message.observation)


def event(message: m.EpisodeEvent) -> None:
    name(message.id, "an episode's id")
    words(message.task, "an episode's task")
    one_of(message.mode, MODES, "an episode's mode")
    one_of(message.kind, (m.EpisodeEvent.START, m.EpisodeEvent.END), "an episode event's kind")
    require(message.n_steps <= MAX_INDEX, "an episode's n_steps", message.n_steps, "at most 10000000")
    if message.kind == m.EpisodeEvent.END:
        one_of(message.outcome, [outcome.value for outcome in Outcome], "an episode's outcome")
        one_of(message.termination, [reason.value for reason in Termination], "an episode's termination")
    stamp(message)


CHECKS: dict[type, Callable[[Any], None]] = {
    Image: image,
    JointState: joints,
    PoseStamped: pose,
    m.TaskState: task_state,
    m.Action: action,
    m.ExecutedAction: executed,
    m.Observation: observation,
    m.Step: step,
    m.EpisodeEvent: event,
}


def sound(message: Any) -> None:
    """The check of a message of any of these types. Raises DataError for what no reader could use."""
    CHECKS[type(message)](message)


def _short(found: object) -> str:
    """At most a hundred characters of anything, on one line, without writing out the rest first."""
    if isinstance(found, str):
        return repr(found[:80]) + ("..." if len(found) > 80 else "")
    if isinstance(found, list | tuple) or hasattr(found, "__array__"):
        return f"{type(found).__name__} of {len(found)}: {str(list(found[:4]))[:80]}"  # type: ignore[index]
    return str(found)[:100]
