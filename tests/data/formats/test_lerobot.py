"""LeRobot v2.1 and v3.0 as strangers write them: what becomes of rows, frames and ends, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_examples import CAMERA, FPS, rows_of, smooth_frames, write_v21, write_v30

from o2o_robot.data.action_range import ActionRange, unscaled
from o2o_robot.data.formats import Wishes, open_dataset
from o2o_robot.data.formats import lerobot_write as write
from o2o_robot.data.formats.lerobot import FORMAT
from o2o_robot.errors import DataError
from o2o_robot.types import Episode, Outcome

BLIND = Wishes(cameras=("none",))
SMALL = Wishes(image_side=32)
UNIT = ActionRange(np.full(3, -90.0), np.full(3, 90.0))
LENGTHS = (7, 4)


def _read(root: Path, number: int = 0, wishes: Wishes = BLIND) -> Episode:
    dataset = FORMAT.open(root)
    return dataset.read(number, wishes, dataset.action_range())


def _raw(episode: Episode) -> np.ndarray:
    limits = (np.array(episode.meta[name]) for name in ("action_low", "action_high"))
    return unscaled(episode.action, ActionRange(*limits))


def _v21(root: Path) -> Path:
    episodes = [rows_of(n, i) for i, n in enumerate(LENGTHS)]
    return write_v21(root, episodes, frames={i: smooth_frames(n, seed=i) for i, n in enumerate(LENGTHS)})


def _v30(root: Path) -> Path:
    episodes = [rows_of(n, i) for i, n in enumerate(LENGTHS)]
    return write_v30(root, episodes, frames=[smooth_frames(n, seed=i) for i, n in enumerate(LENGTHS)])


versions = pytest.mark.parametrize("write_dataset", [_v21, _v30])


@versions
def test_n_rows_are_n_observations_and_one_transition_less(write_dataset: Callable[[Path], Path], tmp_path: Path):
    dataset = open_dataset(write_dataset(tmp_path))
    assert dataset is not None
    assert dataset.kind == "lerobot"
    assert len(dataset) == 2
    for number, n_rows in enumerate(LENGTHS):
        rows, episode = rows_of(n_rows, number), dataset.read(number, SMALL, dataset.action_range())
        assert len(episode) == n_rows - 1
        np.testing.assert_array_equal(episode.state["state"], rows["observation.state"])
        np.testing.assert_allclose(_raw(episode), rows["action"][:-1], atol=1e-4)
        np.testing.assert_array_equal(episode.stamp_ns, np.arange(n_rows) * (1_000_000_000 // FPS))
        assert episode.truncated[-1]
        assert not episode.terminated.any()
        assert not episode.reward.any()


@versions
def test_each_frame_is_the_one_of_its_row(write_dataset: Callable[[Path], Path], tmp_path: Path):
    for number, n_rows in enumerate(LENGTHS):  # neighbouring frames differ by 5 in blue, 1 in red
        frames = _read(write_dataset(tmp_path / str(number)), number, SMALL).images["front"]
        apart = np.abs(frames.astype(int) - smooth_frames(n_rows, seed=number))
        assert apart.mean() < 1.5
        blue = frames[..., 2].mean(axis=(1, 2)) - smooth_frames(n_rows, seed=number)[..., 2].mean(axis=(1, 2))
        assert np.abs(blue).max() < 2


def test_embedded_pictures_are_read_without_loss(tmp_path: Path):
    frames = [smooth_frames(n, seed=i) for i, n in enumerate(LENGTHS)]
    pictures = [[write.png(frame) for frame in clip] for clip in frames]
    root = write_v30(tmp_path, [rows_of(n, i) for i, n in enumerate(LENGTHS)], pictures=pictures)
    for number in range(2):
        np.testing.assert_array_equal(_read(root, number, SMALL).images["front"], frames[number])


def test_facts_of_the_dataset_are_kept_with_the_episode(tmp_path: Path):
    meta = _read(_v21(tmp_path), wishes=Wishes(cameras=("none",), task="unused")).meta
    assert meta["task"] == "push"
    assert meta["robot"] == "toy"
    assert meta["fps"] == FPS
    assert meta["state_names"] == {"state": ["a", "b", "c", "d"]}


def test_fields_and_cameras_are_chosen_by_name_or_by_key(tmp_path: Path):
    rows = rows_of(5) | {"observation.effort": np.ones((5, 2), np.float32)}
    root = write_v21(tmp_path, [rows], frames={0: smooth_frames(5)})
    assert set(_read(root).state) == {"state", "effort"}
    for asked in ("effort", "observation.effort"):
        assert set(_read(root, wishes=Wishes(cameras=(CAMERA,), state=(asked,))).state) == {"effort"}
    with pytest.raises(DataError, match=r"no camera 'wrist'; it has front"):
        _read(root, wishes=Wishes(cameras=("wrist",)))


def test_a_missing_video_is_named_and_can_be_done_without(tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5), rows_of(5, 1)], frames={0: smooth_frames(5)})
    assert len(_read(root, 0, SMALL)) == 4
    with pytest.raises(DataError, match=r"episode_000001\.mp4 is missing.*--cameras none"):
        _read(root, 1, SMALL)
    assert len(_read(root, 1, BLIND)) == 4


@pytest.mark.parametrize(
    ("n_frames", "said"), [(4, "has 4 frames from 0.000 s on, its episode 5 rows"), (6, "more than the 5 frames")]
)
def test_a_video_of_other_length_than_its_rows_is_refused(n_frames: int, said: str, tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5)], frames={0: smooth_frames(n_frames)})
    with pytest.raises(DataError, match=said):
        _read(root, wishes=SMALL)


def test_a_video_of_another_rate_than_its_rows_is_refused(tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5)], frames={0: smooth_frames(5)}, video_fps=25)
    with pytest.raises(DataError, match=r"a frame at 0\.\d+ s, row \d of 5 is at"):
        _read(root, wishes=SMALL)


def test_a_clip_whose_times_do_not_fit_its_rows_is_refused(tmp_path: Path):
    root = _v30(tmp_path)
    path = root / write.EPISODES_PATH
    entries = pq.read_table(path).to_pylist()
    entries[0][f"videos/{CAMERA}/to_timestamp"] += 0.1
    pq.write_table(pa.Table.from_pylist(entries), path)
    with pytest.raises(DataError, match=r"has 8\.0 frames of it by meta/episodes, its rows are 7"):
        _read(root, 0, SMALL)
    assert len(_read(root, 1, SMALL)) == LENGTHS[1] - 1


def test_a_video_file_that_ends_within_an_episode_is_refused(tmp_path: Path):
    root = write_v30(
        tmp_path, [rows_of(n, i) for i, n in enumerate(LENGTHS)], frames=[smooth_frames(7), smooth_frames(3)]
    )
    assert len(_read(root, 0, SMALL)) == 6
    with pytest.raises(DataError, match=r"has 3 frames from 0\.700 s on, its episode 4 rows"):
        _read(root, 1, SMALL)


def _ends(**flags: Any) -> dict[str, np.ndarray]:
    """Five rows whose flags are all false until the last."""
    last = np.arange(5) == 4
    ended = {f"next.{name}": last & value for name, value in flags.items() if name != "reward"}
    return rows_of(5) | ended | ({"next.reward": np.asarray(flags["reward"], np.float32)} if "reward" in flags else {})


@pytest.mark.parametrize(
    ("flags", "wished", "n_steps", "is_terminated", "outcome"),
    [
        ({"done": True, "success": True}, None, 5, True, "success"),
        ({"done": True, "success": False}, None, 4, False, "failure"),
        ({"done": True}, None, 4, False, "incomplete"),
        ({"done": True}, Outcome.SUCCESS, 5, True, "success"),
        ({}, Outcome.SUCCESS, 4, True, "success"),
        ({}, None, 4, False, "incomplete"),
        ({"done": True, "success": False}, Outcome.SUCCESS, 4, False, "failure"),
        ({"terminated": True, "success": False}, None, 5, True, "failure"),
        ({"terminated": False, "truncated": True, "success": True}, None, 4, False, "success"),
        ({"done": True, "reward": [0, 0, 0, 0, 1]}, None, 5, True, "success"),
        ({"done": False, "reward": [0, 0, 0, 0, 1]}, None, 4, False, "incomplete"),
        ({"done": True, "reward": [0.1, 0.2, 0.3, 0.4, 0.5]}, None, 4, False, "incomplete"),
    ],
)
def test_only_success_or_a_stated_end_terminates(
    flags: dict[str, Any], wished: Outcome | None, n_steps: int, is_terminated: bool, outcome: str, tmp_path: Path
):
    episode = _read(write_v21(tmp_path, [_ends(**flags)]), wishes=Wishes(outcome=wished))
    assert len(episode) == n_steps
    assert bool(episode.terminated[-1]) is is_terminated
    assert bool(episode.truncated[-1]) is not is_terminated
    assert episode.meta["outcome"] == outcome
    stop = "time_limit" if flags.get("truncated", flags.get("done")) else "operator"
    assert episode.meta["termination"] == ("task" if is_terminated else stop)


def test_the_reward_of_a_terminal_last_row_is_kept(tmp_path: Path):
    rows = _ends(success=True, done=True, reward=[-1, -2, -3, -4, 10])
    episode = _read(write_v21(tmp_path, [rows]))
    np.testing.assert_array_equal(episode.reward, [-1, -2, -3, -4, 10])
    np.testing.assert_array_equal(episode.state["state"][5], rows["observation.state"][4])
    assert episode.meta["final_observation"] == "repeated"


def test_a_success_without_rewards_is_worth_one_at_its_end(tmp_path: Path):
    stated = _read(write_v21(tmp_path / "stated", [_ends(success=True)]))
    wished = _read(write_v21(tmp_path / "wished", [rows_of(5)]), wishes=Wishes(outcome=Outcome.SUCCESS))
    assert stated.reward.tolist() == [0, 0, 0, 0, 1]
    assert wished.reward.tolist() == [0, 0, 0, 1]


def test_an_end_before_the_last_row_is_refused(tmp_path: Path):
    rows = rows_of(5) | {"next.done": np.array([False, True, False, False, True])}
    with pytest.raises(DataError, match=r"next\.done is set at row 1 of 5"):
        _read(write_v21(tmp_path, [rows]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: {"frame_index": np.array([0, 1, 3, 4, 5])}, "row 2 has frame_index 3, expected 2"),
        (lambda rows: {"timestamp": rows["timestamp"] * 2}, r"row 1 is at 0\.200 s, expected 0\.100 s at 10 Hz"),
        (lambda rows: {"timestamp": rows["timestamp"] * np.nan}, "row 0 is at nan s"),
        (lambda rows: {"action": rows["action"] * np.float32(np.nan)}, "action is not finite"),
        (lambda rows: {"observation.state": rows["observation.state"] * np.float32(np.inf)}, "state is not finite"),
        (lambda rows: {"episode_index": np.array([0, 0, 0, 0, 1])}, "has 4 rows of episode 0, meta/ says 5"),
        (lambda rows: {"next.done": np.full(5, 0.5, np.float32)}, r"next\.done is 0\.5, expected true or false"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(spoil: Callable, said: str, tmp_path: Path):
    rows, good = rows_of(5), rows_of(5, 1)
    wrong = spoil(rows)
    good |= {key: np.zeros(5, values.dtype) for key, values in wrong.items() if key not in rows}
    root = write_v21(tmp_path, [rows | wrong, good])
    with pytest.raises(DataError, match=said):
        _read(root)
    assert len(_read(root, 1)) == 4  # the others can still be read


def test_the_action_range_is_that_of_the_rows_that_are_there(tmp_path: Path):
    episodes = [rows_of(5, i) for i in range(3)]
    episodes[2]["action"] = episodes[2]["action"] * 100
    episodes[0]["action"][2, 1] = np.nan
    root = write_v21(tmp_path, episodes)
    files = sorted((root / "data").rglob("*.parquet"))
    files[2].unlink()
    files[1].write_bytes(b"PAR1" + bytes(100))
    found = FORMAT.open(root).action_range()
    finite = episodes[0]["action"][[0, 1, 3, 4]]
    np.testing.assert_allclose(found, [finite.min(axis=0), finite.max(axis=0)])
    for number, said in ((1, "cannot be read as parquet"), (2, "is missing")):
        with pytest.raises(DataError, match=said):
            FORMAT.open(root).read(number, BLIND, found)


def test_raw_actions_are_not_taken_without_a_range(tmp_path: Path):
    with pytest.raises(DataError, match="give an action range"):
        FORMAT.open(_v21(tmp_path)).read(0, BLIND, None)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"codebase_version": "v1.6"}, r"LeRobot v1\.6 is not read"),
        ({"total_episodes": 3}, "says total_episodes 3, the episodes listed have 2"),
        ({"total_frames": 10}, "says total_frames 10, the episodes listed have 11"),
        ({"fps": 0}, "fps is 0, expected a number"),
        ({"fps": "ten"}, "fps is 'ten', expected a number"),
        ({"features": {"action": {"dtype": "float32", "shape": [10**9]}}}, "expected a whole number from 1 to"),
        ({"features": {"observation.state": {"dtype": "float32", "shape": [4]}}}, "no feature 'action'"),
        ({"features": []}, "no features"),
        ({"data_path": "../../etc/{episode_index}.parquet"}, "expected a path inside the dataset"),
        ({"data_path": "/etc/{episode_index}.parquet"}, "expected a path inside the dataset"),
        ({"data_path": "data/{episode_index.__class__}"}, r"\{episode_index\.__class__\} is missing"),
        (
            {"data_path": "data/{episode_index:0999999999d}.parquet"},
            r"\{episode_index:0999999999d\}\.parquet is missing",
        ),
        ({"data_path": "data/{secret}.parquet"}, r"asks for '\{secret\}'"),
        ({"data_path": None}, "expected a path inside the dataset"),
    ],
)
def test_metadata_that_cannot_be_true_is_refused(info: dict[str, Any], said: str, tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(n, i) for i, n in enumerate(LENGTHS)], info=info)
    with pytest.raises(DataError, match=said):  # a pattern that str.format would obey is left as it is
        FORMAT.open(root).read(0, BLIND, UNIT)


def test_an_episode_that_claims_to_be_endless_is_refused_at_once(tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5)], info={"total_frames": 10**9})
    claim = {"episode_index": 0, "tasks": ["push"], "length": 10**9}
    (root / "meta/episodes.jsonl").write_text(json.dumps(claim))
    with pytest.raises(DataError, match="length of episode 0 is 1000000000, expected a whole number"):
        FORMAT.open(root)


def test_an_episode_that_would_not_fit_into_memory_is_refused_before_it_is_asked_for(tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5)], frames={0: smooth_frames(5)}, info={"total_frames": 900_000})
    claim = {"episode_index": 0, "tasks": ["push"], "length": 900_000}
    (root / "meta/episodes.jsonl").write_text(json.dumps(claim))
    with pytest.raises(DataError, match="an episode of 900000 rows and"):
        _read(root, wishes=Wishes(image_side=1024))


def test_lists_longer_than_the_metadata_says_are_refused_before_they_are_read(tmp_path: Path):
    rows = rows_of(5)
    root = write_v21(tmp_path, [rows])
    other = write_v21(tmp_path / "wide", [rows | {"observation.state": np.zeros((5, 1000), np.float32)}])
    shutil.copy(other / "data/chunk-000/episode_000000.parquet", root / "data/chunk-000/episode_000000.parquet")
    with pytest.raises(DataError, match=r"'observation.state' has 5000 values in 5 rows, at most 4 a row are read"):
        _read(root)


def test_a_playlist_named_mp4_is_not_followed(tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5)], frames={0: smooth_frames(5)})
    video = root / f"videos/chunk-000/{CAMERA}/episode_000000.mp4"
    video.rename(video.with_name("real.mp4"))
    video.write_text("ffconcat version 1.0\nfile real.mp4\n")
    with pytest.raises(DataError, match="cannot be decoded"):
        _read(root, wishes=SMALL)


def test_a_depth_map_is_refused_by_name(tmp_path: Path):
    root = write_v21(tmp_path, [rows_of(5)], frames={0: smooth_frames(5)})
    info = json.loads((root / "meta/info.json").read_text())
    info["features"][CAMERA]["info"] = {"video.is_depth_map": True}
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="is a depth map"):
        _read(root, wishes=SMALL)


def test_the_fingerprint_follows_the_data_and_not_the_place(tmp_path: Path):
    root = _v30(tmp_path / "one")
    shutil.copytree(root, tmp_path / "two")
    assert FORMAT.open(root).fingerprint() == FORMAT.open(tmp_path / "two").fingerprint()
    rows = [rows_of(n, i, seed=1) for i, n in enumerate(LENGTHS)]
    other = write_v30(tmp_path / "three", rows, frames=[smooth_frames(n, seed=i) for i, n in enumerate(LENGTHS)])
    assert FORMAT.open(root).fingerprint() != FORMAT.open(other).fingerprint()


def test_other_folders_are_not_taken_for_lerobot(tmp_path: Path):
    (tmp_path / "meta").mkdir()
    assert not FORMAT.recognises(tmp_path)
    assert not FORMAT.recognises(tmp_path / "absent")
    assert FORMAT.recognises(_v21(tmp_path / "real"))


@versions
def test_a_damaged_file_is_one_line_or_a_correct_episode(write_dataset: Callable[[Path], Path], tmp_path: Path):
    root = write_dataset(tmp_path)
    rng = np.random.default_rng(0)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    for case in range(60):
        path = files[case % len(files)]
        whole = path.read_bytes()
        at = int(rng.integers(len(whole)))
        cut = whole[:at] if case % 2 else whole[:at] + rng.bytes(8) + whole[at + 8 :]
        path.write_bytes(cut)
        said = _problem(lambda number=case % 2: _read(root, number, SMALL))
        assert said is None or said.count("\n") == 0, (case, path.name, at)
        path.write_bytes(whole)


def _problem(read: Callable[[], Episode]) -> str | None:
    """What DataError says; None where the episode is one of ours. Any other error is a failure of the test."""
    try:
        assert len(read()) + 1 in LENGTHS
    except DataError as problem:
        return str(problem)
    return None
