"""The crash matrix's judging, on made series and made runs: it must see what it is there to see."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from crashing.cells import FAULTS, NODES, PHASES, Cell, matrix, right
from crashing.holding import CONTROLLER_MS, Moment, held
from crashing.ledger import audit

from o2o_robot.data.episode import EpisodeBuilder
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError
from o2o_robot.jsonfile import append_line
from o2o_robot.types import Executed, Observation, Source, Step

MS = 1_000_000
FAULT_NS = 10_000 * MS


def series(moves_m: dict[int, float], *, from_ms: int = -1000, to_ms: int = 1500, every_ms: int = 10) -> list[Moment]:
    """A position along x each 10 ms around the fault; moves_m: at that millisecond after it, so far further."""
    x_m, found = 0.0, []
    for ms in range(from_ms, to_ms, every_ms):
        x_m += sum(step for at, step in moves_m.items() if ms - every_ms < at <= ms)
        found.append(Moment(FAULT_NS + ms * MS, np.array([x_m, 0.0, 0.0])))
    return found


def judged(targets: dict[int, float], tool: dict[int, float]) -> object:
    return held(series(targets), series(tool), FAULT_NS, FAULT_NS + 1400 * MS)


def test_an_arm_whose_target_changes_within_two_periods_and_no_later_is_held_in_time():
    assert judged({-300: 0.02, 60: 0.02, 150: -0.01}, {100: 0.02, 250: -0.01}).in_time()


@pytest.mark.parametrize("late_ms", [230, 700, 1300])
def test_a_target_that_changes_after_two_periods_is_seen(late_ms):
    found = judged({60: 0.02, late_ms: 0.02}, {})
    assert not found.in_time()
    assert found.target_ms == pytest.approx(late_ms, abs=10)


def test_a_tool_that_still_moves_when_the_controller_should_be_at_rest_is_seen():
    assert not judged({60: 0.02}, {900: 0.01}).in_time()
    assert judged({60: 0.02}, {200 + int(CONTROLLER_MS) - 20: 0.01}).in_time()


def test_a_hold_that_follows_the_arms_last_millimetre_is_no_motion():
    assert judged({60: 0.02, 800: 0.001}, {850: 0.001}).target_ms == pytest.approx(60, abs=10)


def test_what_came_before_the_fault_and_after_the_window_does_not_count():
    found = held(series({-20: 0.05, 1200: 0.05}), series({1250: 0.05}), FAULT_NS, FAULT_NS + 1000 * MS)
    assert (found.target_ms, found.tool_ms) == (0.0, 0.0)


def test_a_guard_whose_tick_the_machine_delayed_is_given_that_delay_and_no_more():
    slow = [one for one in series({60: 0.02, 260: 0.02}) if not 100 * MS < one.sent_ns - FAULT_NS < 190 * MS]
    found = held(slow, [], FAULT_NS, FAULT_NS + 1400 * MS)
    assert found.late_ms == pytest.approx(80)
    assert found.in_time()
    assert not held(series({60: 0.02, 320: 0.02}), [], FAULT_NS, FAULT_NS + 1400 * MS).in_time()


def test_the_matrix_has_every_fault_of_every_node_of_every_phase_once():
    cells = matrix()
    assert len(set(cells)) == len(cells) == len(FAULTS) * sum(map(len, PHASES.values()))
    assert {cell.node for cell in cells} == set(NODES)


def test_a_part_of_the_matrix_leaves_out_nodes_that_a_phase_has_not_and_refuses_words_there_are_not():
    assert matrix(["collect"], ["learner_node"]) == []
    assert matrix(["online"], ["learner_node"], ["kill"]) == [Cell("online", "learner_node", "kill")]
    for wrong in ({"phases": ["lunch"]}, {"nodes": ["arm"]}, {"faults": ["flood"]}):
        with pytest.raises(ConfigError, match="there are"):
            matrix(**wrong)


@pytest.mark.parametrize("cell", matrix(), ids=str)
def test_a_graph_ends_exactly_when_a_process_died_that_nobody_starts_again(cell):
    assert right(cell, restarts=False).ends == cell.kills
    assert not right(cell, restarts=True).ends


def test_a_full_disk_ends_what_writes_while_it_works_and_a_stall_ends_nothing():
    ended = {cell.node for cell in matrix(faults=["disk"]) if right(cell, restarts=False).ends}
    assert ended == {"recorder_node", "policy_node", "teleop_node", "learner_node"}
    assert not any(right(cell, restarts=False).ends for cell in matrix(faults=["freeze"]))


def test_the_arm_must_be_held_when_anything_dies_that_a_command_passes_through():
    held_for = {cell.node for cell in matrix(faults=["kill"]) if right(cell, restarts=False).holds}
    assert held_for == {"twin_node", "arm_node", "policy_node", "teleop_node", "camera_node"}
    assert {cell.node for cell in matrix() if right(cell, restarts=False).latches} == {"twin_node"}


def an_episode(name: str, n_steps: int) -> EpisodeBuilder:
    builder = EpisodeBuilder(name)
    for k in range(n_steps + 1):
        seen = Observation(k + 1, {"wrist": np.zeros((4, 4, 3), np.uint8)}, {"tool_position_m": np.zeros(3)})
        did = Executed(k + 1, k, np.zeros(3, np.float32), np.zeros(3, np.float32), 0, Source.SCRIPTED, 0)
        builder.add(Step(name, k, seen, did, 0.0, False, k == n_steps - 1) if k < n_steps else Step(name, k, seen))
    return builder


def a_run(folder: Path, logged: dict[str, int], stored: dict[str, int], termination: str = "time_limit") -> Path:
    for name, n_steps in logged.items():
        append_line(folder / "episodes.jsonl", {"id": name, "n_steps": n_steps, "termination": termination})
    with EpisodeStore.create(folder / "episodes.zarr") as store:
        for name, n_steps in stored.items():
            store.append(an_episode(name, n_steps).build({}))
    return folder


def test_a_run_that_kept_all_it_committed_has_nothing_to_say(tmp_path):
    ledger = audit(a_run(tmp_path, {"a": 3, "b": 5}, {"a": 3, "b": 5}))
    assert (ledger.committed, ledger.damaged, ledger.missing) == (("a", "b"), (), {})


def test_a_committed_episode_that_is_missing_or_short_or_there_twice_is_seen(tmp_path):
    assert audit(a_run(tmp_path / "missing", {"a": 3, "b": 5}, {"a": 3})).missing == {"b": 5}
    assert audit(a_run(tmp_path / "short", {"a": 3}, {"a": 2})).missing == {"a": 1}
    run = a_run(tmp_path / "twice", {"a": 3}, {"a": 3})
    append_line(run / "episodes.jsonl", {"id": "a", "n_steps": 3, "termination": "time_limit"})
    assert "a is logged twice" in audit(run).damaged


def test_an_episode_that_was_cut_short_need_not_be_stored(tmp_path):
    assert audit(a_run(tmp_path, {"a": 3}, {}, termination="fault")).missing == {}


def test_a_damaged_episode_is_seen(tmp_path):
    run = a_run(tmp_path, {"a": 3, "b": 3}, {"a": 3, "b": 3})
    files = [path for path in (run / "episodes.zarr").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(bytes(byte ^ 0xFF for byte in largest.read_bytes()))
    assert audit(run).damaged


def test_the_made_series_is_in_order():
    assert all(a.sent_ns < b.sent_ns for a, b in pairwise(series({})))
