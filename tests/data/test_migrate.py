"""A store of an older schema: read as it is, brought to this one by its next writer, whenever that one dies."""

import contextlib
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data.archive import migrate
from o2o_robot.data.store import SCHEMA_VERSION, EpisodeStore
from o2o_robot.errors import StoreError

V1 = Path(__file__).with_name("store_v1.tar.xz")  # written by the software of schema version 1
V1_FINGERPRINT = "ca40e89ffa7ceb99"  # as that software told it


@pytest.fixture
def v1(tmp_path):
    with tarfile.open(V1) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # before Python 3.11.4 there is none
        archive.extractall(tmp_path / "s")
    return tmp_path / "s"


def version(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]["schema_version"]


def was_recorded():
    sizes = {"truncated": 4, "terminated": 34, "open": 4}
    return [an_episode(n, seed=seed, end=end, side=6) for seed, (end, n) in enumerate(sizes.items())]


def assert_holds_what_was_recorded(store):
    assert [ep.digest(e) for e in store.episodes()] == [ep.digest(e) for e in was_recorded()]
    assert [store.meta(i) for i in range(3)] == [e.meta for e in was_recorded()]
    np.testing.assert_array_equal(store.concatenated("action"), np.concatenate([e.action for e in was_recorded()]))
    assert store.fingerprint() == V1_FINGERPRINT


def test_a_store_of_version_1_reads_as_it_is_and_is_left_as_it_is(v1):
    before = {file: file.read_bytes() for file in v1.rglob("*") if file.is_file()}
    with EpisodeStore.open(v1) as store:
        assert store.migrated_from == 1
        assert_holds_what_was_recorded(store)
    assert {file: file.read_bytes() for file in v1.rglob("*") if file.is_file()} == before


def test_opening_to_append_migrates_in_place_and_rewrites_no_episode(v1):
    before = {file: file.read_bytes() for file in (v1 / "episodes").rglob("*") if file.is_file()}
    with EpisodeStore.open(v1, "a") as store:
        assert (store.migrated_from, version(v1)) == (1, SCHEMA_VERSION)
        assert_holds_what_was_recorded(store)
        assert store.append(an_episode(seed=7)) == 3
        store.delete(0, "bad")
    assert {file: file.read_bytes() for file in before} == before
    with EpisodeStore.open(v1, "a") as store:
        assert store.migrated_from == SCHEMA_VERSION
        assert [m["id"] for m in map(store.meta, range(len(store)))] == ["ep-1", "ep-2", "ep-7"]


def test_migrating_twice_is_migrating_once(v1):
    migrate.migrate(v1)
    after = {file: file.read_bytes() for file in v1.rglob("*") if file.is_file()}
    assert migrate.migrate(v1) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert {file: file.read_bytes() for file in v1.rglob("*") if file.is_file()} == after


@pytest.mark.parametrize("cut", range(4))
def test_a_migration_killed_before_any_of_its_writes_is_finished_by_the_next_writer(v1, monkeypatch, cut):
    class Killed(BaseException):
        pass

    done = []

    def dying(real):
        def write(*arguments, **options):
            if len(done) == cut:
                raise Killed
            done.append(arguments)
            return real(*arguments, **options)

        return write

    monkeypatch.setattr("os.pwrite", dying(os.pwrite))
    monkeypatch.setattr(Path, "write_text", dying(Path.write_text))
    monkeypatch.setattr(Path, "replace", dying(Path.replace))
    with contextlib.suppress(Killed):
        migrate.migrate(v1)
    assert len(done) == min(cut, 3)  # next_number, zarr.json aside, its renaming
    monkeypatch.undo()
    assert version(v1) in (1, SCHEMA_VERSION)
    assert_holds_what_was_recorded(EpisodeStore.open(v1))
    with EpisodeStore.open(v1, "a") as store:
        assert version(v1) == SCHEMA_VERSION
        assert_holds_what_was_recorded(store)
        store.append(an_episode(seed=7))
        assert store.number(3) == "000003"
    assert not list(v1.glob(".zarr.json.*"))


@pytest.mark.parametrize("strange", [SCHEMA_VERSION + 1, 0, -1, "2", None, True, 1.0])
def test_a_version_that_is_not_known_is_refused_with_what_to_do(v1, strange):
    root = json.loads((v1 / "zarr.json").read_text())
    root["attributes"]["schema_version"] = strange
    (v1 / "zarr.json").write_text(json.dumps(root))
    for mode in ("r", "a"):
        with pytest.raises(StoreError, match=r"reads 1 to 2; update it"):
            EpisodeStore.open(v1, mode)
    assert json.loads((v1 / "zarr.json").read_text()) == root
