"""Runs episodes: reset, look, act, wait for what was executed, publish the step. Policy and teleop share it."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from o2o_msgs import msg as m
from o2o_msgs.action import ResetScene, RunEpisode
from rclpy.action import ActionClient, ActionServer, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from o2o_nodes import convert, qos
from o2o_nodes.desk import Desk
from o2o_nodes.guard_watch import GuardWatch
from o2o_nodes.kept_watch import KeptWatch
from o2o_nodes.node import HouseNode
from o2o_nodes.schedule import Schedule
from o2o_nodes.sight import Look, Sight
from o2o_nodes.step_out import StepOut
from o2o_robot.errors import ConfigError
from o2o_robot.journal import CUT_SHORT, Journal
from o2o_robot.loop import EpisodeLog
from o2o_robot.robot.action_space import has_gripper, require_values
from o2o_robot.safety.reason import LATCHING, STOPPING, Reason, names
from o2o_robot.types import Action, Executed, Mode, Source, Termination

STOPPED = Reason.SOFT_STOP | Reason.LATCHED | Reason.NOT_ARMED | STOPPING | LATCHING


class Actor(Protocol):
    """What proposes the motion of an episode: a policy, a scripted expert, a person at a device."""

    source: Source
    revision: int

    def begin(self, mode: Mode, seed: int) -> None:
        """A new episode starts; all randomness of the episode comes from `seed`."""
        ...

    def act(self, look: Look) -> np.ndarray:
        """The proposed action, (n_action,) float32 in [-1, 1]."""
        ...


class Session:
    """Episodes on request (RunEpisode.action) and by schedule, one at a time."""

    def __init__(
        self,
        node: HouseNode,
        actor: Actor,
        *,
        ready: Callable[..., Awaitable[bool]] | None = None,
        over: Callable[[Mode], bool] | None = None,
        ended: Callable[[Mode, EpisodeLog], None] | None = None,
        n_action: int | None = None,
    ) -> None:
        """ready: awaited before each episode and, with at_the_end=True, after the last; false ends the session.

        over: true ends a block before its count. ended: told of every episode that began, before the next one.
        n_action: how many values the actor proposes, to be held against the parameter action_space now.
        """
        self._node, self._actor, self._ended = node, actor, ended
        self._task = node.setting("task", "peg", "name of the task, written into every episode")
        self._max_steps = node.setting("max_steps", 50, "steps after which an episode is truncated")
        self._patience_s = node.setting(
            "patience_s", 10.0, "wall time to wait for an observation or an executed action"
        )
        resume = node.setting("resume", False, "go on with the run in run_dir where it stood")
        blocks = [text for text in node.setting("schedule", [""], "blocks to run, then finish") if text]
        self._event_readers = node.setting("event_readers", 2, "of `episode`, to wait for: arm_node and recorder_node")
        self._sight = Sight(node)
        self._check_space(n_action)
        self._executed: Future | None = None
        self._seq = 0
        self._busy = False
        self.episodes = self.steps_changed = 0
        self._first_action_s: float | None = None
        self.steps = StepOut(node, resume=resume)
        # a run taken up again goes on counting: an id names one episode of the run, in its store and among its bags
        self.journal = Journal(node.run_dir, schedule=blocks, resume=resume)
        self._settle()
        self.robot_s = self._robot_s_before = self.journal.robot_s_before
        self.desk = Desk(node)
        node.create_subscription(m.ExecutedAction, "executed_action", self._on_executed, qos.COMMAND)
        self._guard, self._kept = GuardWatch(node), KeptWatch(node)
        self._action_out = node.create_publisher(m.Action, "action", qos.COMMAND)
        self._event_out = node.create_publisher(m.EpisodeEvent, "episode", qos.RECORD)
        group = ReentrantCallbackGroup()
        self._reset_client = ActionClient(node, ResetScene, "reset_scene", callback_group=group)
        self._server = ActionServer(
            node, RunEpisode, "run_episode", self._serve, goal_callback=self._judge_goal, callback_group=group
        )
        self._schedule = Schedule(node, self, blocks, max_steps=self._max_steps, ready=ready, over=over)

    def start(self) -> None:
        self.desk.start()
        self._schedule.start()

    def close(self) -> None:
        self.steps.close()

    def _settle(self) -> None:
        """What a crash left open: its steps were said and are learned from, the episode is discarded."""
        last = self.steps.last()
        said = (last.episode, last.index + (not last.is_last)) if last is not None else ("", 0)
        if name := self.journal.settle(said[0], n_steps=said[1]):
            self._node.get_logger().warning(f"{name} was cut short when this run ended; it is discarded")

    def _check_space(self, n_action: int | None) -> None:
        """Raises ConfigError where the actor and arm_node would not speak of the same action."""
        name = self._node.get_name()
        space = self._node.setting("action_space", "delta_position", "as arm_node's: see robot/action_space.py")
        if n_action is not None:
            require_values(n_action, space, who=name)
        if has_gripper(space) and not self._sight.sees_gripper:
            raise ConfigError(f"{name}: actions move a gripper, whose state nobody reads; set gripper_states")

    def graph_is_up(self) -> bool:
        """Whether everybody is there that an episode needs."""
        return (
            self._reset_client.server_is_ready()
            and self._event_out.get_subscription_count() >= self._event_readers
            and self._action_out.get_subscription_count() >= 1
            and self._node.count_publishers("executed_action") >= 1
        )

    # --- one episode ---------------------------------------------------------------------------------------------
    async def run_episode(self, mode: Mode, seed: int, max_steps: int, *, block: int = 0) -> EpisodeLog:
        """Run an episode to its end. A silent graph ends it as incomplete, termination `fault`; nothing is raised."""
        log = EpisodeLog(
            f"{mode.value}-{self.journal.n_episodes:06d}", max_steps, lambda step: self.steps.publish(step, mode)
        )
        self.episodes += 1
        self.journal.begin(log.episode, block=block, mode=mode.value, seed=seed)
        self.desk.watch(log, mode)
        wall_start = time.monotonic()
        self._actor.begin(mode, seed)
        look = await self._begin(seed)
        if look is None:
            log.abandon(Termination.FAULT)
            return log
        start_ns = look.observation.stamp_ns
        self._event(m.EpisodeEvent.START, log, mode, seed, start_ns)
        self.desk.tell("running")
        while not log.ended:
            look = await self._step(log, look)
        self._event(m.EpisodeEvent.END, log, mode, seed, look.observation.stamp_ns)
        robot_s = (look.observation.stamp_ns - start_ns) * 1e-9
        self.robot_s += robot_s
        self.desk.robot_s = self.robot_s
        self.steps_changed += log.steps_changed
        times = {"wall_s": round(time.monotonic() - wall_start, 3), "robot_s": round(robot_s, 3)}
        if log.termination not in CUT_SHORT and not await self._kept.has(log.episode):
            log.abandon(Termination.FAULT)
            times["discarded"] = True
        self.journal.end({**self._record(log, mode, seed), "block": block, **times})
        if self._ended is not None:
            self._ended(mode, log)
        return log

    async def _begin(self, seed: int) -> Look | None:
        """The first look of an episode, once the scene is reset and the guard would let the arm move; else None."""
        self.desk.tell("waiting", "the guard to be armed: arm_node's reset, arm")
        if not await self._guard.is_armed(first_state_is_there=False):
            return None
        self.desk.tell("resetting", "reset_scene")
        look = await self._reset(seed)
        if look is None or not await self._guard.is_armed(first_state_is_there=True):
            return None
        # where somebody had to arm first, that look is old
        return look if self._node.lockstep else await self._sight.look(self._patience_s)

    async def _step(self, log: EpisodeLog, look: Look) -> Look:
        """One turn of the loop: propose, wait for what was executed, see what came of it."""
        if not self._node.is_started:
            log.abandon(Termination.OPERATOR)
            return look
        proposed = self._propose(look)
        executed = await self._answer(proposed)
        after = await self._sight.look(self._patience_s) if executed is not None else None
        if executed is None or after is None:
            who = "arm_node" if executed is None else "a sensor"
            self._node.get_logger().error(f"{log.episode}: {who} did not answer within {self._patience_s} s")
            log.abandon(Termination.FAULT)
            return look
        # a lost learner does not stop the arm; but what comes next would be of no use to anybody
        lost = bool(self._guard.reasons & Reason.HEARTBEAT)
        if executed.reasons & Reason.SHAPE:
            told = "arm_node takes another number of values; give both nodes the same action_space"
            self._node.get_logger().fatal(f"{log.episode}: {told}")
            log.abandon(Termination.FAULT)
            return look
        stopped = lost or bool(executed.reasons & STOPPED)
        log.add(look.observation, executed, after.task, stopped=stopped)
        if stopped:
            self._node.get_logger().warning(
                f"{log.episode}: the guard has stopped the arm, or lost a peer of it "
                f"({', '.join(names(executed.reasons | self._guard.reasons))})"
            )
        if log.ended:
            log.close(after.observation)
        return after

    def _propose(self, look: Look) -> Action:
        self._seq += 1
        action = Action(
            look.observation.stamp_ns, self._seq, self._actor.act(look), self._actor.source, self._actor.revision
        )
        self._executed = Future(executor=self._node.executor)
        if self._first_action_s is None:
            self._first_action_s = age_of_process_s()
        self._action_out.publish(convert.action_message(action, "base"))
        return action

    async def _answer(self, action: Action) -> Executed | None:
        assert self._executed is not None
        return await self._node.wait(self._executed, self._patience_s)

    def _on_executed(self, message: m.ExecutedAction) -> None:
        if message.seq == self._seq and self._executed is not None and not self._executed.done():
            self._executed.set_result(convert.executed(message))

    async def _reset(self, seed: int) -> Look | None:
        """Bring the scene to its start; the first look after it, or None when the reset failed."""
        handle = await self._node.wait(self._reset_client.send_goal_async(ResetScene.Goal(seed=seed)), self._patience_s)
        if handle is None or not handle.accepted:
            self._node.get_logger().error("reset_scene did not accept the reset")
            return None
        answer = await self._node.wait(handle.get_result_async(), self._patience_s)
        if answer is None or not answer.result.success:
            self._node.get_logger().error(f"reset failed: {answer.result.message if answer else 'no answer'}")
            return None
        self._sight.restart(convert.stamp_ns(answer.result.stamp))
        return await self._sight.look(self._patience_s)

    # --- telling the others --------------------------------------------------------------------------------------
    def _event(self, kind: int, log: EpisodeLog, mode: Mode, seed: int, ns: int) -> None:
        event = m.EpisodeEvent(
            kind=kind, id=log.episode, task=self._task, mode=mode.value, seed=seed, n_steps=log.n_steps
        )
        event.header.stamp = convert.stamp(ns)
        if log.termination is not None:
            event.outcome, event.termination = log.outcome.value, log.termination.value
        self._event_out.publish(event)

    def _record(self, log: EpisodeLog, mode: Mode, seed: int) -> dict[str, Any]:
        return {
            "id": log.episode,
            "mode": mode.value,
            "task": self._task,
            "seed": seed,
            "outcome": log.outcome.value,
            "termination": log.termination.value if log.termination else "",
            "n_steps": log.n_steps,
            "reward_sum": log.reward_sum,
            "steps_changed": log.steps_changed,
            "steps_before": self.journal.n_steps,
            "revision": self._actor.revision,
        }

    def summary(self) -> dict[str, Any]:
        return {
            "episodes": self.episodes,
            "steps_published": self.steps.n_published,
            "steps_changed": self.steps_changed,
            "robot_s": round(self.robot_s - self._robot_s_before, 3),
            "first_action_s": self._first_action_s,
            **self.steps.summary(),
        }

    # --- on request ----------------------------------------------------------------------------------------------
    def _judge_goal(self, goal: RunEpisode.Goal) -> GoalResponse:
        known = goal.mode in [mode.value for mode in Mode]
        return GoalResponse.ACCEPT if known and not (self._busy or self._schedule.blocks) else GoalResponse.REJECT

    async def _serve(self, handle: Any) -> RunEpisode.Result:
        self._busy = True
        goal = handle.request
        log = await self.run_episode(Mode(goal.mode), goal.seed, goal.max_steps or self._max_steps)
        self._busy = False
        handle.succeed()
        result = RunEpisode.Result(id=log.episode, outcome=log.outcome.value, n_steps=log.n_steps)
        result.termination = log.termination.value if log.termination else ""
        result.reward_sum = float(log.reward_sum)
        return result


def age_of_process_s() -> float:
    """How long ago this process was started: the loading of its libraries counts too (proc(5), field 22)."""
    started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
