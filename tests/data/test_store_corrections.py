"""Corrections: laid over what was recorded wherever it is read, logged, and carried along with their episode."""

from pathlib import Path

import numpy as np
import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data import labels
from o2o_robot.data.archive.merge import merge
from o2o_robot.data.labels import Correction
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError

SUCCESS = Correction("success", by="hand", who="anna", at="2026-11-21T18:00:00")


@pytest.fixture
def store(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        for seed in range(3):
            store.append(an_episode(seed=seed, meta={"id": f"ep-{seed}", "outcome": "failure"}))
        yield store


def test_a_correction_shows_wherever_the_episode_is_read_and_what_was_recorded_stays(store):
    recorded = ep.digest(store.read(1))
    store.correct(1, SUCCESS)
    for seen in (store, EpisodeStore.open(store.path)):
        whole = labels.apply(seen.read(1, corrected=False), SUCCESS)
        assert ep.digest(seen.read(1)) == ep.digest(whole) == ep.digest(list(seen.episodes())[1])
        assert seen.meta(1) == seen.read(1).meta == whole.meta
        assert (seen.meta(1)["outcome"], seen.meta(1, corrected=False)["outcome"]) == ("success", "failure")
        for name in ("reward", "terminated", "truncated", "action"):
            np.testing.assert_array_equal(list(seen.field(name))[1], getattr(whole, name))
            old = list(seen.field(name, corrected=False))[1]
            np.testing.assert_array_equal(old, getattr(seen.read(1, corrected=False), name))
        assert seen.concatenated("terminated").sum() == 1
        assert ep.digest(seen.read(1, corrected=False)) == recorded
        assert seen.correction(1) == SUCCESS
        assert seen.correction(0) is None


def test_the_fingerprint_follows_what_a_correction_does_and_not_who_made_it(store):
    plain = store.fingerprint()
    rewards = [Correction(reward=np.full(5, value)) for value in (0.0, 1.0)]
    seen = [plain]
    for correction in (SUCCESS, *rewards, Correction("failure")):
        store.correct(1, correction)
        seen.append(store.fingerprint())
        assert EpisodeStore.open(store.path).fingerprint() == seen[-1]
    assert len(set(seen)) == len(seen)
    store.correct(1, Correction("failure", by="file", who="labels.csv", note="again"))
    assert store.fingerprint() == seen[-1]
    store.correct(1, Correction.recorded(by="hand", who="anna", at=""))
    assert store.fingerprint() == plain


def test_a_correction_that_does_not_fit_is_refused_and_not_logged(store):
    with pytest.raises(DataError, match="2 rewards for the 5 steps"):
        store.correct(0, Correction(reward=(0.0, 1.0)))
    with pytest.raises(StoreError, match="holds 3"):
        store.correct(3, SUCCESS)
    with pytest.raises(StoreError, match="mode 'a'"):
        EpisodeStore.open(store.path).correct(0, SUCCESS)
    assert labels.read_log(store.path) == {}


@pytest.mark.parametrize("move", [False, True])
def test_adopted_and_merged_episodes_bring_all_their_corrections(store, tmp_path, move):
    store.correct(2, Correction("failure", note="first"))
    store.correct(2, SUCCESS)
    store.correct(0, Correction("success"))
    store.delete(0, "bad")
    with EpisodeStore.create(tmp_path / "t") as target:
        target.append(an_episode(seed=9))
        merge([store], target, move=move)
        assert [target.correction(i) for i in range(3)] == [None, None, SUCCESS]
        assert [line.correction.note for line in labels.history(target.path)] == ["first", ""]
        assert target.meta(2)["outcome"] == "success"
    assert EpisodeStore.open(tmp_path / "t").correction(2) == SUCCESS


def test_a_correction_stays_with_its_episode_through_deleting_and_compacting_others(store):
    store.correct(2, SUCCESS)
    store.delete(0, "bad")
    store.compact()
    assert (store.correction(1), store.meta(1)["id"]) == (SUCCESS, "ep-2")
    store.delete(1, "bad")
    store.undelete("000002")
    assert EpisodeStore.open(store.path).correction(1) == SUCCESS


class Killed(BaseException):
    """Ends a writer where it stands."""


def test_an_adoption_killed_between_a_correction_and_its_episode_lends_it_to_no_other(store, tmp_path, monkeypatch):
    store.correct(0, SUCCESS)
    target = EpisodeStore.create(tmp_path / "t")

    def die(path, final):
        raise Killed

    monkeypatch.setattr("o2o_robot.data.archive.episode_folder.renamed", die)
    with pytest.raises(Killed):
        target.adopt(store, move=True)
    monkeypatch.undo()
    target.close()
    assert labels.read_log(tmp_path / "t") == {"000000": SUCCESS}
    (tmp_path / "t/next_number").unlink()  # even then
    with EpisodeStore.open(tmp_path / "t", "a") as again:
        again.append(an_episode(seed=5))
        assert again.correction(0) is None
        assert again.adopt(store, move=True) == [1, 2, 3]
        assert again.correction(1) == SUCCESS


def test_a_store_reads_the_corrections_that_another_process_made_when_refreshed(store):
    reader = EpisodeStore.open(store.path)
    store.correct(0, SUCCESS)
    assert reader.correction(0) is None
    reader.refresh()
    assert reader.correction(0) == SUCCESS
    assert Path(store.path / labels.LOG_NAME).exists()
