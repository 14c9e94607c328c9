"""When an episode's file is whole: what it waits for, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from o2o_msgs.msg import EpisodeEvent
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from o2o_nodes import convert
from o2o_nodes.bag import EpisodeBag

PERIOD_NS = 33_000_000
FINAL_NS = 10 * PERIOD_NS


def picture(stamp_ns: int) -> bytes:
    message = Image(height=1, width=1, step=3, encoding="rgb8", data=bytes(3))
    message.header.stamp = convert.stamp(stamp_ns)
    return serialize_message(message)


def event(kind: int, stamp_ns: int) -> EpisodeEvent:
    message = EpisodeEvent(kind=kind, id="demo-000000")
    message.header.stamp = convert.stamp(stamp_ns)
    return message


def recorded(folder: Path, *, wrist_ns: list[int], front_ns: list[int], after_end: list[tuple[str, int]]) -> EpisodeBag:
    """An episode from 0 to FINAL_NS, its pictures, and what each camera says once its END is known."""
    bag = EpisodeBag(folder)
    for camera in ("wrist", "front"):
        bag.register(f"{camera}/color/image_raw", Image)
    bag.on_event(event(EpisodeEvent.START, 0), 0)
    for camera, stamps in (("wrist", wrist_ns), ("front", front_ns)):
        for ns in stamps:
            bag.add(f"{camera}/color/image_raw", picture(ns), ns)
    bag.on_event(event(EpisodeEvent.END, FINAL_NS), FINAL_NS)
    for camera, ns in after_end:
        bag.add(f"{camera}/color/image_raw", picture(ns), ns)
    return bag


EVERY = [k * PERIOD_NS for k in range(11)]
ASIDE = [ns + PERIOD_NS // 2 for ns in EVERY[:-1]]


def test_a_file_waits_for_a_sensor_that_has_not_come_to_the_final_instant(tmp_path):
    bag = recorded(tmp_path, wrist_ns=EVERY, front_ns=EVERY[:-1], after_end=[])
    assert (bag.written, bag.last) == (0, "")
    bag.add("front/color/image_raw", picture(FINAL_NS), FINAL_NS)
    assert (bag.written, bag.last) == (1, "demo-000000")
    assert bag.messages == 2 * len(EVERY) + 2


def test_a_camera_that_never_sees_the_final_instant_itself_is_waited_for_no_longer_than_its_next_picture(tmp_path):
    bag = recorded(tmp_path, wrist_ns=EVERY, front_ns=ASIDE, after_end=[("wrist", FINAL_NS + PERIOD_NS)])
    assert bag.written == 0
    bag.add("front/color/image_raw", picture(FINAL_NS + PERIOD_NS // 2), FINAL_NS + PERIOD_NS)
    assert bag.written == 1
    assert bag.messages == len(EVERY) + len(ASIDE) + 2, "what is later than the episode is not in its file"
