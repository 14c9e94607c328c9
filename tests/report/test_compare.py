"""Runs side by side: the right test for the scenes they met, its p-value by hand, and the settings that differ."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")

from run_examples import a_finetuning

from o2o_robot import cli
from o2o_robot.errors import DataError
from o2o_robot.report.compare import compare, short_names
from o2o_robot.report.statistics import holm, unpaired

GOOD, BAD = [("warmup", False), *[("online", True)] * 12], [("warmup", False), *[("online", False)] * 12]


def test_fishers_exact_test_gives_the_published_p_values():
    assert unpaired(3, 4, 1, 4) == pytest.approx(34 / 70)  # Fisher's tea: 3 of 4 cups, two-sided
    assert unpaired(0, 10, 10, 10) == pytest.approx(2 / 184756)
    assert unpaired(5, 10, 5, 10) == 1.0
    assert unpaired(0, 0, 3, 3) == 1.0


def test_fishers_test_does_not_mind_which_comes_first():
    for k in range(8):
        assert unpaired(k, 7, 3, 9) == pytest.approx(unpaired(3, 9, k, 7))


def test_holms_p_values_are_never_smaller_and_keep_their_order():
    assert holm((0.01, 0.04, 0.03)) == pytest.approx((0.03, 0.06, 0.06))
    assert holm((0.9,)) == (0.9,)
    assert holm(()) == ()


def test_runs_that_met_the_same_scenes_are_compared_scene_by_scene(tmp_path):
    found = compare([a_finetuning(tmp_path / "a", GOOD), a_finetuning(tmp_path / "b", BAD)])
    (verdict,) = found.verdicts
    assert "McNemar" in verdict.test
    assert verdict.difference == -1.0
    assert verdict.p_value == pytest.approx(2 / 2**12)
    assert "a real difference" in verdict.words


def test_runs_that_met_other_scenes_are_compared_by_fishers_test(tmp_path):
    runs = [a_finetuning(tmp_path / "a", GOOD), a_finetuning(tmp_path / "b", GOOD, first_seed=50)]
    (verdict,) = compare(runs).verdicts
    assert "Fisher" in verdict.test
    assert verdict.p_value == 1.0
    assert "chance is not ruled out" in verdict.words


def test_only_settings_that_differ_are_told_and_places_are_not(tmp_path):
    found = compare([a_finetuning(tmp_path / "a", GOOD), a_finetuning(tmp_path / "b", GOOD, utd=4)])
    assert found.settings == (("utd", ("1", "4")),)


def test_a_run_with_nothing_in_it_is_shown_without_a_verdict(tmp_path):
    (tmp_path / "empty").mkdir()
    found = compare([a_finetuning(tmp_path / "a", GOOD), tmp_path / "empty"])
    assert "not to be told" in found.verdicts[0].words


def test_one_run_twice_or_alone_is_an_error_that_says_so(tmp_path):
    run = a_finetuning(tmp_path / "a", GOOD[:2])
    with pytest.raises(DataError, match="twice"):
        compare([run, run])
    with pytest.raises(DataError, match="2 to 8"):
        compare([run])


def test_names_are_as_short_as_they_can_be_and_tell_runs_apart(tmp_path):
    assert short_names([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]
    assert short_names([tmp_path / "x" / "a", tmp_path / "y" / "b"]) == ["a", "b"]


def test_the_page_is_one_file_without_network_and_the_prompt_shows_the_table(tmp_path, capsys):
    runs = [a_finetuning(tmp_path / "a", GOOD, human=(1,)), a_finetuning(tmp_path / "b", BAD)]
    out = tmp_path / "compare.html"
    assert cli.main(["compare", *map(str, runs), "--out", str(out)]) == 0
    page = out.read_text()
    assert set(re.findall(r'(?:src|href)="(.{0,22})', page)) == {"data:image/png;base64,"}
    assert "<script" not in page
    told = capsys.readouterr().out
    assert "McNemar" in told
    assert "100 %" in told
    assert len(page) < 8_000_000
