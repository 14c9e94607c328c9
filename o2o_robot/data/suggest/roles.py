"""Which topics of a survey are cameras, states and commands: by type, by the words of their names, by who leads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.contract import SERVICE_EVENTS
from o2o_robot.data.health.lag import lag
from o2o_robot.data.ingest.streams import Recording
from o2o_robot.data.suggest.survey import ARRAYS, IMAGES, JOINTS, POSES, TWISTS, WRENCHES, Survey, TopicFacts
from o2o_robot.errors import DataError
from o2o_robot.types import Array

_COMMAND_WORDS = {
    *("command", "commands", "cmd", "cmds", "target", "desired", "goal", "setpoint", "reference", "leader", "action"),
    *("in", "input", "controller"),
}
_STATE_WORDS = {
    *("state", "states", "measured", "actual", "follower", "feedback", "current", "out", "output", "status", "error"),
}
_EPISODE_WORDS = {"episode", "episodes", "trial", "recording", "demo", "demonstration"}
_GRID_HZ = 20.0
_LEAST_MESSAGES, _LONGEST_PERIOD_S = 10, 1.0


class Roles(NamedTuple):
    """Topics by what they are, the one to take first in front; of commands joints, then poses, arrays, twists."""

    cameras: list[TopicFacts]
    joint_states: list[TopicFacts]
    poses: list[TopicFacts]
    wrenches: list[TopicFacts]
    commands: list[TopicFacts]


def roles(held: Survey) -> Roles:
    """The roles of the topics of a recording. What comes too seldom to be there at every tick has none."""
    held = held._replace(topics={name: facts for name, facts in held.topics.items() if _is_steady(facts)})
    joints = _of(held, (JOINTS,))
    leads = {facts.name for facts in joints if _is_joint_command(facts, joints, held.recording)}
    poses = _of(held, POSES)
    commands = [facts for facts in joints if facts.name in leads]
    rest = [facts for facts in (*poses, *_of(held, ARRAYS), *_of(held, TWISTS)) if _score(facts) > 0]
    return Roles(
        cameras=_cameras(_of(held, IMAGES)),
        joint_states=[facts for facts in joints if facts.name not in leads and _has_numbers(facts)],
        poses=[facts for facts in poses if _score(facts) <= 0],
        wrenches=[facts for facts in _of(held, WRENCHES) if _score(facts) <= 0],
        commands=[*sorted(commands, key=lambda each: -each.n), *rest],
    )


def is_episode_signal(facts: TopicFacts) -> bool:
    """True for a topic or a service whose name speaks of episodes, and which was on at least once."""
    if not _EPISODE_WORDS & set(facts.words):
        return False
    if facts.name.endswith(SERVICE_EVENTS):
        return "SetBool" in facts.type_name or "Trigger" in facts.type_name
    if not facts.type_name.endswith(("Bool", "String", "Int8", "Int32", "UInt32")):
        return False
    return any(decode.text(message, "data").lower() not in ("", "0", "false") for message in facts.sample)


def _of(held: Survey, types: object) -> list[TopicFacts]:
    return [facts for facts in held.topics.values() if facts.type_name in types]  # type: ignore[operator]


def _score(facts: TopicFacts) -> int:
    """Above zero: its name says command; below: state."""
    words = set(facts.words)
    if {"controller", "out"} <= words:  # what leaves a controller is a command to the motors
        return 1
    return len(_COMMAND_WORDS & words) - len(_STATE_WORDS & words)


def _is_steady(facts: TopicFacts) -> bool:
    return facts.n >= _LEAST_MESSAGES and facts.period_s <= _LONGEST_PERIOD_S


def _has_numbers(facts: TopicFacts) -> bool:
    return any(len(message.position) for message in facts.sample)


def _is_joint_command(facts: TopicFacts, joints: list[TopicFacts], recording: Recording) -> bool:
    if _score(facts):
        return _score(facts) > 0
    named = [each for each in joints if _score(each) < 0]
    others = named or [each for each in joints if each is not facts and not _score(each)]
    told = {_leads(facts, each, recording) for each in others} - {None}
    # where no motion tells: beside one that is a state by name, it is the other kind
    return True in told if told else bool(named)


def _leads(facts: TopicFacts, other: TopicFacts, recording: Recording) -> bool | None:
    """True where the joints of `other` follow those of `facts`, None where neither follows."""
    ticks = [recording.streams[each.name].ordered().stamp_ns for each in (facts, other)]
    start_ns, end_ns = max(each[0] for each in ticks), min(each[-1] for each in ticks)
    grid_ns = np.arange(start_ns, end_ns, int(1e9 / _GRID_HZ))
    if not 40 <= len(grid_ns) <= 100_000:
        return None
    values = [_on_grid(recording, each, grid_ns) for each in (facts, other)]
    if values[0] is None or values[1] is None:
        return None
    found = lag(values[0][:-1], values[1], 1 / _GRID_HZ)
    return None if found is None or abs(found.steps) < 1 else found.steps > 0


def _on_grid(recording: Recording, facts: TopicFacts, grid_ns: Array) -> Array | None:
    """Positions (N, k) at each grid point; None where they are not always of one width."""
    order = recording.streams[facts.name].ordered()
    rows: dict[int, Array] = {}
    index = order.position[np.searchsorted(order.stamp_ns, grid_ns, side="right") - 1]
    try:
        for raw in recording.select({facts.name: np.unique(index)}):
            rows[raw.number] = decode.numbers(recording.types.message(facts.name, raw.data), "position")
        return np.stack([rows[int(number)] for number in index])
    except (DataError, ValueError):
        return None


def _cameras(images: list[TopicFacts]) -> list[TopicFacts]:
    """One topic a camera: of an image and its compressed form the compressed one, which is what recorders are given."""
    by_camera: dict[str, TopicFacts] = {}
    for facts in images:
        camera = facts.name.removesuffix("/compressed").removesuffix("/compressedDepth")
        if camera not in by_camera or facts.name.endswith("/compressed"):
            by_camera[camera] = facts
    return list(by_camera.values())
