"""Tells the others that an episode begins and how it ended, and writes its line down."""

from __future__ import annotations

import time
from typing import Any

from o2o_msgs import msg as m

from o2o_nodes import convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.journal import Journal
from o2o_robot.loop import EpisodeLog
from o2o_robot.types import Mode


class EpisodeOut:
    """An episode's two events and its line: `begin`, `start`, `end`, `write_down`, in this order.

    robot_s: of the run, in episodes alone, by the stamps of the observations.
    """

    def __init__(self, node: HouseNode, journal: Journal, *, task: str) -> None:
        self._journal, self._task = journal, task
        self.robot_s = self._robot_s_before = journal.robot_s_before
        self._log: EpisodeLog | None = None
        self._out = node.create_publisher(m.EpisodeEvent, "episode", qos.RECORD)

    @property
    def n_readers(self) -> int:
        return int(self._out.get_subscription_count())

    @property
    def own_robot_s(self) -> float:
        """Of this process."""
        return round(self.robot_s - self._robot_s_before, 3)

    def begin(self, log: EpisodeLog, mode: Mode, seed: int, *, block: int) -> None:
        """Before the scene is reset: from here on a crash is one in this episode."""
        self._log, self._mode, self._seed, self._block = log, mode, seed, block
        self._wall_start_s = time.monotonic()
        self._journal.begin(log.episode, block=block, mode=mode.value, seed=seed)

    def start(self, ns: int) -> None:
        self._start_ns = ns
        self._say(m.EpisodeEvent.START, ns)

    def end(self, ns: int) -> None:
        self._say(m.EpisodeEvent.END, ns)
        self._robot_s = (ns - self._start_ns) * 1e-9
        self._wall_s = time.monotonic() - self._wall_start_s
        self.robot_s += self._robot_s

    def write_down(self, *, revision: int) -> None:
        log = self._log
        assert log is not None
        times = {"wall_s": round(self._wall_s, 3), "robot_s": round(self._robot_s, 3)}
        self._journal.end({**self._line(log, revision), "block": self._block, **times, **_word(log)})

    def _line(self, log: EpisodeLog, revision: int) -> dict[str, Any]:
        return {
            "id": log.episode,
            "mode": self._mode.value,
            "task": self._task,
            "seed": self._seed,
            "outcome": log.outcome.value,
            "termination": log.termination.value if log.termination else "",
            "n_steps": log.n_steps,
            "reward_sum": log.reward_sum,
            "steps_changed": log.steps_changed,
            "steps_human": log.steps_human,
            "interventions": log.interventions,
            "steps_before": self._journal.n_steps,
            "revision": revision,
        }

    def _say(self, kind: int, ns: int) -> None:
        log = self._log
        assert log is not None
        mode, seed = self._mode.value, self._seed
        event = m.EpisodeEvent(kind=kind, id=log.episode, task=self._task, mode=mode, seed=seed, n_steps=log.n_steps)
        event.header.stamp = convert.stamp(ns)
        if log.termination is not None:
            event.outcome, event.termination = log.outcome.value, log.termination.value
        self._out.publish(event)


def _word(log: EpisodeLog) -> dict[str, Any]:
    """What a line says only of some episodes: whose word the outcome is, and that it counts nowhere."""
    by = {"labelled_by": log.labelled_by} if log.labelled_by else {}
    return by | ({"discarded": True} if log.is_discarded else {})
