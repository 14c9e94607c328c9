"""Runs episodes: reset, look, act, wait for what was executed, publish the step. Policy and teleop share it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import numpy as np
from o2o_msgs.action import RunEpisode
from rclpy.action import ActionServer, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup

from o2o_nodes.arm_door import ArmDoor
from o2o_nodes.desk import Desk
from o2o_nodes.episode_out import EpisodeOut
from o2o_nodes.guard_watch import GuardWatch
from o2o_nodes.kept_watch import KeptWatch
from o2o_nodes.label_desk import LabelDesk
from o2o_nodes.node import HouseNode
from o2o_nodes.reset_client import ResetClient
from o2o_nodes.schedule import Schedule
from o2o_nodes.sight import Look, Sight
from o2o_nodes.step_out import StepOut
from o2o_robot.errors import ConfigError
from o2o_robot.journal import Journal
from o2o_robot.loop import EpisodeLog
from o2o_robot.robot.action_space import has_gripper, require_values
from o2o_robot.safety.reason import LATCHING, STOPPING, Reason, names
from o2o_robot.types import Executed, Mode, Source, Termination

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

    def q(self) -> float:
        """The critic's value of the last look and action; NaN where there is none to ask."""
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
        relabelled: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda before, after: None,
        n_action: int | None = None,
    ) -> None:
        """ready: awaited before each episode and, with at_the_end=True, after the last; false ends the session.

        over: true ends a block before its count. ended: told of every episode that began, before the next one.
        relabelled: told of a person's late word on one, with its line of the journal before and after.
        n_action: how many values the actor proposes, to be held against the parameter action_space now.
        """
        self._node, self._actor, self._ended = node, actor, ended
        task = node.setting("task", "peg", "name of the task, written into every episode")
        self._max_steps = node.setting("max_steps", 50, "steps after which an episode is truncated")
        self._patience_s = node.setting(
            "patience_s", 10.0, "wall time to wait for an observation or an executed action"
        )
        resume = node.setting("resume", False, "go on with the run in run_dir where it stood")
        blocks = [text for text in node.setting("schedule", [""], "blocks to run, then finish") if text]
        self._event_readers = node.setting("event_readers", 2, "of `episode`, to wait for: arm_node and recorder_node")
        self._sight = Sight(node)
        self._check_space(n_action)
        self._busy = False
        self.episodes = self.steps_changed = 0
        self.steps = StepOut(node, resume=resume)
        # a run taken up again goes on counting: an id names one episode of the run, in its store and among its bags
        self.journal = Journal(node.run_dir, schedule=blocks, resume=resume)
        self._settle()
        self.desk = Desk(node, q=actor.q)
        self.labels = LabelDesk(node, self.desk, self.journal, relabelled=relabelled)
        self._door = ArmDoor(node, patience_s=self._patience_s)
        self._guard, self._kept = GuardWatch(node), KeptWatch(node)
        self._out = EpisodeOut(node, self.journal, task=task)
        self._reset = ResetClient(
            node, tell=lambda stage: self.desk.tell("resetting", stage), patience_s=self._patience_s
        )
        self._server = ActionServer(
            node,
            RunEpisode,
            "run_episode",
            self._serve,
            goal_callback=self._judge_goal,
            callback_group=ReentrantCallbackGroup(),
        )
        self._schedule = Schedule(node, self, blocks, max_steps=self._max_steps, ready=ready, over=over)

    def start(self) -> None:
        self.desk.start(robot_s=self._out.robot_s)
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
        is_judged = self._node.count_publishers("task_state") >= 1
        is_heard = self._out.n_readers >= self._event_readers and self._door.is_ready()
        return self._reset.is_ready() and is_heard and is_judged

    # --- one episode ---------------------------------------------------------------------------------------------
    async def run_episode(self, mode: Mode, seed: int, max_steps: int, *, block: int = 0) -> EpisodeLog:
        """Run an episode to its end. A silent graph ends it as incomplete, termination `fault`; nothing is raised."""
        await self.labels.delivery.deliver()
        log = EpisodeLog(
            f"{mode.value}-{self.journal.n_episodes:06d}",
            max_steps,
            lambda step: self.steps.publish(step, mode),
            self._actor.source,
        )
        self.episodes += 1
        self._out.begin(log, mode, seed, block=block)
        self.desk.watch(log, mode)
        self._actor.begin(mode, seed)
        look = await self._begin(seed)
        if look is None:
            log.abandon(Termination.FAULT)
            return log
        self._out.start(look.observation.stamp_ns)
        self.desk.tell("running")
        self.labels.open(log)
        while not log.ended:
            look = await self._step(log, look)
        self._out.end(look.observation.stamp_ns)
        await self._count(log)
        if self._ended is not None:
            self._ended(mode, log)
        return log

    async def _begin(self, seed: int) -> Look | None:
        """The first look of an episode, once the scene is reset and the guard would let the arm move; else None."""
        self.desk.tell("waiting", "the guard to be armed: arm_node's reset, arm")
        if not await self._guard.is_armed(first_state_is_there=False):
            return None
        self.desk.tell("resetting", "reset_scene")
        not_before_ns = await self._reset.to_start(seed)
        if not_before_ns is None:
            return None
        self._sight.restart(not_before_ns)
        look = await self._sight.look(self._patience_s)
        if look is None or not await self._guard.is_armed(first_state_is_there=True):
            return None
        # where somebody had to arm first, that look is old
        return look if self._node.lockstep else await self._sight.look(self._patience_s)

    async def _step(self, log: EpisodeLog, look: Look) -> Look:
        """One turn of the loop: propose, wait for what was executed, see what came of it."""
        if not self._node.is_started:
            log.abandon(Termination.OPERATOR)
            return look
        executed = await self._door.execute(
            self._actor.act(look),
            stamp_ns=look.observation.stamp_ns,
            source=self._actor.source,
            revision=self._actor.revision,
        )
        after = await self._sight.look(self._patience_s) if executed is not None else None
        if executed is None or after is None or executed.reasons & Reason.SHAPE:
            return self._fault(log, look, executed)
        stopped = self._has_stopped(log, executed)
        log.add(look.observation, executed, after.task, stopped=stopped, word=self.labels.take(log))
        if log.ended:
            log.close(after.observation)
        return after

    def _fault(self, log: EpisodeLog, look: Look, executed: Executed | None) -> Look:
        """A graph that fell silent, or speaks of other actions: the episode is incomplete, never a failure."""
        if executed is None or not executed.reasons & Reason.SHAPE:
            who = "arm_node" if executed is None else self._sight.lacking()
            self._node.get_logger().error(f"{log.episode}: {who} did not answer within {self._patience_s} s")
        else:
            told = "arm_node takes another number of values; give both nodes the same action_space"
            self._node.get_logger().fatal(f"{log.episode}: {told}")
        log.abandon(Termination.FAULT)
        return look

    def _has_stopped(self, log: EpisodeLog, executed: Executed) -> bool:
        """Whether the guard follows no command any more, or has lost a peer: a lost learner does not stop the arm,
        but what comes next would be of no use to anybody."""
        stopped = bool(executed.reasons & STOPPED or self._guard.reasons & Reason.HEARTBEAT)
        if stopped:
            why = ", ".join(names(executed.reasons | self._guard.reasons))
            self._node.get_logger().warning(
                f"{log.episode}: the guard has stopped the arm, or lost a peer of it ({why})"
            )
        return stopped

    async def _count(self, log: EpisodeLog) -> None:
        """The episode is over for the arm: have it on disk, have a person's word on it, and write it down."""
        self.desk.robot_s = self._out.robot_s
        self.steps_changed += log.steps_changed
        if log.is_whole and not await self._kept.has(log.episode):
            log.abandon(Termination.FAULT)
            log.is_discarded = True
        await self.labels.close(log)
        self._out.write_down(revision=self._actor.revision)

    def summary(self) -> dict[str, Any]:
        return {
            "episodes": self.episodes,
            "steps_published": self.steps.n_published,
            "steps_changed": self.steps_changed,
            "labels": self.labels.n_words,
            "robot_s": self._out.own_robot_s,
            "first_action_s": self._door.first_action_s,
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
