"""One field across all episodes: the same values as reading whole episodes, and no other file is touched."""

import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from episode_examples import an_episode
from numcodecs import Zstd

from o2o_robot.data import episode as ep
from o2o_robot.data.archive import zarr_v3
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError

LENGTHS = (5, 40, 1)


@pytest.fixture
def store(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        for seed, n_steps in enumerate(LENGTHS):
            store.append(an_episode(n_steps, seed=seed))
        yield store


def test_every_field_of_all_episodes_is_what_reading_whole_episodes_gives(store):
    assert store.fields() == tuple(ep.arrays(store.read(0)))
    for name in store.fields():
        whole = [ep.arrays(episode)[name] for episode in store.episodes()]
        for ours, theirs in zip(store.field(name), whole, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        joined = store.concatenated(name)
        np.testing.assert_array_equal(joined, np.concatenate(whole))
        assert joined.dtype == whole[0].dtype


@pytest.mark.parametrize("name", ["action", "state/q_rad", "images/wrist"])
def test_a_field_is_read_without_opening_a_file_of_another(store, monkeypatch, name):
    opened = []
    for method in ("read_bytes", "read_text"):
        real = getattr(Path, method)
        monkeypatch.setattr(Path, method, lambda self, real=real: (opened.append(self), real(self))[1])
    assert len(list(store.field(name))) == len(LENGTHS)
    assert opened
    assert {file.parent.relative_to(store.path / "episodes").as_posix().partition("/")[2] for file in opened} == {name}


def test_a_name_that_is_not_there_is_answered_with_those_that_are(store):
    with pytest.raises(StoreError, match=r"no 'actions'; all episodes have: images/wrist, .*action, proposed"):
        store.field("actions")
    store.append(an_episode(cameras=("wrist",), seed=3))
    with pytest.raises(StoreError, match=r"episode 3 .* has no 'images/front'"):
        store.field("images/front")
    assert "images/front" not in store.fields()


def test_fields_of_several_shapes_come_an_episode_at_a_time_and_never_joined(store):
    store.append(an_episode(side=4, seed=3))
    assert {array.shape[1] for array in store.field("images/wrist")} == {4, 8}
    with pytest.raises(StoreError, match="an episode at a time"):
        store.concatenated("images/wrist")


def test_an_empty_store_has_no_fields(tmp_path):
    with EpisodeStore.create(tmp_path / "e") as store:
        assert (store.fields(), list(store.field("action"))) == ((), [])
        with pytest.raises(StoreError, match="no episode"):
            store.concatenated("action")


@pytest.mark.parametrize("name", ["reward", "action", "images/wrist", "terminated"])
@pytest.mark.parametrize("at", [0, 10, -1])
def test_a_flipped_bit_in_a_field_is_an_error_and_never_a_wrong_number(store, name, at):
    file = sorted((store.path / "episodes/000001" / name).glob("c.*"))[0]
    data = bytearray(file.read_bytes())
    data[at] ^= 4
    file.write_bytes(bytes(data))
    with pytest.raises(DataError, match="000001"):
        list(store.field(name))


HOSTILE = {
    "more rows than the marker says": lambda facts: {"shape": [facts["shape"][0] + 1, *facts["shape"][1:]]},
    "a shape of a petabyte": lambda facts: {"shape": [1 << 50, *facts["shape"][1:]]},
    "a chunk of a terabyte": lambda facts: {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1 << 40]}}
    },
    "no chunk rows": lambda facts: {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0]}}},
    "an object dtype": lambda facts: {"data_type": "object"},
    "a negative shape": lambda facts: {"shape": [-1]},
    "no shape": lambda facts: {"shape": None},
    "many rows for codecs of another writer": lambda facts: {"shape": [1 << 32], "codecs": [{"name": "bytes"}]},
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_metadata_that_claims_the_impossible_is_refused_without_asking_for_its_memory(store, hostile):
    file = store.path / "episodes/000000/reward/zarr.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | HOSTILE[hostile](facts)))
    tracemalloc.start()
    with pytest.raises(DataError, match="000000"):
        list(store.field("reward"))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("n_claimed", [0, 100, 1 << 40])
def test_a_frame_that_unpacks_to_another_size_is_refused(tmp_path, n_claimed):
    array = np.zeros((64, 8, 8, 3), np.uint8)
    zarr_v3.write_array(tmp_path / "a", array, rows_per_chunk=32)
    file = tmp_path / "a/c.1.0.0.0"
    data = file.read_bytes()
    assert zarr_v3.zstd_content_bytes(data) == 32 * 8 * 8 * 3
    other = bytearray(Zstd(level=-1, checksum=True).encode(np.zeros(min(n_claimed, 70_000) or 1, np.uint8)))
    if n_claimed > 70_000:
        other[4] |= 0xC0  # a content size of eight bytes
        other[5:5] = n_claimed.to_bytes(8, "little")
    file.write_bytes(bytes(other) if n_claimed else b"")
    with pytest.raises(DataError, match="claims"):
        zarr_v3.read_array(tmp_path / "a")


@pytest.mark.parametrize("n", [1, 255, 256, 257, 65_791, 65_792, 1 << 20])
def test_the_size_that_a_frame_claims_is_read_as_the_format_says(n):
    for values in (np.zeros(n, np.uint8), np.random.default_rng(0).integers(0, 256, n, dtype=np.uint8)):
        assert zarr_v3.zstd_content_bytes(Zstd(level=-1, checksum=True).encode(values)) == n


def test_a_marker_that_names_a_path_is_not_followed(store):
    file = store.path / "episodes/000002/zarr.json"
    marker = json.loads(file.read_text())
    marker["attributes"]["state"] = ["../../000000/state/q_rad"]
    file.write_text(json.dumps(marker))
    reader = EpisodeStore.open(store.path)
    assert (len(reader), reader.unreadable) == (2, ("000002",))


def test_an_array_of_more_rows_than_the_marker_says_is_refused_though_it_is_whole_in_itself(store):
    folder = store.path / "episodes/000000/reward"
    shutil.rmtree(folder)
    zarr_v3.write_array(folder, np.zeros(6, np.float32))
    with pytest.raises(DataError, match="6 rows of reward, not 5"):
        list(store.field("reward"))


def test_an_array_of_another_episode_is_found_out_by_the_digest(store):
    store.append(an_episode(5, seed=7))
    other = (store.path / "episodes/000003/action/c.0.0").read_bytes()
    (store.path / "episodes/000000/action/c.0.0").write_bytes(other)
    with pytest.raises(DataError, match="digest differs"):
        store.read(0)


def test_a_flipped_bit_among_pixels_that_no_codec_makes_smaller_is_an_error(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), dtype=np.uint8)
    zarr_v3.write_array(tmp_path / "a", noise, rows_per_chunk=32)
    file = tmp_path / "a/c.0.0.0.0"
    sound = file.read_bytes()
    for at in range(20, len(sound), 500):
        file.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        with pytest.raises(RuntimeError, match="checksum"):
            zarr_v3.read_array(tmp_path / "a")
