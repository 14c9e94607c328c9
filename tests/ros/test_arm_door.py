"""arm_node in real time, against commands that no policy should send: the arm is never told an unjudged motion."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import yaml
from graphs import graph

from o2o_robot import overlay
from o2o_robot.safety.reason import Reason, names

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from o2o_msgs import msg as m
from watcher import Watcher

from o2o_nodes import convert
from o2o_nodes.arm_topics import REQUIRED, ArmTopics

pytestmark = pytest.mark.ros
GUARD = yaml.safe_load((overlay.share() / "params" / "twin.yaml").read_text())["/**/arm_node"]["ros__parameters"][
    "guard"
]
SECOND_NS = 1_000_000_000
_SEQ = itertools.count(1)


@pytest.fixture(scope="module")
def watcher(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    """All of `collect` in real time, with nothing scheduled: whoever commands is the test."""
    idle = {"teleop_node": {"schedule": [""]}}
    run_dir = tmp_path_factory.mktemp("door")
    with graph("collect", run_dir, idle, realtime_factor=1.0), Watcher(module_domain) as watcher:
        # a machine that is slow to start may stop the guard at once; the first episode lifts that
        engaged = ("ARMED", "RUN", "SOFT_STOP")
        watcher.until(lambda: watcher.safety and watcher.safety[-1].state in engaged, 30.0, "the guard armed")
        watcher.until(watcher.action_out.get_subscription_count, 10.0, "a listener to actions")
        watcher.until(watcher.event_out.get_subscription_count, 10.0, "a listener to episodes")
        # discovery may give one topic seconds after another
        watcher.until(lambda: watcher.poses and watcher.targets and watcher.state_ns, 30.0, "all that is watched")
        yield watcher


def begin_episode(watcher: Watcher) -> None:
    """Come to where commands are let through: in a new episode where the one before was stopped.

    A START may arrive after commands that were sent later; so none is sent but where it is needed, and some commands
    pass before the test goes on.
    """
    passed = 0
    for turn in range(60):
        refused = send(watcher, [0.0, 0.0, 0.0]).reasons & Reason.HOLD
        passed = 0 if refused else passed + 1
        if passed == 4:
            return
        if refused and turn % 5 == 0:
            watcher.event_out.publish(m.EpisodeEvent(kind=m.EpisodeEvent.START, id="by-hand", mode="eval"))
    raise AssertionError(f"good commands are not let through: {names(watcher.executed[-1].reasons)}")


def send(watcher: Watcher, values: list[float], *, age_ns: int = 0, seq: int | None = None) -> m.ExecutedAction:
    """Publish an action that answers the newest state, less `age_ns`; what arm_node says it made of it."""
    heard, now_ns = len(watcher.executed), watcher.state_ns
    watcher.until(lambda: watcher.state_ns > now_ns, 10.0, "a newer state")
    seq = next(_SEQ) if seq is None else seq
    action = m.Action(seq=seq, source=m.Action.SOURCE_POLICY, values=np.array(values, np.float32))
    action.header.stamp = convert.stamp(watcher.state_ns - age_ns)
    watcher.action_out.publish(action)
    watcher.until(lambda: any(e.seq == seq for e in watcher.executed[heard:]), 10.0, f"the answer to action {seq}")
    return next(e for e in watcher.executed[heard:] if e.seq == seq)


def assert_only_sound_targets(watcher: Watcher) -> None:
    targets = np.array([numbers for _, numbers in watcher.targets])
    assert len(targets)
    assert np.isfinite(targets).all()
    assert (targets[:, :3] >= np.array(GUARD["workspace_min_m"]) - 1e-9).all()
    assert (targets[:, :3] <= np.array(GUARD["workspace_max_m"]) + 1e-9).all()


BAD: dict[str, tuple[Callable[[Watcher], m.ExecutedAction], Reason]] = {
    "not a number": (lambda w: send(w, [float("nan"), 0.0, 0.0]), Reason.NOT_FINITE),
    "infinite": (lambda w: send(w, [0.0, float("inf"), 0.0]), Reason.NOT_FINITE),
    "out of range": (lambda w: send(w, [0.0, 0.0, -40.0]), Reason.RANGE),
    "too few values": (lambda w: send(w, [1.0]), Reason.SHAPE),
    "no values": (lambda w: send(w, []), Reason.SHAPE),
    "an old look": (
        lambda w: send(w, [1.0, 0.0, 0.0], age_ns=SECOND_NS // 2),
        Reason.STALE_COMMAND | Reason.BACKWARD_STAMP,
    ),
    "from the future": (lambda w: send(w, [1.0, 0.0, 0.0], age_ns=-SECOND_NS), Reason.FUTURE_STAMP),
    "said twice": (lambda w: send(w, [1.0, 0.0, 0.0], seq=w.executed[-1].seq), Reason.SEQUENCE),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_action_is_refused_with_its_reason_and_the_arm_stays(watcher, kind):
    command, reason = BAD[kind]
    begin_episode(watcher)
    before = watcher.poses[-1][1][:3]
    answer = command(watcher)
    assert answer.reasons & reason, names(answer.reasons)
    assert answer.reasons & Reason.HOLD
    assert np.isfinite(answer.executed).all()
    # where it is held is where it is measured: nothing like the motion that was asked for
    assert np.abs(np.array(answer.executed) * 0.025).max() < 0.005
    assert np.abs(watcher.targets[-1][1][:3] - before).max() < 0.005
    assert_only_sound_targets(watcher)


def test_a_policy_that_pushes_outwards_is_stopped_at_the_wall_of_the_workspace(watcher):
    seen = Reason(0)
    begin_episode(watcher)
    for _ in range(100):
        answer = send(watcher, [0.0, 1.0, 0.0])
        seen |= Reason(answer.reasons)
        if seen & Reason.WORKSPACE:
            break
        if answer.reasons & Reason.SOFT_STOP:  # a loaded machine stops the guard on the way
            begin_episode(watcher)
        n_poses = len(watcher.poses) + 5
        watcher.until(lambda n=n_poses: len(watcher.poses) > n, 10.0, "the arm's motion")
    assert seen & Reason.WORKSPACE
    assert max(pose[1] for _, pose in watcher.poses) < GUARD["workspace_max_m"][1] + 0.01
    assert_only_sound_targets(watcher)


def test_only_arm_node_publishes_what_moves_the_arm(watcher):
    names = ArmTopics()
    for topic in (*(getattr(names, name) for name in REQUIRED if name != "joint_states"), names.gripper_command):
        publishers = {info.node_name for info in watcher.node.get_publishers_info_by_topic(topic)}
        assert publishers <= {"arm_node"}, topic
    assert [info.node_name for info in watcher.node.get_publishers_info_by_topic("target_pose")] == ["arm_node"]
