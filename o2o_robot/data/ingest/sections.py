"""Ticks of one span of a recording, what stands at each, and the runs of ticks that hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from o2o_robot.data import align
from o2o_robot.data.align import Match, Ordered
from o2o_robot.data.contract import ActionStream, Contract, ImageStream, StateField
from o2o_robot.data.ingest.examine import Epoch, Spell, observed_topics
from o2o_robot.data.ingest.faults import Kind
from o2o_robot.types import Array

if TYPE_CHECKING:
    from o2o_robot.data.ingest.split import Span

_CAUSES: tuple[Kind | None, ...] = (None, "gap", "frozen", "rate_change")


class Run(NamedTuple):
    """Ticks (R,) of a section that hold together, as indices, and what parts them from the run before."""

    tick: Array
    after: Kind | None = None


class Section(NamedTuple):
    """A span, as far as one epoch holds it: tick_ns (M,) of the reference stream, and what stands at each tick.

    matches: contract topic -> Match at the M ticks, its positions counting in the whole stream (-1: none).
    spells: what is wrong between the first and the last tick. runs: in order, without the ticks that lack a stream.
    """

    epoch: Epoch
    tick_ns: Array
    matches: dict[str, Match]
    spells: tuple[Spell, ...]
    runs: list[Run]

    @property
    def n_lacking(self) -> dict[str, int]:
        """How many ticks lack each stream."""
        return {topic: int((~match.fresh).sum()) for topic, match in self.matches.items()}


def section(epoch: Epoch, span: Span, contract: Contract) -> Section | None:
    """The span in this epoch, None where it has no tick there. Ticks lie on the first camera (or state)."""
    required = list(dict.fromkeys([*observed_topics(contract), contract.action.topic]))
    reference_ns = _within(epoch.lines[required[0]].stamp_ns, span)
    if not len(reference_ns):
        return None
    tick_ns = reference_ns[align.decimate(reference_ns, contract.rate_hz)]
    matches = {topic: match(epoch.lines[topic], tick_ns, tolerance_s(contract, topic)) for topic in required}
    spells = tuple(each for each in epoch.spells if each.overlaps(tick_ns))
    return Section(epoch, tick_ns, matches, spells, _runs(tick_ns, matches, spells, contract))


def match(line: Ordered, tick_ns: Array, at_most_s: float) -> Match:
    """As align.latest_before, with positions that count in the whole stream (-1: none)."""
    found = align.latest_before(tick_ns, line.stamp_ns, at_most_s * 1e9)
    return Match(np.append(line.position, -1)[found.position], found.fresh)  # -1 picks the appended -1


def tolerance_s(contract: Contract, topic: str) -> float:
    """How old a message of a contract topic may be: the least that a field of that topic allows."""
    streams: list[ImageStream | StateField | ActionStream] = [*contract.images.values(), *contract.state.values()]
    streams.append(contract.action)
    own = [each.tolerance_s for each in streams if each.topic == topic and each.tolerance_s is not None]
    return min(own, default=contract.tolerance_s)


def _within(stamp_ns: Array, span: Span) -> Array:
    first, last = np.searchsorted(stamp_ns, span.start_ns), np.searchsorted(stamp_ns, span.end_ns, side="right")
    return stamp_ns[first:last]


def _runs(tick_ns: Array, matches: dict[str, Match], spells: tuple[Spell, ...], contract: Contract) -> list[Run]:
    """The ticks that have every stream, parted by gaps and by what the contract says to cut."""
    is_bad = np.zeros(len(tick_ns), bool)
    if contract.faults.frozen == "cut":
        for spell in (each for each in spells if each.fault.kind == "frozen"):
            is_bad |= (tick_ns >= spell.first_ns) & (tick_ns <= spell.last_ns)
    complete = np.logical_and.reduce([each.fresh for each in matches.values()]) & ~is_bad
    index = np.flatnonzero(complete)
    if not len(index):
        return []
    cause = np.zeros(len(index), np.int64)  # of the cut before each tick, a number in _CAUSES
    cause[1:][np.diff(tick_ns[index]) > contract.max_gap_periods * 1e9 / contract.rate_hz] = 1
    cause[1:][np.diff(np.cumsum(is_bad)[index]) > 0] = 2
    if contract.faults.rate_change == "cut":
        change_ns = [each.first_ns for each in spells if each.fault.kind == "rate_change"]
        after = np.searchsorted(tick_ns[index], change_ns)
        cause[after[after < len(index)]] = 3
    cause[0] = 0
    starts = np.append(0, np.flatnonzero(cause))
    return [Run(ticks, _CAUSES[cause[start]]) for start, ticks in zip(starts, np.split(index, starts[1:]), strict=True)]
