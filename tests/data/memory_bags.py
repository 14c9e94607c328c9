"""Recordings in memory: streams given by stamps and times of receipt, whose content tells each message's number."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from twin_bags import STORE, image, joint_state

from o2o_robot.data.bags.mcap_file import Message, Topic
from o2o_robot.data.contract import ActionStream, Contract, ImageStream, StateField
from o2o_robot.data.ingest.streams import Recording

MS = 1_000_000
SIDE = 8


class Sent(NamedTuple):
    """A message on its way into a recording. order: of messages received at once the lower comes first."""

    receipt_ns: int
    order: int
    topic: str
    type_name: str
    data: bytes


class MemoryBag:
    """What Recording needs of a Bag."""

    path = Path("memory")

    def __init__(self, sent: Iterable[Sent]) -> None:
        self.sent = sorted(sent, key=lambda each: (each.receipt_ns, each.order))

    def topics(self) -> dict[str, Topic]:
        return {each.topic: Topic(each.topic, each.type_name, "cdr") for each in self.sent}

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        for each in self.sent:
            yield Message(each.topic, each.receipt_ns, each.data if each.topic in wanted else b"")


def message(topic: str, type_name: str, receipt_ns: int, body: Any, order: int = 0) -> Sent:
    return Sent(receipt_ns, order, topic, type_name, bytes(STORE.serialize_cdr(body, type_name)))


def camera(stamps_ns: Sequence[int], receipts_ns: Sequence[int] | None = None, *, topic: str = "/cam", order: int = 0,
           numbers: Sequence[int] | None = None) -> list[Sent]:  # fmt: skip
    """Frames of one colour, the number of the message (or of `numbers`)."""
    made = []
    for i, stamp_ns in enumerate(stamps_ns):
        number = i if numbers is None else numbers[i]
        frame = image(np.full((SIDE, SIDE, 3), number % 256, np.uint8), stamp_ns)
        receipt_ns = stamp_ns if receipts_ns is None else receipts_ns[i]
        made.append(message(topic, "sensor_msgs/msg/Image", receipt_ns, frame, order))
    return made


def joints(stamps_ns: Sequence[int], receipts_ns: Sequence[int] | None = None, *, topic: str = "/state", order: int = 0,
           values: Sequence[float] | None = None) -> list[Sent]:  # fmt: skip
    """Joint a at the number of the message (or at `values`), joint b at minus that."""
    made = []
    for i, stamp_ns in enumerate(stamps_ns):
        value = float(i if values is None else values[i])
        receipt_ns = stamp_ns if receipts_ns is None else receipts_ns[i]
        body = joint_state(stamp_ns, ["a", "b"], [value, -value])
        made.append(message(topic, "sensor_msgs/msg/JointState", receipt_ns, body, order))
    return made


def plain(kind: str, stamps_ns: Sequence[int], values: Sequence[Any], *, topic: str) -> list[Sent]:
    """std_msgs of a `kind` (Bool, Float64, String): no header, so these are times of receipt."""
    type_name = f"std_msgs/msg/{kind}"
    return [
        message(topic, type_name, stamp_ns, STORE.types[type_name](data=value))
        for stamp_ns, value in zip(stamps_ns, values, strict=True)
    ]


def contract(**changed: Any) -> Contract:
    """A camera, a joint state and a command at 10 Hz."""
    settings: dict[str, Any] = {
        "name": "teleop",
        "rate_hz": 10.0,
        "images": {"cam": ImageStream("cam", side=SIDE)},
        "state": {"q_rad": StateField("state")},
        "action": ActionStream("command", "command"),
    }
    return Contract(**{**settings, **changed})


def load(sent: Iterable[Sent], wanted: Iterable[str], **settings: Any) -> Recording:
    return Recording.load(MemoryBag(sent), wanted, **settings)  # type: ignore[arg-type]
