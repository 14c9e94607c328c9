"""RLDS: what protobuf itself wrote is what an episode holds, where it ends, and that no byte is believed unchecked."""

import json
import struct
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.data.action_range import ActionRange, unscaled
from o2o_robot.data.formats import Wishes, is_dataset, open_dataset
from o2o_robot.data.formats.rlds_example import MAX_INT_BYTES, features
from o2o_robot.data.formats.rlds_record import masked_crc
from o2o_robot.errors import DataError
from o2o_robot.types import Episode, Outcome

pool = pytest.importorskip("google.protobuf.descriptor_pool", reason="pip install protobuf")
from google.protobuf import descriptor_pb2, message_factory  # noqa: E402

REAL = Path(__file__).parents[4] / "shared" / "data" / "octo-bridge"
NAME = "arm-train.tfrecord-00000-of-00001"
WISHES = Wishes(image_side=16)
N = 6
_ONE, _MANY = 1, 3  # FieldDescriptorProto's labels
_FLOAT, _INT64, _TEXT, _MESSAGE, _BYTES = 2, 3, 9, 11, 12  # and types


def _messages() -> dict[str, Any]:
    """tensorflow/core/example/{feature,example}.proto, its maps as the repeated entries they are on the wire."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")
    shapes = {
        "BytesList": [("value", 1, _BYTES, "", _MANY)],
        "FloatList": [("value", 1, _FLOAT, "", _MANY)],
        "Int64List": [("value", 1, _INT64, "", _MANY)],
        "Feature": [(f"{n}_list", i, _MESSAGE, f"{n.title()}List", _ONE) for i, n in ((1, "bytes"), (2, "float"))]
        + [("int64_list", 3, _MESSAGE, "Int64List", _ONE)],
        "Entry": [("key", 1, _TEXT, "", _ONE), ("value", 2, _MESSAGE, "Feature", _ONE)],
        "Features": [("feature", 1, _MESSAGE, "Entry", _MANY)],
        "FeatureList": [("feature", 1, _MESSAGE, "Feature", _MANY)],
        "ListEntry": [("key", 1, _TEXT, "", _ONE), ("value", 2, _MESSAGE, "FeatureList", _ONE)],
        "FeatureLists": [("feature_list", 1, _MESSAGE, "ListEntry", _MANY)],
        "Example": [("features", 1, _MESSAGE, "Features", _ONE)],
        "SequenceExample": [
            ("context", 1, _MESSAGE, "Features", _ONE),
            ("feature_lists", 2, _MESSAGE, "FeatureLists", _ONE),
        ],
    }
    for name, fields in shapes.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of, label in fields:
            message.field.add(name=field, number=number, type=kind, label=label, type_name=f".tf.{of}" if of else None)
    held = pool.DescriptorPool()
    held.Add(file)
    return {name: message_factory.GetMessageClass(held.FindMessageTypeByName(f"tf.{name}")) for name in shapes}


TF = _messages()


def feature(values: Any) -> Any:
    """A Feature of bytes, floats or whole numbers, by what the values are."""
    if isinstance(values, list):
        return TF["Feature"](bytes_list=TF["BytesList"](value=values))
    array = np.asarray(values).reshape(-1)
    if array.dtype.kind == "f":
        return TF["Feature"](float_list=TF["FloatList"](value=array.tolist()))
    return TF["Feature"](int64_list=TF["Int64List"](value=array.astype(np.int64).tolist()))


def example(columns: Mapping[str, Any]) -> bytes:
    entries = [TF["Entry"](key=key, value=feature(values)) for key, values in columns.items()]
    return bytes(TF["Example"](features=TF["Features"](feature=entries)).SerializeToString())


def sequence_example(columns: Mapping[str, Any]) -> bytes:
    """The same, steps/ as lists of one Feature a row, the rest as context."""
    made = TF["SequenceExample"]()
    for key, values in columns.items():
        if key.startswith("steps/"):
            rows = [feature([row] if isinstance(row, bytes) else row) for row in values]
            entry = TF["ListEntry"](key=key.removeprefix("steps/"), value=TF["FeatureList"](feature=rows))
            made.feature_lists.feature_list.append(entry)
        else:
            made.context.feature.append(TF["Entry"](key=key, value=feature(values)))
    return bytes(made.SerializeToString())


def framed(data: bytes, n_bytes: int | None = None) -> bytes:
    head = struct.pack("<Q", len(data) if n_bytes is None else n_bytes)
    return head + masked_crc(head) + data + masked_crc(data)


def write(folder: Path, *records: bytes, name: str = NAME) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"".join(map(framed, records)))
    return folder


def png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def steps(n: int = N, *, first: int = 0, last: bool = True, terminal: bool = False, **columns: Any) -> dict[str, Any]:
    """The columns of an episode of n rows; state, action and frames all tell the row."""
    rows = np.arange(n)
    end = rows == n - 1
    return {
        "steps/is_first": rows == 0,
        "steps/is_last": end & last,
        "steps/is_terminal": end & terminal,
        "steps/reward": np.zeros(n, np.float32),
        "steps/action": np.stack([rows * 0.1, rows * -2.0], axis=1).astype(np.float32),
        "steps/observation/state": np.repeat(first + rows[:, None], 3, axis=1).astype(np.float32),
        "steps/observation/wrist": [png(np.full((16, 16, 3), first + row, np.uint8)) for row in rows],
        "steps/language_instruction": [b"stack the cups"] * n,
        "episode_metadata/file_path": [b"raw/out.npy"],
        "episode_metadata/score": np.array([np.nan], np.float32),
    } | columns


def read(path: Path, number: int = 0, wishes: Wishes = WISHES) -> Episode:
    dataset = open_dataset(path)
    assert dataset is not None
    return dataset.read(number, wishes, dataset.action_range())


@pytest.mark.parametrize("encode", [example, sequence_example])
def test_what_protobuf_wrote_is_what_the_episode_holds(tmp_path: Path, encode: Any) -> None:
    written = steps(first=20)
    episode = read(write(tmp_path, encode(steps(4)), encode(written)), 1)
    assert episode.state["state"].tolist() == [[20.0 + row] * 3 for row in range(N)]
    assert episode.images["wrist"][:, 3, 3, 1].tolist() == [20 + row for row in range(N)]
    limits = ActionRange(np.array(episode.meta["action_low"]), np.array(episode.meta["action_high"]))
    assert np.allclose(unscaled(episode.action, limits), written["steps/action"][:-1], atol=1e-6)
    assert len(episode) == N - 1
    assert episode.meta["task"] == "stack the cups"
    assert episode.meta["episode_metadata"] == {"file_path": "raw/out.npy"}


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("reward", [0.0, 1.0])
@pytest.mark.parametrize("wish", [None, Outcome.SUCCESS])
def test_is_terminal_alone_decides_between_terminated_and_truncated(
    tmp_path: Path, is_terminal: bool, reward: float, wish: Outcome | None
) -> None:
    rewards = np.where(np.arange(N) == N - 1, reward, 0.0)
    columns = steps(terminal=is_terminal, **{"steps/reward": rewards})
    episode = read(write(tmp_path, example(columns)), wishes=Wishes(16, outcome=wish))
    assert bool(episode.terminated[-1]) is is_terminal
    assert bool(episode.truncated[-1]) is not is_terminal
    assert not (episode.terminated | episode.truncated)[:-1].any()


def test_the_reward_of_a_terminal_last_row_is_kept_with_its_action(tmp_path: Path) -> None:
    rewards = np.eye(N)[-1]
    episode = read(write(tmp_path, example(steps(terminal=True, **{"steps/reward": rewards}))))
    assert episode.reward.tolist() == rewards.tolist()
    assert episode.state["state"][:, 0].tolist() == [0, 1, 2, 3, 4, 5, 5]
    assert episode.action[-1, 0] == 1.0
    assert episode.meta["final_observation"] == "repeated"
    assert episode.meta["outcome"] == "success"


def test_a_terminal_last_row_without_a_reward_is_the_final_observation(tmp_path: Path) -> None:
    rewards = np.eye(N)[-2]  # as RLDS itself has it: the last row's action is undefined
    episode = read(write(tmp_path, example(steps(terminal=True, **{"steps/reward": rewards}))))
    assert (len(episode), episode.reward[-1], bool(episode.terminated[-1])) == (N - 1, 1.0, True)


def test_a_discount_of_0_terminates_where_there_is_no_is_terminal(tmp_path: Path) -> None:
    for last, is_terminal in ((0.0, True), (1.0, False)):
        columns = steps(**{"steps/discount": np.append(np.ones(N - 1), last)})
        del columns["steps/is_terminal"]
        assert bool(read(write(tmp_path, example(columns))).terminated[-1]) is is_terminal


def test_an_episode_cut_out_of_a_longer_one_ends_as_it_is_said_to(tmp_path: Path) -> None:
    path = write(tmp_path, example(steps(last=False)))
    assert read(path).truncated[-1]
    success = read(path, wishes=Wishes(16, outcome=Outcome.SUCCESS))
    assert success.terminated[-1]
    assert success.reward[-1] == 1.0


@pytest.mark.parametrize("name", ["is_first", "is_last", "is_terminal"])
def test_two_episodes_in_one_record_are_refused(tmp_path: Path, name: str) -> None:
    flags = np.isin(np.arange(N), (0, 2) if name == "is_first" else (2, N - 1))
    with pytest.raises(DataError, match=rf"{name} is set at row 2 of {N}; a record must be one episode"):
        read(write(tmp_path, example(steps(**{f"steps/{name}": flags}))))


def test_an_action_in_parts_is_joined_in_order_of_their_names(tmp_path: Path) -> None:
    columns = steps()
    action = columns.pop("steps/action")
    parts = {"steps/action/rotation": action * 3, "steps/action/gripper": np.arange(N), "steps/action/note": [b"x"] * N}
    episode = read(write(tmp_path, example(columns | parts)))
    assert episode.meta["action_parts"] == ["gripper", "rotation"]
    assert episode.meta["action_high"] == pytest.approx([5.0, 1.5, 0.0])


def test_a_range_is_measured_even_where_actions_keep_to_1(tmp_path: Path) -> None:
    small = np.linspace(-0.02, 0.01, N)[:, None]
    episode = read(write(tmp_path, example(steps(**{"steps/action": small}))))
    assert episode.action[0, 0] == -1.0  # metres are not a share of the range
    assert episode.meta["action_low"] == pytest.approx([-0.02])


def test_depth_text_and_what_has_no_number_a_row_are_left_out_by_name(tmp_path: Path) -> None:
    depth = [png(np.full((16, 16), 900, np.uint16))] * N
    extra = {"depth": depth, "note": [b"hello"] * N, "ragged": np.zeros(N + 1, np.float32), "wide": np.zeros(N * 5000)}
    episode = read(write(tmp_path, example(steps(**{f"steps/observation/{k}": v for k, v in extra.items()}))))
    assert episode.meta["left_out"] == ["depth", "note", "ragged", "wide"]
    assert list(episode.images) == ["wrist"]
    assert list(episode.state) == ["state"]


def test_features_json_says_how_wide_a_row_is_and_is_held_to_it(tmp_path: Path) -> None:
    columns = {key: value for key, value in steps().items() if key in ("steps/action", "steps/observation/state")}
    path = write(tmp_path, example(columns))
    with pytest.raises(DataError, match="rows cannot be counted"):
        read_all(path)
    tell_width(path, 2)
    assert len(read(path)) == N - 1
    with pytest.raises(DataError, match="'steps/action' has 12 numbers for 6 rows of 4"):
        read(tell_width(write(tmp_path, example(steps())), 4))


def tell_width(path: Path, width: int) -> Path:
    """features.json beside the records, saying how many numbers an action has."""
    action = {"tensor": {"shape": {"dimensions": [str(width)]}, "dtype": "float32"}}
    inner = {"feature": {"featuresDict": {"features": {"action": action}}}}
    tree = {"featuresDict": {"features": {"steps": {"sequence": inner}}}}
    (path / "features.json").write_text(json.dumps(tree))
    return path


def read_all(path: Path) -> list[Episode]:
    """Every episode, with no range asked for. Raises DataError as the first that cannot be read."""
    dataset = open_dataset(path)
    assert dataset is not None
    unit = ActionRange(np.full(2, -10.0), np.full(2, 10.0))
    return [dataset.read(number, WISHES, unit) for number in range(len(dataset))]


def test_records_that_dataset_info_counts_and_the_file_lacks_are_told_of(tmp_path: Path) -> None:
    path = write(tmp_path, example(steps()), example(steps()))
    info = {"splits": [{"name": "train", "shardLengths": ["3"]}, {"name": "val", "shardLengths": ["25"]}]}
    (path / "dataset_info.json").write_text(json.dumps(info))
    dataset = open_dataset(path)
    assert dataset is not None
    assert len(dataset) == 3
    assert len(read(path, 1)) == N - 1
    with pytest.raises(DataError, match=r"has 2 records, dataset_info.json says 3; copy the file again"):
        read(path, 2)


def test_a_folder_holds_all_its_files_in_natural_order_and_every_id_is_its_own(tmp_path: Path) -> None:
    for shard in (2, 10):
        write(tmp_path, example(steps(first=shard)), name=f"arm-train.tfrecord-000{shard:02d}-of-00011")
    assert [read(tmp_path, i).state["state"][0, 0] for i in (0, 1)] == [2, 10]
    assert [read(tmp_path, i).meta["id"] for i in (0, 1)] == [
        "arm-train-00002-of-00011-0",
        "arm-train-00010-of-00011-0",
    ]


def test_only_files_named_as_tfrecords_are_taken_for_them(tmp_path: Path) -> None:
    for name, is_one in (
        ("a.tfrecord", True),
        (NAME, True),
        ("a.tfrecord.gz", False),
        ("a.tfrecord-1", False),
        ("a.bin", False),
    ):
        path = write(tmp_path / name, example(steps()), name=name)
        assert is_dataset(path) is is_one
        assert is_dataset(path / name) is is_one


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40))
def test_whole_numbers_of_any_size_are_what_protobuf_packed(values: list[int]) -> None:
    found = features(memoryview(example({"x": np.array(values, np.int64)})))
    assert found["x"].numbers().tolist() == values


@settings(max_examples=60, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_its_own_episode_and_changes_no_other(
    tmp_path_factory: pytest.TempPathFactory, at: float, bit: int
) -> None:
    path = write(tmp_path_factory.mktemp("flip"), example(steps()), example(steps(first=50)))
    intact = read_all(path)
    data = bytearray((path / NAME).read_bytes())
    data[int(at * len(data))] ^= 1 << bit
    (path / NAME).write_bytes(data)
    dataset = open_dataset(path)
    assert dataset is not None
    n_lost = 0
    for number in range(len(dataset)):
        try:
            episode = dataset.read(number, WISHES, ActionRange(np.full(2, -10.0), np.full(2, 10.0)))
        except DataError:
            n_lost += 1
        else:
            assert np.array_equal(episode.state["state"], intact[number].state["state"])
            assert np.array_equal(episode.images["wrist"], intact[number].images["wrist"])
    assert n_lost == 1


@pytest.mark.parametrize("share", [0.3, 0.5001, 0.7, 0.999])
def test_a_file_cut_off_keeps_the_episodes_before_the_cut_and_tells_of_the_rest(tmp_path: Path, share: float) -> None:
    path = write(tmp_path, example(steps()), example(steps(first=50)))
    data = (path / NAME).read_bytes()
    (path / NAME).write_bytes(data[: int(share * len(data))])
    n_whole = int(share > 0.5)
    dataset = open_dataset(path)
    assert dataset is not None
    assert len(dataset) == n_whole + 1
    for number in range(n_whole):
        dataset.read(number, WISHES, ActionRange(np.full(2, -10.0), np.full(2, 10.0)))
    with pytest.raises(DataError, match=rf"record {n_whole} at byte .*copy the file again"):
        dataset.read(n_whole, WISHES, None)


def raw(name: str, value: bytes) -> bytes:
    """An Example of one feature whose bytes are `value`."""
    return block(1, block(1, block(1, name.encode()) + block(2, value)))


def block(number: int, data: bytes, claim: int | None = None) -> bytes:
    """A field of bytes, claiming as many as there are unless told."""
    return varint(number << 3 | 2) + varint(len(data) if claim is None else claim) + data


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _bomb() -> bytes:
    pixels = bytearray(png(np.zeros((16, 16, 3), np.uint8)))
    pixels[16:24] = struct.pack(">II", 60_000, 60_000)
    return example(steps(**{"steps/observation/wrist": [bytes(pixels)] * N}))


HOSTILE = {
    "a field of 2**60 bytes": (block(1, b"", 2**60), "claims 1152921504606846976 bytes where 0 are left"),
    "a list of 2**60 bytes within": (raw("steps/is_first", block(3, bytes(10), 2**60)), "bytes where 10 are left"),
    "a number that does not end": (b"\x80" * 40, "a number does not end"),
    "wire type 7": (b"\x0f" * 8, "none of protobuf's"),
    "nothing": (b"", "rows cannot be counted"),
    "text": (b"hello world, this is no protobuf at all", "none of protobuf's"),
    "a feature of two kinds": (raw("steps/is_first", block(2, b"") + block(3, b"")), "several kinds"),
    "a feature of no known kind": (raw("steps/is_first", block(4, b"")), "several kinds"),
    "floats of five bytes": (raw("steps/reward", block(2, block(1, bytes(5)))), "has 5 bytes"),
    "a whole number of 11 bytes": (
        raw("steps/is_first", block(3, block(1, b"\xff" * 10 + b"\x01"))),
        "11 bytes is longer than 64 bits",
    ),
    "8 MiB of whole numbers": (
        example({"steps/is_first": np.zeros(MAX_INT_BYTES + 1, np.int64)}),
        "bytes of whole numbers, more than 8388608",
    ),
    "2 million rows": (
        example({"steps/reward": np.zeros(2_000_000, np.float32)}),
        "2000000 rows, expected 1 to 1000000",
    ),
    "4,000 features": (b"".join(raw(f"x{i}", b"") for i in range(4_000)), "more than 2000 features"),
    "whole numbers that do not end": (
        raw("steps/is_first", block(3, block(1, b"\x80" * 5))),
        "whole numbers does not end",
    ),
    "a picture of 60,000 x 60,000": (_bomb(), r"'wrist' at row 0: .* claims 60000x60000 pixels"),
    "a picture less": (
        example(steps(**{"steps/observation/wrist": [png(np.zeros((16, 16, 3), np.uint8))] * 5})),
        "5 pictures for 6 rows",
    ),
    "no action": (
        example({key: value for key, value in steps().items() if key != "steps/action"}),
        "no 'steps/action' made of numbers",
    ),
    "an action of text": (example(steps(**{"steps/action": [b"left"] * N})), "'steps/action' holds bytes, not numbers"),
    "an action too long by one": (
        example(steps(**{"steps/action": np.zeros(N * 2 + 1)})),
        "13 numbers for 6 rows of 2",
    ),
    "a reward too few": (
        example(steps(**{"steps/reward": np.zeros(N - 1)})),
        "'steps/reward' has 5 numbers for 6 rows",
    ),
    "not a number": (example(steps(**{"steps/observation/state": np.full(N, np.nan)})), "state is not finite at row 0"),
    "one row": (example(steps(1)), "no step to learn from"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_records_with_right_checksums_end_in_one_line_and_bounded_memory(tmp_path: Path, what: str) -> None:
    data, told = HOSTILE[what]
    path = write(tmp_path, data, example(steps()))
    tracemalloc.start()
    try:
        dataset = open_dataset(path)
        assert dataset is not None
        with pytest.raises(DataError, match=told) as problem:
            dataset.read(0, WISHES, dataset.action_range())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(problem.value)
    assert peak < 64 << 20
    assert len(read(path, 1)) == N - 1


@pytest.mark.parametrize("claim", [11, 2**60])
def test_a_list_that_claims_more_than_is_there_is_never_taken_shortened(claim: int) -> None:
    found = features(memoryview(raw("steps/reward", block(2, block(1, bytes(8), claim)))))
    with pytest.raises(DataError, match=f"a field claims {claim} bytes where 8 are left"):
        found["steps/reward"].numbers()


@pytest.mark.parametrize("claim", [2**63, 2**40, 5000])
def test_a_record_that_claims_more_than_its_file_is_never_asked_for(tmp_path: Path, claim: int) -> None:
    path = write(tmp_path)
    (path / NAME).write_bytes(framed(example(steps())) + framed(bytes(20), claim))
    assert len(read(path)) == N - 1
    with pytest.raises(DataError, match=f"claims {claim} bytes, more than the file has left"):
        read(path, 1)


def test_a_sparse_record_of_2_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    head = struct.pack("<Q", 2 << 30)
    (path / NAME).write_bytes(head + masked_crc(head))
    with (path / NAME).open("r+b") as stream:
        stream.truncate((2 << 30) + 16)
    with pytest.raises(DataError, match="a record of 2048 MiB is larger than 1024 MiB"):
        read_all(path)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/octo-bridge is not there")
def test_the_real_bridge_episodes_hold_what_their_source_says() -> None:
    dataset = open_dataset(REAL)
    assert dataset is not None
    assert (dataset.kind, len(dataset)) == ("rlds", 25)
    action_range = dataset.action_range()
    episodes = [dataset.read(number, Wishes(image_side=64), action_range) for number in range(25)]
    assert {(len(each), each.action.shape[1], each.state["state"].shape) for each in episodes} == {(9, 7, (10, 7))}
    assert {frames.shape for each in episodes for frames in each.images.values()} == {(10, 64, 64, 3)}
    assert len({each.meta["id"] for each in episodes}) == 25
    assert {each.meta["task"] for each in episodes} >= {"put carrot on plate", "turn lever vertical to front"}
    assert all(each.truncated[-1] and not each.terminated.any() for each in episodes)  # no row is last or terminal


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/octo-bridge is not there")
def test_the_real_pictures_are_taken_although_every_has_image_flag_is_0() -> None:
    for number in range(25):
        episode = read(REAL, number)
        flags = [value for name, value in episode.meta["episode_metadata"].items() if name.startswith("has_image")]
        assert flags == [0, 0, 0, 0]
        assert list(episode.images) == ["image_0", "image_1", "image_2", "image_3"]
        assert episode.images["image_0"].std() > 10
