"""How reset_node moves the arm: proposals to arm_node's one door, between episodes and never during one."""

from __future__ import annotations

import time

from o2o_msgs import msg as m
from rclpy.task import Future

from o2o_nodes import checks, convert, qos
from o2o_nodes.node import HouseNode
from o2o_nodes.reset_eyes import ResetEyes
from o2o_robot.errors import ArmError
from o2o_robot.types import Action, Array, Executed, Mode, Source

ANSWER_S = 2.0  # before a proposal is said again: a listener may not have been discovered yet
SILENT_S = 5.0  # an episode without a verdict for so long has lost its session


class ResetHands:
    """hands.begin("path"); executed = await hands.move(values); hands.rest()

    `reset_event` (EpisodeEvent) tells arm_node that a reset starts and ends; its limits are those of demonstrations,
    which a script moves as a person would.
    """

    def __init__(self, node: HouseNode, eyes: ResetEyes) -> None:
        self._node, self._eyes = node, eyes
        self._patience_s = node.setting("patience_s", 10.0, "wall time to wait for arm_node, or for the arm's state")
        self._period_ns = round(1e9 / node.setting("control_hz", 10.0, "actions a second"))
        self._action_out = node.create_publisher(m.Action, "action", qos.COMMAND)
        self._event_out = node.create_publisher(m.EpisodeEvent, "reset_event", qos.RECORD)
        node.create_subscription(m.ExecutedAction, "executed_action", self._on_executed, qos.COMMAND)
        node.create_subscription(m.EpisodeEvent, "episode", self._on_episode, qos.RECORD)
        self._seq = self._n_begun = 0
        self._waits: Future | None = None
        self._is_moving = self._episode_runs = False
        self._verdict_s = 0.0

    @property
    def is_heard(self) -> bool:
        """Whether arm_node is there, to be told and to answer."""
        listens = self._action_out.get_subscription_count() and self._event_out.get_subscription_count()
        return bool(listens and self._node.count_publishers("executed_action"))

    @property
    def are_free(self) -> bool:
        """Whether no episode runs: one whose verdicts have ceased has lost its session."""
        return not self._episode_runs or time.monotonic() - self._verdict_s > SILENT_S

    def begin(self) -> None:
        self._n_begun += 1
        self._is_moving = True
        self._tell(m.EpisodeEvent.START)

    def rest(self) -> None:
        """The arm holds; said once, however often it is called."""
        if self._is_moving:
            self._is_moving = False
            self._tell(m.EpisodeEvent.END)

    async def move(self, values: Array) -> Executed:
        """What was executed, once a period of control has passed. Raises ArmError where arm_node or the arm is silent,
        or an episode has begun meanwhile."""
        started_s = time.monotonic()
        while time.monotonic() - started_s < self._patience_s:
            if not self._is_moving or self._episode_runs:
                raise ArmError("an episode began during the reset, which is given up; reset between episodes")
            state_ns = self._eyes.stamp_ns
            executed = await self._proposed(values, state_ns)
            slack_ns = 0 if self._node.lockstep else self._period_ns - 1
            if executed is not None and await self._eyes.after(state_ns + slack_ns, ANSWER_S) is not None:
                return executed
        who = "arm_node" if executed is None else "the arm"
        raise ArmError(f"{who} did not answer a reset's action within {self._patience_s} s; see its log")

    async def _proposed(self, values: Array, state_ns: int) -> Executed | None:
        self._seq += 1
        action = Action(state_ns, self._seq, values, Source.SCRIPTED)
        self._waits = Future(executor=self._node.executor)
        self._action_out.publish(convert.action_message(action, "base"))
        return await self._node.wait(self._waits, ANSWER_S)

    def _tell(self, kind: int) -> None:
        event = m.EpisodeEvent(kind=kind, id=f"reset-{self._n_begun:06d}", mode=Mode.DEMO.value, seed=-1)
        event.header.stamp = convert.stamp(self._eyes.stamp_ns)
        if kind == m.EpisodeEvent.END:
            event.outcome, event.termination = "incomplete", "operator"
        self._event_out.publish(event)

    def _on_executed(self, message: m.ExecutedAction) -> None:
        self._verdict_s = self._verdict_s if self._is_moving else time.monotonic()
        if message.seq == self._seq and self._waits is not None and not self._waits.done():
            self._waits.set_result(convert.executed(message))

    def _on_episode(self, message: m.EpisodeEvent) -> None:
        checks.event(message)
        self._episode_runs = message.kind == m.EpisodeEvent.START
        self._verdict_s = time.monotonic()
