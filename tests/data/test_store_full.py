"""A full disk: one clear line, what was committed stays readable, and writing goes on once there is space."""

import errno
import os
import resource
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data.labels import Correction
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of a megabyte; skips where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def noise(seed: int):
    """An episode that no codec makes smaller: 74 kB of pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    return replace(an_episode(5, seed=seed), images={"wrist": pixels})


def fill(store, kept):
    for seed in range(20):
        store.append(noise(seed))
        kept.append(noise(seed))


def fill_up(path):
    with path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def assert_holds(store, episodes):
    assert [ep.digest(e) for e in store.episodes()] == [ep.digest(e) for e in episodes]


def test_a_disk_that_fills_up_costs_the_episode_being_written_and_no_other(tiny_disk):
    (tiny_disk / "ballast").write_bytes(bytes(300_000))
    kept = []
    with EpisodeStore.create(tiny_disk / "s") as store:
        with pytest.raises(StoreError, match=r"No space left.*free some space; what was committed before is safe"):
            fill(store, kept)
        assert 1 <= len(kept) <= 5
        assert_holds(store, kept)
        assert_holds(EpisodeStore.open(tiny_disk / "s"), kept)
        assert not list((tiny_disk / "s").glob("writing-*"))
        (tiny_disk / "ballast").unlink()
        assert store.append(noise(30)) == len(kept)
        assert_holds(EpisodeStore.open(tiny_disk / "s"), [*kept, noise(30)])


def test_on_a_full_disk_nothing_is_half_done_and_deleted_episodes_can_be_compacted_away(tiny_disk):
    with EpisodeStore.create(tiny_disk / "s") as store:
        store.append(noise(0))
        store.append(noise(1))
        store.delete(0, "bad")
        with pytest.raises(OSError, match="No space left"):
            fill_up(tiny_disk / "ballast")
        for act in (
            lambda: store.append(noise(2)),
            lambda: store.correct(0, Correction("success", note="x" * 9000)),
            lambda: store.delete(0, "x" * 9000),
        ):
            with pytest.raises(StoreError, match="free some space"):
                act()
            assert_holds(store, [noise(1)])
            assert_holds(EpisodeStore.open(tiny_disk / "s"), [noise(1)])
            assert store.correction(0) is None
        store.close()
        with EpisodeStore.open(tiny_disk / "s", "a") as again:  # opens on a full disk, and gets room by itself
            assert again.compact().numbers == ("000000",)
            assert again.append(replace(an_episode(seed=2), images={})) == 1


def test_a_full_disk_is_a_store_error_and_what_was_committed_stays(tmp_path):
    big = an_episode(60, side=64)
    noise = np.random.default_rng(0).integers(0, 256, (61, 64, 64, 3), dtype=np.uint8)
    big = replace(big, images={"wrist": noise})
    with EpisodeStore.create(tmp_path / "s") as store:
        store.append(an_episode())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the kernel refuses the write, as a full disk does
        try:
            with pytest.raises(StoreError, match="free some space"):
                store.append(big)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list((tmp_path / "s").glob("writing-*"))
        assert ep.digest(store.read(0)) == ep.digest(an_episode())
        assert store.append(big) == 1
        assert ep.digest(store.read(1)) == ep.digest(big)


@pytest.mark.parametrize("act", ["delete", "correct"])
def test_a_log_line_that_the_disk_took_only_half_of_is_as_if_it_had_not_been_tried(tmp_path, monkeypatch, act):
    real, store = os.pwrite, EpisodeStore.create(tmp_path / "s")
    store.append(an_episode())
    store.append(an_episode(seed=1))
    acts = {
        "delete": lambda index: store.delete(index, "bad"),
        "correct": lambda index: store.correct(index, Correction("success")),
    }
    acts[act](0)
    fingerprint = store.fingerprint()

    def filling(descriptor, data, offset):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) // 2], offset)

    monkeypatch.setattr(os, "pwrite", filling)
    with pytest.raises(StoreError, match="free some space"):
        acts[act](0 if act == "delete" else 1)
    monkeypatch.undo()
    assert store.fingerprint() == EpisodeStore.open(tmp_path / "s").fingerprint() == fingerprint
    acts[act](0 if act == "delete" else 1)
    assert store.fingerprint() == EpisodeStore.open(tmp_path / "s").fingerprint() != fingerprint


@pytest.mark.parametrize("file", ["next_number", "zarr.json", "c.0"])
def test_the_disk_may_refuse_at_any_file_and_the_next_episode_is_stored(tmp_path, monkeypatch, file):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with EpisodeStore.create(tmp_path / "s") as store:
        store.append(an_episode())
        match file:
            case "next_number":
                monkeypatch.setattr(os, "pwrite", full)
            case "zarr.json":
                monkeypatch.setattr(Path, "write_text", full)
            case "c.0":
                monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match="free some space"):
            store.append(an_episode(seed=1))
        monkeypatch.undo()
        assert store.append(an_episode(seed=2)) == 1
        assert_holds(EpisodeStore.open(tmp_path / "s"), [an_episode(), an_episode(seed=2)])


def test_a_deletion_that_the_disk_could_not_be_made_to_keep_is_not_made(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with EpisodeStore.create(tmp_path / "s", durable=True) as store:
        store.append(an_episode())
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="free some space"):
            store.delete(0, "bad")
        monkeypatch.undo()
        assert store.deleted == EpisodeStore.open(tmp_path / "s").deleted == {}
        store.delete(0, "bad")
        assert len(EpisodeStore.open(tmp_path / "s")) == 0
