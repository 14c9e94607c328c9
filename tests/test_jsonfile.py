"""Documents are whole or old; logs lose a cut last line and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from o2o_robot.errors import DataError
from o2o_robot.jsonfile import append_line, read_json, read_lines, write_json


def test_what_was_written_is_read_back_numpy_and_paths_in_plain_words(tmp_path):
    path = tmp_path / "deep" / "facts.json"
    write_json(path, {"n": np.int64(3), "x": np.float32(0.5), "list": np.arange(2), "where": Path("/a/b")})
    assert read_json(path) == {"n": 3, "x": 0.5, "list": [0, 1], "where": "/a/b"}


def test_a_document_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "facts.json"
    write_json(path, {"n": 1})
    with pytest.raises(TypeError, match="not JSON-able"):
        write_json(path, {"n": object()})
    assert read_json(path) == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", None])
def test_what_is_no_json_object_is_refused_by_its_path(tmp_path, text):
    path = tmp_path / "facts.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r"facts\.json"):
        read_json(path)


def test_a_log_gives_its_lines_in_order(tmp_path):
    for n in range(3):
        append_line(tmp_path / "runs" / "log.jsonl", {"n": n})
    assert list(read_lines(tmp_path / "runs" / "log.jsonl")) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_last_line_cut_short_is_passed_over_and_the_others_are_kept(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, {"n": 0})
    with path.open("a") as log:
        log.write('{"n": 1, "half')
    assert list(read_lines(path)) == [{"n": 0}]


def test_a_log_that_was_never_begun_has_no_lines(tmp_path):
    assert list(read_lines(tmp_path / "none.jsonl")) == []
