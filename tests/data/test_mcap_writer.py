"""An episode's MCAP is whole or not there, and others can read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from twin_bags import MSG_FOLDER, STORE, TYPES, make_episode, write_twin_bag

from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter, ament_share_dirs, schema_text
from o2o_robot.errors import DataError, StoreError

STRING = ("/t", "std_msgs/msg/String", "string data\n")


def test_until_it_is_finished_no_reader_takes_the_file_for_a_bag(tmp_path):
    writer = McapEpisodeWriter(tmp_path / "episode_1.mcap")
    writer.register(*STRING)
    writer.write("/t", b"\0\1\0\0", log_time_ns=1, publish_time_ns=1)
    assert find_bags([tmp_path]) == [tmp_path]
    writer.finish()
    assert find_bags([tmp_path]) == [tmp_path / "episode_1.mcap"]
    assert [path.name for path in tmp_path.iterdir()] == ["episode_1.mcap"]


def test_an_aborted_episode_leaves_nothing_on_disk(tmp_path):
    def fail_within(writer: McapEpisodeWriter) -> None:
        with writer:
            writer.register(*STRING)
            raise RuntimeError("the arm stopped")

    with pytest.raises(RuntimeError):
        fail_within(McapEpisodeWriter(tmp_path / "a.mcap"))
    assert list(tmp_path.iterdir()) == []


def test_a_message_of_an_unregistered_topic_is_refused(tmp_path):
    with McapEpisodeWriter(tmp_path / "a.mcap") as writer, pytest.raises(StoreError, match="/other is not registered"):
        writer.write("/other", b"", log_time_ns=0, publish_time_ns=0)


def test_a_topic_cannot_change_its_type(tmp_path):
    with McapEpisodeWriter(tmp_path / "a.mcap") as writer:
        writer.register(*STRING)
        writer.register(*STRING)
        with pytest.raises(StoreError, match="cannot become"):
            writer.register("/t", "std_msgs/msg/Int32", "int32 data")


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        McapEpisodeWriter(tmp_path / "file" / "a.mcap").register(*STRING)


def test_a_folder_that_cannot_be_written_is_a_store_error_within_a_with_block_too(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="cannot be written"),
        McapEpisodeWriter(tmp_path / "file" / "a.mcap") as writer,
    ):
        writer.register(*STRING)


def test_other_readers_find_the_same_messages_and_definitions(tmp_path):
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    path = write_twin_bag(tmp_path / "a.mcap", make_episode(0))
    bag = Bag.open(path)
    with rosbag2.Reader(path) as reader:
        theirs = [(c.topic, stamp, bytes(data)) for c, stamp, data in reader.messages()]
        kinds = {c.topic: c.msgtype for c in reader.connections}
    assert sorted(theirs) == sorted((m.topic, m.receipt_ns, m.data) for m in bag.messages(bag.topics()))
    assert kinds == {name: topic.type_name for name, topic in bag.topics().items()}


def test_every_message_of_the_house_gets_a_definition_that_decodes_it(tmp_path):
    typesys = pytest.importorskip("rosbags.typesys")
    shares = [MSG_FOLDER.parents[1], _ros_share(tmp_path)]
    for kind in sorted({kind for kind in TYPES.values() if kind.startswith("o2o_msgs")}):
        empty = typesys.get_typestore(typesys.Stores.EMPTY)
        empty.register(typesys.get_types_from_msg(schema_text(kind, shares), kind))
        assert empty.fielddefs[kind] == STORE.fielddefs[kind]


def test_a_definition_holds_each_of_its_parts_once_under_a_line_of_equal_signs(tmp_path):
    text = schema_text("o2o_msgs/msg/Action", [MSG_FOLDER.parents[1], _ros_share(tmp_path)])
    parts = text.split("=" * 80 + "\n")
    assert [part.splitlines()[0] for part in parts[1:]] == ["MSG: std_msgs/Header", "MSG: builtin_interfaces/Time"]


def test_a_definition_that_is_nowhere_is_named(tmp_path):
    with pytest.raises(DataError, match=r"std_msgs/msg/Header\.msg"):
        schema_text("o2o_msgs/msg/Action", [MSG_FOLDER.parents[1]])


def test_share_folders_come_from_the_ament_prefix_path_in_its_order(monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/a:/b")
    assert ament_share_dirs() == [Path("/a/share"), Path("/b/share")]


def _ros_share(folder: Path) -> Path:
    """A share folder with what o2o_msgs is made of, as an installed ROS 2 has it."""
    parts = {
        "std_msgs/msg/Header.msg": "builtin_interfaces/Time stamp  # when\nstring frame_id\n",
        "builtin_interfaces/msg/Time.msg": "int32 sec\nuint32 nanosec\n",
    }
    for name, text in parts.items():
        path = folder / "share" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "share"
