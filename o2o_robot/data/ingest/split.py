"""Where one episode of a recording ends and the next begins, as its contract's `split` says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.bags import field_path
from o2o_robot.data.bags.foreign import as_ros_defines
from o2o_robot.data.contract import Contract
from o2o_robot.data.ingest.streams import Fate, Recording
from o2o_robot.errors import DataError

_BEGIN_NS, _END_NS = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)
_OFF = ("", "0", "-0", "false")
_REQUEST_EVENTS = (0, 1)  # service_msgs/ServiceEventInfo: sent by the client, received by the server


class Span(NamedTuple):
    """One episode to be, from start_ns to end_ns inclusive, in the time of the sensors' stamps."""

    start_ns: int
    end_ns: int


class Change(NamedTuple):
    """A signal that begins an episode (True), ends one (False), or does what is not the case yet (None)."""

    stamp_ns: int
    starts: bool | None


class Heard(NamedTuple):
    """A message of a signal's topic, by its stamp."""

    stamp_ns: int
    message: Any


def spans(recording: Recording, contract: Contract, names: dict[str, str]) -> list[Span]:
    """The episodes of the recording in order, not overlapping. Raises DataError where there is none.

    Messages of the topic that splits become Fate.USED, or UNDECODABLE where nobody can read them.
    """
    split = contract.split
    if split.by == "bag":
        return [Span(_BEGIN_NS, _END_NS)]
    with as_ros_defines(names[split.topic or contract.topics[0]]):
        found = _SPLITS[split.by](recording, contract, names)
    if not found:
        raise DataError(
            f"contract '{contract.name}': no episode, for {_WHY[split.by]} on "
            f"{names[split.topic or contract.topics[0]]}; change its `split`, or leave this recording out"
        )
    return found


def by_topic(recording: Recording, contract: Contract, names: dict[str, str]) -> list[Span]:
    """One span each while the signal holds one value that is not off: true, a number, a text."""
    changes, before = [], ""
    for stamp_ns, message in _heard(recording, names[contract.split.topic]):
        value = decode.text(message, contract.split.field)
        value = "" if value.lower() in _OFF else value
        if value != before:
            changes.append(Change(stamp_ns, bool(value)))
        before = value
    return _between(changes)


def by_service(recording: Recording, contract: Contract, names: dict[str, str]) -> list[Span]:
    """Spans between recorded calls. A call is heard up to four times, from both its ends; the first stamp counts."""
    split, topic = contract.split, names[contract.split.topic]
    request_type = recording.streams[topic].type_name.removesuffix("_Event") + "_Request"
    first_step = next(iter(field_path.parse(split.field)), None)
    says = first_step in recording.types.fields(request_type)
    stamps: dict[tuple[bytes, int], int] = {}
    requests: dict[tuple[bytes, int], Any] = {}
    for stamp_ns, event in _heard(recording, topic):
        if event.info.event_type in _REQUEST_EVENTS:
            call = bytes(event.info.client_gid), int(event.info.sequence_number)
            stamps.setdefault(call, stamp_ns)
            requests |= {call: event.request[0]} if len(event.request) else {}
    if says and len(requests) < len(stamps):
        raise DataError(
            f"{topic}: {len(stamps) - len(requests)} calls were recorded without their request; set the service's "
            "introspection to `contents` when recording, or split in another way"
        )
    return _between(
        Change(stamp_ns, decode.text(requests[call], split.field).lower() not in _OFF if says else None)
        for call, stamp_ns in stamps.items()
    )


def by_gap(recording: Recording, contract: Contract, names: dict[str, str]) -> list[Span]:
    """Spans of the reference stream between silences longer than gap_s."""
    stamp_ns = recording.streams[names[contract.topics[0]]].ordered().stamp_ns
    last = np.flatnonzero(np.diff(stamp_ns) > contract.split.gap_s * 1e9)
    first = np.concatenate([[0], last + 1])[: len(stamp_ns)]
    return [
        Span(int(stamp_ns[a]), int(stamp_ns[b]))
        for a, b in zip(first, [*last, len(stamp_ns) - 1][: len(first)], strict=True)
    ]


def by_button(recording: Recording, contract: Contract, names: dict[str, str]) -> list[Span]:
    """Spans between presses: from the message that shows the button down to the next one after it was up."""
    changes, was_down = [], False
    for stamp_ns, message in _heard(recording, names[contract.split.topic]):
        is_down = bool(decode.numbers(message, f"buttons[{contract.split.button}]")[0])
        if is_down and not was_down:
            changes.append(Change(stamp_ns, None))
        was_down = is_down
    return _between(changes)


def _between(changes: Iterable[Change]) -> list[Span]:
    """The spans that changes, in order of time, begin and end; what begins within an episode ends that one first."""
    found: list[Span] = []
    start_ns: int | None = None
    for stamp_ns, starts in changes:
        begins = start_ns is None if starts is None else starts
        if start_ns is not None and stamp_ns > start_ns:
            found.append(Span(start_ns, stamp_ns - 1))
        start_ns = stamp_ns if begins else None
    return found if start_ns is None else [*found, Span(start_ns, _END_NS)]


def _heard(recording: Recording, topic: str) -> Iterator[Heard]:
    """The messages of a topic that can be read, in order of their stamps."""
    stream = recording.streams[topic]
    order = stream.ordered()
    stream.mark(order.backward, Fate.BACKWARD_STAMP)
    stream.mark(order.duplicate, Fate.SUPERSEDED)
    stamp_ns = dict(zip(order.position.tolist(), order.stamp_ns.tolist(), strict=True))
    for raw in recording.select({topic: order.position}):
        try:
            message = recording.types.message(topic, raw.data)
        except DataError:
            stream.mark([raw.number], Fate.UNDECODABLE)
            continue
        stream.mark([raw.number], Fate.USED)
        yield Heard(stamp_ns[raw.number], message)


_SPLITS = {"topic": by_topic, "service": by_service, "gap": by_gap, "button": by_button}
_WHY = {
    "topic": "nothing but off was said",
    "service": "no call that starts one was recorded",
    "gap": "nothing was recorded",
    "button": "the button was never pressed",
}
