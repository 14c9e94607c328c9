"""The numbers at each gate, read from a run's logs: what a stage came to, against what, and what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from o2o_robot.flow.gates import table, times
from o2o_robot.flow.stages import learnt, read_stages
from o2o_robot.flow.walk import Walk
from o2o_robot.jsonfile import append_line, write_json

SCHEDULE = ["warmup steps=20", "online steps=40 first_seed=100000", "eval episodes=2 first_seed=9000"]
BLOCKS = {"warmup": 0, "online": 1, "eval": 1}


class Run:
    """A run's folder as it grows: episodes of 10 steps, one second each, two with the reset."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.n = folder, 0
        write_json(folder / "schedule.json", {"schedule": SCHEDULE, "first_line": 0})

    def episodes(self, mode: str, outcomes: str, *, block: int | None = None, **facts: Any) -> None:
        for outcome in outcomes:
            line = {"id": f"{mode}-{self.n}", "mode": mode, "block": BLOCKS[mode] if block is None else block}
            how = {"s": "success", "f": "failure", "i": "incomplete"}[outcome]
            ended = {"outcome": how, "termination": "task", "n_steps": 10, "steps_before": 10 * self.n}
            blank = {"steps_changed": 1, "steps_human": 5, "interventions": 2, "robot_s": 60.0, "wall_s": 120.0}
            append_line(self.folder / "episodes.jsonl", {**line, **ended, **blank, "seed": self.n, **facts})
            self.n += 1

    def learner(self, update: int, step: int, **metrics: float) -> None:
        append_line(self.folder / "learner.jsonl", {"update": update, "step": step, **metrics})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def shown(*told: Any) -> str:
    console = Console(width=200, no_color=True, record=True, file=None)
    with console.capture() as captured:
        for one in told:
            console.print(one, highlight=False)
    return captured.get()


def gates(walk: Walk) -> list[str]:
    return [told for told in walk.look() if isinstance(told, str)]


def test_a_gate_is_told_once_when_the_next_stage_has_begun_and_the_last_when_the_run_is_over(run):
    walk = Walk(run.folder)
    assert gates(walk) == []
    run.episodes("warmup", "sf")
    assert gates(walk) == [], "it may go on"
    run.episodes("eval", "s")
    (warmup,) = gates(walk)
    assert (
        warmup
        == "warm-up, frozen policy: 2 episodes, 20 steps, 1 of 2 succeeded; next: online steps=40 first_seed=100000"
    )
    assert gates(walk) == []
    run.episodes("eval", "f")
    run.episodes("online", "f")
    (first,) = gates(walk)
    assert first.endswith("1 of 2 succeeded: what later rounds are held against; next: online")
    run.episodes("eval", "ss", block=2)
    (online,) = gates(walk)
    assert "next: eval episodes=2 first_seed=9000" in online
    (last,) = [told for told in walk.over() if isinstance(told, str)]
    assert "2 of 2 succeeded, first 1 of 2; worse than before by more than 0.1: probability 0.09" in last
    assert last.endswith("next: nothing, the schedule is done")


def test_a_run_taken_up_tells_only_what_is_new_and_shows_where_it_stands(run):
    run.episodes("warmup", "sf")
    run.episodes("online", "f")
    walk = Walk(run.folder)
    assert "goes on with: online steps=40" in shown(walk.stands("as it was left"))
    assert gates(walk) == []
    run.episodes("online", "s")
    run.episodes("eval", "s", block=2)
    assert len(gates(walk)) == 1


def test_a_run_is_done_when_its_last_block_is(run):
    walk = Walk(run.folder)
    for mode, block in (("warmup", 0), ("online", 1), ("eval", 2)):
        assert not walk.is_done()
        run.episodes(mode, "ff", block=block)
    assert walk.is_done()


def test_the_table_tells_what_is_known_and_time_on_the_robot_apart_from_time_on_the_wall(run):
    run.episodes("warmup", "si")
    run.episodes("online", "sss", steps_human=0, interventions=0)
    run.learner(3, 30, **{"probe/warmup/q_mean": -2.0, "probe/warmup/target": -2.5})
    run.learner(9, 50)
    told = read_stages(run.folder)
    warmup, online = (line.split() for line in shown(table(told, title="")).splitlines()[2:4])
    assert "1 of 1" in " ".join(warmup), "what nobody knows is in no share"
    assert " ".join(online).count("3 of 3") == 1
    assert {"9", "+0.50", "0.0"} <= set(online)
    assert {"2.0", "50"} <= set(warmup), "taken over twice an episode, half of the steps by hand"
    assert times(told, 600.0) == (
        "robot 5.0 min in episodes; 10.0 min of wall time with resets; this command took 10.0 min"
    )


def test_a_discarded_episode_is_in_no_share_but_its_time_was_spent(run):
    run.episodes("online", "sf")
    run.episodes("online", "f", discarded=True)
    (online,) = read_stages(run.folder)
    assert (online.successes, online.n_decided, len(online.counted)) == (1, 2, 2)
    assert (online.n_steps, online.robot_s) == (30, 180.0)


def test_what_was_learned_is_as_of_the_stages_end():
    lines = [{"update": n, "step": 10 * n} for n in range(1, 9)]
    assert learnt(lines, 40).updates == 4
    assert learnt([], 40).updates == 0
