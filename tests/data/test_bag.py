"""Recordings on disk: which files make one bag, and what a damaged or hostile file is answered with."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from twin_bags import make_episode, write_twin_bag

from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.bags.mcap_file import MAGIC, MAX_CHUNK_BYTES
from o2o_robot.errors import DataError

FIXTURES = Path(__file__).parents[3] / "shared" / "data" / "rosbag2-fixtures"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recordings under {FIXTURES}")


def count(path: Path) -> int:
    return sum(1 for _ in Bag.open(path).messages(()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_twin_bag(tmp_path_factory.mktemp("bag") / "whole.mcap", make_episode(0, n_steps=2, side=16))


@needs_fixtures
@pytest.mark.parametrize("kind", ["mcap", "sqlite3"])
def test_a_recording_split_over_five_files_is_one_bag_of_all_its_messages(kind):
    folder = FIXTURES / "rosbag2_py" / "test" / "resources" / kind / "wbag"
    assert find_bags([folder.parent]).count(folder) == 1
    bag = Bag.open(folder)
    assert len(bag.files) == 5
    assert count(folder) == 6074


@needs_fixtures
def test_files_named_after_their_folder_are_one_bag_without_a_metadata_file():
    folder = FIXTURES / "rosbag2_py" / "test" / "resources" / "mcap" / "reindex_test_bags" / "multiple_files"
    assert [file.name for file in Bag.open(folder).files] == [f"multiple_files_{i}.mcap" for i in range(3)]
    assert count(folder) == 3177


@needs_fixtures
def test_mcap_and_db3_of_one_set_of_messages_hold_the_same_topics_and_sizes():
    twins = [FIXTURES / "other" / "geocamxyz_test_bags" / f"test_bag_{kind}" for kind in ("mcap", "sqlite3")]
    bags = [Bag.open(folder) for folder in twins]
    held = [sorted((m.topic, len(m.data)) for m in bag.messages(bag.topics())) for bag in bags]
    assert len(held[0]) == 188
    assert held[0] == held[1]


def test_numbered_episodes_in_a_folder_of_another_name_are_bags_of_their_own(tmp_path, whole):
    for number in (10, 2, 1):
        shutil.copy(whole, tmp_path / f"episode_{number}.mcap")
    assert [path.name for path in find_bags([tmp_path])] == ["episode_1.mcap", "episode_2.mcap", "episode_10.mcap"]


def test_a_file_given_twice_is_found_once(whole):
    assert find_bags([whole, whole.parent]) == [whole]


def test_bytes_of_topics_that_are_not_wanted_are_counted_but_not_copied(whole):
    messages = list(Bag.open(whole).messages({"/joint_states"}))
    assert {bool(message.data) for message in messages if message.topic != "/joint_states"} == {False}
    assert all(message.data for message in messages if message.topic == "/joint_states")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_in_one_line_that_names_it(whole, tmp_path, share):
    cut = tmp_path / "cut.mcap"
    content = whole.read_bytes()
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.mcap: (truncated|the file is empty|not an MCAP)") as caught:
        count(cut)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), n=st.integers(1, 16))
def test_overwritten_bytes_never_give_more_than_a_data_error(whole, tmp_path, share, value, n):
    bad = tmp_path / "bad.mcap"
    content = bytearray(whole.read_bytes())
    at = int(share * len(content))
    content[at : at + n] = bytes([value]) * len(content[at : at + n])
    bad.write_bytes(content)
    said = "bad.mcap"
    try:
        bag = Bag.open(bad)
        list(bag.messages(bag.topics()))
    except DataError as problem:
        said = str(problem)
    assert "bad.mcap" in said


@pytest.mark.parametrize("compression", [b"", b"zstd", b"lz4"])
def test_a_chunk_that_claims_a_terabyte_is_refused_before_memory_is_asked_for(tmp_path, compression):
    chunk = struct.pack("<QQQII", 0, 0, 1 << 40, 0, len(compression)) + compression + struct.pack("<Q", 4) + b"\0" * 4
    with pytest.raises(DataError, match=str(MAX_CHUNK_BYTES)):
        count(_mcap(tmp_path, struct.pack("<BQ", 6, len(chunk)) + chunk))


def test_a_record_longer_than_its_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="claims 4611686018427387904 bytes"):
        count(_mcap(tmp_path, struct.pack("<BQ", 5, 1 << 62) + b"short"))


def test_a_zstd_chunk_cannot_unpack_to_more_than_it_states(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(b"\0" * (1 << 24))
    chunk = struct.pack("<QQQII", 0, 0, 100, 0, 4) + b"zstd" + struct.pack("<Q", len(bomb)) + bomb
    with pytest.raises(DataError, match="damaged chunk"):
        count(_mcap(tmp_path, struct.pack("<BQ", 6, len(chunk)) + chunk))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mcap", b"", "empty"),
        ("a.mcap", b"#!/bin/sh\n" * 100, "not an MCAP"),
        ("a.db3", b"", "empty"),
        ("a.db3", b"x" * 5000, "not an SQLite"),
        ("a.db3", b"SQLite format 3\x00" + b"\x07" * 5000, "SQLite"),
        ("a.txt", b"hello", "not a bag"),
    ],
)
def test_a_file_that_is_no_bag_is_told_apart_by_what_it_is(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        Bag.open(path).topics()


def test_a_database_whose_message_is_a_number_is_refused_before_that_many_bytes_are_made(tmp_path):
    path = tmp_path / "a.db3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE topics (id INTEGER, name TEXT, type TEXT, serialization_format TEXT)")
        connection.execute("CREATE TABLE messages (id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        connection.execute("INSERT INTO topics VALUES (1, '/t', 'std_msgs/msg/String', 'cdr')")
        connection.execute("INSERT INTO messages VALUES (1, 1, 5, 1000000000000)")
    with pytest.raises(DataError, match="not a stamp and bytes"):
        list(Bag.open(path).messages({"/t"}))


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "contacts.db3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
        # a view must not pass for the table: its query could be endless
        connection.execute("CREATE VIEW messages AS SELECT 1")
    with pytest.raises(DataError, match="not a rosbag2 bag"):
        Bag.open(path).topics()


@pytest.mark.parametrize(
    "text", ["", "- 1", "rosbag2_bagfile_information: {}", "a: [", "rosbag2_bagfile_information: 3"]
)
def test_a_damaged_metadata_file_is_said_and_named(tmp_path, text):
    (tmp_path / "metadata.yaml").write_text(text)
    with pytest.raises(DataError, match=r"metadata\.yaml"):
        Bag.open(tmp_path)


def test_a_metadata_file_cannot_reach_outside_its_folder(tmp_path, whole):
    folder = tmp_path / "bag"
    folder.mkdir()
    shutil.copy(whole, tmp_path / "outside.mcap")
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: {relative_file_paths: [../outside.mcap]}")
    with pytest.raises(DataError, match=r"outside\.mcap, not found"):
        Bag.open(folder)


def _mcap(folder: Path, records: bytes) -> Path:
    """An MCAP of these records, with a sound beginning and end and no summary."""
    path = folder / "hostile.mcap"
    header = struct.pack("<BQI4sI", 1, 12, 4, b"ros2", 0)
    footer = struct.pack("<BQQQI", 2, 20, 0, 0, 0)
    path.write_bytes(MAGIC + header + records + footer + MAGIC)
    return path


def test_the_same_messages_come_out_of_every_chunk_compression(tmp_path):
    from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter

    payload = [np.random.default_rng(i).bytes(1000 + i) for i in range(50)]
    for compression in ("zstd", "lz4", "none"):
        path = tmp_path / f"{compression}.mcap"
        with McapEpisodeWriter(path, compression=compression, chunk_bytes=4000) as writer:
            writer.register("/t", "std_msgs/msg/String", "string data")
            for i, data in enumerate(payload):
                writer.write("/t", data, log_time_ns=i, publish_time_ns=i)
        assert [message.data for message in Bag.open(path).messages({"/t"})] == payload
