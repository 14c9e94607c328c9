"""The real LeRobot recordings of ../shared/data: what their README knows of them, and the same robot's bags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from o2o_robot.data.action_range import ActionRange, unscaled
from o2o_robot.data.bags.pictures import picture
from o2o_robot.data.formats import Wishes, open_dataset
from o2o_robot.data.formats.dataset import Dataset
from o2o_robot.errors import DataError

DATA = Path(__file__).parents[3].parent / "shared" / "data"
BLIND = Wishes(cameras=("none",))

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"the recordings of {DATA} are not on this machine")


def _open(name: str) -> tuple[Dataset, ActionRange]:
    dataset = open_dataset(DATA / name)
    assert dataset is not None
    found = dataset.action_range()
    assert found is not None
    return dataset, found


def test_the_g1_has_100_episodes_of_which_50_are_there():
    dataset, found = _open("g1-lerobot21")
    assert len(dataset) == 100
    for number in (0, 49):
        episode = dataset.read(number, BLIND, found)
        assert (episode.state["state"].shape[1], episode.action.shape[1]) == (26, 26)
        assert episode.stamp_ns[30] == 1_000_000_000
    with pytest.raises(DataError, match=r"episode_000050\.parquet is missing"):
        dataset.read(50, BLIND, found)


def test_the_g1_has_video_of_episodes_1_and_2_only():
    dataset, found = _open("g1-lerobot21")
    for number, n_frames in ((1, 393), (2, 343)):
        episode = dataset.read(number, BLIND, found)
        assert len(episode) == n_frames - 1
    with pytest.raises(DataError, match=r"episode_000003\.mp4 is missing"):
        dataset.read(3, Wishes(), found)


@pytest.mark.parametrize(("number", "n_frames"), [(1, 393), (2, 343)])
def test_the_g1_s_bags_hold_the_same_joints_and_pictures(number: int, n_frames: int):
    dataset, found = _open("g1-lerobot21")
    episode = dataset.read(number, Wishes(image_side=64), found)
    bag = _messages(next((DATA / f"g1-bags/g1_bottle_ep{number}").glob("*.mcap")))
    states = np.array([message.position for message in bag["/joint_states"]], np.float32)
    commands = np.array([message.position for message in bag["/joint_command"]])
    np.testing.assert_array_equal(episode.state["state"], states)
    np.testing.assert_allclose(unscaled(episode.action, found), commands[:-1], atol=1e-6)
    frames = bag["/cam_high/color/image_raw/compressed"]
    assert (len(frames), len(episode.images["cam_high"])) == (n_frames, n_frames)
    for row in range(0, n_frames, 14):  # neighbours are too alike to tell apart by eye, not by the codec's noise
        apart = np.abs(picture(frames[row], 64).astype(int) - episode.images["cam_high"][row])
        assert apart.mean() < 1.6, row


def test_the_piper_has_55_episodes_7_joints_and_a_dead_joint_4():
    dataset, found = _open("piper-lerobot30/act/dataset")
    episodes = [dataset.read(number, BLIND, found) for number in range(len(dataset))]
    assert len(episodes) == 55
    assert sum(len(episode) + 1 for episode in episodes) == 13_331
    assert {(each.state["state"].shape[1], each.action.shape[1]) for each in episodes} == {(7, 6)}
    assert episodes[0].meta["task"] == "Put the grape on the white plate."
    moved = np.concatenate([each.state["state"] for each in episodes]).std(axis=0)
    names = episodes[0].meta["state_names"]["state"]
    assert names[int(np.argmin(moved))] == "joint_4.pos"


def test_the_so101_has_4_episodes_and_lacks_its_videos():
    dataset, found = _open("so101-record-lerobot30")
    lengths = [len(dataset.read(number, BLIND, found)) + 1 for number in range(len(dataset))]
    assert (len(lengths), sum(lengths)) == (4, 1_492)
    with pytest.raises(DataError, match=r"videos/observation\.images\.front/chunk-000/file-000\.mp4 is missing"):
        dataset.read(0, Wishes(), found)


def _messages(path: Path) -> dict[str, list]:
    """Every message of a bag by its topic, decoded by the mcap packages alone."""
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    found: dict[str, list] = {}
    with path.open("rb") as stream:
        for _, channel, _, message in make_reader(stream, decoder_factories=[DecoderFactory()]).iter_decoded_messages():
            if hasattr(message, "data"):
                message.data = np.frombuffer(bytes(message.data), np.uint8)
            found.setdefault(channel.topic, []).append(message)
    return found
