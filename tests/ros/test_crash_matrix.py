"""The reduced crash matrix: the most telling fault of each node, by the code of `make faults`.

One after the other, each a graph of its own through the command line, broken in the middle of an episode. In lockstep,
where a busy machine changes nothing: no command may come after the fault. How soon the arm is held in real time is
test_process_death.py's; the whole matrix, phase by phase, benchmarks/faults.py's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("torch")
pytest.importorskip("cv2")

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from crashing.cells import NODES, Cell
from crashing.phases import Materials, make_materials
from crashing.trial import try_cell

pytestmark = pytest.mark.ros

MOST_TELLING = (
    Cell("collect", "twin_node", "kill", lockstep=True),  # the arm itself is gone
    Cell("collect", "arm_node", "memory", lockstep=True),  # the guard dies with no memory left to tidy up in
    Cell("online", "recorder_node", "kill", lockstep=True),  # it is started again, and no step is lost
    Cell("collect", "teleop_node", "raise", lockstep=True),  # an exception in what commands the arm
    Cell("evaluate", "policy_node", "freeze", lockstep=True),  # a stall of three seconds, after which it goes on
    Cell("online", "learner_node", "kill", lockstep=True),  # while it learns: it is started again
    Cell("collect", "camera_node", "kill"),  # the eyes are gone
    Cell("collect", "reward_node", "raise", lockstep=True),  # the judge is gone: no episode ends as a failure for it
    Cell("evaluate", "reset_node", "kill", lockstep=True),  # nobody brings the arm back
    Cell("online", "console_node", "kill", lockstep=True),  # the page is gone, and nobody waits for it
)
TAKEN_UP_AGAIN = ("teleop_node",)  # of the rest the whole matrix says whether they can be; each costs a graph more


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    return make_materials(tmp_path_factory.mktemp("materials"))


def test_the_reduced_matrix_leaves_no_node_out():
    assert {cell.node for cell in MOST_TELLING} == set(NODES)


@pytest.mark.parametrize("cell", MOST_TELLING, ids=str)
def test_a_fault_neither_moves_the_arm_nor_costs_what_was_committed(tmp_path, materials, cell):
    result = try_cell(cell, tmp_path, materials, again=cell.node in TAKEN_UP_AGAIN, is_timed=False)
    assert result.wrong == ()
    assert result.lost_steps == 0
    assert result.committed >= 1
