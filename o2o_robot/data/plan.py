"""Which message of each stream stands at which tick: a Plan, made from stamps alone, before anything is decoded."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data import align
from o2o_robot.data.align import Match
from o2o_robot.data.contract import Contract, ImageStream, StateField
from o2o_robot.data.streams import Fate, Recording, Stream
from o2o_robot.errors import DataError
from o2o_robot.types import Array


class Plan(NamedTuple):
    """One episode to be: tick_ns (T+1,); observed: contract topic -> message index (T+1,) of cameras and state.

    action (T,): message index of the action topic. reward (T,): message index of the judge, -1 where it said nothing.
    facts: the END event of a recorded episode, None where the whole bag is one episode.
    """

    tick_ns: Array
    observed: dict[str, Array]
    action: Array
    reward: Array
    facts: Any = None
    notes: tuple[str, ...] = ()


def plan_bag(recording: Recording, contract: Contract, names: dict[str, str]) -> Plan:
    """The bag as one episode: ticks on the first camera (or state), its longest part without a gap.

    Raises DataError where fewer than two ticks have every stream in tolerance.
    """
    streams = {topic: recording.streams[names[topic]] for topic in contract.topics}
    observed = _observed_topics(contract)
    reference = streams[observed[0]].ordered()
    all_ticks = reference.stamp_ns[align.decimate(reference.stamp_ns, contract.rate_hz)]
    matches = {topic: _match(stream, all_ticks, contract.tolerance_s) for topic, stream in streams.items()}
    complete = np.logical_and.reduce([match.fresh for match in matches.values()])
    limit_ns = contract.max_gap_periods * 1e9 / contract.rate_hz
    run = np.flatnonzero(complete)[align.longest_run(all_ticks[complete], limit_ns)]
    _mark(streams, matches, all_ticks, run)
    if len(run) < 2:
        lacking = {topic: int((~match.fresh).sum()) for topic, match in matches.items()}
        raise DataError(
            f"only {len(run)} of {len(all_ticks)} ticks have every stream within {contract.tolerance_s} s "
            f"(ticks without: {lacking}); check the stamps, or raise tolerance_s"
        )
    tick_ns = all_ticks[run]
    index = {topic: match.position[run] for topic, match in matches.items()}
    action = index[contract.action.topic][:-1]
    notes = _gap_notes(all_ticks, tick_ns, contract)
    return Plan(tick_ns, {topic: index[topic] for topic in observed}, action, np.full(len(action), -1), notes=notes)


def plan_recorded(recording: Recording, contract: Contract, names: dict[str, str], start_ns: int, end: Any) -> Plan:
    """The episode that ended with event `end`: ticks are the stamps of its executed actions, then the END's.

    An episode is whole or it is not read: raises DataError where an action or an observation is missing.
    """
    streams = {topic: recording.streams[names[topic]] for topic in contract.topics}
    end_ns = end.header.stamp.sec * 1_000_000_000 + end.header.stamp.nanosec
    executed = streams[contract.action.topic].ordered()
    inside = (executed.stamp_ns >= start_ns) & (executed.stamp_ns < end_ns)
    action = executed.position[inside]
    if len(action) != end.n_steps or not len(action):
        raise DataError(f"episode {end.id}: its END counts {end.n_steps} steps, the recording holds {len(action)}")
    tick_ns = np.append(executed.stamp_ns[inside], end_ns)
    matches = {topic: _match(streams[topic], tick_ns, contract.tolerance_s) for topic in _observed_topics(contract)}
    for topic, match in matches.items():
        if not match.fresh.all():
            tick = int(np.argmin(match.fresh))
            raise DataError(
                f"episode {end.id}: no message of {names[topic]} within {contract.tolerance_s} s before tick {tick}"
            )
    judge = streams[str(contract.reward)]
    judged = _match(judge, tick_ns[1:], np.inf)
    is_new = (judged.position >= 0) & (judge.stamp_ns[judged.position] > tick_ns[:-1])
    reward = np.where(is_new, judged.position, -1)
    _mark({t: streams[t] for t in matches}, matches, tick_ns, np.arange(len(tick_ns)))
    for topic, index in ((contract.action.topic, action), (str(contract.reward), reward[reward >= 0])):
        within = (streams[topic].stamp_ns >= tick_ns[0]) & (streams[topic].stamp_ns <= end_ns)
        streams[topic].mark(np.flatnonzero(within), Fate.SUPERSEDED)
        streams[topic].mark(streams[topic].ordered().backward, Fate.BACKWARD_STAMP)
        streams[topic].mark(index, Fate.USED)
    return Plan(
        tick_ns,
        {t: m.position for t, m in matches.items()},
        action,
        reward,
        end,
        _gap_notes(tick_ns, tick_ns, contract),
    )


def _observed_topics(contract: Contract) -> list[str]:
    streams: list[ImageStream | StateField] = [*contract.images.values(), *contract.state.values()]
    return list(dict.fromkeys(stream.topic for stream in streams))


def _match(stream: Stream, tick_ns: Array, tolerance_s: float) -> Match:
    """As align.latest_before, with positions that count in the whole stream (-1: none)."""
    ordered = stream.ordered()
    match = align.latest_before(tick_ns, ordered.stamp_ns, tolerance_s * 1e9)
    return Match(np.append(ordered.position, -1)[match.position], match.fresh)  # -1 picks the appended -1


def _mark(streams: dict[str, Stream], matches: dict[str, Match], all_ticks: Array, run: Array) -> None:
    """Write down the fate of every message of these streams, for ticks `run` (indices) out of all_ticks."""
    for topic, match in matches.items():
        stream = streams[topic]
        if len(all_ticks):
            _mark_span(stream, match.position, all_ticks, Fate.CUT_BY_GAP)
        if len(run):
            _mark_span(stream, match.position[run], all_ticks[run], Fate.SUPERSEDED)
        stale = match.position[~match.fresh]
        stream.mark(stale[stale >= 0], Fate.OUT_OF_TOLERANCE)
        stream.mark(stream.ordered().backward, Fate.BACKWARD_STAMP)
        stream.mark(match.position[run], Fate.USED)


def _mark_span(stream: Stream, index: Array, tick_ns: Array, fate: Fate) -> None:
    """Messages from the first one matched to the last tick lie within the episode."""
    matched = index[index >= 0]
    first_ns = stream.stamp_ns[matched].min() if len(matched) else tick_ns[0]
    stream.mark(np.flatnonzero((stream.stamp_ns >= first_ns) & (stream.stamp_ns <= tick_ns[-1])), fate)


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
