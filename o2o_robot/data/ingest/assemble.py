"""A Recording and its Contract become Episodes: plan by stamps, decode only what is used, label, validate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.action_range import ActionRange, scaled
from o2o_robot.data.contract import Contract
from o2o_robot.data.episode import demonstrated
from o2o_robot.data.ingest import derive
from o2o_robot.data.ingest.accounting import Account
from o2o_robot.data.ingest.assemble_recorded import recorded_episodes
from o2o_robot.data.ingest.examine import Examined, again, examine, faults_of, lines_of, listed
from o2o_robot.data.ingest.faults import Fault
from o2o_robot.data.ingest.observe import Reader, Undecodable, messages, stack
from o2o_robot.data.ingest.plan import Candidate, Plan, plan_span, reward_topic
from o2o_robot.data.ingest.split import spans
from o2o_robot.data.ingest.streams import Fate, Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome, Termination

_BLOCK = 4096  # commands that are held one by one, before they become rows of an array


@dataclass(frozen=True)
class Label:
    """What a recording without rewards does not say: how it ended (None: unknown), its task, and its id."""

    id: str
    outcome: Outcome | None = None
    task: str = ""


class Assembled(NamedTuple):
    """The whole episodes of a recording, what a person should know, and what was left out and why.

    faults: what was found wrong with its streams, and what was done about each.
    """

    episodes: list[Episode]
    notes: list[str]
    left_out: list[str]
    faults: list[Fault]


class _Planned(NamedTuple):
    """The spans of a recording, each piece's action as recorded (T, k), and outcomes by number of their message."""

    examined: Examined
    candidates: list[Candidate]
    commands: list[list[Array]]
    outcomes: dict[int, Outcome]


def assemble(
    recording: Recording,
    contract: Contract,
    names: dict[str, str],
    label: Label,
    action_range: ActionRange | None = None,
    scratch: Path | None = None,
) -> Assembled:
    """Every whole episode of the recording. names: contract topic -> topic of the bag, from contract.resolve.

    action_range is needed for commands and motion, and unused for executed actions. scratch: a folder on a disk with
    room for all pixels; with it memory does not grow with the length of the bag, without it they are held in memory.
    Raises DataError where nothing is whole, StoreError where scratch is full.
    """
    reader = Reader(recording, contract, names, scratch)
    if contract.action.kind == "executed":
        return Assembled(*recorded_episodes(recording, contract, names, reader))
    if action_range is None:
        raise DataError(f"contract '{contract.name}': a command needs an action range")
    return _spans_as_episodes(recording, contract, names, label, action_range, reader)


def command_values(recording: Recording, contract: Contract, names: dict[str, str]) -> Array:
    """Every command of the recording (N, k), raw, in order of receipt; unreadable ones are passed over.

    Of motion that stands for a command, every change from tick to tick that an episode would hold; the recording must
    then hold all topics of the contract.
    """
    if contract.action.kind.startswith("delta"):
        planned = _plan(recording, contract, names, Reader(recording, contract, names), with_pixels=False)
        if not any(planned.commands):
            raise DataError("; ".join(found.problem for found in planned.candidates))
        return np.concatenate([command for commands in planned.commands for command in commands])
    topic = names[contract.action.topic]
    blocks = [stack(rows, topic) for rows in _command_rows(recording, contract, topic)]
    if not blocks:
        raise DataError(f"no command can be read from {topic}")
    if len({block.shape[1] for block in blocks}) > 1:
        raise DataError(f"{topic}: messages hold different numbers of values; their number must not change")
    return np.concatenate(blocks)


def _command_rows(recording: Recording, contract: Contract, topic: str) -> Iterator[list[Array]]:
    rows: list[Array] = []
    for raw in recording.select({topic: range(len(recording.streams[topic]))}):
        try:
            message = recording.types.message(topic, raw.data)
            rows.append(decode.numbers(message, contract.action.field, contract.action.joints))
        except DataError:
            continue
        if len(rows) == _BLOCK:
            yield rows
            rows = []
    if rows:
        yield rows


def _spans_as_episodes(
    recording: Recording,
    contract: Contract,
    names: dict[str, str],
    label: Label,
    action_range: ActionRange,
    reader: Reader,
) -> Assembled:
    planned = _plan(recording, contract, names, reader)
    account = Account(recording, contract, names)
    episodes: list[Episode] = []
    notes: list[str] = []
    left_out: list[str] = []
    for number, (found, commands) in enumerate(zip(planned.candidates, planned.commands, strict=True)):
        is_one = len(planned.candidates) == 1
        whole = label if is_one else replace(label, id=f"{label.id}.{number}")
        if found.outcome >= 0:
            whole = replace(whole, outcome=planned.outcomes[found.outcome])
        try:
            made = _pieces(found, commands, action_range, contract, whole, reader)
        except DataError as problem:  # the other spans may be sound
            made, found = [], found._replace(plans=[], kept=[], problem=str(problem), is_rejected=True)
        account.span(found)
        episodes += made
        prefix = "" if is_one else f"episode {whole.id}: "
        left_out += [prefix + found.problem] if found.problem else []
        notes += [prefix + note for note in _notes(found, commands, action_range)]
    account.settle(planned.examined.epochs)
    if not episodes:  # unreadable messages are then the likelier reason
        raise DataError("; ".join([*reader.notes, *left_out]))
    faults = faults_of(planned.examined, [fault for found in planned.candidates for fault in found.faults])
    told = lines_of(fault for fault in faults if fault.kind != "gap")  # of gaps the plans have notes of their own
    return Assembled(episodes, [*recording.notes(), *reader.notes, *told, *notes], left_out, listed(faults))


def _pieces(
    found: Candidate,
    commands: list[Array],
    action_range: ActionRange,
    contract: Contract,
    label: Label,
    reader: Reader,
) -> list[Episode]:
    """The episodes of a span, the first under its own name. Raises DataError where one is not valid."""
    episodes = []
    for i, (plan, command) in enumerate(zip(found.plans, commands, strict=True)):
        piece = replace(label, id=f"{label.id}.{i}") if i else label
        action, _ = scaled(command, action_range, where=f"contract '{contract.name}'")
        episodes.append(_episode(plan, action, action_range, contract, piece, reader))
    return episodes


def _plan(
    recording: Recording, contract: Contract, names: dict[str, str], reader: Reader, *, with_pixels: bool = True
) -> _Planned:
    """The recording's spans, planned again without the messages that turn out unreadable until none does."""
    examined, whole = examine(recording, contract, names), spans(recording, contract, names)
    while True:  # each round drops some messages, so it ends
        candidates = [plan_span(examined, contract, names, span) for span in whole]
        plans = [plan for found in candidates for plan in found.plans]
        try:
            if not with_pixels or reader.read(plans):
                actions = [[_action(recording, contract, names, p, reader) for p in c.plans] for c in candidates]
                return _Planned(examined, candidates, actions, _outcomes(recording, contract, names, candidates))
        except Undecodable as problem:
            recording.streams[problem.topic].mark(problem.indices, Fate.UNDECODABLE)
            reader.notes.append(f"{problem.topic}: {len(problem.indices)} unreadable messages ({problem.reason})")
        examined = again(examined, recording, contract, names)


def _action(recording: Recording, contract: Contract, names: dict[str, str], plan: Plan, reader: Reader) -> Array:
    is_motion = contract.action.kind.startswith("delta")
    return derive.motion(recording, contract, names, plan) if is_motion else reader.command(plan)


def _outcomes(
    recording: Recording, contract: Contract, names: dict[str, str], candidates: list[Candidate]
) -> dict[int, Outcome]:
    """What the messages that tell how spans ended say, by their number. Raises Undecodable naming them."""
    index = np.unique([found.outcome for found in candidates if found.outcome >= 0])
    said = contract.outcome
    if said is None or not len(index):
        return {}
    values = [decode.text(message, said.field).lower() for message in messages(recording, names[said.topic], index)]
    meaning = {text.lower(): Outcome.FAILURE for text in said.failure}
    meaning |= {text.lower(): Outcome.SUCCESS for text in said.success}
    return {int(i): meaning.get(value, Outcome.INCOMPLETE) for i, value in zip(index, values, strict=True)}


def _episode(
    plan: Plan, action: Array, action_range: ActionRange, contract: Contract, label: Label, reader: Reader
) -> Episode:
    outcome = (label.outcome or Outcome.INCOMPLETE) if plan.is_end else Outcome.INCOMPLETE
    is_success = outcome is Outcome.SUCCESS
    last = np.arange(len(action)) == len(action) - 1
    stopped = Termination.TASK if is_success else Termination.OPERATOR if plan.is_end else Termination.FAULT
    return demonstrated(
        reader.images(plan),
        reader.state(plan),
        plan.tick_ns,
        action,
        reader.reward(plan) if reward_topic(contract) else (last & is_success).astype(np.float32),
        is_success=is_success,
        meta={
            "id": label.id,
            "task": label.task or contract.task,
            "outcome": outcome.value,
            "termination": stopped.value,
            "action_low": [float(v) for v in action_range.low],
            "action_high": [float(v) for v in action_range.high],
        },
    )


def _notes(found: Candidate, commands: list[Array], action_range: ActionRange) -> list[str]:
    """What was kept of a span, whether its ending is in it, and whether its actions fit the range."""
    if not found.plans:
        return []
    notes = list(found.plans[0].notes) if len(found.plans) == 1 else [f"cut into {len(found.plans)} pieces"]
    if not any(plan.is_end for plan in found.plans):
        notes.append("what was kept was cut off before the end, so how the episode ended is not said of it")
    n_clipped = sum(scaled(command, action_range, where="")[1] for command in commands)
    if n_clipped:
        n_values = sum(command.size for command in commands)
        notes.append(f"{n_clipped} of {n_values} action values were beyond the range of the action and clipped to it")
    return notes
