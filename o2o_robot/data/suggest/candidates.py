"""The cameras and state fields of a suggested contract, from the topics that have these roles."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.contract import ImageStream, StateField
from o2o_robot.data.suggest.roles import Roles
from o2o_robot.data.suggest.survey import POSES, WRENCHES, TopicFacts
from o2o_robot.errors import DataError

Comments = dict[str, str]
GRIPPER = re.compile(r"grip|finger", re.IGNORECASE)
_CAMERA_WORDS = re.compile(r"^(camera|color|colour|rgb|image.*|compressed.*|raw|rect)$", re.IGNORECASE)


def images(cameras: Iterable[TopicFacts], comments: Comments) -> dict[str, ImageStream]:
    found: dict[str, ImageStream] = {}
    for facts in cameras:
        name = _unique(_camera_name(facts.name), found)
        message = facts.sample[0]
        encoding = getattr(message, "encoding", "") or getattr(message, "format", "")
        stream = ImageStream(facts.name)
        if encoding.startswith("bayer"):
            stream = ImageStream(facts.name, bayer="convert")
        if encoding.startswith(("16UC1", "32FC1")) or "compressedDepth" in encoding:
            stream, name = ImageStream(facts.name, depth_m=(0.1, 2.0)), _unique(f"{name}_depth", found)
        try:
            decode.picture(message, stream.side, stream)
        except DataError as problem:
            comments["images"] = f"left out {facts.name}: {problem}"
            continue
        found[name] = stream
        size = f"{message.width}x{message.height} " if hasattr(message, "width") else ""
        comments[f"images.{name}"] = f"{size}{encoding}, {rate(facts)}" + (
            "; depth_m is a guess: near and far in metres" if stream.depth_m else ""
        )
    return found


def state_fields(found: Roles, comments: Comments) -> dict[str, StateField]:
    state: dict[str, StateField] = {}
    for facts in found.joint_states:
        _joint_fields(facts, _prefix(facts, found.joint_states), state, comments)
    for facts in found.poses:
        prefix, path = _prefix(facts, found.poses) or "tool_", POSES[facts.type_name]
        for name, part in (("position_m", "position"), ("quat_xyzw", "orientation")):
            state[_unique(prefix + name, state)] = StateField(facts.name, f"{path}.{part}".lstrip("."))
    for facts in found.wrenches:
        prefix = _prefix(facts, found.wrenches)
        state[_unique(f"{prefix}wrench", state)] = StateField(facts.name, WRENCHES[facts.type_name])
    return state


def _joint_fields(facts: TopicFacts, prefix: str, state: dict[str, StateField], comments: Comments) -> None:
    names, why = joint_names(facts)
    fingers = tuple(name for name in names if GRIPPER.search(name))
    arm = tuple(name for name in names if name not in fingers)
    if not arm:
        arm, fingers = names, ()
    q_rad = _unique(f"{prefix}q_rad", state)
    state[q_rad] = StateField(facts.name, "position", arm)
    comments[f"state.{q_rad}"] = f"{len(facts.sample[0].position)} joints, {rate(facts)}{why}"
    if all(len(m.velocity) == len(m.position) > 0 and np.isfinite(m.velocity).all() for m in facts.sample):
        if any(np.any(m.velocity) for m in facts.sample):
            state[_unique(f"{prefix}dq_rad", state)] = StateField(facts.name, "velocity", arm)
        else:
            comments[f"state.{q_rad}"] += "; its velocities are all zero and left out"
    if fingers:
        gripper = _unique(f"{prefix}gripper", state)
        state[gripper] = StateField(facts.name, "position", fingers)
        comments[f"state.{gripper}"] = "by the names of its joints; in the unit of the driver"


def joint_names(facts: TopicFacts) -> tuple[tuple[str, ...], str]:
    """The joints to ask for by name, none where they are to be taken by position; and what a person should know."""
    named = Counter(tuple(m.name) for m in facts.sample if len(m.name) == len(m.position) == len(set(m.name)))
    if not named or sum(named.values()) < len(facts.sample):
        return (), "; by position, for its names are not always there"
    common = named.most_common(1)[0][0]
    others = [names for names in named if set(names) != set(common)]
    return common, f"; {len(others)} other sets of joints come on this topic and are passed over" if others else ""


def rate(facts: TopicFacts) -> str:
    return f"{1 / facts.period_s:.1f} Hz" if 0 < facts.period_s < math.inf else f"{facts.n} messages"


def _camera_name(topic: str) -> str:
    parts = [part for part in topic.split("/") if part and not _CAMERA_WORDS.match(part)]
    return _key(parts[-1]) if parts else "camera"


def _prefix(facts: TopicFacts, siblings: list[TopicFacts]) -> str:
    """What tells a topic from its siblings: the first part of its name they do not share; '' where it is alone."""
    if len(siblings) < 2:
        return ""
    parts = [each.name.strip("/").split("/") for each in siblings]
    own = facts.name.strip("/").split("/")
    return _key(next((p for i, p in enumerate(own) if any(q[i : i + 1] != [p] for q in parts)), own[0])) + "_"


def _key(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower() or "camera"


def _unique(name: str, taken: Iterable[str]) -> str:
    held = set(taken)
    return next(each for each in (name, *(f"{name}_{i}" for i in range(2, 1000))) if each not in held)
