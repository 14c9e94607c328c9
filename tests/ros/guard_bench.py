"""A shaped guard between a person, a policy and the twin, in real time: the test plays everybody but arm_node.

Limits are fr3.yaml's. What a loaded machine would trip over is wider: ticks at 25 Hz, and ages of states and commands.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import numpy as np
import yaml
from graphs import graph
from o2o_msgs import msg as m
from o2o_msgs.action import ResetScene
from rclpy.action import ActionClient
from std_msgs.msg import Bool, UInt8
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_nodes import convert, qos
from o2o_nodes.node import STEADY
from o2o_robot import overlay
from o2o_robot.graph import Process
from o2o_robot.safety.reason import Reason, names

TICK_S = SMOOTHING_S = 0.04
PERIOD_S = 0.1
PATIENT = {
    "tick_hz": 1.0 / TICK_S,
    "guard.tick_period_s": TICK_S,
    "guard.smoothing_s": SMOOTHING_S,
    "guard.policy_period_s": 0.3,
    "guard.state_stop_s": 0.5,
    "guard.state_latch_s": 3.0,
    "guard.frozen_state_s": 0.0,  # a simulated arm at rest really stands still
    "guard.resume_after_s": 0.1,
    "guard.max_recoveries": 0,
    "guard.max_step_m": 0.025,  # the preset's 8 mm a command would hide the limits of speed and acceleration
    "guard.max_tracking_m": 0.1,  # the twin's soft controller lags; blocked arms are tested in process
    "guard.max_observation_age_s": 0.8,
    "guard.workspace_max_m": [0.65, 0.25, 0.55],  # the twin's ready pose is inside
    "guard.actor_s": 1.0,
    "guard.recorder_s": 1.0,
    "guard.learner_s": 1.0,
    "limits_of.online.deadman_s": 0.4,
    "budget.interventions_per_episode": 0,
    "budget.interventions_per_hour": 0,
    "arm.external_wrench": "",
}


def facts_of_cell(robot: str) -> dict[str, Any]:
    """arm_node's parameters of launch/params/<robot>.yaml, flat, since a file of parameters would win over a test's."""
    text = yaml.safe_load((overlay.share() / "params" / f"{robot}.yaml").read_text())
    nested = text["/**/arm_node"]["ros__parameters"]
    parts = {part: facts for part, facts in nested.items() if isinstance(facts, dict)}
    flat = {f"{part}.{name}": value for part, facts in parts.items() for name, value in facts.items()}
    return {**{name: value for name, value in nested.items() if name not in parts}, **flat}


def processes(run_dir: Any, **arm: Any) -> list[Process]:
    """A twin without eyes in real time, and arm_node with the limits of an FR3."""
    whole = graph("collect", run_dir, realtime_factor=1.0, cameras="wrist").processes
    twin = next(process for process in whole if process.name == "twin_node")
    facts = {"limits": "fr3", "use_sim_time": True, "run_dir": str(run_dir), **facts_of_cell("fr3")}
    return [
        Process("twin_node", {**twin.parameters, "cameras": [""]}),
        Process("arm_node", {**facts, **PATIENT, **arm}),
    ]


class Bench(Watcher):
    """with Bench(domain) as bench: bench.begin(); bench.act([0.0, 1.0, 0.0]); bench.until(...)"""

    def __enter__(self) -> Bench:
        super().__enter__()
        out = self.node.create_publisher
        self.teleop_out = out(m.Action, "teleop_action", qos.COMMAND)
        self.estop_out = out(Bool, "estop", qos.COMMAND)
        self.deadman_out = out(Bool, "deadman", qos.COMMAND)
        self.mode_out = out(UInt8, "robot_mode", qos.COMMAND)
        self.program_out = out(Bool, "robot_program_running", qos.COMMAND)
        self._services: dict[str, Any] = {}
        self._resets = ActionClient(self.node, ResetScene, "reset_scene")
        self._seq = itertools.count(1)
        self._deadman: bool | None = None
        self.mode = "online"
        self._signs = {
            "actor": (out(m.SessionState, "session_state", qos.LATCHED), m.SessionState()),
            "recorder": (out(m.RecorderState, "recorder_state", qos.LATCHED), m.RecorderState()),
            "learner": (out(m.LearnerState, "learner_state", qos.LATCHED), m.LearnerState()),
        }
        self.alive = set(self._signs)
        self.node.create_timer(0.05, self._live, clock=STEADY)
        return self

    # --- a session -----------------------------------------------------------------------------------------------
    def wait_for_graph(self) -> Bench:
        self.until(lambda: self.safety, 15.0, "the guard's state")
        for out in (self.action_out, self.event_out, self.teleop_out, self.estop_out, self.deadman_out):
            self.until(out.get_subscription_count, 30.0, f"a listener to {out.topic_name}")
        self.until(lambda: self.poses and self.state_ns, 30.0, "the arm")
        return self

    def place(self, seed: int = 0) -> None:
        """The scene and the arm at their start."""
        self.until(self._resets.server_is_ready, 30.0, "the reset server")
        goal = self._resets.send_goal_async(ResetScene.Goal(seed=seed))
        self.until(goal.done, 10.0, "the reset to be accepted")
        result = goal.result().get_result_async()
        self.until(result.done, 10.0, "the reset")

    def ask(self, service: str) -> Trigger.Response:
        """Of arm_node; its client is kept, since discovery takes longer than the answer."""
        if service not in self._services:
            self._services[service] = self.node.create_client(Trigger, f"arm_node/{service}")
        self.until(self._services[service].service_is_ready, 30.0, f"service {service}")
        future = self._services[service].call_async(Trigger.Request())
        self.until(future.done, 10.0, f"answer of {service}")
        return future.result()

    def arm(self) -> None:
        """Armed, whatever there was before, and nobody having taken over."""
        self.alive = set(self._signs)
        self.mode_out.publish(UInt8(data=2))
        self.deadman(True)
        self.until(self._armed, 30.0, "the guard armed")

    def _armed(self) -> bool:
        self.ask("reset")
        self.ask("arm")
        return self.state in ("ARMED", "RUN", "SOFT_STOP")

    def begin(self) -> None:
        """An episode of `mode` in which commands are followed. A START may come later than a command sent after it.

        Armed again and again: a guard that still brakes from before looks armed, and is idle once at rest.
        """
        for turn in range(100):
            if turn % 5 == 0:
                self.arm()
                self.start()
            if not self.act([0.0, 0.0, 0.0]).reasons & Reason.HOLD and turn % 5 > 1:
                return
        raise AssertionError(f"good commands are not let through: {names(self.executed[-1].reasons)}")

    def start(self) -> None:
        self.event_out.publish(m.EpisodeEvent(kind=m.EpisodeEvent.START, id="by-hand", mode=self.mode))

    def end(self) -> None:
        self.event_out.publish(m.EpisodeEvent(kind=m.EpisodeEvent.END, id="by-hand", mode=self.mode))

    def propose(self, values: list[float], **changes: Any) -> int:
        """A policy's action on the newest state; its sequence number. changes: fields of the message, `age_ns`."""
        seq = changes.pop("seq", None) or next(self._seq)
        age_ns = changes.pop("age_ns", 0)
        frame_id = changes.pop("frame_id", "base")
        message = m.Action(seq=seq, values=np.array(values, np.float32), **changes)
        message.header.stamp = changes.pop("stamp", None) or convert.stamp(max(0, self.state_ns - age_ns))
        message.header.frame_id = frame_id
        self.action_out.publish(message)
        return seq

    def act(self, values: list[float], **changes: Any) -> m.ExecutedAction:
        """A policy's step: propose, hear the verdict, let a control period of the arm's clock pass."""
        heard, since_ns = len(self.executed), self.state_ns
        seq = self.propose(values, **changes)
        self.until(lambda: any(e.seq == seq for e in self.executed[heard:]), 10.0, f"the answer to action {seq}")
        answer = next(e for e in self.executed[heard:] if e.seq == seq)
        self.until(lambda: self.state_ns >= since_ns + PERIOD_S * 1e9, 10.0, "the arm's clock")
        return answer

    def drive(self, values: list[float], steps: int) -> list[m.ExecutedAction]:
        return [self.act(values) for _ in range(steps)]

    def full_speed(self, values: list[float]) -> None:
        """Drive until the reference goes as fast as it ever will; a stop of a loaded machine is begun anew.

        Targets of before are forgotten: a scene's reset moves the arm, and the reference starts anew where it is then.
        """
        for _ in range(8):
            self.place()
            self.begin()
            self.targets.clear()
            for _ in range(6):
                if self.act(values).reasons & Reason.HOLD:
                    break
            else:
                if self.is_moving:
                    return
        raise AssertionError(f"the arm does not get going: {names(self.safety[-1].reasons)}")

    # --- persons -------------------------------------------------------------------------------------------------
    def deadman(self, held: bool | None) -> None:
        """Said 20 times a second from now on; None: said no more."""
        self._deadman = held
        self._live()

    def _live(self) -> None:
        if self._deadman is not None:
            self.deadman_out.publish(Bool(data=self._deadman))
        for peer in self.alive:
            out, sign = self._signs[peer]
            out.publish(sign)

    def teleop(self, values: list[float], **changes: Any) -> None:
        message = m.Action(seq=next(self._seq), source=m.Action.SOURCE_TELEOP, values=np.array(values, np.float32))
        message.header.stamp = convert.stamp(self.state_ns)
        for name, value in changes.items():
            setattr(message, name, value)
        self.teleop_out.publish(message)

    # --- what is seen --------------------------------------------------------------------------------------------
    @property
    def state(self) -> str:
        return self.safety[-1].state

    @property
    def is_moving(self) -> bool:
        """Whether the last two targets differ."""
        return len(self.targets) > 1 and not np.array_equal(self.targets[-1][1], self.targets[-2][1])

    def count(self, reason: str) -> int:
        """How often the guard had this reason, as its newest SafetyState tells."""
        told = self.safety[-1]
        with suppress(ValueError):
            return int(told.reason_counts[list(told.reason_names).index(reason)])
        return 0

    def until_still(self, since: int = 0) -> np.ndarray:
        """Wait until ten targets in a row are the same; the path from target number `since` on, (k, 3) m."""

        def still() -> bool:
            last = [pose for _, pose in self.targets[-10:]]
            return len(self.targets) >= since + 11 and all(np.array_equal(last[0], pose) for pose in last)

        self.until(still, 20.0, "a reference that stands")
        return np.array([pose[:3] for _, pose in self.targets[since:]])


def worst_motion(targets: list[tuple[int, np.ndarray]], tick_s: float = TICK_S) -> dict[str, float]:
    """The greatest speed, acceleration and jerk (SI) of a stream of targets: [(stamp_ns, position and quaternion)].

    Speed by the stamps, but never by less than a tick: a late message is followed by one in time. The others by ticks,
    wherever the stamps show that none is missing between.
    """
    stamps_s = np.array([ns for ns, _ in targets]) * 1e-9
    at_m = np.array([pose[:3] for _, pose in targets])
    gap_s, step_m = np.diff(stamps_s), np.diff(at_m, axis=0)
    worst = {"speed": float((np.linalg.norm(step_m, axis=1) / np.maximum(gap_s, tick_s)).max())}
    whole = np.flatnonzero(gap_s < 1.4 * tick_s)
    runs = np.split(whole, np.flatnonzero(np.diff(whole) > 1) + 1)
    for order, name in ((1, "acceleration"), (2, "jerk")):
        values = [np.diff(step_m[run], n=order, axis=0) / tick_s ** (order + 1) for run in runs if len(run) > order]
        worst[name] = max((float(np.linalg.norm(v, axis=1).max()) for v in values), default=0.0)
    return worst
