"""reset_node on the twin, whose arm it brings back as a real one: by guarded motion, or a person, and verified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import episodes_in, graph, run_to_end

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from o2o_msgs import msg as m
from o2o_msgs.action import ResetScene
from o2o_msgs.srv import InjectFault
from rclpy.action import ActionClient
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_nodes import convert, qos
from o2o_robot.errors import GraphError
from o2o_robot.jsonfile import read_lines
from o2o_robot.safety.reason import Reason
from o2o_robot.supervise import Supervisor
from o2o_robot.types import Source

pytestmark = pytest.mark.ros
GREATEST_RAD_S = 1.5  # of any joint; a teleport of 0.1 s is 3 and more
PATIENCE_S = 120.0
QUICK = {"graph_patience_s": PATIENCE_S, "tries": 1, "asks": 1, "view_patience_s": 3.0, "learn_views": 2}


class Bench(Watcher):
    """bench.reset(seed) -> the result; bench.stages: what its feedback said."""

    def __enter__(self) -> Bench:
        super().__enter__()
        self.stages: list[str] = []
        self.joints: list[tuple[int, np.ndarray]] = []
        self._client = ActionClient(self.node, ResetScene, "reset_scene")
        self.reset_event_out = self.node.create_publisher(m.EpisodeEvent, "reset_event", qos.RECORD)
        self.node.create_subscription(JointState, "joint_states", self._on_joints, qos.RECORD)
        self.wrist: list[Image] = []
        self.node.create_subscription(Image, "wrist/color/image_raw", self.wrist.append, qos.RECORD)
        return self

    def ask(self, seed: int) -> Any:
        """A goal that was accepted."""
        self.until(self._client.server_is_ready, PATIENCE_S, "reset_scene")
        self.stages.clear()
        sent = self._client.send_goal_async(
            ResetScene.Goal(seed=seed), feedback_callback=lambda told: self.stages.append(told.feedback.stage)
        )
        self.until(sent.done, PATIENCE_S, "the reset to be accepted")
        assert sent.result().accepted
        return sent.result()

    def answer(self, goal: Any) -> ResetScene.Result:
        result = goal.get_result_async()
        self.until(result.done, PATIENCE_S, "the reset")
        return result.result().result

    def reset(self, seed: int) -> ResetScene.Result:
        return self.answer(self.ask(seed))

    def until_asked(self) -> str:
        self.until(lambda: any(stage.startswith("ask: ") for stage in self.stages), PATIENCE_S, "to be asked")
        return next(stage for stage in self.stages if stage.startswith("ask: "))

    def say_done(self) -> Trigger.Response:
        return self.call(Trigger, "reset_node/reset_done", Trigger.Request(), PATIENCE_S)

    def fault(self, **fault: Any) -> None:
        assert self.call(InjectFault, "inject_fault", InjectFault.Request(**fault), PATIENCE_S).success

    def clear(self) -> None:
        assert self.call(Trigger, "clear_faults", Trigger.Request(), PATIENCE_S).success

    def greatest_rad_s(self) -> float:
        """Of any joint between two states heard; one that was missed makes the next two no faster."""
        ns, q_rad = zip(*self.joints, strict=True)
        dt_s = np.diff(ns) * 1e-9
        return float((np.abs(np.diff(q_rad, axis=0))[dt_s > 0] / dt_s[dt_s > 0, None]).max())

    def _on_joints(self, message: JointState) -> None:
        stamp_ns = convert.stamp_ns(message.header.stamp)
        if not self.joints or stamp_ns > self.joints[-1][0]:
            self.joints.append((stamp_ns, np.array(message.position)))


@pytest.fixture(scope="module")
def bench(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Twin, arm_node and reset_node in lockstep, two views learned, and nobody who runs episodes."""
    run_dir = tmp_path_factory.mktemp("resets")
    whole = graph("collect", run_dir, {"reset_node": QUICK}, reset="path,unstick,ask").processes
    arm = [process for process in whole if process.name in ("twin_node", "arm_node", "reset_node")]
    with Supervisor(arm, run_dir), Bench(module_domain) as bench:
        bench.run_dir = run_dir
        assert [bench.reset(seed).message for seed in (0, 1)] == ["by path", "by path"]
        yield bench


def test_resets_move_the_arm_and_never_teleport_it(bench):
    for seed in (2, 3):
        result = bench.reset(seed)
        assert (result.success, bench.stages) == (True, ["path", "start"])
        assert convert.stamp_ns(result.stamp) >= bench.joints[-1][0]
    assert len(bench.joints) > 80
    assert bench.greatest_rad_s() < GREATEST_RAD_S
    assert {Source(told.source) for told in bench.executed} == {Source.SCRIPTED}


def test_a_lost_camera_is_asked_about_and_a_word_alone_starts_nothing(bench):
    bench.fault(kind="loss", stream="wrist")
    goal = bench.ask(4)
    assert "camera wrist has shown nothing" in bench.until_asked()
    assert bench.say_done().success
    result = bench.answer(goal)
    assert not result.success
    assert "camera wrist" in result.message
    bench.clear()


def test_a_person_who_puts_it_right_ends_the_reset_by_a_trigger(bench):
    bench.fault(kind="loss", stream="wrist")
    goal = bench.ask(5)
    bench.until_asked()
    bench.wrist.clear()
    bench.clear()
    bench.until(lambda: bench.wrist, PATIENCE_S, "the camera that was put right")
    assert bench.say_done().success
    assert bench.answer(goal).message == "by ask"
    assert not bench.say_done().success  # nobody is asked any more


def test_a_frozen_arm_is_given_up_for_a_person_and_a_reset_can_be_called_off(bench):
    assert bench.call(Trigger, "arm_node/estop", Trigger.Request(), PATIENCE_S).success
    goal = bench.ask(6)
    assert "the guard has stopped the arm" in bench.until_asked()
    assert bench.stages[:1] == ["path"]
    cancelled = goal.cancel_goal_async()
    bench.until(cancelled.done, PATIENCE_S, "the reset to be called off")
    assert "called off" in bench.answer(goal).message
    for service in ("reset", "arm"):
        bench.call(Trigger, f"arm_node/{service}", Trigger.Request(), PATIENCE_S)
    assert bench.reset(7).success


def test_while_a_reset_has_the_arm_a_policy_is_refused_and_after_it_is_followed(bench):
    def verdict(seq: int) -> int:
        message = m.Action(seq=seq, source=m.Action.SOURCE_POLICY, values=[0.0, 0.0, 0.0])
        message.header.stamp, message.header.frame_id = convert.stamp(bench.state_ns), "base"
        bench.action_out.publish(message)
        mine = lambda: [told for told in bench.executed if (told.seq, told.source) == (seq, 0)]  # noqa: E731
        bench.until(mine, PATIENCE_S, "the verdict")
        return mine()[0].reasons

    bench.until(bench.reset_event_out.get_subscription_count, PATIENCE_S, "arm_node to listen")
    bench.until(bench.action_out.get_subscription_count, PATIENCE_S, "arm_node to listen")
    event = m.EpisodeEvent(kind=m.EpisodeEvent.START, id="reset-by-hand", mode="demo")
    bench.reset_event_out.publish(event)
    seqs = iter(range(1_000_000, 1_000_100))
    assert any(verdict(next(seqs)) & Reason.SHAPE for _ in range(50))  # an event may come later than an action
    event.kind, event.outcome, event.termination = m.EpisodeEvent.END, "incomplete", "operator"
    bench.reset_event_out.publish(event)
    assert any(not verdict(next(seqs)) & Reason.SHAPE for _ in range(50))


def test_what_was_refused_is_written_down_with_its_pictures(bench):
    lines = list(read_lines(bench.run_dir / "resets.jsonl"))
    refused = [line for line in lines if not line["is_verified"]]
    assert refused
    assert all(line["message"] and all(attempt["why"] for attempt in line["tried"]) for line in refused)
    assert (bench.run_dir / "reset_views.npz").is_file()
    assert list((bench.run_dir / "resets").glob("refused-*-front.png"))


# --- with a session --------------------------------------------------------------------------------------------------
def test_five_episodes_are_evaluated_and_no_joint_ever_jumps(domain, checkpoint, tmp_path):
    settings = {"checkpoint": str(checkpoint), "episodes": 5, "max_steps": 12, "reset": "path,unstick,ask"}
    with Bench(domain) as bench:
        supervisor = graph("evaluate", tmp_path / "run", {"reset_node": QUICK}, **settings)
        with supervisor:
            bench.until(supervisor.has_ended, 2 * PATIENCE_S, "the end of the run")
        assert bench.greatest_rad_s() < GREATEST_RAD_S
    assert len(episodes_in(tmp_path / "run" / "episodes.zarr")) == 5
    resets = list(read_lines(tmp_path / "run" / "resets.jsonl"))
    assert [line["is_verified"] for line in resets] == [True] * 5


def test_no_episode_starts_from_a_start_that_is_not_verified(domain, checkpoint, tmp_path):
    changes = {"reset_node": {**QUICK, "tolerance.position_m": 1e-9}}
    settings = {"checkpoint": str(checkpoint), "episodes": 1, "max_steps": 5, "reset": "path"}
    with pytest.raises(GraphError, match="the start was not reached"):
        run_to_end(graph("evaluate", tmp_path / "run", changes, **settings))
    assert list(read_lines(tmp_path / "run" / "episodes.jsonl")) == []
    assert episodes_in(tmp_path / "run" / "episodes.zarr") == []


def test_a_gripper_is_opened_on_the_way_and_verified(domain, tmp_path):
    run = run_to_end(graph("collect", tmp_path / "lift", task="lift", episodes=2, max_steps=15, reset="path"))
    assert [line["message"] for line in read_lines(run / "resets.jsonl")] == ["by path"] * 2
    assert Path(run / "bags").is_dir()
