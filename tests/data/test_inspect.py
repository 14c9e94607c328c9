"""What `o2o inspect` says is what is in the store."""

from __future__ import annotations

import dataclasses
import sys

import cv2
import numpy as np
import pytest
from twin_bags import make_episode

import o2o_robot.report
from o2o_robot.apps.inspect import main
from o2o_robot.data.contact_sheet import sheet_rows, strip_jpeg
from o2o_robot.data.health.vitals import pace
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
    assert (tmp_path / "s.html").exists()


def test_a_store_without_pictures_is_shown_without_a_contact_sheet(tmp_path, capsys):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(dataclasses.replace(make_episode(0), images={}))
    assert main(tmp_path / "s.zarr") == 0
    assert not (tmp_path / "s.png").exists()


def test_the_table_alone_leaves_nothing_on_disk(tmp_path, capsys):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(make_episode(0))
    assert main(tmp_path / "s.zarr", table_only=True) == 0
    assert "ep-0" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


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
    rows = sheet_rows(0, episode, n_columns=3, cell=32)
    assert len(rows) == 2
    for row in rows:
        assert (row[:32, -108:-76] == 11).all()
        assert (row[:32, -36:-4] == 222).all()


def test_a_strip_holds_the_first_the_middle_and_the_last_frame_in_their_shape():
    frames = np.zeros((9, 20, 40, 3), np.uint8)
    frames[0], frames[4], frames[8] = 50, 120, 220
    strip = cv2.imdecode(np.frombuffer(strip_jpeg(frames, height_px=60), np.uint8), cv2.IMREAD_COLOR)
    assert strip.shape == (60, 3 * 120 + 2 * 2, 3)
    for middle, level in ((60, 50), (182, 120), (304, 220)):
        assert abs(float(strip[:, middle - 20 : middle + 20].mean()) - level) < 3


def test_what_ails_the_store_is_printed_and_a_page_is_written_beside_it(tmp_path, capsys):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        for seed in range(6):
            episode = make_episode(seed)
            images = {**episode.images, "wrist": episode.images["wrist"] * (seed != 4)}
            store.append(dataclasses.replace(episode, images=images))
    assert main(tmp_path / "s.zarr") == 0
    said = capsys.readouterr().out
    assert "fault camera wrist is black: every frame (episodes 4)" in said
    assert "camera wrist is black" in (tmp_path / "s.html").read_text()


def test_an_episode_that_cannot_be_read_is_a_finding_and_the_others_are_shown(tmp_path, capsys):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        for seed in range(3):
            store.append(make_episode(seed))
    (tmp_path / "s.zarr" / "episodes" / "000001" / "reward" / "c.0").write_bytes(b"torn")
    assert main(tmp_path / "s.zarr", table_only=True) == 0
    said = capsys.readouterr().out
    assert "fault an episode cannot be read" in said
    assert "ep-0" in said
    assert "ep-2" in said


def test_a_page_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(make_episode(0))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another place with --page"):
        main(tmp_path / "s.zarr", page=tmp_path / "file" / "s.html")


def test_without_the_libraries_of_the_page_the_table_is_printed_and_the_lack_is_said(tmp_path, capsys, monkeypatch):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        store.append(make_episode(0))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("o2o_robot.report.")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(o2o_robot.report, name.rpartition(".")[2], raising=False)
    assert main(tmp_path / "s.zarr") == 0
    said = capsys.readouterr().out
    assert "ep-0" in said
    assert "pip install 'o2o_robot[train]'" in said
    assert not (tmp_path / "s.html").exists()
