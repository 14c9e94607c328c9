"""Which message of each stream stands at which tick: a Plan, made from stamps alone, before anything is decoded."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from o2o_robot.data import align
from o2o_robot.data.contract import Contract
from o2o_robot.data.ingest.examine import Epoch, Examined, observed_topics
from o2o_robot.data.ingest.faults import Done, Fault
from o2o_robot.data.ingest.sections import Run, Section, match, section, tolerance_s
from o2o_robot.errors import DataError
from o2o_robot.types import Array

if TYPE_CHECKING:
    from o2o_robot.data.ingest.split import Span

_DONE: dict[str, Done] = {"keep": "kept", "cut": "cut", "reject": "rejected"}


class Plan(NamedTuple):
    """One episode to be: tick_ns (T+1,); observed: contract topic -> message index (T+1,) of cameras and state.

    Where the action is derived from motion (delta_joint, delta_pose), observed holds the action's topic as well.
    action (T,): message index of the action topic. reward (T,): message index of the judge, -1 where it said nothing.
    facts: the END event of a recorded episode, None where the recording does not know of episodes.
    is_end: False for a piece that was cut off, so that how the episode ended says nothing about it.
    """

    tick_ns: Array
    observed: dict[str, Array]
    action: Array
    reward: Array
    facts: Any = None
    notes: tuple[str, ...] = ()
    is_end: bool = True


class Candidate(NamedTuple):
    """A span of the recording, and the plans of the pieces of it that become episodes.

    kept: of each plan, the section and its run. outcome: message index that says how it ended, -1 where none does.
    problem: why it gives no episode, '' where it does; is_rejected: that is by a fault that the contract does not bear.
    """

    span: Span
    sections: list[Section]
    kept: list[tuple[Section, Run]]
    plans: list[Plan]
    faults: list[Fault]
    outcome: int = -1
    problem: str = ""
    is_rejected: bool = False


def reward_topic(contract: Contract) -> str | None:
    """The contract topic that rewards come from."""
    return contract.reward_stream.topic if contract.reward_stream else contract.reward


def plan_span(examined: Examined, contract: Contract, names: dict[str, str], span: Span) -> Candidate:
    """The span, cut where its streams are at fault: its longest piece, or all of them, as the contract says."""
    sections = [part for epoch in examined.epochs if (part := section(epoch, span, contract))]
    faults = list(_faults(examined, sections, contract, names))
    rejecting = [fault for fault in faults if fault.done == "rejected"]
    outcome = _last_within(examined, contract.outcome.topic, span) if contract.outcome else -1
    if rejecting:
        faults = [fault._replace(done="rejected") if fault.done == "cut" else fault for fault in faults]
        why = f"{rejecting[0].kind.replace('_', ' ')} of {rejecting[0].topic}: {rejecting[0].detail}"
        return Candidate(span, sections, [], [], faults, outcome, f"rejected by {why}", is_rejected=True)
    runs = [(each, run) for each in sections for run in each.runs]
    long = [pair for pair in runs if len(pair[1].tick) > 1]
    if contract.faults.pieces == "longest":
        long = [max(long, key=lambda pair: len(pair[1].tick))] if long else []
    plans = [_piece(each, run, contract, is_end=run is runs[-1][1]) for each, run in long]
    return Candidate(span, sections, long, plans, faults, outcome, "" if plans else _too_short(sections, contract))


def plan_recorded(epoch: Epoch, contract: Contract, names: dict[str, str], start_ns: int, end: Any) -> Plan:
    """The episode that ended with event `end`: ticks are the stamps of its executed actions, then the END's.

    An episode is whole or it is not read: raises DataError where an action or an observation is missing, and where a
    stream is at fault in a way that the contract would cut or reject.
    """
    end_ns = end.header.stamp.sec * 1_000_000_000 + end.header.stamp.nanosec
    executed = epoch.lines[contract.action.topic]
    inside = (executed.stamp_ns >= start_ns) & (executed.stamp_ns < end_ns)
    action = executed.position[inside]
    if len(action) != end.n_steps or not len(action):
        raise DataError(f"episode {end.id}: its END counts {end.n_steps} steps, the recording holds {len(action)}")
    tick_ns = np.append(executed.stamp_ns[inside], end_ns)
    observed = {}
    for topic in observed_topics(contract):
        found = match(epoch.lines[topic], tick_ns, tolerance_s(contract, topic))
        if not found.fresh.all():
            raise DataError(
                f"episode {end.id}: no message of {names[topic]} within {tolerance_s(contract, topic)} s "
                f"before tick {int(np.argmin(found.fresh))}"
            )
        observed[topic] = found.position
    for spell in epoch.spells:
        if spell.overlaps(tick_ns) and getattr(contract.faults, spell.fault.kind) != "keep":
            raise DataError(f"episode {end.id}: {spell.fault.kind} of {spell.fault.topic}: {spell.fault.detail}")
    reward = _judged(epoch, str(contract.reward), tick_ns)
    return Plan(tick_ns, observed, action, reward, end, _gap_notes(tick_ns, tick_ns, contract))


def _piece(part: Section, run: Run, contract: Contract, *, is_end: bool) -> Plan:
    tick_ns = part.tick_ns[run.tick]
    index = {topic: found.position[run.tick] for topic, found in part.matches.items()}
    topic = reward_topic(contract)
    reward = _judged(part.epoch, topic, tick_ns) if topic else np.full(len(tick_ns) - 1, -1)
    observed = {each: index[each] for each in observed_topics(contract)}
    notes = _gap_notes(part.tick_ns, tick_ns, contract)
    return Plan(tick_ns, observed, index[contract.action.topic][:-1], reward, notes=notes, is_end=is_end)


def _judged(epoch: Epoch, topic: str, tick_ns: Array) -> Array:
    """For each step (T,) the latest message in (tick, next tick], -1 where there is none."""
    line = epoch.lines[topic]
    found = align.latest_before(tick_ns[1:], line.stamp_ns, np.inf)
    is_new = (found.position >= 0) & (np.append(line.stamp_ns, 0)[found.position] > tick_ns[:-1])
    return np.where(is_new, np.append(line.position, -1)[found.position], -1)


def _last_within(examined: Examined, topic: str, span: Span) -> int:
    """The message of a topic with the latest stamp in the span, of the last epoch that has one; -1 where none has."""
    for epoch in reversed(examined.epochs):
        line = epoch.lines[topic]
        i = int(np.searchsorted(line.stamp_ns, span.end_ns, side="right")) - 1
        if i >= 0 and line.stamp_ns[i] >= span.start_ns:
            return int(line.position[i])
    return -1


def _faults(examined: Examined, sections: list[Section], contract: Contract, names: dict[str, str]) -> Iterator[Fault]:
    """What is wrong within the span, each with what is done about it, as if nothing else were."""
    rules = contract.faults
    numbers = [part.epoch.number for part in sections]
    for leap in examined.leaps:
        if numbers and numbers[0] < leap.epoch <= numbers[-1]:
            yield leap.fault._replace(done=_DONE[rules.clock_jump])
    for part in sections:
        for spell in part.spells:
            yield spell.fault._replace(done=_DONE[getattr(rules, spell.fault.kind)])
        for before, run in itertools.pairwise(part.runs):
            if run.after == "gap":
                yield _gap(part, before, run, contract, names)._replace(done=_DONE[rules.gap])


def _gap(part: Section, before: Run, after: Run, contract: Contract, names: dict[str, str]) -> Fault:
    reference, tick = observed_topics(contract)[0], before.tick[-1]
    gap_s = (part.tick_ns[after.tick[0]] - part.tick_ns[tick]) / 1e9
    message = int(part.matches[reference].position[tick])
    return Fault("gap", names[reference], int(part.tick_ns[tick]), message, f"{gap_s:.3f} s without every stream")


def _too_short(sections: list[Section], contract: Contract) -> str:
    n_ticks, longest = sum(len(part.tick_ns) for part in sections), 0
    lacking = Counter[str]()
    for part in sections:
        longest = max([longest, *(len(run.tick) for run in part.runs)])
        lacking.update(part.n_lacking)
    return (
        f"only {longest} of {n_ticks} ticks have every stream within {contract.tolerance_s} s "
        f"(ticks without: {dict(lacking)}); check the stamps, or raise tolerance_s"
    )


def _gap_notes(all_ticks: Array, tick_ns: Array, contract: Contract) -> tuple[str, ...]:
    notes = []
    long = align.gaps(all_ticks, 1.5e9 / contract.rate_hz)
    if len(long):
        longest_s = np.diff(all_ticks).max() / 1e9
        notes.append(f"{len(long)} gaps between ticks, the longest {longest_s:.3f} s, the first after tick {long[0]}")
    if len(tick_ns) < len(all_ticks):
        first_s = (tick_ns[0] - all_ticks[0]) / 1e9
        notes.append(
            f"kept {len(tick_ns)} of {len(all_ticks)} ticks, "
            f"{(tick_ns[-1] - tick_ns[0]) / 1e9:.3f} s from {first_s:.3f} s on"
        )
    return tuple(notes)
