"""Deleting: out of all that is read at once, off the disk only when compacted, and a number is never given again."""

import contextlib
import shutil
from pathlib import Path

import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data.archive import line_log, tombstones
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError


@pytest.fixture
def store(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        for seed in range(4):
            store.append(an_episode(seed=seed))
        yield store


def ids(store):
    assert len(list(store.field("reward"))) == len(store)
    assert [e.meta["id"] for e in store.episodes()] == [store.meta(i)["id"] for i in range(len(store))]
    return [store.meta(i)["id"] for i in range(len(store))]


def files(store):
    return {file: file.read_bytes() for file in (store.path / "episodes").rglob("*") if file.is_file()}


def test_a_deleted_episode_is_out_of_all_that_is_read_and_no_file_of_any_episode_changes(store):
    before, whole = files(store), store.fingerprint()
    assert store.delete(1, "lens covered", at="2026-11-21T18:00:00") == "000001"
    for seen in (store, EpisodeStore.open(store.path)):
        assert ids(seen) == ["ep-0", "ep-2", "ep-3"]
        assert seen.n_steps == 15
        assert seen.fingerprint() != whole
        assert seen.deleted == {"000001": ("lens covered", "2026-11-21T18:00:00")}
        with pytest.raises(StoreError, match=r"000001 .* was deleted \(lens covered\)"):
            seen.index("000001")
    assert files(store) == before


def test_the_fingerprint_of_what_is_left_is_that_of_a_store_that_never_had_the_others(store, tmp_path):
    store.delete(2, "bad")
    with EpisodeStore.create(tmp_path / "t") as other:
        for seed in (0, 1, 3):
            other.append(an_episode(seed=seed))
        assert other.fingerprint() == store.fingerprint()


def test_undeleting_is_as_if_it_had_never_been_deleted(store):
    whole = store.fingerprint()
    store.delete(1, "bad")
    store.delete(0, "bad")
    assert store.undelete("000001") == 0
    assert store.undelete("000000") == 0
    assert (store.fingerprint(), store.deleted) == (whole, {})
    assert ids(EpisodeStore.open(store.path)) == ids(store) == ["ep-0", "ep-1", "ep-2", "ep-3"]


def test_compacting_frees_what_is_deleted_and_nothing_else(store):
    store.delete(3, "bad")
    store.delete(1, "bad")
    left = {file: data for file, data in files(store).items() if file.parts[-2] != "000003"}
    left = {file: data for file, data in left.items() if "000001" not in file.parts and "000003" not in file.parts}
    n_bytes = sum(map(len, files(store).values())) - sum(map(len, left.values()))
    assert store.compact() == (("000001", "000003"), n_bytes)
    assert files(store) == left
    assert ids(EpisodeStore.open(store.path)) == ids(store) == ["ep-0", "ep-2"]
    assert store.compact() == ((), 0)
    with pytest.raises(StoreError, match="compacted away"):
        store.undelete("000001")


@pytest.mark.parametrize("goes", [["000003"], ["000000", "000001", "000002", "000003"]])
@pytest.mark.parametrize("by", ["compaction", "a person"])
def test_a_number_is_never_given_again_whatever_became_of_what_had_it(store, goes, by):
    for number in goes:
        if by == "compaction":
            store.delete(store.index(number), "bad")
        else:
            shutil.rmtree(store.path / "episodes" / number)
    store.compact()
    store.close()
    for following in (4, 5):
        with EpisodeStore.open(store.path, "a") as again:
            assert again.number(again.append(an_episode(seed=following))) == f"{following:06d}"
            again.delete(len(again) - 1, "bad")
            again.compact()


def test_a_number_is_never_given_again_when_the_file_that_counts_them_is_lost(store):
    store.delete(3, "bad")
    store.compact()
    store.close()
    for content in (None, b"", b"rubbish"):
        file = store.path / "next_number"
        file.unlink() if content is None else file.write_bytes(content)
        with EpisodeStore.open(store.path, "a") as again:
            number = again.number(again.append(an_episode(seed=9)))
            assert number not in ("000003", *again.deleted)
            again.delete(len(again) - 1, "bad")
            again.compact()


class Killed(BaseException):
    """Ends a writer where it stands; nothing of it tidies up."""


@pytest.mark.parametrize("cut", range(12))
def test_a_compaction_killed_at_any_removal_shows_no_episode_by_halves_and_is_finished_by_the_next_writer(
    store, monkeypatch, cut
):
    store.delete(1, "bad")
    store.delete(1, "bad")
    calls, real = [], shutil.rmtree

    def dying(path, *arguments, **options):
        for file in sorted(path.rglob("*")):
            if file.is_file():
                if len(calls) == cut * 7:
                    raise Killed
                calls.append(file)
                file.unlink()
        real(path, *arguments, **options)

    monkeypatch.setattr("o2o_robot.data.archive.repair.shutil.rmtree", dying)
    with contextlib.suppress(Killed):
        store.compact()
    monkeypatch.undo()
    assert ids(EpisodeStore.open(store.path)) == ["ep-0", "ep-3"]
    store.close()
    with EpisodeStore.open(store.path, "a") as again:
        assert not list(store.path.glob("deleting-*"))
        for number in list(again.deleted):
            if (again.path / "episodes" / number).exists():
                assert ep.digest(again.read(again.undelete(number))) == ep.digest(an_episode(seed=int(number)))


def test_a_tombstone_cut_short_at_any_byte_deletes_nothing_and_the_next_one_is_whole(store):
    store.delete(0, "first")
    log = store.path / tombstones.LOG_NAME
    first = log.read_bytes()
    store.delete(0, "second")
    whole = log.read_bytes()
    store.close()
    for cut in range(len(first), len(whole)):
        log.write_bytes(whole[:cut])
        assert ids(EpisodeStore.open(store.path)) == ["ep-1", "ep-2", "ep-3"]
    with EpisodeStore.open(store.path, "a") as again:
        again.delete(2, "third")
        assert [stone.reason for stone in EpisodeStore.open(store.path).deleted.values()] == ["first", "third"]


WRONG_SUM = b'{"number": "000001", "deleted": true, "reason": "bad", "at": "", "sha256": "0123456789abcdef"}'


@pytest.mark.parametrize("line", [b"{}", b"\xff\xfe", b"[]", b"[" * 9999, WRONG_SUM])
def test_a_log_that_was_tampered_with_is_refused_by_its_line(store, line):
    store.delete(0, "first")
    log = store.path / tombstones.LOG_NAME
    log.write_bytes(log.read_bytes() + line + b"\n")
    with pytest.raises(DataError, match=r"tombstones\.jsonl, line 2"):
        EpisodeStore.open(store.path)


@pytest.mark.parametrize("number", ["../../x", "1", None, 7])
def test_a_tombstone_of_no_episode_is_refused(store, number):
    line_log.append(store.path / tombstones.LOG_NAME, {"number": number, "deleted": True})
    with pytest.raises(DataError, match="line 1 names no episode"):
        EpisodeStore.open(store.path)


def test_a_log_refuses_a_line_that_no_reader_would_take(store):
    with pytest.raises(DataError, match="more than the 1048576"):
        store.delete(0, "x" * (1 << 20))
    assert EpisodeStore.open(store.path).deleted == store.deleted == {}


def test_what_cannot_be_deleted_or_undeleted_is_refused_and_nothing_changes(store):
    for mistake in (
        lambda: store.delete(4, "bad"),
        lambda: store.delete(-1, "bad"),
        lambda: store.delete(0, " "),
        lambda: store.undelete("000000"),
        lambda: store.undelete("000009"),
        lambda: EpisodeStore.open(store.path).delete(0, "bad"),
        lambda: EpisodeStore.open(store.path).compact(),
    ):
        with pytest.raises(StoreError):
            mistake()
    assert ids(store) == ids(EpisodeStore.open(store.path)) == ["ep-0", "ep-1", "ep-2", "ep-3"]


def test_an_episode_removed_while_a_reader_was_open_is_said_to_be_so(store):
    reader = EpisodeStore.open(store.path)
    store.delete(2, "bad")
    store.compact()
    with pytest.raises(StoreError, match="removed since the store was opened"):
        reader.read(2)
    assert reader.refresh() == 3
    assert ids(reader) == ["ep-0", "ep-1", "ep-3"]


def test_a_store_whose_maker_died_before_it_was_one_is_made_again(tmp_path):
    for step in range(4):
        path = Path(tmp_path / f"s{step}")
        (path / "episodes").mkdir(parents=True)
        if step > 0:
            (path / "episodes/.zarr.json.17").write_text("{")
        if step > 1:
            (path / "episodes/zarr.json").write_text("{}")
        if step > 2:
            (path / ".zarr.json.17").write_text("{")
        with EpisodeStore.open_or_create(path) as store:
            store.append(an_episode())
        assert ids(EpisodeStore.open(path)) == ["ep-0"]
        assert not list(path.glob(".zarr.json.*"))
