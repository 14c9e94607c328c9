"""What `o2o inspect` says is what is in the store."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from twin_bags import make_episode

from o2o_robot.apps.inspect import main, pace
from o2o_robot.data.contact_sheet import contact_sheet
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError


def test_the_table_names_every_episode_its_length_outcome_and_fields(tmp_path, capsys):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(make_episode(0, n_steps=7))
        store.append(make_episode(1, n_steps=5, is_success=False))
    assert main(tmp_path / "s.zarr") == 0
    said = capsys.readouterr().out
    for part in (
        "2 episodes, 12 steps",
        "ep-0",
        "ep-1",
        "10.00",
        "1 x demo failure",
        "1 x demo success",
        "front 64x64x3 uint8",
    ):
        assert part in said
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_a_gap_is_counted_and_does_not_change_the_rate():
    stamp_ns = np.array([0, 1, 2, 3, 8, 9]) * 100_000_000
    assert pace(stamp_ns) == pytest.approx((10.0, 1, 0.5))


def test_an_episode_of_one_step_and_equal_stamps_can_still_be_shown(tmp_path, capsys):
    episode = make_episode(0, n_steps=1)
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(dataclasses.replace(episode, stamp_ns=np.zeros(2, np.int64)))
    assert main(tmp_path / "s.zarr") == 0


def test_a_store_without_pictures_is_shown_without_a_contact_sheet(tmp_path, capsys):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(dataclasses.replace(make_episode(0), images={}))
    assert main(tmp_path / "s.zarr") == 0
    assert not (tmp_path / "s.png").exists()


def test_an_empty_store_is_shown_as_empty(tmp_path, capsys):
    EpisodeStore.create(tmp_path / "s.zarr").close()
    assert main(tmp_path / "s.zarr") == 0
    assert "0 episodes" in capsys.readouterr().out


def test_a_store_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(StoreError, match=r"nothing\.zarr"):
        main(tmp_path / "nothing.zarr")


def test_a_contact_sheet_has_a_row_for_each_camera_and_shows_the_first_and_the_last_frame():
    episode = make_episode(0)
    for frames in episode.images.values():
        frames[0], frames[-1] = 11, 222
    sheet = contact_sheet({0: episode, 3: episode}, n_columns=3, cell=32)
    rows = np.split(sheet, 4)
    for row in rows:
        assert (row[:32, -108:-76] == 11).all()
        assert (row[:32, -36:-4] == 222).all()
