"""Where a session can be asked how far it is, and told to pause, to go on, or to end after this episode."""

from __future__ import annotations

import time
from collections.abc import Callable

from o2o_msgs import msg as m
from std_srvs.srv import Trigger

from o2o_nodes import qos
from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.loop import EpisodeLog
from o2o_robot.types import Mode


class Desk:
    """desk.tell("waiting", "the learner"); between episodes: if desk.is_paused ... elif desk.is_ending ...

    Services ~/pause, ~/resume and ~/end; the topic session_state once a second and at every change.
    """

    def __init__(self, node: HouseNode, *, q: Callable[[], float]) -> None:
        """q: the critic's value of what the actor does now; asked once a second, not at every step."""
        self._node, self._q = node, q
        self.is_paused = node.setting("begin_paused", False, "wait for ~/resume before the first episode")
        self.is_ending = False
        self.robot_s = 0.0  # of the run, in episodes alone
        self.block = m.SessionState()  # what the schedule knows: block, next, their counts
        self._log: EpisodeLog | None = None
        self._mode = ""
        self._said = ("waiting", "the graph to come up")
        self._started_s = time.monotonic()
        self._out = node.create_publisher(m.SessionState, "session_state", qos.LATCHED)
        node.create_service(Trigger, "~/pause", self._pause)
        node.create_service(Trigger, "~/resume", self._resume)
        node.create_service(Trigger, "~/end", self._end)

    def start(self, *, robot_s: float) -> None:
        self._started_s, self.robot_s = time.monotonic(), robot_s
        self._node.create_timer(1.0, self._publish, clock=STEADY)
        self._publish()

    def tell(self, state: str, waits_for: str = "") -> None:
        """waiting | resetting | running | asking | paused | done, and in words what it waits for."""
        if (state, waits_for) != self._said:
            self._said = (state, waits_for)
            self._publish()

    def watch(self, log: EpisodeLog, mode: Mode) -> None:
        """The episode that is told of from now on."""
        self._log, self._mode = log, mode.value

    def _publish(self) -> None:
        message, log = self.block, self._log
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.state, message.waits_for = self._said
        message.mode, message.robot_s, message.q = self._mode, self.robot_s, self._q()
        message.wall_s = time.monotonic() - self._started_s
        if log is not None:
            message.episode, message.step, message.max_steps = log.episode, log.n_steps, log.max_steps
        self._out.publish(message)

    def _pause(self, _request: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        self.is_paused = True
        return _said(answer, "pauses before the next episode; ~/resume goes on")

    def _resume(self, _request: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        if self.is_ending:
            return _said(answer, "the session is ending; take the run up again with o2o finetune --resume", ok=False)
        self.is_paused = False
        return _said(answer, "goes on")

    def _end(self, _request: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        self.is_ending = True
        return _said(answer, "ends after this episode, and saves; o2o finetune --resume takes it up again")


def _said(answer: Trigger.Response, words: str, *, ok: bool = True) -> Trigger.Response:
    answer.success, answer.message = ok, words
    return answer
