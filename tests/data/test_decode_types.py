"""What a message is made of: the recording's own definition first, then the contract's folder, then its ROS release."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from ros_bags import cdr, make, write_db3, write_rosbag2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from twin_bags import STORE, header, joint_state

from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.mcap_file import Topic
from o2o_robot.data.decode import Types, numbers, picture
from o2o_robot.errors import DataError

RANGE = "sensor_msgs/msg/Range"
HUMBLE = get_typestore(Stores.ROS2_HUMBLE)


def humble_range() -> bytes:
    """A Range as Humble's recorders wrote it: without `variance`, which Iron added."""
    common = {"radiation_type": 0, "field_of_view": 0.1, "min_range": 0.0, "max_range": 4.0, "range": 1.25}
    assert "variance" not in {name for name, _ in HUMBLE.fielddefs[RANGE][1]}
    return bytes(HUMBLE.serialize_cdr(HUMBLE.types[RANGE](header=header(5), **common), RANGE))


def read(path, topic: str, definitions: str = "") -> object:
    bag = Bag.open(path).defined_by(definitions)
    types = Types({topic: bag.topics()[topic]})
    (message,) = [message for message in bag.messages({topic}) if message.topic == topic]
    return types.message(topic, message.data)


def test_a_database_of_humble_is_read_with_humbles_types(tmp_path):
    path = write_db3(tmp_path / "a.db3", [("/range", RANGE, 5, humble_range())], distro="humble")
    assert numbers(read(path, "/range"), "range") == [1.25]
    newer = write_db3(tmp_path / "b.db3", [("/range", RANGE, 5, humble_range())], distro="jazzy")
    with pytest.raises(DataError, match=f"not a {RANGE}"):
        read(newer, "/range")


def _with_metadata(folder, **facts):
    write_db3(folder / f"{folder.name}_0.db3", [("/range", RANGE, 5, humble_range())])
    facts = {"relative_file_paths": [f"{folder.name}_0.db3"], **facts}
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": facts}))


@pytest.mark.parametrize("facts", [{"version": 5}, {"version": 8, "ros_distro": "humble"}])
def test_the_metadata_of_a_bag_says_of_which_release_its_types_are(tmp_path, facts):
    _with_metadata(tmp_path, **facts)
    assert numbers(read(tmp_path, "/range"), "range") == [1.25]


def test_a_release_nobody_knows_is_read_as_the_newest(tmp_path):
    _with_metadata(tmp_path, version=8, ros_distro="zebra")
    with pytest.raises(DataError, match=f"not a {RANGE}"):
        read(tmp_path, "/range")


def test_the_definition_in_the_recording_wins_over_its_release(tmp_path):
    text = HUMBLE.generate_msgdef(RANGE, ros_version=2)[0]
    path = write_db3(tmp_path / "a.db3", [("/range", RANGE, 5, humble_range())], distro="jazzy", texts={RANGE: text})
    assert numbers(read(path, "/range"), "range") == [1.25]


def test_a_ros_type_whose_text_cannot_be_read_is_known_all_the_same(tmp_path):
    data = cdr(joint_state(5, ["a"], [2.0]), "sensor_msgs/msg/JointState")
    messages = [("/j", "sensor_msgs/msg/JointState", 5, data)]
    path = write_db3(tmp_path / "a.db3", messages, texts={"sensor_msgs/msg/JointState": "float64 [\n"})
    assert numbers(read(path, "/j"), "position") == [2.0]


OWN = {"my_msgs/msg/Pair": "float64 left\nInner right\n", "my_msgs/msg/Inner": "std_msgs/Header header\nfloat32[2] v\n"}


def own_pair() -> bytes:
    store = get_typestore(Stores.LATEST)
    for name, text in OWN.items():
        store.register(get_types_from_msg(text, name))
    inner = store.types["my_msgs/msg/Inner"](header=header(7), v=np.array([3, 4], np.float32))
    return bytes(store.serialize_cdr(store.types["my_msgs/msg/Pair"](left=1.0, right=inner), "my_msgs/msg/Pair"))


IDL_PAIR = "module my_msgs { module msg { struct Pair { double left; my_msgs::msg::Inner right; }; }; };\n"


@pytest.mark.parametrize("pair", [("Pair.msg", OWN["my_msgs/msg/Pair"]), ("Pair.idl", IDL_PAIR)])
def test_a_type_the_recording_does_not_define_is_read_from_the_contracts_folder(tmp_path, pair):
    folder = tmp_path / "definitions" / "my_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / pair[0]).write_text(pair[1])
    (folder / "Inner.msg").write_text(OWN["my_msgs/msg/Inner"])
    path = write_db3(tmp_path / "a.db3", [("/pair", "my_msgs/msg/Pair", 5, own_pair())])
    message = read(path, "/pair", str(tmp_path / "definitions"))
    assert numbers(message, "right.v").tolist() == [3, 4]


def test_a_type_nobody_defines_says_which_file_to_write(tmp_path):
    path = write_db3(tmp_path / "a.db3", [("/pair", "my_msgs/msg/Pair", 5, own_pair())])
    with pytest.raises(DataError, match=r"topic /pair: .*my_msgs/msg/Pair; put my_msgs/msg/Pair\.msg .*definitions"):
        read(path, "/pair")


def test_a_missing_part_of_a_type_is_named_with_the_whole(tmp_path):
    texts = {"my_msgs/msg/Pair": OWN["my_msgs/msg/Pair"]}
    path = write_db3(tmp_path / "a.db3", [("/pair", "my_msgs/msg/Pair", 5, own_pair())], texts=texts)
    with pytest.raises(DataError, match=r"my_msgs/msg/Inner, which its type my_msgs/msg/Pair is made of"):
        read(path, "/pair")


def test_a_definition_file_that_is_none_is_named(tmp_path):
    folder = tmp_path / "my_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Pair.msg").write_text("float64 [\n")
    path = write_db3(tmp_path / "a.db3", [("/pair", "my_msgs/msg/Pair", 5, own_pair())])
    with pytest.raises(DataError, match=r"Pair\.msg: cannot be read as a message definition"):
        read(path, "/pair", str(tmp_path))


def test_a_type_name_cannot_lead_out_of_the_definitions_folder(tmp_path):
    (tmp_path / "secret.msg").write_text("float64 left\n")
    (tmp_path / "definitions").mkdir()
    topic = Topic("/t", "../secret", "cdr", definitions=str(tmp_path / "definitions"))
    with pytest.raises(DataError, match="does not define"):
        Types({"/t": topic})


def event_topic(text: str, type_name: str = "my_msgs/srv/Go_Event") -> Topic:
    return Topic("/go/_service_event", type_name, "cdr", text, "ros2msg")


def test_the_events_of_a_service_are_made_of_its_request_and_response():
    types = Types({"/go/_service_event": event_topic("geometry_msgs/Point to\n---\nbool ok\n")})
    assert types.fields("my_msgs/srv/Go_Event") == ("info", "request", "response")
    assert types.fields("my_msgs/srv/Go_Request") == ("to",)
    assert types.fields("my_msgs/srv/Go_Response") == ("ok",)


@pytest.mark.parametrize("name", ["SetBool", "Trigger", "Empty"])
def test_the_standard_services_need_no_definition(name):
    types = Types({"/go/_service_event": event_topic("", f"std_srvs/srv/{name}_Event")})
    assert ("data" in types.fields(f"std_srvs/srv/{name}_Request")) == (name == "SetBool")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bad again\n", "holds itself"),
        ("Bad[] again\n", "holds itself"),
        ("string[1000000000] names\n", "more than 100000 parts"),
        ("std_msgs/Header[60000] h\n", "more than 100000 parts"),
        ("float64 class\nNowhere x\n", "Nowhere"),
        ("bool\n" * 3, "cannot be read"),
    ],
)
def test_a_definition_that_would_unfold_without_end_is_refused_before_it_is_built(text, said):
    with pytest.raises(DataError, match=said) as caught:
        Types({"/t": Topic("/t", "my_msgs/msg/Bad", "cdr", text, "ros2msg")})
    assert "\n" not in str(caught.value)


def test_nesting_that_doubles_forty_times_is_refused():
    separator = "=" * 80 + "\n"
    sections = [f"MSG: m/L{i}\nL{i + 1} a\nL{i + 1} b\n" for i in range(1, 40)] + ["MSG: m/L40\nuint8[0] e\n"]
    text = "L1 a\nL1 b\n" + "".join(separator + section for section in sections)
    with pytest.raises(DataError, match="more than 100000 parts"):
        Types({"/t": Topic("/t", "m/msg/L0", "cdr", text, "ros2msg")})


@pytest.mark.parametrize("name", ["1a/msg/B", "a/msg/1", "a/b/msg/C"])
def test_a_type_name_that_ros_does_not_allow_is_refused_before_it_becomes_code(name):
    with pytest.raises(DataError, match="which ROS does not allow"):
        Types({"/t": Topic("/t", name, "cdr", "int8 a\n", "ros2msg")})


@pytest.mark.parametrize("name", ["a/msg/B\nimport os", "a/msg/B:", "a b/msg/C", "/msg/", ""])
def test_a_type_name_that_is_no_name_at_all_is_refused(name):
    with pytest.raises(DataError):
        Types({"/t": Topic("/t", name, "cdr", "int8 a\n", "ros2msg")})


def test_two_definitions_of_one_type_in_a_recording_are_not_chosen_between():
    topics = {
        "/a": Topic("/a", "m/msg/A", "cdr", "int8 a\n", "ros2msg"),
        "/b": Topic("/b", "m/msg/A", "cdr", "int16 a\n", "ros2msg"),
    }
    with pytest.raises(DataError, match="m/msg/A in two ways"):
        Types(topics)


def test_an_image_whose_recording_defines_it_without_a_width_is_refused():
    text = "std_msgs/Header header\nuint32 height\nstring encoding\nuint8[] data\n"
    store = get_typestore(Stores.EMPTY)
    parts = {name: STORE.fielddefs[name] for name in ("std_msgs/msg/Header", "builtin_interfaces/msg/Time")}
    store.register({**get_types_from_msg(text, "sensor_msgs/msg/Image"), **parts})
    kind = store.types["sensor_msgs/msg/Image"]
    stamp = store.types["std_msgs/msg/Header"](
        stamp=store.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id=""
    )
    data = bytes(store.serialize_cdr(
        kind(header=stamp, height=2, encoding="rgb8", data=np.zeros(12, np.uint8)), "sensor_msgs/msg/Image"
    ))  # fmt: skip
    types = Types({"/cam": Topic("/cam", "sensor_msgs/msg/Image", "cdr", text, "ros2msg")})
    with pytest.raises(DataError, match=r"an image is not what ROS defines by that name .*width"):
        picture(types.message("/cam", data), 8)


def test_every_ros_type_comes_out_as_rosbags_itself_reads_it(tmp_path):
    message = make("sensor_msgs/msg/Joy", header=header(9), axes=np.ones(2, np.float32), buttons=np.ones(3, np.int32))
    bag = Bag.open(write_rosbag2(tmp_path / "b", [("/joy", "sensor_msgs/msg/Joy", 1, message)]))
    (raw,) = bag.messages({"/joy"})
    expected = STORE.deserialize_cdr(raw.data, "sensor_msgs/msg/Joy")
    found = Types(bag.topics()).message("/joy", raw.data)
    assert found.axes.tolist() == expected.axes.tolist()
    assert (found.header.stamp.nanosec, found.__msgtype__) == (9, expected.__msgtype__)
