"""Which changes are stops: by the guard's word, an episode's end, a node's silence."""

from __future__ import annotations

import pytest

from o2o_robot.black_box import StopWatch
from o2o_robot.black_box.stops import why_stopped
from o2o_robot.safety.reason import Reason
from o2o_robot.vitals import Grave, Level

STOP = int(Reason.SOFT_STOP | Reason.HOLD | Reason.STALE_COMMAND)


def running() -> StopWatch:
    watch = StopWatch(silent_s=5.0)
    watch.on_safety("RUN", 0)
    return watch


def test_a_stop_is_told_once_by_its_cause_and_not_by_what_follows_from_it():
    watch = running()
    assert watch.on_safety("SOFT_STOP", STOP) == "command too old"
    assert watch.on_safety("SOFT_STOP", STOP) == ""
    assert watch.on_safety("ARMED", 0) == ""
    assert watch.on_safety("SOFT_STOP", STOP) == "command too old"


def test_a_soft_stop_that_becomes_a_latch_is_told_again():
    watch = running()
    watch.on_safety("SOFT_STOP", STOP)
    assert watch.on_safety("LATCHED", int(Reason.LATCHED | Reason.FORCE_HARD)) == "force above the hard limit"


def test_a_bent_command_is_not_the_reason_of_a_stop_with_another_cause():
    assert running().on_safety("LATCHED", int(Reason.WORKSPACE | Reason.ESTOP | Reason.HOLD)) == "emergency stop"


def test_what_only_the_counters_tell_is_named_with_the_cause():
    watch = running()
    watch.on_safety("RUN", 0, {"somebody else commands the arm": 1})
    told = watch.on_safety("LATCHED", int(Reason.ESTOP), {"somebody else commands the arm": 2, "late tick": 9})
    assert told == "emergency stop, somebody else commands the arm"


@pytest.mark.parametrize("state", ["SOFT_STOP", "LATCHED"])
def test_the_first_word_ever_heard_is_history(state):
    assert StopWatch().on_safety(state, STOP) == ""


def test_disarming_is_a_stop_in_an_episode_and_none_between_two():
    watch = running()
    assert watch.on_safety("IDLE", 0) == ""
    watch.on_safety("RUN", 0)
    watch.on_start("online-1")
    assert "disarmed" in watch.on_safety("IDLE", 0)


@pytest.mark.parametrize(
    ("termination", "is_told"),
    [("task", False), ("time_limit", False), ("operator", False), ("safety", True), ("fault", True)],
)
def test_only_an_episode_that_safety_or_a_fault_ended_is_a_stop(termination, is_told):
    watch = running()
    watch.on_start("online-1")
    assert bool(watch.on_end(termination)) is is_told


def test_episodes_that_begin_and_end_in_one_and_the_same_stop_are_told_once():
    watch = running()
    watch.on_safety("SOFT_STOP", STOP)
    told = []
    for k in range(5):
        watch.on_start(f"online-{k}")
        told.append(watch.on_end("safety"))
    assert [bool(one) for one in told] == [True, False, False, False, False]


def test_a_node_that_acted_and_fell_silent_is_dead_once_and_one_that_said_goodbye_is_not():
    watch = running()
    for node, level in {"policy_node": Level.OK, "learner_node": Level.WARN, "camera_node": Level.STALE}.items():
        watch.on_status(node, int(level), 10.0)
    watch.on_status("learner_node", Level.STALE, 11.0)
    assert watch.dead(14.9) == ""
    assert watch.dead(15.1) == "policy_node fell silent"
    assert watch.dead(99.0) == ""


def test_a_run_that_comes_down_in_an_episode_is_a_stop_unless_its_session_said_that_it_ends():
    watch = running()
    watch.on_status("policy_node", Level.OK, 0.0)
    watch.on_status("arm_node", Level.OK, 0.0)
    sessions = ("a stranger", "policy_node")
    assert watch.at_the_end(sessions) == ""
    watch.on_start("online-1")
    assert watch.at_the_end(sessions) == "brought down in the middle of an episode of policy_node"
    watch.on_status("policy_node", Level.STALE, 1.0)
    assert watch.at_the_end(sessions) == ""


def test_a_latch_is_a_grave_trouble_a_soft_stop_a_lesser_one_and_motion_none():
    latched, soft = why_stopped("LATCHED", int(Reason.ESTOP)), why_stopped("SOFT_STOP", STOP)
    assert isinstance(latched[0], Grave)
    assert "emergency stop" in latched[0]
    assert "reset" in latched[0]
    assert not isinstance(soft[0], Grave)
    assert why_stopped("RUN", 0) == []
