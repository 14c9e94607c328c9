"""Where episodes begin and end: by a topic, a service, a gap, a button; in order, apart, and never out of nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ros_bags import joy, make, recorded, write_db3
from rosbags.typesys import Stores, get_typestore
from twin_bags import joint_state, write_bag

from o2o_robot.data.bags.mcap_file import Topic
from o2o_robot.data.bags.message_types import typestore
from o2o_robot.data.contract import ActionStream, Contract, Split, StateField
from o2o_robot.data.ingest.split import Change, Span, _between, spans
from o2o_robot.data.ingest.streams import Fate
from o2o_robot.errors import ConfigError, DataError

JOINTS = "sensor_msgs/msg/JointState"
LAST_NS = int(np.iinfo(np.int64).max)


def contract(**split: object) -> Contract:
    state, action = {"q_rad": StateField("/q")}, ActionStream("/q", "delta_joint")
    return Contract("c", 10.0, state, action, split=Split(**split))


def states(ticks: range | list[int]) -> list:
    return [("/q", JOINTS, t, joint_state(t, ["a"], [1.0])) for t in ticks]


def found(path: Path, **split: object) -> list[Span]:
    settings = contract(**split)
    recording, names = recorded(path, settings)
    return spans(recording, settings, names)


def signal(values: list, kind: str = "Bool") -> list:
    made = [make(f"std_msgs/msg/{kind}", data=value) for value in values]
    return [("/on", f"std_msgs/msg/{kind}", 10 * (i + 1), message) for i, message in enumerate(made)]


def test_a_bag_is_one_episode_without_a_split(tmp_path):
    (span,) = found(write_bag(tmp_path / "a.mcap", states(range(5))))
    assert span.start_ns < 0 < LAST_NS == span.end_ns


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("Bool", [False, True, True, False, True, False], [(20, 39), (50, 59)]),
        ("Bool", [True, True, False], [(10, 29)]),
        ("Bool", [False, True], [(20, LAST_NS)]),
        ("Int32", [0, 1, 1, 2, 0], [(20, 39), (40, 49)]),
        ("String", ["", "peg", "peg", "lift", "", "lift"], [(20, 39), (40, 49), (60, LAST_NS)]),
        ("Float64", [0.0, 1.0, 0.0], [(20, 29)]),
    ],
)
def test_inside_an_episode_the_signal_holds_one_value_that_is_not_off(tmp_path, kind, values, expected):
    path = write_bag(tmp_path / "a.mcap", [*states(range(5)), *signal(values, kind)])
    assert found(path, by="topic", topic="on") == [Span(*each) for each in expected]


def test_the_stamp_of_the_sensor_counts_where_the_signal_has_one(tmp_path):
    late_ns = 1000
    presses = [("/joy", "sensor_msgs/msg/Joy", t + late_ns, joy(t, [down])) for t, down in ((10, 1), (20, 0), (30, 1))]
    path = write_bag(tmp_path / "a.mcap", [*states(range(5)), *presses])
    assert found(path, by="button", topic="joy") == [Span(10, 29)]


def test_each_press_of_the_button_ends_what_the_one_before_began(tmp_path):
    downs = [0, 1, 1, 0, 0, 1, 0, 1, 1, 0]
    presses = [("/joy", "sensor_msgs/msg/Joy", 10 * i, joy(10 * i + 1, [0, down])) for i, down in enumerate(downs)]
    path = write_bag(tmp_path / "a.mcap", [*states(range(5)), *presses])
    assert found(path, by="button", topic="joy", button=1) == [Span(11, 50), Span(71, LAST_NS)]
    with pytest.raises(DataError, match="the button was never pressed on /joy"):
        found(path, by="button", topic="joy", button=0)
    with pytest.raises(DataError, match=r"buttons\[2\].*only 2 entries"):
        found(path, by="button", topic="joy", button=2)


def test_a_silence_longer_than_the_gap_cuts_and_a_shorter_one_does_not(tmp_path):
    s = 10**9
    path = write_bag(tmp_path / "a.mcap", states([1 * s, 2 * s, 5 * s, 6 * s, 12 * s]))
    assert found(path, by="gap", gap_s=6.0) == [Span(1 * s, 12 * s)]
    assert found(path, by="gap", gap_s=5.0) == [Span(1 * s, 6 * s), Span(12 * s, 12 * s)]
    assert found(path, by="gap", gap_s=2.5) == [Span(1 * s, 2 * s), Span(5 * s, 6 * s), Span(12 * s, 12 * s)]


def test_a_signal_that_never_says_on_is_an_error_that_names_it(tmp_path):
    path = write_bag(tmp_path / "a.mcap", [*states(range(5)), *signal([False, False])])
    with pytest.raises(DataError, match="no episode, for nothing but off was said on /on"):
        found(path, by="topic", topic="on")


def test_messages_of_the_signal_are_accounted_for(tmp_path):
    path = write_bag(tmp_path / "a.mcap", [*states(range(5)), *signal([True, False])])
    settings = contract(by="topic", topic="on")
    recording, names = recorded(path, settings)
    spans(recording, settings, names)
    assert (recording.streams["/on"].fate == Fate.USED).all()


def test_a_signal_that_cannot_be_read_is_passed_over_and_counted(tmp_path):
    path = write_db3(
        tmp_path / "a.db3",
        [("/on", "std_msgs/msg/Bool", t, data) for t, data in ((1, b"\0\1\0\0\1"), (2, b"\0\7"), (3, b"\0\1\0\0\0"))]
        + [("/q", JOINTS, 1, _cdr(joint_state(1, ["a"], [0.0])))],
    )
    settings = contract(by="topic", topic="on")
    recording, names = recorded(path, settings)
    assert spans(recording, settings, names) == [Span(1, 2)]
    assert recording.streams["/on"].fate.tolist() == [Fate.USED, Fate.UNDECODABLE, Fate.USED]


def _cdr(message: object) -> bytes:
    return bytes(get_typestore(Stores.LATEST).serialize_cdr(message, JOINTS))


def call(sequence: int, event_type: int, request: bool | None, service: str = "SetBool", client: int = 0) -> bytes:
    """One recorded event of a call. request None: the contents were not recorded."""
    kind = f"std_srvs/srv/{service}_Event"
    store = typestore([Topic("/t", kind, "cdr")])
    info = store.types["service_msgs/msg/ServiceEventInfo"](
        event_type=event_type, stamp=store.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0),
        client_gid=np.full(16, client, np.uint8), sequence_number=sequence,
    )  # fmt: skip
    asked = store.types[f"std_srvs/srv/{service}_Request"]
    content = [] if request is None else [asked(data=request) if service == "SetBool" else asked()]
    message = store.types[kind](info=info, request=content, response=[])
    return bytes(store.serialize_cdr(message, kind))


def calls(tmp_path: Path, events: list[tuple[int, bytes]], service: str = "SetBool") -> Path:
    joints = [("/q", JOINTS, 1, _cdr(joint_state(1, ["a"], [0.0])))]
    kind = f"std_srvs/srv/{service}_Event"
    heard = [("/record/_service_event", kind, t, data) for t, data in events]
    return write_db3(tmp_path / f"{service}.db3", joints + heard)


BY_SERVICE = {"by": "service", "topic": "record/_service_event"}


def test_calls_with_true_start_and_calls_with_false_end_however_often_each_was_heard(tmp_path):
    events = [(5, call(0, 2, None))]  # the answer to a call from before the recording
    events += [(10, call(1, 0, True)), (11, call(1, 1, True)), (12, call(1, 2, None)), (13, call(1, 3, None))]
    events += [(20, call(2, 1, False)), (30, call(2, 1, True, client=1)), (40, call(3, 0, False, client=1))]
    assert found(calls(tmp_path, events), **BY_SERVICE) == [Span(10, 19), Span(30, 39)]


def test_a_start_within_an_episode_ends_it_and_an_end_outside_one_is_nothing(tmp_path):
    events = [(t, call(t, 0, on)) for t, on in ((5, False), (10, True), (20, True), (30, False), (40, False))]
    assert found(calls(tmp_path, events), **BY_SERVICE) == [Span(10, 19), Span(20, 29)]


@pytest.mark.parametrize("request_", [None, True])
def test_calls_of_a_service_without_such_a_field_take_turns(tmp_path, request_):
    events = [(t, call(t, 1, request_, "Trigger")) for t in (10, 20, 30)]
    assert found(calls(tmp_path, events, "Trigger"), **BY_SERVICE) == [Span(10, 19), Span(30, LAST_NS)]


def test_calls_recorded_without_contents_are_not_guessed_at(tmp_path):
    path = calls(tmp_path, [(10, call(1, 0, None)), (20, call(2, 0, True))])
    with pytest.raises(DataError, match=r"1 calls were recorded without their request.*`contents`"):
        found(path, **BY_SERVICE)


def test_a_topic_whose_messages_are_no_events_of_a_service_is_refused(tmp_path):
    joints = [("/q", JOINTS, 1, _cdr(joint_state(1, ["a"], [0.0])))]
    heard = [("/record/_service_event", "std_msgs/msg/Bool", 2, b"\0\1\0\0\1")]
    with pytest.raises(DataError, match="/record/_service_event is not what ROS defines by that name"):
        found(write_db3(tmp_path / "a.db3", joints + heard), **BY_SERVICE)


def test_a_topic_that_is_no_service_event_is_refused_when_the_contract_is_built():
    with pytest.raises(ConfigError, match="rosbag2 records the calls of a service as '/record/_service_event'"):
        Split("service", "/record")


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([True, False, None])), max_size=30))
def test_spans_are_in_order_and_never_overlap_whatever_is_pressed_when(pressed):
    changes = [Change(*each) for each in sorted(pressed, key=lambda each: each[0])]
    made = _between(changes)
    assert all(span.start_ns <= span.end_ns for span in made)
    assert all(a.end_ns < b.start_ns for a, b in pairwise(made))
    assert {span.start_ns for span in made} <= {change.stamp_ns for change in changes}
