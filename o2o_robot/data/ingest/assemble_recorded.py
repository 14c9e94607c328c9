"""Episodes that the recorder marked with events: executed actions, rewards and ends are the recording's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.bags.foreign import as_ros_defines
from o2o_robot.data.contract import Contract
from o2o_robot.data.episode import validate
from o2o_robot.data.ingest.accounting import Account
from o2o_robot.data.ingest.examine import Epoch, Examined, examine, faults_of, lines_of, listed
from o2o_robot.data.ingest.faults import Fault
from o2o_robot.data.ingest.observe import Reader, stack
from o2o_robot.data.ingest.plan import Plan, plan_recorded
from o2o_robot.data.ingest.streams import Fate, Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Episode, Outcome, Termination


class Recorded(NamedTuple):
    """See assemble.Assembled."""

    episodes: list[Episode]
    notes: list[str]
    left_out: list[str]
    faults: list[Fault]


class _Told(NamedTuple):
    """An episode as its events tell it: the END, the epoch it came in, and where it began (None: no START)."""

    end: Any
    epoch: Epoch
    start_ns: int | None
    is_of_one_epoch: bool


def recorded_episodes(recording: Recording, contract: Contract, names: dict[str, str], reader: Reader) -> Recorded:
    """Every whole episode, in order of its END. Raises DataError where there is none."""
    examined = examine(recording, contract, names)
    account = Account(recording, contract, names)
    told, left_out = _told(recording, contract, names, examined)
    plans: list[tuple[_Told, Plan]] = []
    for each in told:
        try:
            if not each.is_of_one_epoch:
                raise DataError(f"episode {each.end.id}: a clock jumped while it was recorded")
            plans.append((each, plan_recorded(each.epoch, contract, names, each.start_ns or 0, each.end)))
        except DataError as problem:
            left_out.append(str(problem))
            _reject(account, each)
    reader.read([plan for _, plan in plans])
    episodes, faults, notes = [], [], [*recording.notes(), *reader.notes]
    for each, plan in plans:
        try:
            with as_ros_defines(f"episode {each.end.id}: a message"):
                episodes.append(_episode(reader, plan))
        except DataError as problem:
            left_out.append(str(problem))
            _reject(account, each)
            continue
        account.episode(each.epoch, plan)
        faults += [spell.fault for spell in each.epoch.spells if spell.overlaps(plan.tick_ns)]
        notes += plan.notes
    account.settle(examined.epochs)
    if not episodes:
        raise DataError("; ".join(left_out) or f"no event on {names[str(contract.episode)]}, so no episode is whole")
    faults = faults_of(examined, faults)
    return Recorded(episodes, [*notes, *lines_of(faults)], left_out, listed(faults))


def _told(
    recording: Recording, contract: Contract, names: dict[str, str], examined: Examined
) -> tuple[list[_Told], list[str]]:
    """The episodes that ended, and a line for each that did not. The events are used, where they can be read."""
    topic = names[str(contract.episode)]
    stream = recording.streams[topic]
    started: dict[str, tuple[int, Epoch]] = {}
    told: list[_Told] = []
    left_out: list[str] = []
    for raw in recording.select({topic: range(len(stream))}):
        try:
            event = recording.types.message(topic, raw.data)
            with as_ros_defines(f"an event on {topic}"):
                is_start = bool(event.kind == event.START)
                _check_facts(event)
        except DataError as problem:
            stream.mark([raw.number], Fate.UNDECODABLE)
            left_out.append(str(problem))
            continue
        stream.mark([raw.number], Fate.USED)
        epoch = examined.epoch_of(str(contract.episode), raw.number)
        if is_start:
            started[event.id] = int(stream.stamp_ns[raw.number]), epoch
            continue
        start_ns, began_in = started.pop(event.id, (None, epoch))
        told.append(_Told(event, epoch, start_ns, began_in is epoch))
    return told, [*left_out, *(f"episode {name} was started and never ended" for name in started)]


def _check_facts(event: Any) -> None:
    """Breaks where the recording defines EpisodeEvent in another way than o2o_msgs does."""
    stamp = event.header.stamp
    int(event.seed), int(event.n_steps), int(stamp.sec), int(stamp.nanosec)
    "".join((event.id, event.task, event.mode, event.outcome, event.termination))


def _reject(account: Account, told: _Told) -> None:
    if told.start_ns is not None and told.is_of_one_epoch:
        stamp = told.end.header.stamp
        account.rejected(told.epoch, told.start_ns, stamp.sec * 1_000_000_000 + stamp.nanosec)


def _episode(reader: Reader, plan: Plan) -> Episode:
    end = plan.facts
    if problem := reader.problem(plan):
        raise DataError(f"episode {end.id}: {problem}")
    done, reward = reader.executed(plan), reader.reward(plan)
    last = np.arange(len(done)) == len(done) - 1
    is_terminal = end.termination == Termination.TASK.value
    if end.outcome == Outcome.SUCCESS.value and is_terminal and reward[-1] <= 0:
        raise DataError(f"episode {end.id}: its END says success, but no reward was recorded for its last step")
    episode = Episode(
        images=reader.images(plan),
        state=reader.state(plan),
        stamp_ns=plan.tick_ns,
        action=stack([np.asarray(m.executed, np.float32) for m in done], "executed actions"),
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
