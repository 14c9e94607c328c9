"""Doubtful episodes and disagreements, as they are written down and counted."""

from __future__ import annotations

import math

import pytest

from o2o_robot.jsonfile import read_lines
from o2o_robot.reward.adjudicate import DOUBTFUL, LOG, Adjudication
from o2o_robot.reward.judge import Verdict


def verdict(p: float, *, trouble: str = "") -> Verdict:
    return Verdict(0, p, p >= 0.9, trouble=trouble)


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (verdict(0.4), "between 0.40 and 0.90"),
        (verdict(0.89), "between"),
        (verdict(math.nan, trouble="no frame of front"), "no frame of front"),
        (None, "nothing was judged"),
    ],
)
def test_what_ends_between_the_thresholds_or_unjudged_is_listed_for_a_person(tmp_path, last, why):
    assert why in Adjudication(tmp_path, on=0.9, off=0.4).ended("ep-1", last, outcome="failure")
    [line] = read_lines(tmp_path / DOUBTFUL)
    assert line["episode"] == "ep-1"
    assert why in line["why"]


@pytest.mark.parametrize("p", [0.39, 0.9, 1.0])
def test_what_ends_beyond_a_threshold_is_not_listed(tmp_path, p):
    assert Adjudication(tmp_path, on=0.9, off=0.4).ended("ep-1", verdict(p), outcome="failure") == ""
    assert not (tmp_path / DOUBTFUL).exists()


def test_only_a_word_that_contradicts_a_verdict_is_a_disagreement_also_after_a_restart(tmp_path):
    first = Adjudication(tmp_path, on=0.9, off=0.4)
    for name, p in (("a", 0.95), ("b", 0.1), ("c", 0.6)):
        first.ended(name, verdict(p), outcome="failure")
    again = Adjudication(tmp_path, on=0.9, off=0.4)
    words = [("a", "success"), ("a", "failure"), ("b", "success"), ("c", "success"), ("b", "discard"), ("z", "failure")]
    assert [again.labelled(e, w, by="kim", at="") for e, w in words] == [True, False, False, True, True, True]
    counts = {"judged": 3, "doubtful": 1, "labelled": 6, "disagreed": 2}
    assert again.summary() == counts
    assert Adjudication(tmp_path, on=0.9, off=0.4).summary() == counts
    assert [line["agrees"] for line in read_lines(tmp_path / LOG) if line["kind"] == "label"].count(False) == 2
