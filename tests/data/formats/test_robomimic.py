"""robomimic's HDF5 in and out: which rows are steps, how they end, and that a store comes back as it was."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from episode_examples import an_episode
from robomimic_files import N_ROWS, demo, write

from o2o_robot.data.episode import digest
from o2o_robot.data.formats import Wishes, open_dataset
from o2o_robot.data.formats.dataset import Dataset
from o2o_robot.data.formats.robomimic_export import export
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Episode, Outcome

h5py = pytest.importorskip("h5py", reason="pip install 'o2o_robot[formats]'")

REAL = Path(__file__).parents[4] / "shared" / "data" / "robosuite-demos" / "v1.0.1"
WISHES = Wishes(image_side=16)


def opened(path: Path) -> Dataset:
    dataset = open_dataset(path)
    assert dataset is not None
    return dataset


def read(path: Path, number: int = 0, wishes: Wishes = WISHES) -> Episode:
    return opened(path).read(number, wishes, opened(path).action_range())


def test_with_next_obs_every_row_is_a_step_and_the_final_observation_is_kept(tmp_path: Path) -> None:
    written = demo()
    episode = read(write(tmp_path / "low.hdf5", {"demo_0": written}))
    assert len(episode) == N_ROWS
    assert episode.state["robot0_eef_pos"][:, 0].tolist() == list(range(N_ROWS + 1))
    assert episode.images["agentview_image"][:, 2, 2, 2].tolist() == list(range(N_ROWS + 1))
    assert np.array_equal(episode.action, written["actions"].astype(np.float32))
    assert episode.meta["task"] == "Lift"
    assert np.diff(episode.stamp_ns).tolist() == [50_000_000] * N_ROWS


def test_without_next_obs_the_last_action_is_dropped_and_its_reward_ends_the_step_before(tmp_path: Path) -> None:
    written = demo()
    episode = read(write(tmp_path / "low.hdf5", {"demo_0": written}, without=("next_obs",)))
    assert len(episode) == N_ROWS - 1
    assert episode.state["robot0_eef_pos"][:, 0].tolist() == list(range(N_ROWS))
    assert episode.reward.tolist() == [0.0] * (N_ROWS - 2) + [1.0]
    assert episode.terminated[-1]


@pytest.mark.parametrize(
    ("rewards", "outcome"),
    [
        ([0, 0, 0, 0, 0, 1], "success"),
        ([-1, -1, -1, -1, -1, 0], "success"),
        ([0, 0, 0, 1, 0, 0], "incomplete"),  # it was there and lost it again
        ([0, 0, 0, 0, 0, 0], "failure"),  # says nothing: what is wished
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "failure"),  # shaped: says nothing either
    ],
)
def test_sparse_rewards_tell_success_from_a_time_limit_and_dones_do_not(
    tmp_path: Path, rewards: list[float], outcome: str
) -> None:
    written = demo() | {"rewards": np.array(rewards, np.float64), "dones": np.array([0, 0, 0, 0, 0, 1])}
    path = write(tmp_path / "low.hdf5", {"demo_0": written})
    episode = read(path, wishes=Wishes(16, outcome=Outcome.FAILURE))
    assert episode.meta["outcome"] == outcome
    assert episode.terminated[-1] == (outcome == "success")
    assert episode.truncated[-1] != episode.terminated[-1]


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_terminated_and_truncated_of_a_foreign_file_are_believed(tmp_path: Path, end: str) -> None:
    flags = {name: np.array([0] * 5 + [int(name == end)]) for name in ("terminated", "truncated")}
    episode = read(write(tmp_path / "low.hdf5", {"demo_0": demo() | flags}))
    assert episode.terminated[-1] == (end == "terminated")
    assert episode.truncated[-1] == (end == "truncated")
    assert episode.meta["termination"] == ("task" if end == "terminated" else "operator")


def test_demonstrations_come_in_natural_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", {f"demo_{i}": demo(3 + i, seed=i) for i in (10, 2, 1, 0)})
    assert [len(read(path, number)) for number in range(4)] == [3, 4, 5, 13]


def test_actions_beyond_1_get_one_range_over_all_demonstrations(tmp_path: Path) -> None:
    demos = {"demo_0": demo(), "demo_1": demo(seed=1)}
    demos["demo_1"]["actions"][2, 3] = 4.0
    demos["demo_1"]["actions"][3, 3] = -4.0
    path = write(tmp_path / "a.hdf5", demos)
    first, second = read(path, 0), read(path, 1)
    assert first.meta["action_low"] == second.meta["action_low"]
    assert second.action[2, 3] == 1.0
    with pytest.raises(DataError, match="beyond"):
        opened(path).read(1, WISHES, None)


def test_gzip_chunks_read_as_plain_arrays_do(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "a.hdf5", {"demo_0": demo()}))
    packed = read(write(tmp_path / "b.hdf5", {"demo_0": demo()}, compression="gzip", shuffle=True, fletcher32=True))
    assert digest(plain) == digest(packed)


def test_frames_are_resized_and_keys_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", {"demo_0": demo()})
    episode = read(path, wishes=Wishes(8, cameras=("agentview_image",), state=("robot0_eef_pos",)))
    assert episode.images["agentview_image"].shape == (N_ROWS + 1, 8, 8, 3)
    assert not read(path, wishes=Wishes(8, cameras=("none",))).images
    with pytest.raises(DataError, match=r"no state field 'q'; it has robot0_eef_pos"):
        read(path, wishes=Wishes(16, state=("q",)))


def test_depth_and_other_arrays_that_are_no_observation_are_named_in_meta(tmp_path: Path) -> None:
    depth = {f"{key}/agentview_depth": np.zeros((N_ROWS, 16, 16, 1), np.float32) for key in ("obs", "next_obs")}
    assert read(write(tmp_path / "a.hdf5", {"demo_0": demo() | depth})).meta["left_out"] == ["agentview_depth"]


def test_filter_keys_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", {"demo_0": demo(), "demo_1": demo()})
    with h5py.File(path, "a") as file:
        file["mask/train"] = np.array(["demo_1"], dtype="S")
    assert read(path, 1).meta["filter_keys"] == ["train"]
    assert "filter_keys" not in read(path, 0).meta


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"actions": np.zeros((N_ROWS, 7, 2))}, "actions has shape"),
        ({"rewards": np.zeros(N_ROWS - 1)}, "rewards has 5 rows"),
        ({"obs/robot0_eef_pos": np.zeros((N_ROWS + 3, 3))}, "has 9 rows"),
        ({"next_obs/robot0_eef_pos": np.zeros((N_ROWS, 4))}, "has shape"),
        ({"actions": np.full((N_ROWS, 7), np.nan)}, "not finite"),
        ({"obs/robot0_eef_pos": np.full((N_ROWS, 3), np.inf)}, "not finite"),
    ],
)
def test_a_demonstration_that_does_not_fit_costs_itself_alone(
    tmp_path: Path, change: dict[str, np.ndarray], told: str
) -> None:
    path = write(tmp_path / "a.hdf5", {"demo_0": demo() | change, "demo_1": demo()})
    with pytest.raises(DataError, match=told):
        read(path, 0)
    assert len(read(path, 1)) == N_ROWS


def a_store(path: Path, episodes: list[Episode]) -> EpisodeStore:
    store = EpisodeStore.create(path)
    for episode in episodes:
        store.append(episode)
    return store


def mixed_episodes() -> list[Episode]:
    ends = ("terminated", "truncated", "open")
    made = [an_episode(3 + i, seed=i, side=16, end=ends[i % 3]) for i in range(12)]
    limits = {"id": "raw", "task": "peg", "action_low": [-2.0] * 3, "action_high": [2.0] * 3, "nested": {"a": [1]}}
    turned = dict(reversed(made[1].state.items()))
    return [replace(made[0], meta=limits), replace(made[1], state=turned), *made[2:]]


def test_a_store_comes_back_from_its_export_as_it_was(tmp_path: Path) -> None:
    episodes = mixed_episodes()
    with a_store(tmp_path / "s.zarr", episodes) as store:
        exported = export(store, tmp_path / "out" / "s.hdf5")
        kept = list(store.episodes())
    assert (exported.n_episodes, exported.n_steps) == (12, sum(map(len, episodes)))
    dataset = opened(exported.path)
    assert dataset.action_range() is None
    for number, episode in enumerate(kept):
        back = dataset.read(number, Wishes(16, outcome=Outcome.SUCCESS), None)  # it says itself how it ended
        assert digest(back) == digest(episode)
        assert list(back.images) == list(episode.images)
        assert list(back.state) == list(episode.state)
        assert {key: back.meta[key] for key in episode.meta} == dict(episode.meta)


def test_an_export_says_what_robomimic_asks_for(tmp_path: Path) -> None:
    with a_store(tmp_path / "s.zarr", mixed_episodes()) as store:
        path = export(store, tmp_path / "s.hdf5", valid=0.25, rng=np.random.default_rng(0)).path
    with h5py.File(path) as file:
        held = file["data/demo_1"]
        assert file["data"].attrs["total"] == sum(file[f"data/{name}"].attrs["num_samples"] for name in file["data"])
        assert json.loads(file["data"].attrs["env_args"]).keys() == {"env_name", "type", "env_kwargs"}
        assert np.array_equal(held["next_obs/q_rad"][:-1], held["obs/q_rad"][1:])
        assert held["obs/wrist_image"].dtype == np.uint8
        assert np.abs(held["actions"][...]).max() <= 1.0
        assert held["dones"][...].tolist() == [0, 0, 0, 1]  # truncated
        assert held["terminated"][...].tolist() == [0, 0, 0, 0]
        train, valid = (set(file[f"mask/{key}"][...].tolist()) for key in ("train", "valid"))
        assert len(valid) == 3
        assert not train & valid
        assert train | valid == {name.encode() for name in file["data"]}


def test_the_validation_part_depends_on_the_seed_alone(tmp_path: Path) -> None:
    chosen = []
    with a_store(tmp_path / "s.zarr", mixed_episodes()) as store:
        for number, seed in enumerate((0, 0, 1)):
            path = export(store, tmp_path / f"{number}.hdf5", valid=0.5, rng=np.random.default_rng(seed)).path
            with h5py.File(path) as file:
                chosen.append(file["mask/valid"][...].tolist())
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]


def test_an_export_never_writes_over_and_leaves_nothing_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there.hdf5"
    there.write_text("mine")
    with a_store(tmp_path / "s.zarr", mixed_episodes()) as store:
        with pytest.raises(DataError, match="exists"):
            export(store, there)
        with pytest.raises(ZeroDivisionError):
            export(store, tmp_path / "new.hdf5", progress=lambda n_done: 1 // 0)  # type: ignore[arg-type, return-value]
    with EpisodeStore.create(tmp_path / "e.zarr") as empty, pytest.raises(DataError, match="no episode"):
        export(empty, tmp_path / "new.hdf5")
    assert there.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.zarr", "s.zarr", "there.hdf5"]


FULL_DISK = """
import resource, sys
from pathlib import Path
from o2o_robot.data.formats.robomimic_export import export
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
store, out = EpisodeStore.open(sys.argv[1]), Path(sys.argv[2])
whole = export(store, out.with_name("whole.hdf5")).path.stat().st_size
for limit in (100, 3000, whole // 4, whole // 2, whole - 2000, whole - 100, whole - 1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        export(store, out)
    except DataError as problem:
        assert "File too large; free some space" in str(problem), problem
    else:
        sys.exit(f"{limit} bytes were enough")
    assert not out.exists() and not list(out.parent.glob("*.part")), limit
"""


def test_a_disk_that_fills_up_at_any_byte_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    a_store(tmp_path / "s.zarr", mixed_episodes()).close()
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "s.zarr"), str(tmp_path / "new.hdf5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_field_named_like_a_picture_is_refused_at_export(tmp_path: Path) -> None:
    episode = an_episode(4, cameras=("wrist",), side=16)
    clash = replace(episode, state={**episode.state, "wrist_image": episode.state["q_rad"]})
    with a_store(tmp_path / "s.zarr", [clash]) as store, pytest.raises(DataError, match="wrist_image"):
        export(store, tmp_path / "new.hdf5")


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is absent")
@pytest.mark.parametrize(("task", "n_states", "width"), [("lift", 412, 32), ("stack", 532, 45), ("door", 261, 23)])
def test_robosuite_demonstrations_hold_what_their_readme_says(task: str, n_states: int, width: int) -> None:
    path = REAL / task / "panda" / "demo.hdf5"
    episode = read(path, wishes=Wishes(outcome=Outcome.SUCCESS))
    with h5py.File(path) as file:
        held: dict[str, Any] = {name: file[f"data/demo_1/{name}"][...] for name in ("states", "actions")}
    assert episode.state["states"].shape == (n_states, width)
    assert episode.action.shape == (n_states - 1, 7)
    assert np.array_equal(episode.state["states"], held["states"].astype(np.float32))
    assert np.array_equal(episode.action, held["actions"][:-1].astype(np.float32))
    assert np.diff(episode.stamp_ns).tolist() == [50_000_000] * (n_states - 1)  # 20 Hz
    assert episode.meta["task"].lower() == task
    assert episode.terminated[-1]
