"""A Recording and its Contract become Episodes: plan by stamps, decode only what is used, label, validate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.action_range import ActionRange, scaled
from o2o_robot.data.contract import Contract
from o2o_robot.data.episode import validate
from o2o_robot.data.observe import Undecodable, messages, observe, stack, vectors
from o2o_robot.data.plan import Plan, plan_bag, plan_recorded
from o2o_robot.data.streams import Fate, Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Mode, Outcome, Source, Termination


@dataclass(frozen=True)
class Label:
    """What a recording without rewards does not say: how it ended (None: unknown), its task, and its id."""

    id: str
    outcome: Outcome | None = None
    task: str = ""


class Assembled(NamedTuple):
    """The whole episodes of a recording, what a person should know, and what was left out and why."""

    episodes: list[Episode]
    notes: list[str]
    left_out: list[str]


def assemble(
    recording: Recording,
    contract: Contract,
    names: dict[str, str],
    label: Label,
    action_range: ActionRange | None = None,
) -> Assembled:
    """Every whole episode of the recording. names: contract topic -> topic of the bag, from contract.resolve.

    action_range is needed for commands, and unused for executed actions. Raises DataError where nothing is whole.
    """
    if contract.action.kind == "executed":
        return _recorded_episodes(recording, contract, names)
    if action_range is None:
        raise DataError(f"contract '{contract.name}': a command needs an action range")
    return _bag_as_episode(recording, contract, names, label, action_range)


def command_values(recording: Recording, contract: Contract, names: dict[str, str]) -> Array:
    """Every command of the recording (N, k), raw, in order of receipt; unreadable ones are passed over."""
    topic = names[contract.action.topic]
    rows = []
    for raw in recording.select({topic: range(len(recording.streams[topic]))}):
        try:
            message = recording.types.message(topic, raw.data)
            rows.append(decode.numbers(message, contract.action.field, contract.action.joints))
        except DataError:
            continue
    if not rows:
        raise DataError(f"no command can be read from {topic}")
    return stack(rows, topic)


def _bag_as_episode(
    recording: Recording, contract: Contract, names: dict[str, str], label: Label, action_range: ActionRange
) -> Assembled:
    notes: list[str] = []
    while True:  # each round drops the messages that turned out unreadable, so it ends
        plan = _plan_again(recording, contract, names, notes)
        try:
            images, state = observe(recording, contract, names, plan)
            command = vectors(recording, names[contract.action.topic], plan.action, contract.action)
            break
        except Undecodable as problem:
            notes.append(f"{problem.topic}: {len(problem.indices)} unreadable messages ({problem.reason})")
            _forget_fates(recording)
            recording.streams[problem.topic].mark(problem.indices, Fate.UNDECODABLE)
    action, n_clipped = scaled(command, action_range, where=f"contract '{contract.name}'")
    if n_clipped:
        notes.append(
            f"{n_clipped} of {action.size} action values were beyond the range of the action and clipped to it"
        )
    n_steps = len(action)
    is_success = label.outcome is Outcome.SUCCESS
    last = np.arange(n_steps) == n_steps - 1
    episode = Episode(
        images=images,
        state=state,
        stamp_ns=plan.tick_ns,
        action=action,
        proposed=action.copy(),
        reward=(last & is_success).astype(np.float32),
        terminated=last & is_success,
        # a labelled failure is truncated: cut off, its value goes on at the reward of not succeeding
        truncated=last & (not is_success),
        reasons=np.zeros(n_steps, np.uint32),
        source=np.full(n_steps, Source.TELEOP, np.uint8),
        revision=np.zeros(n_steps, np.int64),
        meta={
            "id": label.id,
            "task": label.task or contract.task,
            "mode": Mode.DEMO.value,
            "seed": -1,
            "outcome": (label.outcome or Outcome.INCOMPLETE).value,
            "termination": (Termination.TASK if is_success else Termination.OPERATOR).value,
            "action_low": [float(v) for v in action_range.low],
            "action_high": [float(v) for v in action_range.high],
        },
    )
    validate(episode)
    return Assembled([episode], [*recording.notes(), *notes, *plan.notes], [])


def _plan_again(recording: Recording, contract: Contract, names: dict[str, str], notes: list[str]) -> Plan:
    try:
        return plan_bag(recording, contract, names)
    except DataError as problem:  # unreadable messages are then the likelier reason
        raise DataError("; ".join([*notes, str(problem)])) from None


def _recorded_episodes(recording: Recording, contract: Contract, names: dict[str, str]) -> Assembled:
    episodes, left_out = [], []
    notes = recording.notes()
    topic = names[str(contract.episode)]
    stream = recording.streams[topic]
    events = [recording.types.message(topic, raw.data) for raw in recording.select({topic: range(len(stream))})]
    stream.mark(np.arange(len(stream)), Fate.USED)
    start_ns: dict[str, int] = {}
    for stamp_ns, event in zip(stream.stamp_ns, events, strict=True):
        if event.kind == event.START:
            start_ns[event.id] = int(stamp_ns)
            continue
        try:
            plan = plan_recorded(recording, contract, names, start_ns.pop(event.id, 0), event)
            episodes.append(_recorded_episode(recording, contract, names, plan))
            notes += plan.notes
        except Undecodable as problem:
            left_out.append(f"episode {event.id}: message {problem.indices[0]} of {problem.topic}: {problem.reason}")
        except DataError as problem:
            left_out.append(str(problem))
    left_out += [f"episode {name} was started and never ended" for name in start_ns]
    if not events:
        raise DataError(f"no event on {topic}, so no episode is whole")
    if not episodes:
        raise DataError("; ".join(left_out))
    return Assembled(episodes, notes, left_out)


def _recorded_episode(recording: Recording, contract: Contract, names: dict[str, str], plan: Plan) -> Episode:
    images, state = observe(recording, contract, names, plan)
    done = messages(recording, names[contract.action.topic], plan.action)
    reward = _rewards(recording, names[str(contract.reward)], plan.reward)
    end = plan.facts
    action = stack([np.asarray(m.executed, np.float32) for m in done], "executed actions")
    last = np.arange(len(action)) == len(action) - 1
    is_terminal = end.termination == Termination.TASK.value
    if end.outcome == Outcome.SUCCESS.value and is_terminal and reward[-1] <= 0:
        raise DataError(f"episode {end.id}: its END says success, but no reward was recorded for its last step")
    episode = Episode(
        images=images,
        state=state,
        stamp_ns=plan.tick_ns,
        action=action,
        proposed=stack([np.asarray(m.proposed, np.float32) for m in done], "proposed actions"),
        reward=reward,
        terminated=last & is_terminal,
        truncated=last & (not is_terminal),
        reasons=np.array([m.reasons for m in done], np.uint32),
        source=np.array([m.source for m in done], np.uint8),
        revision=np.array([m.policy_revision for m in done], np.int64),
        meta={
            "id": end.id,
            "task": end.task,
            "mode": end.mode,
            "seed": int(end.seed),
            "outcome": end.outcome,
            "termination": end.termination,
        },
    )
    validate(episode)
    return episode


def _rewards(recording: Recording, topic: str, index: Array) -> Array:
    """Raw reward (T,) of the messages `index`; 0 where the judge said nothing (-1)."""
    reward = np.zeros(len(index), np.float32)
    reward[index >= 0] = [message.reward for message in messages(recording, topic, index[index >= 0])]
    return reward


def _forget_fates(recording: Recording) -> None:
    for stream in recording.streams.values():
        stream.fate[stream.fate != Fate.UNDECODABLE] = Fate.OUTSIDE_EPISODE
