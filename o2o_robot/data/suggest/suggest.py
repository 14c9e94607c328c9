"""A contract for a recording nobody has described yet: what its topics are called and hold says what they mean."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.foreign import as_ros_defines
from o2o_robot.data.contract import (
    SERVICE_EVENTS,
    ActionStream,
    Contract,
    ImageStream,
    OutcomeStream,
    RewardStream,
    Split,
    StateField,
)
from o2o_robot.data.suggest.candidates import GRIPPER, Comments, images, joint_names, rate, state_fields
from o2o_robot.data.suggest.roles import Roles, is_episode_signal, roles
from o2o_robot.data.suggest.survey import ARRAYS, JOINTS, OWN, POSES, TWISTS, Survey, TopicFacts, survey
from o2o_robot.data.suggest.text import as_yaml
from o2o_robot.errors import DataError

_RATES_HZ = (30.0, 25.0, 20.0, 15.0, 12.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
_GAP_S, _GAP_PERIODS = 5.0, 20.0
_LONGEST_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Suggestion:
    """A contract that ingests the recording, and why: comments by the setting they stand beside (`images.wrist`)."""

    contract: Contract
    comments: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)


def suggest(bag: Bag) -> str:
    """The YAML text of a contract for this recording, with comments. Raises DataError where nothing in it can act."""
    return as_yaml(suggestion(bag))


def suggestion(bag: Bag) -> Suggestion:
    """The contract that fits this recording best, as far as its topics tell."""
    held = survey(bag)
    with as_ros_defines(f"{bag.path}: a message"):
        return _suggestion(bag, held, roles(held))


def _suggestion(bag: Bag, held: Survey, found: Roles) -> Suggestion:
    comments: Comments = {}
    cameras = images(found.cameras, comments)
    state = state_fields(found, comments)
    if not state:
        raise DataError(
            f"{bag.path}: no joint state, pose or wrench that comes at least once a second, so no state; "
            "write the contract by hand"
        )
    action = _action(held, found, comments)
    reference = [held.topics[each.topic] for each in (cameras or state).values()]
    slowest = max(reference, key=lambda each: each.period_s)
    rate_hz = _rate_hz(slowest.period_s)
    comments["rate_hz"] = f"{slowest.name} comes {1 / slowest.period_s:.1f} times a second"
    contract = Contract(
        name=re.sub(r"\W+", "_", bag.path.name.split(".")[0]).strip("_") or "suggested",
        rate_hz=rate_hz,
        tolerance_s=_ceil(2 / rate_hz),
        images=cameras,
        state=state,
        action=action,
        **_ending(held, action, reference[0], comments),
    )
    contract = _tolerant(contract, held)
    return Suggestion(contract, comments, _unused(held, contract))


def _action(held: Survey, found: Roles, comments: Comments) -> ActionStream:
    own = [facts for facts in held.topics.values() if facts.type_name == OWN[0]]
    if own and {OWN[1], OWN[2]} <= {facts.type_name for facts in held.topics.values()}:
        return ActionStream(own[0].name, "executed")
    if found.commands:
        return _command(found.commands, comments)
    if found.joint_states:
        facts = max(found.joint_states, key=lambda each: len(each.sample[0].position))
        names, _ = joint_names(facts)
        comments["action"] = "no command was recorded: the motion of the joints themselves, from tick to tick"
        arm = tuple(name for name in names if not GRIPPER.search(name)) or names
        return ActionStream(facts.name, "delta_joint", "position", arm)
    if found.poses:
        comments["action"] = "no command was recorded: the motion of the tool itself, from tick to tick"
        return ActionStream(found.poses[0].name, "delta_pose")
    raise DataError(f"{held.recording.bag.path}: no command, joint state or pose, so no action; write it by hand")


def _command(commands: list[TopicFacts], comments: Comments) -> ActionStream:
    """The command that says most; only one topic can be the action."""
    chosen, rest = commands[0], commands[1:]
    comments["action"] = f"{rate(chosen)}, scaled by the range of the data; write low and high to fix it"
    if rest:
        comments["action"] += f"; also commands: {', '.join(facts.name for facts in rest)}"
    if chosen.type_name == JOINTS:
        names, why = joint_names(chosen)
        comments["action"] += why
        held = (each for each in ("position", "velocity", "effort") if len(getattr(chosen.sample[0], each)))
        which = next(held, "position")
        return ActionStream(chosen.name, "command", which, names)
    path = "data" if chosen.type_name in ARRAYS else {**POSES, **TWISTS}[chosen.type_name]
    return ActionStream(chosen.name, "command", path)


def _ending(held: Survey, action: ActionStream, reference: TopicFacts, comments: Comments) -> dict[str, Any]:
    """How episodes begin and end, and what they were worth: the settings episode, reward, outcome and split."""
    if action.kind == "executed":
        by_type = {facts.type_name: facts.name for facts in held.topics.values()}
        return {"reward": by_type[OWN[1]], "episode": by_type[OWN[2]]}
    settings: dict[str, Any] = {}
    for facts in held.topics.values():
        if not facts.type_name.startswith("std_msgs/") or facts.type_name in ARRAYS:
            continue
        if "reward" in facts.words and not facts.type_name.endswith(("Bool", "String")):
            settings.setdefault("reward_stream", RewardStream(facts.name))
        if {"success", "outcome", "result"} & set(facts.words):
            settings.setdefault("outcome", OutcomeStream(facts.name))
            comments["outcome"] = "values that mean success and failure may need to be named"
    if split := _split(held, reference, comments):
        settings["split"] = split
    if "outcome" not in settings and "reward_stream" not in settings:
        comments["name"] = "no reward and no outcome in the recording: pass --outcome, or label it later"
    return settings


def _split(held: Survey, reference: TopicFacts, comments: Comments) -> Split | None:
    signals = [facts for facts in held.topics.values() if is_episode_signal(facts)]
    if signals:
        topic = signals[0].name
        comments["split"] = "by its name; each stretch of it is one episode"
        return Split("service" if topic.endswith(SERVICE_EVENTS) else "topic", topic)
    if reference.longest_s > max(_GAP_S, _GAP_PERIODS * reference.period_s):
        comments["split"] = f"{reference.name} was silent for up to {reference.longest_s:.1f} s"
        return Split("gap", gap_s=max(1.0, _ceil(_GAP_PERIODS * reference.period_s)))
    return None


def _tolerant(contract: Contract, held: Survey) -> Contract:
    """The contract with a tolerance of its own for every stream that comes seldom or unevenly."""

    def wide(stream: ImageStream | StateField | ActionStream) -> float | None:
        facts = held.topics[stream.topic]
        need_s = _ceil(min(_LONGEST_TOLERANCE_S, max(2 * facts.period_s, 1.5 * facts.late_s)))
        is_reference = stream.topic == contract.topics[0]  # its ticks are its own messages
        return None if is_reference or need_s <= contract.tolerance_s else need_s

    return replace(
        contract,
        images={name: replace(each, tolerance_s=wide(each)) for name, each in contract.images.items()},
        state={name: replace(each, tolerance_s=wide(each)) for name, each in contract.state.items()},
        action=replace(contract.action, tolerance_s=wide(contract.action)),
    )


def _rate_hz(period_s: float) -> float:
    """The largest of the usual rates that the slowest stream can fill."""
    return next((rate for rate in _RATES_HZ if rate * period_s <= 1.05), _RATES_HZ[-1])


def _ceil(seconds: float) -> float:
    return math.ceil(seconds * 100) / 100


def _unused(held: Survey, contract: Contract) -> dict[str, str]:
    """Every other topic with its type, where that is of a kind that could be used, and its number of messages."""
    told = {name: f"{facts.type_name}, {facts.n}" for name, facts in held.topics.items()}
    told |= {name: str(n) for name, n in held.others.items()}
    return {name: told[name] for name in sorted(told) if name not in contract.topics}
