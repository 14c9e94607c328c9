"""What the played person says of episodes that are over, and in which of them it sits at the device at all."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from o2o_msgs import msg as m
from o2o_msgs.srv import LabelEpisode

from o2o_nodes import convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.jsonfile import append_line
from o2o_robot.types import Outcome
from o2o_sim.teleop.simulated import Simulated

KEPT = 100  # judgements of the twin: an episode's END comes a few after the one it ended by
LOG = "words.jsonl"  # in the run's folder: of every episode what was true, judged and said


class SimulatedWords:
    """Says at the session's ~/label how every episode ended: as the twin's own judgement of the last observation was,
    and on a share of them the opposite. Where the session asks (ask_outcome) it waits for that, and the run is the same
    again.
    """

    def __init__(self, node: HouseNode, device: Simulated, *, truth: str, session: str) -> None:
        """truth: topic of the twin's own judgement. session: name of the node that runs the episodes."""
        self._node, self._device = node, device
        self._attended = node.setting("attended", ["online"], "modes of the episodes in which it may take over")
        self._truth: OrderedDict[int, bool] = OrderedDict()
        self._ended: m.EpisodeEvent | None = None
        self.said = self.refused = self.wrong = 0
        # before the arm's, which teleop_node subscribes to later: of two that are there, a START is read first
        node.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)
        node.create_subscription(m.TaskState, truth, self._on_truth, qos.sensor_in(lockstep=node.lockstep))
        self._client = node.create_client(LabelEpisode, f"{session}/label")

    def summary(self) -> dict[str, Any]:
        return {"labels_said": self.said, "labels_refused": self.refused, "labels_wrong": self.wrong}

    def _on_event(self, message: m.EpisodeEvent) -> None:
        if message.kind == m.EpisodeEvent.START:
            self._device.attends = message.mode in self._attended
        else:
            self._ended = message
            self._speak()

    def _on_truth(self, message: m.TaskState) -> None:
        self._truth[convert.stamp_ns(message.header.stamp)] = bool(message.success)
        while len(self._truth) > KEPT:
            self._truth.popitem(last=False)
        self._speak()

    def _speak(self) -> None:
        """Once both the END and the twin's judgement of that instant are here."""
        ended = self._ended
        if ended is None or not self._truth or next(reversed(self._truth)) < convert.stamp_ns(ended.header.stamp):
            return
        self._ended, stamp_ns = None, convert.stamp_ns(ended.header.stamp)
        is_success = next((won for at_ns, won in reversed(self._truth.items()) if at_ns <= stamp_ns), None)
        if is_success is not None:
            self._say(ended, is_success)

    def _say(self, ended: m.EpisodeEvent, is_success: bool) -> None:
        word, truth = self._device.word(is_success, ended.seed), Outcome.SUCCESS if is_success else Outcome.FAILURE
        self.said += 1
        self.wrong += word != truth.value
        if self._node.run_dir is not None:
            told = {"judged": ended.outcome, "truth": truth.value, "said": word}
            append_line(self._node.run_dir / LOG, {"episode": ended.id, "mode": ended.mode, "seed": ended.seed, **told})
        request = LabelEpisode.Request(episode=ended.id, outcome=word, by="simulated")
        self._client.call_async(request).add_done_callback(lambda future: self._heard(request, future.result()))

    def _heard(self, request: LabelEpisode.Request, answer: LabelEpisode.Response | None) -> None:
        if answer is None or not answer.success:
            self.refused += 1
            why = "no answer" if answer is None else answer.message
            self._node.get_logger().error(f"{request.episode}: {request.outcome}: {why}")
