"""Says whether the task is done, from pictures, a rule, a topic or a person; where it cannot judge, why.

As the judge of a session (publish_task_state) it is silent where it cannot judge: the session then waits patience_s
and ends the episode as incomplete. Nobody else may publish task_state then (the twin's is remapped).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from o2o_msgs import msg as m
from o2o_msgs.srv import LabelEpisode

from o2o_nodes import checks, convert, qos
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_nodes.reward_sources import RULES, SOURCES, Pictures
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.reward.adjudicate import Adjudication
from o2o_robot.reward.judge import EpisodeJudge, Verdict
from o2o_robot.reward.rules import Hysteresis
from o2o_robot.vitals import Value, scalars

WORDS = ("success", "failure", "incomplete", "discard")


class RewardNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("reward_node")

    def open(self) -> None:
        self._source = self.setting("source", "classifier", f"what is judged by: {', '.join(SOURCES)}")
        if self._source not in SOURCES:
            raise ConfigError(f"source '{self._source}' is unknown; allowed: {', '.join(SOURCES)}")
        self._judges = self.setting("publish_task_state", False, "be the judge whose task_state ends episodes")
        self._patience_s = self.setting("patience_s", 2.0, "wall time without a judgement that is called trouble")
        self._out = self.create_publisher(m.RewardState, "reward_state", qos.SENSOR_OUT)
        self._episode = self._last_episode = ""
        self._last: Verdict | None = None
        self._heard_ns = STEADY.now().nanoseconds
        self._n_judged = self._n_trouble = 0
        self._pictures = Pictures(self, self._see) if self._source == "classifier" else None
        if self._pictures is None:
            RULES[self._source](self, self._see)
        self._judge = self._make_judge()
        # last: a session that sees this publisher takes it for a judge who is ready
        self._task_out = self.create_publisher(m.TaskState, "task_state", qos.SENSOR_OUT) if self._judges else None
        hysteresis = self._judge.hysteresis
        self._log = Adjudication(self.run_dir, on=hysteresis.on, off=hysteresis.off)
        self.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)
        self.create_service(LabelEpisode, "~/label", self._label)

    def start(self) -> None:
        self._heard_ns = STEADY.now().nanoseconds
        self.create_timer(0.5, self._look_for_silence, clock=STEADY)

    def summary(self) -> dict[str, Any]:
        return {"source": self._source, "judgements": self._n_judged, "trouble": self._n_trouble, **self._log.summary()}

    def readings(self) -> dict[str, Value]:
        return scalars(self.summary())

    def trouble(self) -> list[str]:
        return [self._last.trouble] if self._last is not None and self._last.trouble else []

    def _make_judge(self) -> EpisodeJudge:
        facts = None if self._pictures is None else self._pictures.facts
        default_on, default_off = (0.5, 0.5) if facts is None else (facts.threshold, facts.off)
        on = self.setting("on", 0.0, "score from which it is a success; 0: the classifier's threshold, 0.5 of a rule")
        off = self.setting("off", 0.0, "score below which it is none any more; 0: as for on")
        min_s = self.setting("min_s", 0.0 if facts is None else 0.1, "how long it must last, by the sensors' stamps")
        return EpisodeJudge(
            Hysteresis(on or default_on, off or min(default_off, on or default_on), min_s),
            is_probability=facts is not None or self._has_float_topic(),
            success_reward=self.setting("success_reward", 1.0, "raw reward of a step that ended in success"),
            step_reward=self.setting("step_reward", 0.0, "raw reward of any other step"),
        )

    def _has_float_topic(self) -> bool:
        return self._source == "topic" and self.get_parameter("topic_type").value == "float"

    def _see(self, stamp_ns: int, score: float, trouble: str) -> None:
        if self.is_started:
            judge = self._judge
            self._tell(judge.cannot(stamp_ns, trouble) if trouble else judge.see(stamp_ns, score))

    def _tell(self, verdict: Verdict) -> None:
        if verdict.trouble and not (self._last is not None and self._last.trouble):
            self.get_logger().warning(f"cannot judge: {verdict.trouble}")
        self._last, self._heard_ns = verdict, STEADY.now().nanoseconds
        self._n_judged += 1
        self._n_trouble += bool(verdict.trouble)
        state = m.RewardState(
            source=self._source,
            probability=verdict.probability,
            success=verdict.success,
            failure=verdict.failure,
            trouble=verdict.trouble,
        )
        state.header.stamp = convert.stamp(verdict.stamp_ns)
        self._out.publish(state)
        task = self._judge.task_state(verdict)
        if task is not None and self._task_out is not None:
            self._task_out.publish(convert.task_message(task))

    def _look_for_silence(self) -> None:
        silent_s = (STEADY.now().nanoseconds - self._heard_ns) * 1e-9
        if silent_s > self._patience_s:
            what = "frames" if self._source == "classifier" else "samples"
            self._tell(self._judge.cannot(self.now_ns(), f"no {what} for {silent_s:.0f} s; look at their publisher"))

    # --- episodes, and a person's word ---------------------------------------------------------------------------
    def _on_event(self, message: m.EpisodeEvent) -> None:
        try:
            checks.event(message)
        except DataError as problem:
            self.get_logger().error(str(problem))
            return
        if message.kind == m.EpisodeEvent.START:
            self._episode = self._last_episode = message.id
            self._last = None
            self._judge.begin()
        elif message.id == self._episode:
            self._episode = ""
            if why := self._log.ended(message.id, self._last, outcome=message.outcome):
                self.get_logger().warning(f"{message.id} is doubtful: {why}")

    def _label(self, request: LabelEpisode.Request, answer: LabelEpisode.Response) -> LabelEpisode.Response:
        """On the running episode it is the verdict; on one that is over it is held against the verdict there was."""
        episode = request.episode or self._last_episode
        if request.outcome not in WORDS or not episode:
            answer.message = f"outcome '{request.outcome}' of '{episode}': one of {', '.join(WORDS)}, of an episode"
            return answer
        if episode == self._episode:
            if request.outcome not in ("success", "failure"):
                answer.message = "a running episode is ended or discarded at its session's ~/label"
                return answer
            self._judge.say(request.outcome)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        agrees = self._log.labelled(episode, request.outcome, by=request.by, at=at, note=request.note)
        answer.success = True
        answer.message = f"{episode}: {request.outcome}" + ("" if agrees else ", against what was judged; logged")
        return answer


def main() -> None:
    run(RewardNode)


if __name__ == "__main__":
    main()
