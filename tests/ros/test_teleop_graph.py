"""A person's device in whole graphs: beside a policy in lockstep, and as the one who demonstrates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from geometry_msgs.msg import TwistStamped
from graphs import episodes_in, facts_of, graph
from o2o_msgs import msg as m
from patience import patient
from sensor_msgs.msg import Joy
from watcher import Watcher

from o2o_nodes import convert, qos
from o2o_nodes.node import STEADY
from o2o_robot.jsonfile import read_lines
from o2o_robot.supervise import Supervisor
from o2o_robot.types import Source

pytestmark = pytest.mark.ros
PUSH = (0.4, -0.2, 0.1)
HELD, SUCCESS, FAILURE = 5, 3, 2  # buttons of a pad under joy_node


def feed(watcher: Watcher, kind: type, topic: str, say: Callable[[], Any]) -> None:
    """From now on, 25 times a second, what `say` gives."""
    out = watcher.node.create_publisher(kind, topic, qos.COMMAND)
    watcher.node.create_timer(0.04, lambda: out.publish(say()), clock=STEADY)


def twist() -> TwistStamped:
    said = TwistStamped()
    said.twist.linear.x, said.twist.linear.y, said.twist.linear.z = PUSH
    return said


def pressed(*buttons: int) -> Joy:
    """A stick half forward, and these buttons down."""
    return Joy(axes=[0.0, 0.5, *[0.0] * 6], buttons=[int(n in buttons) for n in range(11)])


def shares(store: Path) -> Sequence[tuple[str, np.ndarray]]:
    return [(episode.meta["id"], episode.source == Source.TELEOP) for episode in episodes_in(store)]


def test_in_lockstep_each_observation_gets_one_word_and_a_persons_steps_are_stored_as_executed(
    domain, checkpoint, tmp_path
):
    settings = {"checkpoint": str(checkpoint), "episodes": 2, "max_steps": 12, "task": "reach", "teleop": "twist"}
    words: list[m.Action] = []
    stale = {"teleop_node": {"hand.stale_s": 5.0}}  # a loaded machine's feeding pauses
    with Watcher(domain) as watcher, graph("evaluate", tmp_path, stale, **settings) as running:
        watcher.node.create_subscription(m.Action, "teleop_action", words.append, qos.RECORD)
        feed(watcher, TwistStamped, "delta_twist_cmds", twist)
        watcher.until(running.has_ended, 150.0, "the session")
    at = [convert.stamp_ns(word.header.stamp) for word in words]
    answered = [convert.stamp_ns(executed.header.stamp) for executed in watcher.executed]
    assert set(answered) <= set(at)
    assert at == sorted(at)

    episodes = episodes_in(tmp_path / "episodes.zarr")
    lines = {line["id"]: line for line in read_lines(tmp_path / "episodes.jsonl")}
    for episode in episodes:
        by_hand = episode.source == Source.TELEOP
        assert not by_hand[0], "of a first observation nobody knows yet that an episode began"
        assert lines[episode.meta["id"]]["steps_human"] == by_hand.sum()
        assert lines[episode.meta["id"]]["interventions"] == by_hand.any()
        moved = episode.action[by_hand]
        assert (np.sign(np.round(moved, 3)) == np.sign(PUSH)).all(axis=1).mean() > 0.5, moved
        assert not np.allclose(moved, episode.proposed[by_hand])
    assert sum((episode.source == Source.TELEOP).sum() for episode in episodes) > 0
    assert facts_of(tmp_path, "teleop_node")["takeovers"] > 0


def test_a_person_demonstrates_with_a_pad_and_says_by_its_buttons_how_it_ended(domain, tmp_path):
    settings = {"episodes": 2, "max_steps": 6, "realtime_factor": 1.0, "teleop": "joy", "countdown_s": 1.0}
    sessions: list[m.SessionState] = []
    whole = graph("collect", tmp_path, {"teleop_node": {"hand.stale_s": 5.0}}, **settings)
    outcomes = {"demo-000000": FAILURE, "demo-000001": SUCCESS}

    def hand() -> Joy:
        now = sessions[-1] if sessions else m.SessionState()
        return pressed(HELD, outcomes[now.episode]) if now.state == "asking" else pressed(HELD)

    with (
        Watcher(domain) as watcher,
        Supervisor(patient(whole.processes, tmp_path), tmp_path) as running,
    ):
        watcher.node.create_subscription(m.SessionState, "session_state", sessions.append, qos.LATCHED)
        feed(watcher, Joy, "joy", hand)
        watcher.until(running.has_ended, 150.0, "the session")
    lines = list(read_lines(tmp_path / "episodes.jsonl"))
    assert [line["outcome"] for line in lines] == ["failure", "success"]
    assert {line["labelled_by"] for line in lines} == {"teleop_node"}
    assert all(line["steps_human"] == line["n_steps"] == 6 for line in lines)
    assert {line["interventions"] for line in lines} == {0}, "nobody is taken over from"
    assert len(list((tmp_path / "bags").glob("*.mcap"))) == 2
    assert any("begins in 1 s" in told.waits_for for told in sessions)
    moved = [executed.executed[0] for executed in watcher.executed if executed.source == Source.TELEOP]
    assert len(moved) == 12
    assert max(moved) > 0.2
