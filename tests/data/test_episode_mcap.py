"""An episode written as MCAP is what it was: other readers decode it, and ingestion gives it back."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from twin_bags import make_episode, write_contract

from o2o_robot.apps.ingest import main as ingest
from o2o_robot.data.bags.episode_mcap import source_name, write_episode
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Episode


def decoded(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Topic -> [(log time, message)], by the reader of mcap-ros2-support, which knows only what the file defines."""
    reading = pytest.importorskip("mcap.reader")
    ros2 = pytest.importorskip("mcap_ros2.decoder")
    found: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    with path.open("rb") as file:
        reader = reading.make_reader(file, validate_crcs=True, decoder_factories=[ros2.DecoderFactory()])
        for _, channel, raw, message in reader.iter_decoded_messages():
            found[channel.topic].append((raw.log_time, message))
    return found


@pytest.fixture(scope="module")
def episode() -> Episode:
    made = make_episode(2, n_steps=7)
    return dataclasses.replace(made, reasons=np.array([0, 0, 2, 0, 3, 0, 0], np.uint32))


@pytest.fixture(scope="module")
def topics(episode: Episode, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, Any]]]:
    return decoded(write_episode(episode, tmp_path_factory.mktemp("mcap") / "e.mcap"))


def test_ingesting_the_mcap_gives_the_same_pictures_states_and_actions(episode, tmp_path):
    bag = write_episode(episode, tmp_path / "e.mcap")
    contract = write_contract(
        tmp_path / "c.yaml",
        name="again",
        rate_hz=10.0,
        tolerance_s=0.15,
        images={name: {"topic": f"{name}/color/image_raw/compressed", "side": 64} for name in episode.images},
        state={name: {"topic": f"state/{name}", "field": "data"} for name in episode.state},
        action={"topic": "action", "kind": "command", "field": "data", "low": [-1.0] * 3, "high": [1.0] * 3},
    )
    assert ingest([bag], out=tmp_path / "s.zarr", contract=str(contract), outcome="success") == 0
    with EpisodeStore.open(tmp_path / "s.zarr") as store:
        (again,) = store.episodes()
    for name, frames in episode.images.items():
        np.testing.assert_array_equal(again.images[name], frames)
    for name, values in episode.state.items():
        np.testing.assert_array_equal(again.state[name], values)
    np.testing.assert_array_equal(again.stamp_ns, episode.stamp_ns)
    np.testing.assert_allclose(again.action, episode.action, atol=1e-6)


def test_every_row_of_every_array_is_a_message_stamped_with_its_own_time(episode, topics):
    for name, values in episode.state.items():
        times, messages = zip(*topics[f"/state/{name}"], strict=True)
        assert list(times) == episode.stamp_ns.tolist()
        np.testing.assert_array_equal(np.array([m.data for m in messages], np.float32), values)
        assert messages[0].layout.dim[0].label == name
    for name in ("action", "proposed"):
        sent = np.array([m.data for _, m in topics[f"/{name}"]], np.float32)
        np.testing.assert_array_equal(sent, getattr(episode, name))
    np.testing.assert_array_equal([m.data for _, m in topics["/reward"]], episode.reward)
    for time_ns, message in topics["/wrist/color/image_raw/compressed"]:
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == time_ns


def test_joints_and_tool_pose_are_the_messages_that_viewers_know(episode, topics):
    joints = [m for _, m in topics["/joint_states"]]
    np.testing.assert_allclose([m.position for m in joints], episode.state["q_rad"])
    np.testing.assert_allclose([m.velocity for m in joints], episode.state["dq_rad"])
    assert joints[0].name == [f"joint_{i}" for i in range(1, 8)]
    poses = [m.pose for _, m in topics["/current_pose"]]
    turned = np.array([[getattr(p.orientation, axis) for axis in "xyzw"] for p in poses])
    np.testing.assert_allclose(turned, episode.state["tool_quat_xyzw"])


def test_what_the_guard_did_who_moved_and_the_end_are_words(episode, topics):
    assert [(t, m.data) for t, m in topics["/guard"]] == [
        (episode.stamp_ns[2], "workspace"),
        (episode.stamp_ns[4], "command not finite, workspace"),
    ]
    assert [m.data for _, m in topics["/source"]] == [source_name(int(s)) for s in episode.source]
    assert [(t, m.data) for t, m in topics["/end"]] == [(episode.stamp_ns[6], "terminated")]
    assert json.loads(topics["/meta"][0][1].data) == episode.meta


def test_an_episode_without_known_fields_has_no_joints_and_no_pose(episode, tmp_path):
    bare = dataclasses.replace(episode, images={}, state={"glove": episode.state["q_rad"]})
    found = decoded(write_episode(bare, tmp_path / "b.mcap"))
    assert "/state/glove" in found
    assert not {"/joint_states", "/current_pose"} & set(found)


def test_stamps_that_ros_cannot_hold_are_refused(episode, tmp_path):
    late = dataclasses.replace(episode, stamp_ns=episode.stamp_ns + 3 * 10**18)
    with pytest.raises(DataError, match="between 1970 and 2038"):
        write_episode(late, tmp_path / "l.mcap")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_nobody_knows_stays_a_number():
    assert source_name(1) == "teleop"
    assert source_name(9) == "source 9"
