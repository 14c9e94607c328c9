"""Labels from a file: each row is followed to the letter, or named in a line of its own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from label_examples import a_store

from o2o_robot.data.labels import Correction
from o2o_robot.errors import DataError
from o2o_robot.labelling import from_file
from o2o_robot.labelling.from_file import Labels, read_labels
from o2o_robot.labelling.overview import entries


@pytest.fixture
def store(tmp_path):
    with a_store(tmp_path / "s.zarr", "sfSF") as store:
        yield store


def read(store, tmp_path, text, name="l.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, entries(store), who=name, at="now")


def test_episodes_are_found_by_id_and_by_number_and_every_cell_counts(store, tmp_path):
    rows = ("episode,outcome,reward,note", "ep-2,success,,fine", "3, Failure ,0 0 0 0 -1", "", "1,unknown")
    labels = read(store, tmp_path, "\n".join(rows))
    assert labels.problems == ()
    assert labels.corrections == {
        2: Correction("success", None, "file", "l.csv", "now", note="fine"),
        3: Correction("failure", (0, 0, 0, 0, -1), "file", "l.csv", "now"),
        1: Correction("unknown", None, "file", "l.csv", "now"),
    }


def test_one_number_is_the_reward_of_the_last_step_and_an_empty_outcome_keeps_the_present_one(store, tmp_path):
    labels = read(store, tmp_path, "episode,outcome,reward\nep-0,,0.5\n")
    assert labels.corrections[0].reward == (0, 0, 0, 0, 0.5)
    assert labels.corrections[0].outcome == "success"


@pytest.mark.parametrize(
    "content",
    [
        [{"episode": "ep-2", "outcome": "success"}, {"episode": 3, "outcome": "failure", "reward": [0, 0, 0, 0, -1]}],
        {"ep-2": "success", "3": {"outcome": "failure", "reward": [0, 0, 0, 0, -1]}},
    ],
)
def test_json_says_the_same_as_csv(store, tmp_path, content):
    csv = read(store, tmp_path, "episode,outcome,reward\nep-2,success,\n3,failure,0 0 0 0 -1\n")
    same = {index: replace(correction, who="l.json") for index, correction in csv.corrections.items()}
    assert read(store, tmp_path, json.dumps(content), "l.json") == Labels(same, ())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ep-9,success,", "'ep-9' is neither an id nor a number of an episode in the store; did you mean 'ep-"),
        ("17,success,", "'17' is neither an id nor a number"),
        ("²,success,", "'²' is neither an id nor a number"),
        (",success,", "no episode is named"),
        ("ep-2,sucess,", "outcome 'sucess' is not one of success, failure, unknown; did you mean 'success'?"),
        ("ep-2,,", "neither outcome nor reward is given"),
        ("ep-2,success,1 2", "2 rewards for 5 steps; give one a step, or one for the last step"),
        ("ep-2,success,many", "reward 'many' is not a number"),
        ("ep-2,success,nan", "reward 'nan' is not finite"),
        ("ep-2,success,1e39", "reward '1e39' is not finite, or too large"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_the_right_ones_are_kept(store, tmp_path, row, said):
    labels = read(store, tmp_path, f"episode,outcome,reward\nep-3,failure,\n{row}\n")
    assert list(labels.corrections) == [3]
    assert len(labels.problems) == 1
    assert labels.problems[0].startswith("line 3: ")
    assert said in labels.problems[0]


def test_an_episode_named_twice_by_id_and_number_is_a_problem_and_neither_counts(store, tmp_path):
    labels = read(store, tmp_path, "episode,outcome\nep-2,success\n2,failure\nep-3,failure\n")
    assert labels.problems == ("line 3: 'ep-2' is named twice; leave one of the two",)
    assert list(labels.corrections) == [3]


def test_an_id_that_two_episodes_share_is_told_apart_by_number(store, tmp_path):
    store.append(store.read(2))
    assert "by number: 2, 4" in read(store, tmp_path, "episode,outcome\nep-2,success\n").problems[0]
    assert list(read(store, tmp_path, "episode,outcome\n4,success\n").corrections) == [4]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.csv", "", "columns nothing"),
        ("l.csv", "episode;outcome\nep-2;success\n", "columns episode;outcome"),
        ("l.csv", "episode,colour\nep-2,red\n", "colour; episode is needed, outcome, reward and note are allowed"),
        ("l.csv", "episode,episode\nep-2,ep-2\n", "columns episode, episode"),
        ("l.csv", "episode,outcome\nep-2,success,1,2\n", "line 2 has 4 cells, the header 2"),
        ("l.csv", 'episode,outcome\n"ep-2,success\n', "is not CSV"),
        ("l.csv", b"episode,outcome\nep-\xff,success\n", "not UTF-8"),
        ("l.json", "[" * 100_000, "is not JSON"),
        ("l.json", "7", "neither a list of objects"),
        ("l.json", '[{"outcome": "success"}]', "episode is needed"),
    ],
)
def test_what_is_no_table_of_labels_is_refused_in_one_line(store, tmp_path, name, text, said):
    with pytest.raises(DataError) as refused:
        read(store, tmp_path, text, name)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_reward_too_large_for_a_float_is_a_problem_and_no_crash(store, tmp_path):
    text = json.dumps([{"episode": "ep-2", "reward": [10**400] * 5}])
    assert "is not a number" in read(store, tmp_path, text, "l.json").problems[0]


def test_a_missing_file_and_a_hostile_size_are_refused(store, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_labels(tmp_path / "nothing.csv", entries(store), who="", at="")
    monkeypatch.setattr(from_file, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match="at most 10 are read"):
        read(store, tmp_path, "episode,outcome\n")


def test_a_table_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(store, tmp_path):
    assert list(read(store, tmp_path, b"\xef\xbb\xbfepisode,outcome\r\nep-2,success\r\n").corrections) == [2]
