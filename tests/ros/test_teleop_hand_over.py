"""A person at a topic's device beside a policy, a shaped guard on the twin: taking over and handing back, no jump."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from geometry_msgs.msg import TwistStamped
from guard_bench import SMOOTHING_S, Bench, facts_of_cell, processes, worst_motion
from o2o_msgs import msg as m

from o2o_nodes import qos
from o2o_nodes.node import STEADY
from o2o_robot.graph import Process
from o2o_robot.safety.reason import Reason, names
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
CELL = facts_of_cell("fr3")
BOUNDS = {
    "speed": CELL["guard.max_speed_m_s"],
    "acceleration": CELL["guard.max_acceleration_m_s2"],
    "jerk": 2 * CELL["guard.max_acceleration_m_s2"] / SMOOTHING_S,
}
POLICY, HAND = [0.0, -0.6, 0.0], (0.0, 0.5, 0.0)
PATIENT = {"hand.stale_s": 2.0, "hand.release_s": 0.3}  # a loaded machine's feeding pauses; a release is a word


class Person(Bench):
    """Bench, with a hand at a device: with person.hand set, its twist is said 25 times a second."""

    def __enter__(self) -> Person:
        super().__enter__()
        self.hand: tuple[float, float, float] | None = None
        self.words: list[m.Action] = []
        self._twists = self.node.create_publisher(TwistStamped, "delta_twist_cmds", qos.COMMAND)
        self.node.create_subscription(m.Action, "teleop_action", self.words.append, qos.RECORD)
        self.node.create_timer(0.04, self._move, clock=STEADY)
        return self

    def _move(self) -> None:
        if self.hand is not None:
            said = TwistStamped()
            said.twist.linear.x, said.twist.linear.y, said.twist.linear.z = self.hand
            self._twists.publish(said)

    def act_until(self, source: int) -> list[m.ExecutedAction]:
        """The policy goes on proposing, until a step was of that source and was let through; all of its steps."""
        answers = []
        for _ in range(60):
            answers.append(self.act(POLICY))
            if answers[-1].reasons & Reason.SOFT_STOP:  # a loaded machine
                self.begin()
            if answers[-1].source == source and not answers[-1].reasons & Reason.HOLD:
                return answers
        raise AssertionError([(one.source, names(one.reasons)) for one in answers])


@pytest.fixture
def person(domain: int, tmp_path) -> Iterator[Person]:
    common = {"run_dir": str(tmp_path), "use_sim_time": True, **PATIENT}
    hand = Process("teleop_node", {**common, "beside_policy": True, "device": "twist"})
    with Supervisor([*processes(tmp_path), hand], tmp_path), Person(domain) as bench:
        bench.wait_for_graph()
        bench.until(bench._twists.get_subscription_count, 30.0, "a listener to the hand")
        bench.until(lambda: bench.node.count_publishers("teleop_action") > 1, 30.0, "teleop_node")
        yield bench


def test_a_hand_takes_over_at_speed_and_hands_back_and_the_stream_keeps_its_bounds(person):
    person.mode = "eval"
    person.full_speed(POLICY)
    assert person.act(POLICY).source == m.Action.SOURCE_POLICY
    assert not person.words, "a hand that rests says nothing"

    person.hand = HAND
    taken = [*person.act_until(m.Action.SOURCE_TELEOP), *person.drive(POLICY, 6)]
    moved = [one for one in taken if one.source == m.Action.SOURCE_TELEOP]
    assert len(moved) >= 4
    for one in moved:
        np.testing.assert_allclose(one.proposed, POLICY, atol=1e-6)
    assert max(one.executed[1] for one in moved) > 0.0, "the hand's way, and not the policy's"

    person.hand = (0.0, 0.0, 0.0)
    given_back = person.act_until(m.Action.SOURCE_POLICY)[-1]
    assert not given_back.reasons & Reason.TAKEOVER
    person.drive(POLICY, 4)
    person.end()
    person.until_still()

    said = [len(word.values) for word in person.words]
    assert said == [3] * (len(said) - 1) + [0], "motions, then one release, then silence"
    assert {word.source for word in person.words} == {m.Action.SOURCE_TELEOP}
    worst = worst_motion(person.targets)
    assert all(worst[name] <= most * (1 + 1e-6) for name, most in BOUNDS.items()), worst
