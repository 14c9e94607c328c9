"""reward_node over ROS: what it says, and that it is silent where it cannot judge."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from o2o_robot import overlay
from o2o_robot.jsonfile import read_lines
from o2o_robot.types import Pose

pytest.importorskip("rclpy")
pytest.importorskip("torch")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from o2o_msgs.srv import LabelEpisode
from sensor_msgs.msg import Image, JointState
from watcher import Watcher

from o2o_nodes import convert, qos

sys.path.append(str(Path(__file__).resolve().parents[1] / "reward"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "data"))
from reward_examples import SIDE, frames, untrained

pytestmark = pytest.mark.ros
PATIENCE_S = 60.0
INSIDE, OUTSIDE = np.array([0.4, 0.0, 0.1]), np.array([0.4, 0.0, 0.4])


class Scene:
    """Speaks as sensors and session do, and hears what the node says; stamps are the test's own."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher, self._ns = watcher, 0
        self.rewards: list[m.RewardState] = []
        self.tasks: list[m.TaskState] = []
        node = watcher.node
        node.create_subscription(m.RewardState, "reward_state", self.rewards.append, qos.RECORD)
        node.create_subscription(m.TaskState, "task_state", self.tasks.append, qos.RECORD)
        self._out = {
            "pose": node.create_publisher(PoseStamped, "current_pose", qos.SENSOR_OUT),
            "joints": node.create_publisher(JointState, "joint_states", qos.SENSOR_OUT),
            "wrist": node.create_publisher(Image, "wrist/color/image_raw", qos.SENSOR_OUT),
            "front": node.create_publisher(Image, "front/color/image_raw", qos.SENSOR_OUT),
        }

    def wait_for(self, *readers: str) -> None:
        publishers = [self._out[name] for name in readers] + [self._watcher.event_out]
        what = "reward_node to listen"
        self._watcher.until(lambda: all(p.get_subscription_count() for p in publishers), PATIENCE_S, what)
        says = self._watcher.node.count_publishers
        self._watcher.until(lambda: says("reward_state") and says("task_state"), PATIENCE_S, "reward_node to speak")

    def show(self, **messages: Any) -> m.RewardState:
        """Publish at one new stamp, and what the node says of it."""
        self._ns += 100_000_000
        for name, make in messages.items():
            self._out[name].publish(make(self._ns))
        self._watcher.until(lambda: self._at(self.rewards) is not None, PATIENCE_S, "a reward state")
        said = self._at(self.rewards)
        if not said.trouble:
            self._watcher.until(lambda: self._at(self.tasks) is not None, PATIENCE_S, "a task state")
        return said

    def task(self) -> m.TaskState | None:
        return self._at(self.tasks)

    def event(self, kind: int, name: str, outcome: str = "") -> None:
        event = m.EpisodeEvent(kind=kind, id=name, task="peg", mode="online", outcome=outcome)
        event.termination = "time_limit" if outcome else ""
        event.header.stamp = convert.stamp(max(1, self._ns))
        self._watcher.event_out.publish(event)

    def label(self, outcome: str, episode: str = "") -> LabelEpisode.Response:
        request = LabelEpisode.Request(episode=episode, outcome=outcome, by="kim")
        return self._watcher.call(LabelEpisode, "reward_node/label", request, PATIENCE_S)

    def _at(self, heard: list[Any]) -> Any:
        return next((one for one in heard if convert.stamp_ns(one.header.stamp) == self._ns), None)


@contextmanager
def scene(domain: int, **parameters: Any) -> Iterator[Scene]:
    """A reward_node in a process of its own, the judge of its session, in lockstep with the test's stamps."""
    words = {"lockstep": "true", "publish_task_state": "true", "patience_s": "1000.0", **parameters}
    command = [sys.executable, "-m", "o2o_nodes.reward_node", "--ros-args"]
    command += [word for name, value in words.items() for word in ("-p", f"{name}:={value}")]
    with subprocess.Popen(command, env=overlay.environment()) as process:
        try:
            with Watcher(domain) as watcher:
                yield Scene(watcher)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def pose(position_m: np.ndarray) -> Any:
    return lambda ns: convert.pose_message(Pose(position_m, np.array([0.0, 0.0, 0.0, 1.0])), ns, "base")


def pictures(seed: int, *, side: int = SIDE, level: float = 1.0) -> dict[str, Any]:
    images = {name: image[0] for name, image in frames(1, np.zeros(1, bool), seed).items()}
    if side != SIDE:
        images["front"] = np.full((side, side, 3), 60, np.uint8)
    images["front"] = (images["front"] * level).astype(np.uint8)
    return {name: lambda ns, i=image, n=name: convert.image_message(i, ns, n) for name, image in images.items()}


def test_a_tool_that_stays_in_its_box_is_a_success_and_its_end_is_adjudicated(domain, tmp_path):
    box = {"pose_low_m": "[0.3, -0.1, 0.0]", "pose_high_m": "[0.5, 0.1, 0.2]"}
    with scene(domain, source="pose", min_s="0.15", run_dir=str(tmp_path), **box) as world:
        world.wait_for("pose")
        world.event(m.EpisodeEvent.START, "online-000000")
        said = [world.show(pose=pose(p)).success for p in (OUTSIDE, INSIDE, INSIDE, OUTSIDE, INSIDE, INSIDE, INSIDE)]
        assert said == [False, False, False, False, False, False, True]
        assert math.isnan(world.rewards[-1].probability)
        assert (world.task().success, world.task().failure, world.task().reward) == (True, False, 1.0)
        world.event(m.EpisodeEvent.END, "online-000000", "success")
        world.event(m.EpisodeEvent.START, "online-000001")
        world._watcher.until(lambda: any(read_lines(tmp_path / "reward.jsonl")), PATIENCE_S, "the log of the end")
        assert "against what was judged" in world.label("failure", "online-000000").message
    lines = list(read_lines(tmp_path / "reward.jsonl"))
    assert [(line["kind"], line["verdict"]) for line in lines] == [("verdict", "success"), ("label", "success")]
    assert [line.get("agrees") for line in lines] == [None, False]


def test_pictures_are_judged_as_the_classifier_would_and_strange_ones_with_silence(domain, tmp_path):
    from o2o_robot.reward.saved import save_classifier

    judge = untrained()
    save_classifier(tmp_path / "reward", judge, provenance={})
    with scene(domain, source="classifier", classifier=str(tmp_path / "reward"), run_dir=str(tmp_path)) as world:
        world.wait_for("wrist", "front")
        for seed in range(3):
            expected = judge.probability_of({n: i[0] for n, i in frames(1, np.zeros(1, bool), seed).items()})
            said = world.show(**pictures(seed))
            assert said.probability == pytest.approx(expected, rel=1e-4)
            assert not said.trouble
        for strange, told in (({"level": 0.0}, "front: brightness"), ({"side": 24}, "front is 24x24")):
            said = world.show(**pictures(4, **strange))
            assert said.trouble.startswith(told)
            assert math.isnan(said.probability)
            assert not said.success
            assert world.task() is None
        assert not world.show(**pictures(5)).trouble, "it judges again once it can"


def test_keys_are_a_persons_word_on_the_running_episode(domain):
    with scene(domain, source="keys") as world:
        world.wait_for("joints")
        joints = {
            "joints": lambda ns: JointState(header=convert.pose_message(Pose(INSIDE, np.zeros(4)), ns, "").header)
        }
        assert not world.label("success").success, "no episode runs"
        world.event(m.EpisodeEvent.START, "online-000000")
        assert not world.show(**joints).success
        world._watcher.until(lambda: world.label("success").success, PATIENCE_S, "the start to be heard")
        assert world.show(**joints).success
        assert "~/label" in world.label("discard").message
        world.label("failure")
        assert world.show(**joints).failure


@pytest.mark.parametrize(
    ("parameters", "told"),
    [({"source": "magic"}, "source 'magic' is unknown"), ({"source": "classifier"}, "reward_node has no classifier")],
)
def test_a_source_that_cannot_be_meant_ends_the_node_with_one_line(domain, parameters, told):
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "o2o_nodes.reward_node", "--ros-args", *words]
    done = subprocess.run(command, env=overlay.environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
