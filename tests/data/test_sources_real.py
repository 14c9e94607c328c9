"""Recordings of real robots and rosbag2's own test bags hold what is known of them, and all of it can be read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.contract import ActionStream, Contract, Split, StateField, load_contract, resolve
from o2o_robot.data.decode import Types, numbers, picture
from o2o_robot.data.ingest.split import spans
from o2o_robot.data.ingest.streams import Recording
from o2o_robot.errors import DataError

DATA = Path(__file__).parents[3] / "shared" / "data"
G1, ATS, FIXTURES = DATA / "g1-bags", DATA / "ats-rosbags", DATA / "rosbag2-fixtures"
needs = {
    folder: pytest.mark.skipif(not folder.is_dir(), reason=f"no recordings under {folder}")
    for folder in (G1, ATS, FIXTURES)
}
ROSBAG2_PY = FIXTURES / "rosbag2_py" / "test" / "resources"


def counts(path: Path) -> Counter[str]:
    return Counter(message.topic for message in Bag.open(path).messages(()))


@needs[G1]
@pytest.mark.parametrize(("name", "n_frames"), [("g1_bottle_ep1", 393), ("g1_bottle_ep2", 343)])
def test_a_teleoperated_humanoid_has_as_many_joints_and_commands_as_frames(name, n_frames):
    topics = ("/joint_states", "/joint_command", "/cam_high/color/image_raw/compressed")
    assert counts(G1 / name) == dict.fromkeys(topics, n_frames)


@needs[G1]
def test_its_frames_are_pictures_and_its_26_joints_have_names():
    bag = Bag.open(G1 / "g1_bottle_ep1")
    types = Types(bag.topics())
    first = {message.topic: message for message in reversed(list(bag.messages(bag.topics())))}
    frame = types.message("/cam_high/color/image_raw/compressed", first["/cam_high/color/image_raw/compressed"].data)
    pixels = picture(frame, 128)
    assert pixels.shape == (128, 128, 3)
    assert pixels.std() > 20
    joints = types.message("/joint_states", first["/joint_states"].data)
    backwards = tuple(reversed(joints.name))
    np.testing.assert_array_equal(numbers(joints, "position", backwards), numbers(joints, "position")[::-1])
    assert len(backwards) == 26


@needs[ATS]
@pytest.mark.parametrize(
    ("name", "total", "some"),
    [
        (
            "ros2bag_ats_2025-12-03_09-49-08",
            28_083,
            {"/servo/out/state": 481, "/servo/in/state": 27, "/controller/out/servo_positions": 266},
        ),
        (
            "ros2bag_servo_serial_no_unexpected_q3",
            22_758,
            {"/servo/out/state": 2387, "/servo/in/state": 1930, "/controller/out/servo_positions": 2451},
        ),
    ],
)
def test_a_drone_arm_has_all_its_messages_by_topic(name, total, some):
    found = counts(ATS / name)
    assert found.total() == total
    assert {topic: found[topic] for topic in some} == some


@needs[ATS]
def test_types_without_definition_do_not_keep_the_others_from_being_read():
    bag = Bag.open(ATS / "ros2bag_servo_serial_no_unexpected_q3")
    assert bag.distro == "humble"
    topics = bag.topics()
    with pytest.raises(DataError, match="px4_msgs/msg/TrajectorySetpoint"):
        Types({"/t": topics["/controller/out/trajectory_setpoint"]})
    recording = Recording.load(bag, ["/servo/out/state", "/controller/out/error"])
    for topic, field in (("/servo/out/state", "position"), ("/controller/out/error", "twist")):
        widths = {
            len(numbers(recording.types.message(topic, raw.data), field))
            for raw in recording.select({topic: range(50)})
        }
        assert widths == {3 if field == "position" else 6}


@needs[FIXTURES]
@pytest.mark.parametrize(
    ("path", "total"),
    [
        ("mcap/wbag", 6074),
        ("mcap/reindex_test_bags/multiple_files", 3177),
        ("mcap/convert_a", 150),
        ("mcap/convert_b", 75),
        ("mcap/talker", 20),
    ],
)
def test_rosbag2s_twins_in_mcap_and_db3_hold_the_same_messages(path, total):
    twins = [Bag.open(ROSBAG2_PY / path), Bag.open(ROSBAG2_PY / path.replace("mcap", "sqlite3"))]
    held = [[(m.topic, m.receipt_ns, m.data) for m in bag.messages(bag.topics())] for bag in twins]
    assert [len(each) for each in held] == [total, total]
    assert Counter(each[0] for each in held[0]) == Counter(each[0] for each in held[1])
    if "reindex" not in path:  # recorded apart, at other times
        assert sorted(each[2] for each in held[0]) == sorted(each[2] for each in held[1])


@needs[FIXTURES]
def test_every_message_of_94_types_is_read_alike_from_both_its_bags():
    folder = FIXTURES / "other" / "geocamxyz_test_bags"
    told = []
    for kind in ("mcap", "sqlite3"):
        bag = Bag.open(folder / f"test_bag_{kind}")
        types = Types(bag.topics())
        read = [(m.topic, repr(types.message(m.topic, m.data))) for m in bag.messages(bag.topics())]
        told.append(sorted((topic, re.sub(r"\b(nano)?sec=\d+", "", text)) for topic, text in read))  # recorded in turns
    assert len(told[0]) == 188
    assert len({topic for topic, _ in told[0]}) == 94
    assert told[0] == told[1]


@needs[FIXTURES]
@pytest.mark.parametrize("suffix", ["mcap", "db3"])
def test_calls_of_rosbag2s_service_recordings_split_a_bag(suffix):
    path = FIXTURES / "rosbag2_cpp" / "test" / "rosbag2_cpp" / "bags" / f"topics_and_services.{suffix}"
    topic = "/add_two_ints/_service_event"
    contract = Contract(
        "c", 10.0, {"s": StateField(topic, "info.sequence_number")}, ActionStream(topic, "command", "info.event_type"),
        split=Split("service", topic, "a"),
    )  # fmt: skip
    bag = Bag.open(path)
    names = resolve(contract, bag.topics())
    recording = Recording.load(bag, names.values())
    found = spans(recording, contract, names)
    assert len(found) == 3  # calls, each with a request and a response, and `a` not zero
    assert found[0].start_ns == recording.streams[topic].stamp_ns[0]


@needs[FIXTURES]
def test_every_bag_of_rosbag2_opens_and_counts_without_an_error():
    bags = find_bags([FIXTURES])
    assert len(bags) == 23
    assert sum(counts(path).total() for path in bags) > 19_000


@needs[ATS]
def test_the_shipped_contract_of_the_drone_arm_fits_both_its_bags():
    contract = load_contract("ats")
    for path in find_bags([ATS]):
        assert set(resolve(contract, Bag.open(path).topics())) == set(contract.topics)
