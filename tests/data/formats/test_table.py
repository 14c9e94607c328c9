"""Plain tables: read only as their layout says, ticks that never look ahead, and no file believed unchecked."""

import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.data.action_range import ActionRange, unscaled
from o2o_robot.data.formats import Wishes, is_dataset, open_dataset
from o2o_robot.data.ingest.sources import find_sources
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome

DATA = Path(__file__).parents[4] / "shared" / "data"
HZ, N = 100.0, 201
LAYOUT: dict[str, Any] = {
    "name": "arm",
    "time": {"first": 0, "n": 1},
    "state": {"q_rad": {"first": 1, "n": 2}},
    "action": {"first": 3, "n": 2},
}
HEADER = "t,q1,q2,cmd1,cmd2,reward"


def table(n: int = N, hz: float = HZ) -> Array:
    """Columns t (s), q 2, command 2, reward; every number tells its row."""
    row = np.arange(float(n))
    return np.stack([5.0 + row / hz, row, -row, row * 2, row * 3 - 100, np.zeros(n)], axis=1)


def write(folder: Path, rows: Array | None = None, *, file: str = "run.npy", **layout: Any) -> Path:
    """A table and the layout of its folder; arguments change LAYOUT, None takes a setting away."""
    folder.mkdir(exist_ok=True, parents=True)
    rows = table() if rows is None else rows
    if file.endswith(".csv"):
        np.savetxt(folder / file, rows, delimiter=",", header=HEADER, comments="")
    else:
        np.save(folder / file, rows)
    tell(folder, **layout)
    return folder


def tell(folder: Path, *, file: str = "layout.yaml", **changes: Any) -> None:
    settings = {key: value for key, value in (LAYOUT | changes).items() if value is not None}
    (folder / file).write_text(yaml.safe_dump(settings))


def read(path: Path, number: int = 0, wishes: Wishes = Wishes()) -> Episode:  # noqa: B008 (it is frozen)
    dataset = open_dataset(path)
    assert dataset is not None
    return dataset.read(number, wishes, dataset.action_range())


def raw_action(episode: Episode) -> Array:
    return unscaled(
        episode.action, ActionRange(np.array(episode.meta["action_low"]), np.array(episode.meta["action_high"]))
    )


def test_every_row_is_a_tick_where_no_rate_is_given(tmp_path: Path) -> None:
    episode, rows = read(write(tmp_path)), table()
    assert np.array_equal(episode.state["q_rad"], rows[:, 1:3])
    assert np.allclose(raw_action(episode), rows[:-1, 3:5], atol=1e-4)
    assert np.array_equal(episode.stamp_ns, np.round(rows[:, 0] * 1e9))
    assert len(episode) == N - 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stamps_are_nanoseconds_whatever_the_unit_of_the_table(tmp_path: Path, unit: str) -> None:
    rows = table()
    rows[:, 0] *= {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    stamps = read(write(tmp_path, rows, time={"first": 0, "n": 1, "unit": unit})).stamp_ns
    assert np.abs(stamps - np.round(table()[:, 0] * 1e9)).max() <= 1


@settings(max_examples=25, deadline=None)
@given(rate_hz=st.floats(3.0, 20.0), seed=st.integers(0, 1000))
def test_at_every_tick_the_numbers_are_those_of_the_row_that_has_its_stamp(
    tmp_path_factory: pytest.TempPathFactory, rate_hz: float, seed: int
) -> None:
    rows = table()
    rows[:, 0] += np.random.default_rng(seed).uniform(0, 0.4 / HZ, N)
    episode = read(write(tmp_path_factory.mktemp("thin"), rows, rate_hz=rate_hz))
    row = episode.state["q_rad"][:, 0].astype(int)
    assert np.array_equal(episode.stamp_ns, np.round(rows[row, 0] * 1e9))
    assert np.allclose(raw_action(episode)[:, 0], rows[row[:-1], 3], atol=1e-3)
    assert abs(len(episode) - rate_hz * (N - 1) / HZ) <= 2
    periods = np.diff(episode.stamp_ns)[:-1] * rate_hz / 1e9  # the table may end within the last
    assert np.abs(periods - 1).max() < rate_hz / HZ * 1.5


def test_of_rows_with_one_stamp_the_last_counts_and_the_others_are_counted(tmp_path: Path) -> None:
    rows = table()
    rows[50:53, 0] = rows[50, 0]
    episode = read(write(tmp_path, rows))
    assert 52 in episode.state["q_rad"][:, 0]
    assert not {50, 51} & set(episode.state["q_rad"][:, 0])
    assert episode.meta["rows_without_new_stamp"] == 2


def test_rows_without_a_time_column_come_at_rows_hz(tmp_path: Path) -> None:
    episode = read(write(tmp_path, time=None, rows_hz=50.0))
    assert set(np.diff(episode.stamp_ns)) == {20_000_000}


def test_a_csv_by_names_is_the_array_by_positions(tmp_path: Path) -> None:
    by_name = {
        "time": {"names": ["t"]},
        "state": {"q_rad": {"names": ["q1", "q2"]}},
        "action": {"names": ["cmd2", "cmd1"]},
    }
    one, other = read(write(tmp_path / "a")), read(write(tmp_path / "b", file="run.csv", **by_name))
    assert np.array_equal(one.state["q_rad"], other.state["q_rad"])
    assert np.array_equal(one.action, other.action[:, ::-1])


def test_a_csv_without_a_header_loses_no_row(tmp_path: Path) -> None:
    path = write(tmp_path, file="run.csv")
    lines = (path / "run.csv").read_text().splitlines()
    (path / "run.csv").write_text("\n".join(lines[1:]))
    assert len(read(path)) == N - 1
    (path / "run.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines[1:]).encode())
    assert read(path).state["q_rad"][:, 0].tolist() == list(range(N))


def test_text_in_columns_that_no_one_asks_for_is_no_matter(tmp_path: Path) -> None:
    path = write(tmp_path, file="run.csv")
    lines = (path / "run.csv").read_text().splitlines()
    (path / "run.csv").write_text("\n".join([f"{lines[0]},note", *(f'{line},"so, so"' for line in lines[1:])]))
    assert len(read(path)) == N - 1


def test_derived_steps_lead_from_each_tick_to_the_next(tmp_path: Path) -> None:
    episode = read(write(tmp_path, rate_hz=10, action={"kind": "delta_joint", "of": "q_rad"}))
    q_rad = episode.state["q_rad"]
    assert np.allclose(q_rad[:-1] + raw_action(episode), q_rad[1:], atol=1e-4)


def test_a_derived_pose_step_turns_about_the_base_and_refuses_what_is_no_rotation(tmp_path: Path) -> None:
    half_rad = np.arange(20) * 0.05
    zero = np.zeros(20)
    pose = np.stack([half_rad * 4, zero, zero, zero, zero, np.sin(half_rad), np.cos(half_rad)], axis=1)
    layout = {"time": None, "rows_hz": 10, "state": {"tool": {}}, "action": {"kind": "delta_pose", "of": "tool"}}
    assert np.allclose(raw_action(read(write(tmp_path / "a", pose, **layout))), [0.2, 0, 0, 0, 0, 0.1], atol=1e-5)
    with pytest.raises(DataError, match="quaternion of 'tool' is 1 off norm 1 at tick 0"):
        read(write(tmp_path / "b", np.concatenate([pose[:, :3], pose[:, 3:] * 2], axis=1), **layout))


@pytest.mark.parametrize("rate_hz", [None, 10.0, 7.0])
@pytest.mark.parametrize("row", [0, 37, 120, 204])
def test_a_single_reward_is_counted_once_by_the_step_it_falls_in(tmp_path: Path, rate_hz: float, row: int) -> None:
    rows = table(205)  # at 10 Hz the last tick is row 200
    rows[:3, 0] = rows[2, 0]  # of which the last is the first tick
    rows[row, 5] = 1.0
    episode = read(write(tmp_path, rows, rate_hz=rate_hz, reward={"first": 5, "n": 1}))
    assert episode.reward.sum() == 1.0
    step = int(np.argmax(episode.reward))
    tick = episode.state["q_rad"][:, 0]
    assert tick[step] <= row or step == 0
    assert row < tick[step + 1] or step == len(episode) - 1
    assert bool(episode.terminated[-1]) is (row == 204)


def test_the_reward_of_the_row_left_out_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    rows = table()
    rows[:, 5] = np.arange(N) % 7
    episode = read(write(tmp_path, rows, reward={"first": 5, "n": 1}))
    assert episode.reward.tolist() == [*rows[:-2, 5], rows[-1, 5]]


def test_the_outcome_is_the_last_word_of_its_column_else_what_was_wished(tmp_path: Path) -> None:
    for last, outcome in ((1.0, "success"), (0.0, "failure"), (-1.0, "failure")):
        rows = table()
        rows[-1, 5] = last
        episode = read(write(tmp_path, rows, outcome={"first": 5, "n": 1}))
        assert (episode.meta["outcome"], bool(episode.terminated[-1])) == (outcome, outcome == "success")
    assert read(write(tmp_path)).meta["outcome"] == "incomplete"
    assert read(tmp_path, wishes=Wishes(outcome=Outcome.SUCCESS)).terminated[-1]


def test_a_range_in_the_layout_holds_and_what_goes_beyond_is_clipped(tmp_path: Path) -> None:
    episode = read(write(tmp_path, action={"first": 3, "n": 2, "low": [0, -100], "high": [200, 500]}))
    assert episode.action[[0, 50, 150], 0].tolist() == [-1.0, 0.0, 1.0]
    assert episode.meta["action_high"] == [200.0, 500.0]


def npz(path: Path, n_episodes: int = 3) -> Path:
    """demo<i>/{seen, done} and arrays that are no episodes."""
    path.parent.mkdir(exist_ok=True)
    arrays = {"info/about": np.zeros(3)}
    for i in range(n_episodes):
        arrays[f"demo{i}/seen"] = np.full((9, 4), float(i))
        arrays[f"demo{i}/done"] = np.linspace(-2, 2, 9)
        arrays[f"demo{i}/extra/qpos"] = np.zeros(30)
    np.savez_compressed(path, **arrays)
    tell(path.parent, file=f"{path.name}.layout.yaml", **NPZ)
    return path


NPZ = {
    "time": None,
    "rows_hz": 10.0,
    "episodes": "demo*",
    "state": {"seen": {"array": "seen"}},
    "action": {"array": "done"},
}


def test_every_folder_of_arrays_that_fits_is_an_episode_in_natural_order(tmp_path: Path) -> None:
    path = npz(tmp_path / "demos.npz", 11)
    dataset = open_dataset(path)
    assert dataset is not None
    assert [read(path, i).state["seen"][0, 0] for i in range(len(dataset))] == list(range(11))
    assert read(path, 10).meta["id"] == "demos-demo10"
    assert read(path).action.shape == (8, 1)


def test_a_table_is_one_only_where_a_layout_lies_beside(tmp_path: Path) -> None:
    np.save(tmp_path / "run.npy", table())
    (tmp_path / "notes").mkdir()
    tell(tmp_path / "notes")  # somebody else's layout.yaml
    for path in (tmp_path, tmp_path / "run.npy", tmp_path / "notes"):
        assert not is_dataset(path)
    tell(tmp_path)
    assert is_dataset(tmp_path)
    assert is_dataset(tmp_path / "run.npy")
    assert not is_dataset(tmp_path / "layout.yaml")


def test_a_layout_of_its_own_takes_a_table_out_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "runs", file="run_2.npy")
    write(tmp_path / "runs", file="run_10.npy", state={"q": {"first": 1, "n": 1}})
    write(tmp_path / "runs", table(50), file="own.npy")
    tell(tmp_path / "runs", file="own.npy.layout.yaml", state={"both": {"first": 1, "n": 2}})
    assert [read(tmp_path / "runs", i).meta["id"] for i in (0, 1)] == ["run_2", "run_10"]
    assert list(read(tmp_path / "runs" / "own.npy").state) == ["both"]
    dataset = open_dataset(tmp_path / "runs")
    assert dataset is not None
    assert len(dataset) == 2


def test_another_layout_makes_the_same_table_another_source(tmp_path: Path) -> None:
    prints = []
    for rate_hz in (10.0, 20.0, 10.0):
        dataset = open_dataset(write(tmp_path, rate_hz=rate_hz))
        assert dataset is not None
        prints.append(dataset.fingerprint())
    assert prints[0] == prints[2] != prints[1]


def test_a_folder_of_tables_is_found_among_recordings(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "monday")
    npz(tmp_path / "demos" / "door.npz")
    assert find_sources([tmp_path]) == [tmp_path / "demos" / "door.npz", tmp_path / "logs" / "monday"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt key": ({"rate_hs": 10}, "unknown setting 'rate_hs'; did you mean 'rate_hz'"),
    "a misspelt key of columns": ({"state": {"q": {"frist": 1}}}, "frist"),
    "time and rows_hz": ({"rows_hz": 10.0}, "give the `time` column, or `rows_hz`"),
    "neither": ({"time": None}, "give the `time` column, or `rows_hz`"),
    "a rate of 0": ({"rate_hz": 0}, "rate_hz must be > 0"),
    "a rate that is not a number": ({"rate_hz": float("nan")}, "rate_hz must be > 0"),
    "no state": ({"state": {}}, "one or more of `state`"),
    "a state field that is a path": ({"state": {"../q": {}}}, "need letters"),
    "a delta of nothing": ({"action": {"kind": "delta_joint"}}, "`of` names the state field"),
    "a delta of no field": ({"action": {"kind": "delta_joint", "of": "x"}}, "action.of is 'x', state has q_rad"),
    "low over high": ({"action": {"first": 3, "n": 1, "low": [1], "high": [0]}}, "every low < its high"),
    "an infinite range": ({"action": {"first": 3, "n": 1, "low": [-1], "high": [float("inf")]}}, "every low < its"),
    "columns beyond the table": ({"state": {"q_rad": {"first": 4, "n": 7}}}, "columns 4 to 10 of 6"),
    "names in an array": ({"state": {"q_rad": {"names": ["q1"]}}}, "these have none; give `first` and `n`"),
    "an array of a .npy": ({"state": {"q_rad": {"array": "q"}}}, "give `array` for an .npz"),
    "two columns of time": ({"time": {"first": 0, "n": 2}}, "time has 2 columns, expected 1"),
    "a unit too large": ({"time": {"first": 3, "n": 1, "unit": "fortnight"}}, "fortnight"),
    "no file that fits": ({"files": "*.csv"}, r"no table fits files: '\*.csv'"),
    "two columns of reward": ({"reward": {"first": 1, "n": 2}}, "reward has 2 columns"),
    "no name": ({"name": None}, "name"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_layout_is_one_line_that_says_what_to_change(tmp_path: Path, what: str) -> None:
    changes, told = WRONG[what]
    with pytest.raises(DataError, match=told) as problem:
        read(write(tmp_path, **changes))
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is not YAML"),
        ("- 1", "expected a mapping of settings, got list"),
        ("1: 2", "expected a mapping of settings"),
        ("x: 2020-99-99", "is not YAML"),
        ("x: " + "9" * 5000, "unquoted word of 5000 characters"),
        ("[" * 50_000, "nested more than 32 deep"),
        ("name: &a [1]\ntask: *a", "has aliases"),
        ("#" * 300_000, "more than 262144 bytes"),
    ],
)
def test_a_layout_from_strangers_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path)
    (path / "layout.yaml").write_text(text)
    with pytest.raises(DataError, match=told) as problem:
        open_dataset(path)
    assert "\n" not in str(problem.value)


def _back(rows: Array) -> None:
    rows[80:, 0] -= 0.5


def _gap(rows: Array) -> None:
    rows[80:, 0] += 0.5


def _nan(rows: Array) -> None:
    rows[80, 1] = np.nan


def _lost_time(rows: Array) -> None:
    rows[80, 0] = np.nan


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_back, "time goes back at row 80; .* split it there"),
        (_gap, r"0.510 s pass after row 79; split the table there"),
        (_nan, "state/q_rad is not finite at row 80"),
        (_lost_time, "time is not finite"),
    ],
)
def test_a_table_that_is_no_whole_episode_is_refused_and_its_neighbours_are_read(
    tmp_path: Path, spoil: Callable[[Array], None], told: str
) -> None:
    rows = table()
    spoil(rows)
    write(tmp_path, rows, file="run_1.npy")
    write(tmp_path, file="run_2.npy")
    with pytest.raises(DataError, match=told):
        read(tmp_path, 0)
    assert len(read(tmp_path, 1)) == N - 1


def test_an_action_that_is_no_number_does_not_spoil_the_range_of_the_others(tmp_path: Path) -> None:
    rows = table()
    rows[80, 3] = np.nan
    write(tmp_path, rows, file="run_1.npy")
    write(tmp_path, file="run_2.npy")
    assert read(tmp_path, 1).meta["action_high"] == [398.0, 497.0]
    with pytest.raises(DataError, match="action is not finite at row 80"):
        read(tmp_path, 0)


class _Touch:
    """Unpickling one makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    evil = np.array([_Touch(tmp_path / "ran")], dtype=object)
    np.save(tmp_path / "run.npy", evil, allow_pickle=True)
    tell(tmp_path)
    with pytest.raises(DataError, match="no table of numbers"):
        read(tmp_path)
    (tmp_path / "run.npy").write_bytes(pickle.dumps(evil))
    with pytest.raises(DataError, match=r"cannot be read as \.npy"):
        read(tmp_path)
    path = tmp_path / "demos" / "x.npz"
    path.parent.mkdir()
    np.savez(path, **{"demo0/seen": evil, "demo0/done": np.zeros(1)})
    tell(path.parent, file="x.npz.layout.yaml", **NPZ)
    with pytest.raises(DataError, match="no table of numbers"):
        read(path)
    assert not (tmp_path / "ran").exists()


def header(shape: str, descr: str = "<f8") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


NPY = {
    "a terabyte": (header("(137438953472, 1)"), "in 80 bytes is cut off"),
    "rows that are not there": (header("(201, 6)") + bytes(48), "in 119 bytes is cut off"),
    "a negative shape": (header("(-1, 6)") + bytes(48), "no table of numbers"),
    "no rows": (header("(0, 6)"), "no table of numbers"),
    "three axes": (header("(2, 3, 4)") + bytes(192), "no table of numbers"),
    "text": (header("(2, 1)", "<U4") + bytes(32), "no table of numbers"),
    "records": (header("(2,)", "<f8,<i4") + bytes(24), "no table of numbers"),
    "a dtype of 2 GB": (header("(1, 1)", "<V2000000000"), "no table of numbers"),
    "a call": (header("(__import__('os'), 1)"), "malformed"),
    "a deep header": (header("(" * 3000), "cannot be read"),
    "another version": (b"\x93NUMPY\x09\x00" + bytes(100), r"format 9.0 is not read"),
    "nothing": (b"", "cannot be read"),
}


@pytest.mark.parametrize("what", NPY)
def test_hostile_arrays_end_in_one_line_and_bounded_memory(tmp_path: Path, what: str) -> None:
    tell(tmp_path)
    data, told = NPY[what]
    (tmp_path / "run.npy").write_bytes(data)
    refused_lightly(tmp_path, told)


def refused_lightly(path: Path, told: str) -> None:
    """Reading ends in a DataError of one line that says so, and took no more than 48 MiB on the way."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=told) as problem:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(problem.value)


def _member(path: Path, data: bytes, **options: Any) -> None:
    """demo0 with `data` in the place of its array `seen`."""
    np.savez(path, **{"demo0/done": np.zeros(9)})
    with zipfile.ZipFile(path, "a", **options) as archive:
        archive.writestr("demo0/seen.npy", data)


def _lying_sizes(path: Path) -> None:
    _member(path, header("(60, 131072)") + bytes(100), compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the last entry of the directory
    data[at + 24 : at + 28] = (900 << 20).to_bytes(4, "little")
    path.write_bytes(data)


def _flipped(path: Path) -> None:
    _member(path, header("(9, 4)") + bytes(288), compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.index(b"demo0/seen.npy") + 14 + 12
    data[at] ^= 0x55
    path.write_bytes(data)


ZIPS: dict[str, tuple[Callable[[Path], None], str]] = {
    "an array that claims more than it has": (
        lambda path: _member(path, header("(9, 4)") + bytes(8)),
        "in 77 bytes is cut off",
    ),
    "zeros packed a thousandfold": (
        lambda path: _member(path, bytes(1 << 20), compression=zipfile.ZIP_LZMA),
        "packed by method 14",
    ),
    "a directory that lies of sizes": (_lying_sizes, "claims 943718400 bytes out of 75"),
    "a flipped byte": (_flipped, "Bad CRC"),
    "a missing array": (
        lambda path: np.savez(path, **{"demo0/done": np.zeros(9)}),
        r"no array 'demo0/seen' .it has demo0/done",
    ),
    "arrays of other lengths": (
        lambda path: np.savez(path, **{"demo0/done": np.zeros(9), "demo0/seen": np.zeros(8)}),
        "differ in rows",
    ),
    "no folder that fits": (lambda path: np.savez(path, done=np.zeros(9)), "it has none"),
    "no zip": (lambda path: path.write_bytes(b"PK\x03\x04 and then nothing") and None, "not a zip file"),
}


@pytest.mark.parametrize("what", ZIPS)
def test_hostile_archives_end_in_one_line_and_bounded_memory(tmp_path: Path, what: str) -> None:
    path = tmp_path / "demos.npz"
    make, told = ZIPS[what]
    make(path)
    tell(tmp_path, file="demos.npz.layout.yaml", **NPZ)
    refused_lightly(path, told)


CSV = {
    "nothing": (b"", "it has no rows"),
    "only a header": (b"t,q1,q2,cmd1,cmd2,reward\n", "it has no rows"),
    "text for a number": (b"t,a,b,c,d\n1,2,3,4,5\n2,3,x,5,6\n", "could not convert string 'x'"),
    "a column less": (b"t,a,b,c,d\n1,2,3,4,5\n2,3,4\n", "invalid column index 3"),
    "no UTF-8": (b"\xff\xfe\x00t,\x00a", "UnicodeDecodeError"),
    "a line of 8 MB": (b"1," * 4_000_000, "first line has more than"),
    "a first word of 2 MB": (b"x" * 2_000_000, "first line has more than"),
    "one row": (b"1,2,3,4,5\n", "1 rows give 1 ticks"),
}


@pytest.mark.parametrize("what", CSV)
@pytest.mark.filterwarnings("error")
def test_hostile_texts_end_in_one_line_and_bounded_memory(tmp_path: Path, what: str) -> None:
    tell(tmp_path)
    data, told = CSV[what]
    (tmp_path / "run.csv").write_bytes(data)
    refused_lightly(tmp_path, told)


def real(folder: Path, pattern: str, **layout: Any) -> Path:
    """Links to real tables, with a layout beside them."""
    found = sorted(DATA.glob(pattern))
    if not found:
        pytest.skip(f"../shared/data/{pattern} is not there")
    for file in found:
        (folder / file.name).symlink_to(file)
    tell(folder, **layout)
    return folder


def test_the_real_fr3_logs_thin_from_950_hz_to_20_and_their_steps_lead_from_tick_to_tick(tmp_path: Path) -> None:
    path = real(
        tmp_path,
        "fr3-teleop-1khz/*.npy",
        rate_hz=20,
        time={"first": 0, "n": 1, "unit": "ns"},
        state={"q_rad": {"first": 1, "n": 7}, "dq_rad_s": {"first": 8, "n": 7}, "tau_nm": {"first": 15, "n": 7}},
        action={"kind": "delta_joint", "of": "q_rad"},
    )
    for number, n_rows in enumerate((10_384, 10_048)):
        episode = read(path, number)
        rows = np.load(DATA / "fr3-teleop-1khz" / f"{episode.meta['id']}.npy")
        assert (rows.shape, episode.meta["rows"]) == ((n_rows, 42), n_rows)
        assert {name: values.shape[1] for name, values in episode.state.items()} == {
            "q_rad": 7,
            "dq_rad_s": 7,
            "tau_nm": 7,
        }
        assert len(episode) == round((rows[-1, 0] - rows[0, 0]) / 1e9 * 20)
        at = np.searchsorted(rows[:, 0], episode.stamp_ns)
        assert np.array_equal(rows[at, 0], episode.stamp_ns)
        assert np.allclose(raw_action(episode), np.diff(rows[at, 1:8], axis=0), atol=1e-7)


def test_the_real_door_demonstrations_are_15_episodes_with_actions_beyond_1(tmp_path: Path) -> None:
    path = real(
        tmp_path,
        "dapg-door/*.npz",
        time=None,
        rows_hz=100.0,
        episodes="demo*",
        state={"seen": {"array": "observations"}},
        action={"array": "actions"},
        reward={"array": "rewards"},
    )
    dataset = open_dataset(path)
    assert dataset is not None
    episodes = [read(path, number) for number in range(len(dataset))]
    assert [len(each) + 1 for each in episodes] == [
        *[300] * 5, 293, 284, 265, 265, 291, 247, 236, 271, 242, 277
    ]  # fmt: skip
    assert {(each.action.shape[1], each.state["seen"].shape[1]) for each in episodes} == {(28, 39)}
    assert max(np.abs(raw_action(each)).max() for each in episodes) > 1.3


def test_the_real_ur10e_logs_keep_every_row_and_the_joint_that_was_moved_moves(tmp_path: Path) -> None:
    path = real(
        tmp_path,
        "ur10e-logs/jointwise_motion/*.csv",
        state={"q_rad": {"first": 1, "n": 6}, "qd_rad_s": {"first": 7, "n": 6}},
        action={"first": 19, "n": 6},
    )
    for number, (n_rows, joint) in enumerate(((5889, 0), (6109, 2))):
        episode = read(path, number)
        assert (len(episode) + 1, episode.action.shape[1]) == (n_rows, 6)
        span_rad = np.ptp(episode.state["q_rad"], axis=0)
        assert span_rad[joint] > 3
        assert np.delete(span_rad, joint).max() < 0.01
        assert 62 < (episode.stamp_ns[-1] - episode.stamp_ns[0]) / 1e9 < 66
