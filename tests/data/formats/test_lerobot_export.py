"""A store goes out as LeRobot v3.0 and comes back: every array, every fact, and what a stranger finds in it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lerobot_examples import an_own_episode

from o2o_robot.data.action_range import ActionRange, unscaled
from o2o_robot.data.episode import arrays
from o2o_robot.data.formats import Wishes, lerobot_export, lerobot_extra
from o2o_robot.data.formats import lerobot_stats as stats
from o2o_robot.data.formats.lerobot import FORMAT
from o2o_robot.data.formats.lerobot_export import Pictures, export
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Episode

SMALL = Wishes(image_side=32)
ENDS = ("terminated", "truncated", "open")


def _store(path: Path, episodes: list[Episode]) -> EpisodeStore:
    with EpisodeStore.create(path) as store:
        for episode in episodes:
            store.append(episode)
    return EpisodeStore.open(path)


def _exported(tmp_path: Path, episodes: list[Episode], pictures: Pictures = "png", **settings: object) -> Path:
    out = tmp_path / "out"
    export(_store(tmp_path / "store.zarr", episodes), out, pictures=pictures, **settings)
    return out


def _rows(root: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(root / "data/chunk-000/file-000.parquet")
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


@pytest.mark.parametrize("unit", [False, True])
def test_a_store_comes_back_equal(unit: bool, tmp_path: Path):
    episodes = [an_own_episode(n, seed=n, end=end, unit=unit) for n, end in zip((1, 5, 8), ENDS, strict=True)]
    dataset = FORMAT.open(_exported(tmp_path, episodes))
    assert dataset.action_range() is None
    for number, sent in enumerate(episodes):
        back = dataset.read(number, SMALL, None)
        assert dict(back.meta) == dict(sent.meta)
        assert list(back.images) == list(sent.images)
        for name, values in arrays(sent).items():
            assert arrays(back)[name].dtype == values.dtype, name
            np.testing.assert_array_equal(arrays(back)[name], values, err_msg=name)


def test_video_loses_only_pixels_and_few_of_them(tmp_path: Path):
    sent = an_own_episode(12)
    back = FORMAT.open(_exported(tmp_path, [sent], "video")).read(0, SMALL, None)
    for name, values in arrays(sent).items():
        if not name.startswith("images/"):
            np.testing.assert_array_equal(arrays(back)[name], values, err_msg=name)
    for name, frames in sent.images.items():
        apart = back.images[name].astype(int) - frames
        assert np.abs(apart).mean() < 1.5
        assert np.abs(apart.mean()) < 0.3  # no darkening
        np.testing.assert_array_equal(back.images[name][-1], frames[-1])  # the final observation is kept apart


def test_files_that_are_full_give_way_between_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lerobot_export, "DATA_MB", 0)
    monkeypatch.setattr(lerobot_export, "VIDEO_MB", 0)
    episodes = [an_own_episode(4, seed=seed) for seed in range(3)]
    root = _exported(tmp_path, episodes, "video")
    assert len(list(root.glob("data/*/*.parquet"))) == 3
    assert len(list(root.glob("videos/observation.images.front/*/*.mp4"))) == 3
    dataset = FORMAT.open(root)
    for number, sent in enumerate(episodes):
        back = dataset.read(number, SMALL, None)
        np.testing.assert_array_equal(back.action, sent.action)
        assert np.abs(back.images["front"].astype(int) - sent.images["front"]).mean() < 1.5


def test_a_row_is_a_transition_and_none_is_made_up(tmp_path: Path):
    episodes = [an_own_episode(3, seed=0, end="terminated"), an_own_episode(5, seed=1)]
    rows = _rows(_exported(tmp_path, episodes))
    assert rows["frame_index"].tolist() == [0, 1, 2, 0, 1, 2, 3, 4]
    assert rows["index"].tolist() == list(range(8))
    state = [np.concatenate([values[:-1] for values in each.state.values()], axis=1) for each in episodes]
    np.testing.assert_array_equal(rows["observation.state"].astype(np.float32), np.concatenate(state))


def test_actions_go_out_in_the_unit_of_the_recording_as_they_were_executed(tmp_path: Path):
    episode = an_own_episode(6)
    limits = ActionRange(*(np.array(episode.meta[name]) for name in ("action_low", "action_high")))
    rows = _rows(_exported(tmp_path, [episode]))
    np.testing.assert_allclose(rows["action"], unscaled(episode.action, limits), rtol=1e-6)
    np.testing.assert_array_equal(rows["o2o.proposed"].astype(np.float32), episode.proposed)


def test_terminated_and_truncated_are_columns_of_their_own(tmp_path: Path):
    rows = _rows(_exported(tmp_path, [an_own_episode(2, seed=i, end=end) for i, end in enumerate(ENDS)]))
    assert rows["next.terminated"].tolist() == [False, True, False, False, False, False]
    assert rows["next.truncated"].tolist() == [False, False, False, True, False, False]
    assert rows["next.done"].tolist() == [False, True, False, True, False, False]
    assert rows["next.success"].tolist() == [False, True, False, False, False, False]


def test_the_grid_has_the_rate_of_the_stamps_unless_told(tmp_path: Path):
    episode = an_own_episode(4)  # stamps 0.1 s apart
    store = _store(tmp_path / "store.zarr", [episode])
    assert export(store, tmp_path / "as stamped", pictures="png").fps == 10
    assert export(store, tmp_path / "as told", pictures="png", fps=20).fps == 20
    still = dataclasses.replace(episode, stamp_ns=np.zeros(5, np.int64))
    with pytest.raises(DataError, match=r"stand still.*pass fps"):
        export(_store(tmp_path / "still.zarr", [still]), tmp_path / "out")


def test_an_episode_without_a_task_takes_the_one_that_is_told(tmp_path: Path):
    episode = an_own_episode(2)
    nameless = dataclasses.replace(episode, meta={"id": "x"})
    store = _store(tmp_path / "store.zarr", [dataclasses.replace(nameless, meta={"id": "y", "task": "lift"}), nameless])
    export(store, tmp_path / "out", task="push", pictures="png")
    tasks = pq.read_table(tmp_path / "out/meta/tasks.parquet").to_pylist()
    assert tasks == [{"task_index": 0, "task": "lift"}, {"task_index": 1, "task": "push"}]


def test_without_our_table_it_reads_as_plain_lerobot(tmp_path: Path):
    episodes = [an_own_episode(5, seed=0, end="terminated"), an_own_episode(5, seed=1)]
    root = _exported(tmp_path, episodes)
    (root / lerobot_extra.TABLE).unlink()
    dataset = FORMAT.open(root)
    found = dataset.action_range()
    won, cut = (dataset.read(number, SMALL, found) for number in range(2))
    assert (len(won), len(cut)) == (5, 4)  # what follows the last row counts only where it bootstraps
    assert won.terminated[-1]
    assert cut.truncated[-1]
    np.testing.assert_array_equal(won.reward, episodes[0].reward)


def test_rows_that_were_changed_since_the_export_are_not_taken_for_ours(tmp_path: Path):
    root = _exported(tmp_path, [an_own_episode(5, seed=0)])
    other = _exported(tmp_path / "other", [an_own_episode(6, seed=1)])
    shutil.copy(other / lerobot_extra.TABLE, root / lerobot_extra.TABLE)
    with pytest.raises(DataError, match="changed since the export; delete meta/o2o_robot"):
        FORMAT.open(root).read(0, SMALL, None)


def test_a_flipped_byte_of_the_rows_is_found_or_harmless(tmp_path: Path):
    sent = an_own_episode(20)
    root = _exported(tmp_path, [sent])
    path = root / "data/chunk-000/file-000.parquet"
    whole = path.read_bytes()
    n_found = 0
    for at in range(4, len(whole), len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        back = _or_none(root)
        n_found += back is None
        for name, values in arrays(sent).items() if back else ():
            np.testing.assert_array_equal(arrays(back)[name], values, err_msg=f"{name} with byte {at} flipped")
    assert n_found > 10


def _or_none(root: Path) -> Episode | None:
    try:
        return FORMAT.open(root).read(0, SMALL, None)
    except DataError:
        return None


def test_another_action_range_keeps_the_raw_actions(tmp_path: Path):
    sent = an_own_episode(6)
    own = ActionRange(np.array(sent.meta["action_low"]), np.array(sent.meta["action_high"]))
    wider = ActionRange(own.low - 1, own.high + 1)
    dataset = FORMAT.open(_exported(tmp_path, [sent]))
    back = dataset.read(0, SMALL, wider)
    assert back.meta["action_low"] == wider.low.tolist()
    np.testing.assert_allclose(unscaled(back.action, wider), unscaled(sent.action, own), atol=1e-6)
    np.testing.assert_allclose(unscaled(back.proposed, wider), unscaled(sent.proposed, own), atol=1e-6)
    np.testing.assert_array_equal(dataset.read(0, SMALL, own).action, sent.action)  # its own range: bit for bit


def test_cameras_and_fields_are_chosen_from_our_own_as_well(tmp_path: Path):
    sent = an_own_episode(3)
    back = FORMAT.open(_exported(tmp_path, [sent])).read(0, Wishes(32, ("wrist",), ("tool_position_m",)), None)
    assert set(back.images) == {"wrist"}
    np.testing.assert_array_equal(back.state["tool_position_m"], sent.state["tool_position_m"])
    assert set(back.state) == {"tool_position_m"}


def test_episodes_of_different_shape_are_refused_and_nothing_is_left_behind(tmp_path: Path):
    other = dataclasses.replace(an_own_episode(3, seed=1), images={})
    store = _store(tmp_path / "store.zarr", [an_own_episode(3), other])
    with pytest.raises(DataError, match="episode 1 has cameras"):
        export(store, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["store.zarr"]


def test_an_export_is_whole_or_not_there(tmp_path: Path):
    store = _store(tmp_path / "store.zarr", [an_own_episode(3), an_own_episode(3, seed=1)])

    def full(n_done: int) -> None:
        assert not (tmp_path / "out").exists()
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"cannot write .*out: No space left on device; free some space"):
        export(store, tmp_path / "out", progress=full)
    assert [path.name for path in tmp_path.iterdir()] == ["store.zarr"]


def test_what_is_there_is_never_written_over(tmp_path: Path):
    store = _store(tmp_path / "store.zarr", [an_own_episode(3)])
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="out exists"):
        export(store, tmp_path / "out")
    with pytest.raises(DataError, match="holds no episode"):
        export(_store(tmp_path / "empty.zarr", []), tmp_path / "other")


def test_odd_frames_are_refused_as_video_and_taken_as_pictures(tmp_path: Path):
    episode = an_own_episode(3)
    odd = dataclasses.replace(episode, images={"front": episode.images["front"][:, :31, :31].copy()})
    store = _store(tmp_path / "store.zarr", [odd])
    with pytest.raises(DataError, match="31x31 pixels, a video needs even sizes; export with png"):
        export(store, tmp_path / "out")
    back = FORMAT.open(export(store, tmp_path / "out", pictures="png").path).read(0, Wishes(image_side=31), None)
    np.testing.assert_array_equal(back.images["front"], odd.images["front"])


def test_a_dataset_that_came_from_lerobot_keeps_its_names(tmp_path: Path):
    episode = an_own_episode(3)
    names = {"state_names": {"q_rad": [f"joint{i}" for i in range(7)]}, "action_names": ["x", "y", "z"]}
    root = _exported(tmp_path, [dataclasses.replace(episode, meta={**episode.meta, **names})])
    described = json.loads((root / "meta/info.json").read_text())["features"]
    assert described["observation.state"]["names"][:7] == names["state_names"]["q_rad"]
    assert described["observation.state"]["names"][7] == "tool_position_m_0"
    assert described["action"]["names"] == ["x", "y", "z"]


def test_merged_statistics_are_those_of_all_rows():
    rng = np.random.default_rng(0)
    parts = [rng.normal(loc=i, size=(n, 3)) for i, n in enumerate((5, 1, 40))]
    total = stats.of_vectors(parts[0])
    for part in parts[1:]:
        total = stats.merged(total, stats.of_vectors(part))
    whole = stats.of_vectors(np.concatenate(parts))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(total[name], whole[name], err_msg=name)


def test_statistics_of_frames_are_those_of_their_pixels_in_unit_range():
    frames = np.random.default_rng(0).integers(0, 256, (20, 8, 6, 3), dtype=np.uint8)
    found, pixels = stats.of_frames(frames), frames.reshape(-1, 3) / 255.0
    for name, wanted in (
        ("min", pixels.min(0)),
        ("max", pixels.max(0)),
        ("mean", pixels.mean(0)),
        ("std", pixels.std(0)),
    ):
        np.testing.assert_allclose(found[name].reshape(3), wanted, err_msg=name)
    np.testing.assert_allclose(found["q90"].reshape(3), np.quantile(pixels, 0.9, axis=0), atol=1 / 255)
    assert found["mean"].shape == (3, 1, 1)
