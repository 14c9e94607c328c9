"""A session's memory: what it wrote before any crash tells where the schedule goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot.errors import DataError
from o2o_robot.flow.plan import Done, done
from o2o_robot.journal import Journal
from o2o_robot.jsonfile import append_line, read_lines
from o2o_robot.loop import parse_block

SCHEDULE = ["warmup steps=40", "online steps=100"]


def journal(folder: Path, *, resume: bool = True, schedule: list[str] = SCHEDULE) -> Journal:
    return Journal(folder, schedule=schedule, resume=resume)


def stands(journal: Journal) -> tuple[int, Done]:
    """The block it is in, and how far that is."""
    block = parse_block([*SCHEDULE, "online steps=7"][journal.block])
    return journal.block, done(block, journal.of_block(journal.block))


def ended(name: str, *, block: int = 0, n_steps: int = 10, outcome: str = "success", why: str = "task") -> dict:
    return {"id": name, "block": block, "n_steps": n_steps, "outcome": outcome, "termination": why, "robot_s": 1.0}


def test_a_schedule_goes_on_in_its_block_with_its_counts(tmp_path):
    first = journal(tmp_path, resume=False)
    for line in (ended("a"), ended("b"), ended("c", block=1, n_steps=7), ended("d", block=1, outcome="failure")):
        first.end(line)
    again = journal(tmp_path)
    assert stands(again) == (1, Done(episodes=2, steps=17, successes=1))
    assert (again.n_episodes, again.robot_s_before) == (4, 4.0)


def test_an_episode_cut_short_is_run_again_though_its_steps_count(tmp_path):
    first = journal(tmp_path, resume=False)
    first.end(ended("a", block=1))
    first.end(ended("b", block=1, n_steps=4, outcome="incomplete", why="fault"))
    assert stands(journal(tmp_path)) == (1, Done(episodes=1, steps=14, successes=1))


@pytest.mark.parametrize("changes", [{"resume": False}, {"schedule": ["online steps=7"]}])
def test_another_schedule_or_a_run_that_is_not_taken_up_begins_at_its_first_block(tmp_path, changes):
    journal(tmp_path, resume=False).end(ended("a", block=1))
    again = journal(tmp_path, **changes)
    assert stands(again) == (0, Done())
    assert again.n_episodes == 1, "an id names one episode of the folder"
    again.end(ended("b", block=0, n_steps=3))
    assert stands(journal(tmp_path, schedule=changes.get("schedule", SCHEDULE)))[1].steps == 3


def test_an_episode_that_nobody_ended_is_written_down_as_discarded_once(tmp_path):
    first = journal(tmp_path, resume=False)
    first.end(ended("a"))
    first.begin("b", block=1, mode="online", seed=5)
    again = journal(tmp_path)
    assert again.settle("b", n_steps=6) == "b"
    assert again.settle("b", n_steps=6) == ""
    assert journal(tmp_path).settle("b", n_steps=6) == ""
    line = list(read_lines(tmp_path / "episodes.jsonl"))[-1]
    assert (line["id"], line["outcome"], line["discarded"], line["n_steps"]) == ("b", "incomplete", True, 6)
    assert (line["seed"], line["mode"], line["block"]) == (5, "online", 1)
    assert stands(again) == (1, Done(episodes=0, steps=6, successes=0))


def test_an_open_episode_of_which_no_step_was_said_has_none(tmp_path):
    journal(tmp_path, resume=False).begin("b", block=0, mode="warmup", seed=5)
    again = journal(tmp_path)
    again.settle("a", n_steps=9)
    assert stands(again)[1].steps == 0


def test_an_episode_that_was_ended_is_left_as_it_is(tmp_path):
    first = journal(tmp_path, resume=False)
    first.begin("a", block=0, mode="warmup", seed=5)
    first.end(ended("a"))
    assert journal(tmp_path).settle("a", n_steps=10) == ""


@pytest.mark.parametrize("torn", ['{"id": "b", "blo', '{"id": "b"}'])
def test_a_line_cut_short_by_a_crash_does_not_swallow_the_next_one(tmp_path, torn):
    journal(tmp_path, resume=False).end(ended("a"))
    with (tmp_path / "episodes.jsonl").open("a") as log:
        log.write(torn)
    again = journal(tmp_path)
    again.end(ended("c"))
    assert [line["id"] for line in read_lines(tmp_path / "episodes.jsonl")] == ["a", "c"]


def test_without_a_folder_it_remembers_while_it_lives():
    memory = Journal(None, schedule=SCHEDULE, resume=True)
    memory.begin("a", block=0, mode="eval", seed=1)
    memory.end(ended("a"))
    assert (memory.n_episodes, memory.settle("a", n_steps=3), stands(memory)[1].episodes) == (1, "", 1)


def test_lines_of_an_older_version_are_of_the_first_block(tmp_path):
    append_line(tmp_path / "episodes.jsonl", {"id": "old", "n_steps": 3, "outcome": "success", "termination": "task"})
    again = journal(tmp_path)
    assert (again.n_episodes, stands(again)) == (1, (0, Done()))


def test_a_late_word_is_written_into_the_line_and_the_last_one_counts(tmp_path):
    book = journal(tmp_path, resume=False)
    for name in ("a", "b"):
        book.end(ended(name))
    before, after = book.relabel("a", "failure", by="kim", note="slipped")
    assert (before["outcome"], after["outcome"], after["labelled_by"]) == ("success", "failure", "kim")
    book.relabel("a", "incomplete", by="lee")
    a, b = read_lines(tmp_path / "episodes.jsonl")
    assert (a["id"], a["outcome"], a["labelled_by"], a["outcome_judged"]) == ("a", "incomplete", "lee", "success")
    assert b == ended("b")
    assert stands(book) == stands(journal(tmp_path)) == (0, Done(episodes=2, steps=20, successes=1))


def test_a_discarded_episode_counts_nowhere_and_comes_back_with_the_next_word(tmp_path):
    book = journal(tmp_path, resume=False)
    book.end(ended("a"))
    book.relabel("a", "discard", by="kim")
    assert stands(book)[1] == Done(episodes=0, steps=10, successes=0)
    book.relabel("a", "success", by="kim")
    assert stands(book)[1] == stands(journal(tmp_path))[1] == Done(episodes=1, steps=10, successes=1)


@pytest.mark.parametrize(("episode", "why"), [("x", "no episode 'x'"), ("a", "cut short")])
def test_what_is_not_whole_cannot_be_labelled(tmp_path, episode, why):
    book = journal(tmp_path, resume=False)
    book.end(ended("a", outcome="incomplete", why="fault"))
    with pytest.raises(DataError, match=why):
        book.relabel(episode, "success", by="kim")


def test_no_line_gets_shorter_so_that_whoever_follows_the_file_by_its_length_misses_none(tmp_path):
    book, path = journal(tmp_path, resume=False), tmp_path / "episodes.jsonl"
    book.end(ended("a"))
    lengths = [path.stat().st_size]
    for word in ("discard", "success", "failure"):
        book.relabel("a", word, by="somebody with a long name")
        lengths.append(path.stat().st_size)
    assert lengths == sorted(lengths)
    with path.open("a") as log:
        log.write('{"id": "torn')
    journal(tmp_path).end(ended("c"))
    assert [line["id"] for line in read_lines(path)] == ["a", "c"]


def test_an_episode_that_a_crash_left_open_keeps_its_id_also_where_another_run_begins_in_the_folder(tmp_path):
    crashed = Journal(tmp_path, schedule=["demo episodes=9"])
    crashed.begin("demo-000000", block=0, mode="demo", seed=0)
    another = Journal(tmp_path, schedule=["demo episodes=9"])
    assert another.settle() == "demo-000000"
    assert another.n_episodes == 1, "the next one is demo-000001: a store may hold the first as whole"
    assert another.of_block(0) == []
