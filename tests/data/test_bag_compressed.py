"""rosbag2 compressed with zstd: the same messages come out, and no file takes more than its share of memory or disk."""

from __future__ import annotations

import gc
import io
import shutil
import sqlite3
from pathlib import Path

import pytest
import zstandard
from ros_bags import write_db3, write_rosbag2
from twin_bags import joint_state

from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.bags import unpack
from o2o_robot.errors import DataError

JOINTS = "sensor_msgs/msg/JointState"
MESSAGES = [(f"/arm_{i % 2}", JOINTS, i, joint_state(i, ["a"], [i])) for i in range(40)]


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    yield tmp_path / "tmp"
    unpack._unpacked.cache_clear()


def held(path: Path) -> list:
    bag = Bag.open(path)
    return list(bag.messages(bag.topics()))


def pack(file: Path, suffix: str = ".zstd") -> Path:
    packed = file.with_name(file.name + suffix)
    packed.write_bytes(zstandard.ZstdCompressor().compress(file.read_bytes()))
    file.unlink()
    return packed


@pytest.mark.parametrize("mode", ["file", "message"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_compressed_bag_holds_the_messages_of_the_plain_one(tmp_path, storage, mode):
    plain = write_rosbag2(tmp_path / "plain", MESSAGES, storage=storage)
    packed = write_rosbag2(tmp_path / "packed", MESSAGES, storage=storage, mode=mode)
    assert [file.suffix == ".zstd" for file in Bag.open(packed).files] == [mode == "file"]
    assert held(packed) == held(plain)
    assert len(held(packed)) == 40
    assert Bag.open(packed).topics() == Bag.open(plain).topics()


def test_messages_of_topics_that_are_not_wanted_are_not_unpacked(tmp_path):
    packed = write_rosbag2(tmp_path / "packed", MESSAGES, storage="sqlite3", mode="message")
    messages = list(Bag.open(packed).messages({"/arm_0"}))
    assert [bool(message.data) for message in messages] == [True, False] * 20


@pytest.mark.parametrize("suffix", [".zstd", ".zst"])
def test_split_and_bare_compressed_files_are_found_without_metadata(tmp_path, suffix):
    parts = [write_rosbag2(tmp_path / str(i), MESSAGES[20 * i : 20 * i + 20]) / f"{i}.mcap" for i in range(2)]
    folder = tmp_path / "run"
    folder.mkdir()
    for i, part in enumerate(parts):
        shutil.copy(part, folder / f"run_{i}.mcap")
        pack(folder / f"run_{i}.mcap", suffix)
    assert find_bags([tmp_path / "run"]) == [folder]
    assert [message.receipt_ns for message in held(folder)] == list(range(40))
    (tmp_path / "files").mkdir()
    bare = pack(shutil.copy(parts[0], tmp_path / "files" / "bare.mcap"), suffix)
    assert find_bags([bare.parent]) == [bare]
    assert len(held(bare)) == 20


def test_a_file_beside_its_compressed_twin_is_one_recording(tmp_path):
    file = write_rosbag2(tmp_path / "bag", MESSAGES) / "bag.mcap"
    shutil.copy(file, tmp_path / "one.mcap")
    shutil.copy(pack(shutil.copy(file, tmp_path / "tmp" / "one.mcap")), tmp_path / "one.mcap.zstd")
    assert [path.name for path in find_bags([tmp_path]) if path.parent == tmp_path and path.is_file()] == ["one.mcap"]


def test_a_recorder_that_was_stopped_before_it_compressed_the_last_file_loses_nothing(tmp_path):
    folder = write_rosbag2(tmp_path / "bag", MESSAGES, mode="file")
    packed = folder / "bag.mcap.zstd"
    (folder / "bag.mcap").write_bytes(zstandard.ZstdDecompressor().stream_reader(packed.read_bytes()).read())
    packed.unlink()
    assert len(held(folder)) == 40


def test_the_unpacked_file_goes_when_nobody_reads_it_any_more(tmp_path, temporary_folder):
    packed = write_rosbag2(tmp_path / "packed", MESSAGES, mode="file")
    reading = Bag.open(packed).messages(())
    next(reading)
    assert len(list(temporary_folder.iterdir())) == 1
    unpack._unpacked.cache_clear()
    assert len(list(temporary_folder.iterdir())) == 1  # still being read
    reading.close()
    gc.collect()
    assert list(temporary_folder.iterdir()) == []


def test_two_passes_over_a_compressed_file_unpack_it_once(tmp_path, temporary_folder):
    packed = write_rosbag2(tmp_path / "packed", MESSAGES, mode="file")
    held(packed)
    first = [path.stat().st_ino for path in temporary_folder.rglob("*.mcap")]
    assert len(first) == 1
    held(packed)
    assert [path.stat().st_ino for path in temporary_folder.rglob("*.mcap")] == first


def test_a_file_that_unpacks_to_more_than_allowed_is_refused_and_leaves_nothing_behind(
    tmp_path, temporary_folder, monkeypatch
):
    monkeypatch.setattr(unpack, "MAX_FILE_BYTES", 1 << 20)
    bomb = tmp_path / "bomb.mcap.zstd"
    bomb.write_bytes(zstandard.ZstdCompressor().compress(b"\0" * (64 << 20)))
    with pytest.raises(DataError, match=r"bomb\.mcap\.zstd: unpacks to more than 1048576 bytes.*zstd -d"):
        held(bomb)
    gc.collect()
    assert list(temporary_folder.iterdir()) == []


def test_a_full_disk_is_said_before_it_is_full(tmp_path, monkeypatch):
    packed = write_rosbag2(tmp_path / "packed", MESSAGES, mode="file")
    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 62)
    with pytest.raises(DataError, match=r"no room to unpack it in .*TMPDIR"):
        held(packed)


@pytest.mark.parametrize(("keep", "said"), [(0.6, "truncated|empty"), (0.0, "empty")])
def test_a_compressed_file_that_was_cut_is_named_as_the_user_knows_it(tmp_path, keep, said):
    packed = write_rosbag2(tmp_path / "packed", MESSAGES * 20, mode="file") / "packed.mcap.zstd"
    content = packed.read_bytes()
    packed.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=said) as caught:
        held(packed)
    assert str(caught.value).startswith(str(packed))


def test_a_compressed_file_of_another_kind_is_refused(tmp_path):
    other = tmp_path / "a.mcap.zstd"
    other.write_bytes(b"#!/bin/sh\n" * 100)
    with pytest.raises(DataError, match=r"a\.mcap\.zstd: damaged zstd file"):
        held(other)


@pytest.mark.parametrize("states_size", [True, False])
def test_a_message_that_unpacks_to_more_than_allowed_is_refused(tmp_path, monkeypatch, states_size):
    monkeypatch.setattr(unpack, "MAX_MESSAGE_BYTES", 1 << 20)
    bomb = zstandard.ZstdCompressor(write_content_size=states_size).compress(b"\0" * (8 << 20))
    path = write_db3(tmp_path / "a.db3", [("/t", "std_msgs/msg/String", 1, bomb)])
    with pytest.raises(DataError, match=r"a message of /t would unpack to .*1048576"):
        held(path)


def test_a_message_that_does_not_state_its_size_is_unpacked_whole(tmp_path):
    payload = bytes(range(256)) * 100_000  # several blocks
    buffer = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(buffer, closefd=False) as writer:
        writer.write(payload)
    assert zstandard.frame_content_size(buffer.getvalue()) == -1
    path = write_db3(tmp_path / "a.db3", [("/t", "std_msgs/msg/String", 1, buffer.getvalue())])
    assert [message.data for message in held(path)] == [payload]


def test_a_damaged_compressed_message_is_refused_with_its_topic(tmp_path):
    path = write_db3(tmp_path / "a.db3", [("/t", "std_msgs/msg/String", 1, b"\x28\xb5\x2f\xfd" + b"\xff" * 20)])
    with pytest.raises(DataError, match="a message of /t is a damaged zstd frame"):
        held(path)


def test_another_compression_than_zstd_is_refused_by_name(tmp_path):
    folder = write_rosbag2(tmp_path / "bag", MESSAGES)
    metadata = folder / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("compression_format: ''", "compression_format: lz5"))
    with pytest.raises(DataError, match="compressed with 'lz5', only zstd"):
        Bag.open(folder)


def test_messages_that_a_crashed_recorder_left_beside_its_database_are_not_passed_over_in_silence(tmp_path):
    path = write_db3(tmp_path / "a.db3", [("/t", "std_msgs/msg/String", 1, b"\0\1\0\0")])
    (tmp_path / "a.db3-wal").write_bytes(b"pages")
    with pytest.raises(DataError, match=r"a\.db3-wal.*wal_checkpoint"):
        held(path)


@pytest.mark.parametrize(("column", "value"), [("id", "'one'"), ("name", "7.5")])
def test_a_database_whose_topics_are_not_numbers_and_names_is_refused(tmp_path, column, value):
    path = tmp_path / "a.db3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE topics (id, name, type TEXT, serialization_format TEXT)")
        connection.execute("CREATE TABLE messages (id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        connection.execute("INSERT INTO topics VALUES (1, '/t', 'std_msgs/msg/String', 'cdr')")
        connection.execute(f"UPDATE topics SET {column} = {value}")
    with pytest.raises(DataError, match="not a number and a name"):
        list(Bag.open(path).messages({"/t"}))


def test_a_database_with_names_that_are_no_text_is_refused_in_one_line(tmp_path):
    path = write_db3(tmp_path / "a.db3", [("/t", "std_msgs/msg/String", 1, b"\0\1\0\0")], texts={"a": "b\nc"})
    content = path.read_bytes()
    for name in (b"message_definitions", b"/tstd_msgs"):
        assert name in content
        path.write_bytes(content.replace(name, b"\n\xfd" + name[2:]))
        with pytest.raises(DataError, match=r"a\.db3: damaged SQLite bag") as caught:
            held(path)
        assert "\n" not in str(caught.value)


def test_plain_messages_pass_untouched():
    data = b"\0\1\0\0" + b"\x28\xb5\x2f\xfd"  # a zstd frame's first bytes, but not in front
    assert unpack.unpacked_message(data, "/t") is data
