"""HIL-SERL's pickles: where episodes end, what terminates, and that nothing is stitched across a gap."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from o2o_robot.data.formats import Wishes, is_dataset, open_dataset
from o2o_robot.errors import DataError
from o2o_robot.types import Outcome

WISHES = Wishes(image_side=16)


def observation(row: int, *, is_stacked: bool = True) -> dict[str, np.ndarray]:
    """What SERL's wrappers give: a stack of one frame, and one row of state; both tell the row."""
    lead = (1,) if is_stacked else ()
    return {
        "wrist_1": np.full((*lead, 16, 16, 3), row % 256, np.uint8),
        "state": np.full((*lead, 4), row, np.float32),
    }


def transitions(
    n_steps: int, *, first: int = 0, reward: float = 0.0, is_done: bool = True, **options: Any
) -> list[dict]:
    """An episode whose observations are rows first, first + 1, ...; the last step has `reward` and is done."""
    rows = [observation(first + t, **options) for t in range(n_steps + 1)]
    return [
        {
            "observations": rows[t],
            "next_observations": rows[t + 1],
            "actions": np.full(3, 0.1 * (t % 5), np.float32),
            "rewards": reward if t == n_steps - 1 else 0.0,
            "masks": float(not (is_done and t == n_steps - 1)),
            "dones": is_done and t == n_steps - 1,
            "infos": {"succeed": True, "left": None},
        }
        for t in range(n_steps)
    ]


def dump(path: Path, data: Any) -> Path:
    path.write_bytes(pickle.dumps(data))
    return path


def lengths(path: Path) -> list[int]:
    dataset = open_dataset(path)
    assert dataset is not None
    return [len(dataset.read(i, WISHES, None)) for i in range(len(dataset))]


def test_what_was_written_is_what_the_episode_holds(tmp_path: Path) -> None:
    written = transitions(6, reward=1.0)
    dataset = open_dataset(dump(tmp_path / "demos.pkl", written))
    assert dataset is not None
    assert dataset.kind == "hilserl"
    assert dataset.action_range() is None
    episode = dataset.read(0, WISHES, None)
    assert episode.state["state"][:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert episode.images["wrist_1"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.array_equal(episode.action, np.stack([each["actions"] for each in written]))
    assert episode.reward.tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("reward", [0.0, 1.0])
@pytest.mark.parametrize("is_done", [False, True])
def test_only_a_done_with_its_reward_terminates_and_every_other_end_is_truncated(
    tmp_path: Path, reward: float, is_done: bool
) -> None:
    dataset = open_dataset(dump(tmp_path / "d.pkl", transitions(4, reward=reward, is_done=is_done)))
    assert dataset is not None
    episode = dataset.read(0, WISHES, None)
    is_success = bool(reward) and is_done
    assert episode.terminated.tolist() == [False, False, False, is_success]
    assert episode.truncated.tolist() == [False, False, False, not is_success]
    assert episode.meta["outcome"] == (Outcome.SUCCESS if is_success else Outcome.INCOMPLETE).value


def test_a_time_limit_written_as_done_with_mask_0_bootstraps(tmp_path: Path) -> None:
    written = transitions(4)
    assert written[-1]["dones"]
    assert written[-1]["masks"] == 0.0
    dataset = open_dataset(dump(tmp_path / "d.pkl", written))
    assert dataset is not None
    assert not dataset.read(0, Wishes(16, outcome=Outcome.SUCCESS), None).terminated.any()


def test_an_episode_that_spans_files_is_joined_in_natural_order(tmp_path: Path) -> None:
    whole = transitions(25, reward=1.0)
    for name, part in (("t_1000.pkl", whole[:9]), ("t_2000.pkl", whole[9:20]), ("t_10000.pkl", whole[20:])):
        dump(tmp_path / name, part)
    dataset = open_dataset(tmp_path)
    assert dataset is not None
    assert len(dataset) == 1
    episode = dataset.read(0, WISHES, None)
    assert episode.state["state"][:, 0].tolist() == list(range(26))


def test_files_that_do_not_go_on_from_one_another_are_not_joined(tmp_path: Path) -> None:
    dump(tmp_path / "t_1.pkl", transitions(5, is_done=False))
    dump(tmp_path / "t_2.pkl", transitions(7, first=50, reward=1.0))
    assert lengths(tmp_path) == [5, 7]


def test_an_episode_is_cut_where_transitions_were_left_out(tmp_path: Path) -> None:
    whole = transitions(10, reward=1.0)  # a buffer of interventions holds only some of them
    assert lengths(dump(tmp_path / "d.pkl", whole[:3] + whole[5:])) == [3, 5]


def test_a_done_ends_an_episode_even_where_the_next_observation_is_the_same(tmp_path: Path) -> None:
    assert lengths(dump(tmp_path / "d.pkl", transitions(4) + transitions(3, first=4))) == [4, 3]


def test_plain_arrays_and_dicts_of_arrays_are_read_alike(tmp_path: Path) -> None:
    rows = np.arange(12.0).reshape(6, 2)
    columns = {
        "observations": rows[:5],
        "next_observations": rows[1:],
        "actions": np.linspace(-3, 3, 5)[:, None],
        "rewards": np.array([0.0, 0, 0, 0, 1]),
        "masks": np.array([1.0, 1, 1, 1, 0]),
    }
    listed = [{key: values[t] for key, values in columns.items()} for t in range(5)]
    one, other = open_dataset(dump(tmp_path / "a.pkl", columns)), open_dataset(dump(tmp_path / "b.pkl", listed))
    assert one is not None
    assert other is not None
    action_range = one.action_range()
    assert action_range is not None  # actions go to 3
    first, second = one.read(0, WISHES, action_range), other.read(0, WISHES, action_range)
    assert np.array_equal(first.state["state"], rows)
    assert np.array_equal(first.action, second.action)
    assert first.action[[0, -1], 0].tolist() == [-1.0, 1.0]
    assert first.meta["action_low"] == [-3.0]
    assert first.terminated[-1]


def test_frames_without_a_stack_and_chosen_keys(tmp_path: Path) -> None:
    dataset = open_dataset(dump(tmp_path / "d.pkl", transitions(3, is_stacked=False)))
    assert dataset is not None
    assert list(dataset.read(0, Wishes(16, cameras=("none",)), None).images) == []
    with pytest.raises(DataError, match=r"no camera 'front'; it has wrist_1"):
        dataset.read(0, Wishes(16, cameras=("front",)), None)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ([{"observations": {}, "actions": np.zeros(2)}], "transition 0: lacks next_observations"),
        ([3], "transition 0: expected a dict"),
        ("text", "expected a list"),
        ([], "no transition"),
        ({"observations": np.zeros((3, 2)), "actions": np.zeros((2, 2))}, "of one length"),
        ([*transitions(2), transitions(1)[0] | {"actions": np.zeros(9)}], "transition 2 has 9 action values"),
        ([transitions(1)[0] | {"actions": "stop"}], "transition 0"),
    ],
)  # fmt: skip
def test_a_pickle_that_is_no_list_of_transitions_is_refused_with_what_it_lacks(
    tmp_path: Path, data: Any, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        open_dataset(dump(tmp_path / "d.pkl", data))


def test_an_episode_whose_observations_change_shape_costs_that_episode_alone(tmp_path: Path) -> None:
    odd = transitions(3)
    odd[1]["observations"] = odd[0]["next_observations"] = {"state": np.zeros(9, np.float32)}
    dataset = open_dataset(dump(tmp_path / "d.pkl", odd + transitions(4, first=90)))
    assert dataset is not None
    with pytest.raises(DataError, match="another shape"):
        dataset.read(0, WISHES, None)
    assert len(dataset.read(1, WISHES, None)) == 4


def test_a_hostile_file_in_a_folder_is_refused_and_named(tmp_path: Path) -> None:
    dump(tmp_path / "a.pkl", transitions(2))
    (tmp_path / "b.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"b\.pkl: it names 'os'\.'system'"):
        open_dataset(tmp_path)


def test_folders_without_pickles_are_none_of_it(tmp_path: Path) -> None:
    assert not is_dataset(tmp_path)
    assert not is_dataset(tmp_path / "missing")


def test_a_folder_of_pickles_with_notes_is_a_dataset_and_one_of_recordings_with_a_stray_pickle_is_not(
    tmp_path: Path,
) -> None:
    dump(tmp_path / "a.pkl", transitions(2))
    (tmp_path / "notes.txt").write_text("cube, red")
    assert is_dataset(tmp_path)
    (tmp_path / "bag").mkdir()
    assert not is_dataset(tmp_path)
    assert is_dataset(tmp_path / "a.pkl")
