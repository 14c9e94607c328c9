"""diffusion_policy's replay buffers: written by zarr-python or by hand, read with every size checked beforehand."""

import json
import shutil
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.data.formats import Wishes, is_dataset, open_dataset
from o2o_robot.data.formats.zarr_v2 import Folder, open_array
from o2o_robot.errors import DataError
from o2o_robot.types import Outcome

ENDS = (5, 9, 20)
ROWS = np.arange(20)
WISHES = Wishes(image_side=16)


def write(path: Path, ends: tuple[int, ...] = ENDS, **arrays: np.ndarray) -> Path:
    """A replay buffer by zarr-python, as diffusion_policy lays it out."""
    held = {
        "action": np.stack([ROWS * 2.0, -ROWS * 1.0], axis=1),
        "state": np.repeat(ROWS[:, None], 3, axis=1).astype(np.float32),
        "camera_0": np.broadcast_to(ROWS.astype(np.uint8)[:, None, None, None], (20, 16, 16, 3)),
    } | arrays
    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    for name, values in held.items():
        chunks = (1, *values.shape[1:]) if values.ndim == 4 else values.shape
        root.create_array(f"data/{name}", data=np.ascontiguousarray(values), chunks=chunks)
    root.create_array("meta/episode_ends", data=np.array(ends, np.int64))
    return path


def read(path: Path, number: int, wishes: Wishes = WISHES) -> Any:
    dataset = open_dataset(path)
    assert dataset is not None
    return dataset.read(number, wishes, dataset.action_range())


def change(path: Path, name: str, **facts: Any) -> None:
    file = path / name / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_every_episode_holds_its_own_rows_and_one_step_less(tmp_path: Path) -> None:
    path = write(tmp_path / "replay_buffer.zarr")
    dataset = open_dataset(path)
    assert dataset is not None
    assert (dataset.kind, len(dataset)) == ("diffusion_policy", 3)
    start = 0
    for number, end in enumerate(ENDS):
        episode = read(path, number)
        assert episode.state["state"][:, 0].tolist() == list(range(start, end))
        assert episode.images["camera_0"][:, 3, 3, 1].tolist() == list(range(start, end))
        assert len(episode) == end - start - 1
        low, high = np.array(episode.meta["action_low"]), np.array(episode.meta["action_high"])
        raw = low + (episode.action + 1.0) * (high - low) / 2.0
        assert np.allclose(raw, np.stack([ROWS * 2.0, -ROWS * 1.0], 1)[start : end - 1], atol=1e-5)
        start = end


def test_without_a_reward_the_wish_says_how_it_ended(tmp_path: Path) -> None:
    path = write(tmp_path / "b.zarr")
    assert read(path, 0).truncated.tolist() == [False, False, False, True]
    success = read(path, 0, Wishes(16, outcome=Outcome.SUCCESS))
    assert success.terminated.tolist() == [False, False, False, True]
    assert success.reward.tolist() == [0, 0, 0, 1]


def test_a_recorded_reward_of_the_row_left_out_counts_for_the_last_step(tmp_path: Path) -> None:
    reward = np.zeros(20)
    reward[4] = 1.0
    path = write(tmp_path / "b.zarr", reward=reward)
    assert read(path, 0).reward.tolist() == [0, 0, 0, 1]
    assert read(path, 0).terminated[-1]
    assert not read(path, 1).terminated.any()


def test_stamps_are_the_recorded_ones_where_there_are_any(tmp_path: Path) -> None:
    stamps_s = 100.0 + ROWS * 0.05
    path = write(tmp_path / "b.zarr", timestamp=stamps_s)
    assert np.array_equal(read(path, 1).stamp_ns, np.round(stamps_s[5:9] * 1e9).astype(np.int64))
    assert np.diff(read(write(tmp_path / "c.zarr"), 0).stamp_ns).tolist() == [100_000_000] * 4


def test_a_zip_reads_as_the_folder_does(tmp_path: Path) -> None:
    folder = write(tmp_path / "b.zarr")
    packed = shutil.make_archive(str(tmp_path / "b.zarr"), "zip", folder)
    assert is_dataset(packed)
    one, other = read(folder, 2), read(Path(packed), 2)
    assert np.array_equal(one.action, other.action)
    assert np.array_equal(one.images["camera_0"], other.images["camera_0"])


def test_float_pictures_of_0_to_255_and_points_are_read(tmp_path: Path) -> None:
    frames = np.broadcast_to(ROWS[:, None, None, None] * 10.0, (20, 16, 16, 3)).astype(np.float32)
    path = write(tmp_path / "pusht.zarr", img=frames, keypoint=np.ones((20, 9, 2), np.float32))
    episode = read(path, 0)
    assert episode.images["img"][:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert episode.state["keypoint"].shape == (5, 18)


@pytest.mark.parametrize(
    "codec",
    [
        None,
        numcodecs.Blosc("zstd", 5, numcodecs.Blosc.BITSHUFFLE),
        numcodecs.Zlib(3),
        numcodecs.GZip(3),
        numcodecs.LZ4(),
        numcodecs.Zstd(1),
    ],
)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "<i8", "|b1"])
def test_chunks_of_every_allowed_codec_and_dtype_are_what_zarr_python_reads(
    tmp_path: Path, codec: Any, dtype: str
) -> None:
    values = np.random.default_rng(0).integers(0, 2, (7, 5, 4)).astype(dtype)
    array = zarr.create_array(
        str(tmp_path / "a"), data=values, chunks=(3, 2, 4), zarr_format=2, compressors=codec, filters=None
    )
    ours = open_array(Folder(tmp_path), "a")
    for start, stop in ((0, 7), (2, 3), (3, 6), (6, 7)):
        assert np.array_equal(ours.rows(start, stop), array[start:stop])


@settings(max_examples=25, deadline=None)
@given(shape=st.lists(st.integers(1, 6), min_size=1, max_size=3), data=st.data())
def test_any_rows_of_any_chunking_are_what_zarr_python_reads(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    chunks = tuple(data.draw(st.integers(1, n + 2)) for n in shape)
    order = data.draw(st.sampled_from(["C", "F"]))
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    array = zarr.create_array(
        str(folder / "a"), shape=values.shape, dtype=values.dtype, chunks=chunks, zarr_format=2, order=order
    )
    array[...] = values
    start = data.draw(st.integers(0, shape[0] - 1))
    stop = data.draw(st.integers(start + 1, shape[0]))
    assert np.array_equal(open_array(Folder(folder), "a").rows(start, stop), values[start:stop])


def with_jpeg2k(path: Path, frames: np.ndarray, imagecodecs: Any) -> Path:
    """The buffer with camera frames as diffusion_policy's codec writes them: a picture a chunk, lossless here."""
    write(path)
    camera = path / "data" / "camera_0"
    for row, frame in enumerate(frames):
        (camera / f"{row}.0.0.0").write_bytes(imagecodecs.jpeg2k_encode(frame, level=0, reversible=True))
    change(path, "data/camera_0", compressor={"id": "imagecodecs_jpeg2k", "level": 50}, shape=list(frames.shape),
           chunks=[1, *frames.shape[1:]], filters=None)  # fmt: skip
    return path


def test_jpeg_2000_frames_are_decoded(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="pip install imagecodecs")
    frames = np.random.default_rng(0).integers(0, 256, (20, 16, 24, 3), np.uint8)
    path = with_jpeg2k(tmp_path / "b.zarr", frames, imagecodecs)
    held = open_array(Folder(path), "data/camera_0").rows(0, 20)
    assert np.array_equal(held, frames)
    assert read(path, 0).images["camera_0"].shape == (5, 16, 16, 3)


def test_a_jpeg_2000_frame_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="pip install imagecodecs")
    path = with_jpeg2k(tmp_path / "b.zarr", np.zeros((20, 16, 16, 3), np.uint8), imagecodecs)
    large = imagecodecs.jpeg2k_encode(np.zeros((64, 64, 3), np.uint8), level=0)
    (path / "data" / "camera_0" / "2.0.0.0").write_bytes(large)
    with pytest.raises(DataError, match="64x64x3 pixels should have 768"):
        read(path, 0)
    assert len(read(path, 1)) == 3


def _pickle_filter(path: Path) -> None:
    change(path, "data/state", dtype="|O", filters=[{"id": "pickle", "protocol": 5}])


def _python_codec(path: Path) -> None:
    change(path, "data/state", compressor={"id": "msgpack2"})


def _zlib_bomb(path: Path) -> None:
    change(path, "data/state", compressor={"id": "zlib", "level": 9})
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(60)) + packer.flush()
    (path / "data" / "state" / "0.0").write_bytes(packed)


def _lz4_claim(path: Path) -> None:
    change(path, "data/state", compressor={"id": "lz4", "acceleration": 1})
    (path / "data" / "state" / "0.0").write_bytes(struct.pack("<I", 2**31 - 1) + bytes(40))


def _blosc_claim(path: Path) -> None:
    change(path, "data/state", compressor={"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1})
    packed = bytearray(numcodecs.Blosc().encode(np.zeros(60, np.float32)))
    packed[4:8] = struct.pack("<I", 2**31 - 1)
    (path / "data" / "state" / "0.0").write_bytes(bytes(packed))


def _zstd_claim(path: Path) -> None:
    change(path, "data/state", compressor={"id": "zstd", "level": 1})
    (path / "data" / "state" / "0.0").write_bytes(numcodecs.Zstd(1).encode(np.zeros(20 << 20, np.uint8)))


def _large_chunk_file(path: Path) -> None:
    with (path / "data" / "state" / "0.0").open("r+b") as stream:
        stream.truncate(3 << 30)


HOSTILE: dict[str, Callable[[Path], None]] = {
    "a pickle filter": _pickle_filter,
    "a pickle filter on numbers": lambda path: change(path, "data/state", filters=[{"id": "pickle"}]),
    "an unknown codec": _python_codec,
    "a zlib bomb": _zlib_bomb,
    "an lz4 chunk that claims 2 GB": _lz4_claim,
    "a blosc chunk that claims 2 GB": _blosc_claim,
    "a zstd bomb": _zstd_claim,
    "a sparse chunk of 3 GB": _large_chunk_file,
    "fields": lambda path: change(path, "data/state", dtype=[["a", "<f4"]]),
    "a dtype of 1 GB": lambda path: change(path, "data/state", dtype="|S1000000000"),
    "a negative shape": lambda path: change(path, "data/state", shape=[-20, 3]),
    "a chunk of 1 TB": lambda path: change(path, "data/state", chunks=[20, 2**37]),
    "actions of 1 TB": lambda path: change(path, "data/action", shape=[20, 2**37]),
    "actions of 1 TB in one chunk a row": lambda path: change(
        path, "data/action", shape=[20, 2**37], chunks=[1, 2**31]
    ),
    "frames of 1 TB": lambda path: change(path, "data/camera_0", shape=[20, 2**19, 2**19, 3]),
    "frames of 1 GB": lambda path: change(
        path, "data/camera_0", shape=[20, 2**14, 2**14, 3], chunks=[1, 2**13, 2**13, 3]
    ),
    "an episode of 2**40 rows": lambda path: change(path, "meta/episode_ends", shape=[2**40]),
    "zero chunks": lambda path: change(path, "data/state", chunks=[0, 3]),
    "true for a number": lambda path: change(path, "data/state", shape=[True, 3]),
    "text for a fill value": lambda path: change(path, "data/state", fill_value="x" * 100),
    "no JSON": lambda path: (path / "data" / "state" / ".zarray").write_text("{"),
    "deep JSON": lambda path: (path / "data" / "state" / ".zarray").write_text("[" * 100_000),
    "a list for a description": lambda path: (path / "data" / "state" / ".zarray").write_text("[]"),
    "zarr 3": lambda path: change(path, "data/state", zarr_format=3),
}


TOLD = {
    "a pickle filter": "no objects",
    "a pickle filter on numbers": "filters pickle",
    "an unknown codec": "packed by 'msgpack2'",
    "a zlib bomb": "unpacks to 241",
    "an lz4 chunk that claims 2 GB": "does not state",
    "a blosc chunk that claims 2 GB": "does not state",
    "a zstd bomb": "does not state",
    "a sparse chunk of 3 GB": "more than the",
    "fields": "dtype",
    "a dtype of 1 GB": "dtype",
    "a negative shape": "not the description",
    "a chunk of 1 TB": "beyond",
    "actions of 1 TB": "chunks a row",
    "actions of 1 TB in one chunk a row": "beyond",
    "frames of 1 TB": "chunks a row",
    "frames of 1 GB": "one row has",
    "an episode of 2**40 rows": "beyond",
    "zero chunks": "not a zarr v2 array",
    "true for a number": "not the description",
    "text for a fill value": "fill value",
    "no JSON": "not the description",
    "deep JSON": "not the description",
    "a list for a description": "not the description",
    "zarr 3": "not a zarr v2 array",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_buffer_is_refused_in_one_line_with_little_memory(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "b.zarr")
    HOSTILE[name](path)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=TOLD[name]) as refusal:
            read(path, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)
    assert peak < 32 << 20


@pytest.mark.parametrize("ends", [(5, 5), (9, 5), (0, 5), (5, 21), (-3, 5)])
def test_ends_that_do_not_rise_or_go_beyond_the_rows_are_refused(tmp_path: Path, ends: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"episode"):
        open_dataset(write(tmp_path / "b.zarr", ends))


def test_an_episode_of_one_row_costs_itself_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "b.zarr", (1, 9))
    with pytest.raises(DataError, match="no whole step"):
        read(path, 0)
    assert len(read(path, 1)) == 7


def test_a_broken_zip_and_one_that_packs_a_bomb_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "a.zarr.zip"
    broken.write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(DataError, match="not a zip"):
        open_dataset(broken)
    bomb = tmp_path / "b.zarr.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("data/action/.zarray", b" " * (50 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more than the"):
            open_dataset(bomb)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_fingerprints_tell_actions_apart_and_do_not_see_where_a_buffer_lies(tmp_path: Path) -> None:
    one, copy = write(tmp_path / "one.zarr"), tmp_path / "elsewhere.zarr"
    shutil.copytree(one, copy)
    other = write(tmp_path / "other.zarr", action=np.ones((20, 2)))
    marks = [dataset.fingerprint() for path in (one, copy, other) if (dataset := open_dataset(path))]
    assert marks[0] == marks[1]
    assert marks[0] != marks[2]
