"""Is each topic there, as fast as it must be, whole, in order, and of this moment?"""

from __future__ import annotations

import numpy as np

from o2o_robot.preflight.facts import Stream
from o2o_robot.preflight.finding import Finding, Level, graded, unknown
from o2o_robot.preflight.wanted import WantedStream
from o2o_robot.types import Array

_LEAST = 3  # messages: fewer have no rate and no gaps
_SLOW, _TOO_SLOW = 0.9, 0.5  # of the rate asked for
_LOST, _TOO_MANY_LOST = 0.01, 0.05  # of the frames that a camera took
_REGULAR = 1.6  # longest gap to shortest (95 and 5 %) of a camera that loses nothing
_NS_PER_S = 1e9


def offered(stream: Stream, wanted: WantedStream) -> Finding:
    """Whether somebody publishes the topic, one node alone, with the type that will be read."""
    what, who = f"{wanted.name}: there", ", ".join(p.node for p in stream.publishers)
    if not stream.publishers:
        level = Level.RED if wanted.required else Level.UNKNOWN
        remedy = f"Start the driver that publishes {stream.topic or wanted.name}, or remap its name with --remap."
        return Finding(level, what, "no publisher", "one", remedy if wanted.required else "")
    if stream.type != wanted.type:
        remedy = f"Remap {wanted.name} to the topic that carries {wanted.type}."
        return Finding(Level.RED, what, stream.type or "several types", wanted.type, remedy)
    remedy = "Stop the one that does not belong here: readers cannot tell their messages apart."
    return graded(what, who, "one publisher", remedy, red=False, yellow=len(stream.publishers) > 1)


def rate(stream: Stream, wanted: WantedStream, *, clock_rate: float = 1.0) -> Finding:
    """Messages received a second of ROS time against what is asked for; yellow below 90 %, red below half."""
    what = f"{wanted.name}: rate"
    if not stream.stamps_ns:
        return _nothing_came(what, stream, wanted)
    if len(stream.received_ns) < _LEAST:
        return unknown(what, f"{len(stream.received_ns)} messages", "Listen longer with --seconds.")
    hz = received_hz(stream) / clock_rate
    remedy = f"Raise the publisher's rate to {wanted.hz:g} Hz, or lower what is asked with --state-hz or --camera-hz."
    allowed = f">= {_SLOW * wanted.hz:.3g} Hz" if wanted.hz else "any"
    return graded(what, f"{hz:.3g} Hz", allowed, remedy, red=hz < _TOO_SLOW * wanted.hz, yellow=hz < _SLOW * wanted.hz)


def silence(stream: Stream, *, stop_s: float) -> Finding:
    """The longest time without a message, against the age at which the guard stops the arm."""
    what = f"{stream.name}: longest silence"
    if len(stream.received_ns) < 2:
        return unknown(what, f"{len(stream.received_ns)} messages")
    longest_s = float(np.diff(stream.received_ns).max()) / _NS_PER_S
    remedy = "Look for load on this machine or the network; else raise the guard's state_stop_s."
    allowed = f"< {stop_s * 1e3:.0f} ms (state_stop_s)"
    told = f"{longest_s * 1e3:.1f} ms"
    return graded(what, told, allowed, remedy, red=longest_s >= stop_s, yellow=longest_s >= 0.7 * stop_s)


def delivery(stream: Stream, wanted: WantedStream) -> Finding:
    """Frames received of those published, by the publisher's count of them: what the transport loses."""
    what = f"{wanted.name}: delivered"
    if not stream.stamps_ns:
        return _nothing_came(what, stream, wanted)
    if not stream.sequence or len(stream.publishers) != 1:
        return unknown(what, "the middleware counts none" if stream.publishers else "no publisher")
    got, sent = len(set(stream.sequence)), max(stream.sequence) - min(stream.sequence) + 1
    remedy = "Use the Fast DDS profile of launch/ (FASTDDS_DEFAULT_PROFILES_FILE), or publish smaller images."
    return _share(what, got, sent, remedy)


def gaps(stream: Stream, wanted: WantedStream) -> Finding:
    """Frames received of those that a camera of this rhythm takes, by the gaps between their stamps."""
    what = f"{wanted.name}: frames without gaps"
    if len(stream.stamps_ns) < _LEAST:
        return unknown(what, f"{len(stream.stamps_ns)} frames", "Listen longer with --seconds.")
    remedy = f"Where all are delivered {_publisher(stream)} drops them itself: lower its rate or size, check its cable."
    return _share(what, *frames(stream, wanted.hz), remedy)


def _share(what: str, got: int, all_: int, remedy: str) -> Finding:
    lost, measured = 1.0 - got / all_, f"{got} of {all_} ({100 * got / all_:.0f} %)"
    return graded(what, measured, "> 99 %", remedy, red=lost > _TOO_MANY_LOST, yellow=lost > _LOST)


def age(stream: Stream, *, limit_s: float) -> Finding:
    """How old messages are when they arrive: receipt less stamp."""
    what = f"{stream.name}: age"
    if not stream.stamps_ns:
        return unknown(what, "no message")
    if not any(stream.stamps_ns):
        return Finding(Level.RED, what, "all stamps are 0", "stamped", "Let the driver stamp its messages.")
    ages_s = ages(stream)
    low, middle, high = np.percentile(ages_s, [0, 50, 99])
    remedy = f"Synchronise the clock of {_publisher(stream)} with this machine's, or shorten the way of its messages."
    told = f"min {low * 1e3:.1f}, median {middle * 1e3:.1f}, p99 {high * 1e3:.1f} ms"
    allowed = f"p99 < {limit_s * 1e3:.0f} ms"
    return graded(what, told, allowed, remedy, red=high >= limit_s, yellow=high >= 0.5 * limit_s)


def future(stream: Stream, *, limit_s: float) -> Finding:
    """Stamps later than their receipt: two clocks disagree, and such a message never looks old."""
    what = f"{stream.name}: from the future"
    if not stream.stamps_ns:
        return unknown(what, "no message")
    ahead_s = -float(ages(stream).min())
    remedy = f"Synchronise the clocks (chrony), and let {_publisher(stream)} stamp by the ROS clock."
    told = f"{ahead_s * 1e3:.1f} ms ahead" if ahead_s > 0 else "none"
    return graded(what, told, f"<= {limit_s * 1e3:.0f} ms", remedy, red=ahead_s > limit_s)


def order(stream: Stream) -> Finding:
    """Stamps that go back (red), and samples that say the same instant again (yellow above 1 %)."""
    what = f"{stream.name}: order of stamps"
    if len(stream.stamps_ns) < 2:
        return unknown(what, f"{len(stream.stamps_ns)} messages")
    steps = np.diff(stream.stamps_ns)
    backward, again = int((steps < 0).sum()), int((steps == 0).sum())
    remedy = f"Look who else publishes {stream.topic or stream.name}, and whether {_publisher(stream)} reorders."
    told = f"{backward} backward, {again} repeated of {len(steps)}"
    return graded(what, told, "none", remedy, red=backward > 0, yellow=again > 0.01 * len(steps))


def received_hz(stream: Stream) -> float:
    """Messages a second as received, over the time listened where that is known (a stream may have ended)."""
    span_s = (stream.received_ns[-1] - stream.received_ns[0]) / _NS_PER_S
    between = (len(stream.received_ns) - 1) / max(span_s, 1e-9)
    return min(between, len(stream.received_ns) / stream.listened_s) if stream.listened_s > 2 * span_s else between


def frames(stream: Stream, hz: float) -> tuple[int, int]:
    """Frames received, and taken between the first and the last of them.

    Frames at even distances show the camera's own period, whatever was asked for. Uneven ones have gaps, and the
    period is then no longer than `hz` says.
    """
    stamps = np.unique(stream.stamps_ns)
    gaps_s = np.diff(stamps) / _NS_PER_S
    if not len(gaps_s):
        return len(stamps), len(stamps)
    shortest_s, longest_s = np.percentile(gaps_s, [5, 95])
    is_even = longest_s < _REGULAR * shortest_s
    period_s = shortest_s if is_even or not hz else min(shortest_s, 1.0 / hz)
    middle_s = float(np.median(gaps_s[gaps_s < 1.5 * period_s])) if (gaps_s < 1.5 * period_s).any() else period_s
    return len(stamps), 1 + int(np.maximum(np.rint(gaps_s / middle_s), 1).sum())


def ages(stream: Stream) -> Array:
    """Receipt less stamp of every message, (N,) s."""
    return (np.array(stream.receipts_ns, np.int64) - np.array(stream.stamps_ns, np.int64)) / _NS_PER_S


def _nothing_came(what: str, stream: Stream, wanted: WantedStream) -> Finding:
    """A topic that is offered and silent is red; one that is not offered has its own line already."""
    if not stream.publishers:
        return unknown(what, "no publisher")
    remedy = f"Look whether {_publisher(stream)} is active, and whether its messages are too large for the transport."
    level = Level.RED if wanted.required else Level.YELLOW
    return Finding(level, what, f"no message in {stream.listened_s:.1f} s", "some", remedy)


def _publisher(stream: Stream) -> str:
    return stream.publishers[0].node if stream.publishers else "its publisher"
