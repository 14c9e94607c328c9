"""A graph at work with ears on it, and the questions that figures ask of the two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from o2o_msgs import msg as m

from crashing.cells import Cell
from crashing.ears import Ears
from crashing.graph_run import GraphRun
from crashing.phases import MODE_OF, Changes, Materials, changes, words, words_again
from o2o_nodes import qos
from o2o_robot.domain import free_domain
from o2o_robot.errors import GraphError
from o2o_robot.jsonfile import read_lines
from o2o_robot.safety.reason import STOPPING, Reason

PATIENCE_S = 90.0
HELD = Reason.STALE_COMMAND | STOPPING


@dataclass
class Bench:
    """Every question listens until it has its answer; GraphError where there is none in time, or the graph ended."""

    cell: Cell
    run_dir: Path
    run: GraphRun
    ears: Ears

    def midway(self, steps: int = 5) -> None:
        """In an episode of the phase, with one whole before it."""
        log = self.run_dir / "episodes.jsonl"
        mode = MODE_OF[self.cell.phase]
        self._until(
            lambda: (
                self.ears.steps_in_the_open_episode() >= steps
                and self.ears.events[-1].mode == mode
                and any(True for _ in read_lines(log))
            ),
            "the middle of an episode",
            self._look_after,
        )

    def midway_and(self, seconds: float) -> None:
        """So long after `midway`, where that is still within the episode."""
        self.midway()
        self.ears.listen(seconds)
        while self.ears.steps_in_the_open_episode() < 0:
            self.midway()
            self.ears.listen(seconds)

    def held_ns(self, *, after_ns: int) -> int:
        """When the guard said first that it holds."""

        def found() -> list[int]:
            return [ns for ns, seen in self.ears.safety if ns > after_ns and seen.reasons & HELD]

        self._until(found, "the guard's hold")
        return found()[0]

    def hold_target_ns(self, *, after_ns: int) -> int:
        """When the first target came that is the pose the arm was measured at: not one that was on its way."""

        def found() -> list[int]:
            measured = {one.position_m.tobytes() for one in self.ears.poses[-2000:]}
            late = [one for one in self.ears.targets if one.sent_ns > after_ns]
            return [one.heard_ns for one in late if one.position_m.tobytes() in measured]

        self._until(found, "the hold")
        return found()[0]

    def first_action_ns(self) -> int:
        self._until(lambda: self.ears.acted_ns, "an action", self._look_after)
        return self.ears.acted_ns[0]

    def commits_ms(self, episodes: int) -> list[float]:
        """For so many episodes, from END to the recorder's word that it is stored."""
        ended, stored = {}, {}

        def on_event(event: m.EpisodeEvent, info: Any) -> None:
            if event.kind == event.END:
                ended[event.id] = int(info["source_timestamp"])

        def on_state(state: m.RecorderState, info: Any) -> None:
            stored.setdefault(state.last_episode, int(info["source_timestamp"]))

        self.ears.node.create_subscription(m.EpisodeEvent, "episode", on_event, qos.RECORD)
        self.ears.node.create_subscription(m.RecorderState, "recorder_state", on_state, qos.RECORD)
        self._until(lambda: len(ended.keys() & stored.keys()) > episodes, f"{episodes} commits")
        both = sorted(ended.keys() & stored.keys())[1:]  # the first may have been stored before we heard of it
        return [(stored[one] - ended[one]) / 1e6 for one in both]

    def call(self, service: str) -> None:
        if not self.ears.call(service, PATIENCE_S):
            raise GraphError(f"{self.cell}: {service} did not answer within {PATIENCE_S:g} s")

    def pin(self, node: str, cores: set[int]) -> None:
        """Every thread of a node to these cores."""
        for thread in Path(f"/proc/{self.run.pid_of(node)}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)

    def _look_after(self) -> None:
        """What a person at the robot does: on a machine too busy for the twin the guard latches for that."""
        if self.ears.guard_state() == "LATCHED":
            self.ears.reset_guard()

    def _until(self, condition: Callable[[], Any], what: str, meanwhile: Callable[[], Any] = bool) -> None:
        found = self.ears.until(lambda: self.run.exit_code is not None or condition(), PATIENCE_S, meanwhile)
        if found and condition():
            return
        raise GraphError(
            f"{self.cell}: {what} did not come within {PATIENCE_S:g} s; the graph said '{self.run.said()}'"
        )


@contextmanager
def brought_up(
    cell: Cell,
    folder: Path,
    materials: Materials,
    more: Changes | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
) -> Iterator[Bench]:
    """The cell's graph, whole, in `folder`; interrupted at the end. more, options: parameters, words that differ."""
    run_dir, domain = folder / "run", free_domain()
    run_dir.mkdir(parents=True, exist_ok=True)
    command = (words_again if again else words)(cell, run_dir, materials)
    command += [word for name, value in (options or {}).items() for word in (f"--{name}", str(value))]
    found = changes(cell, run_dir, materials)
    for node, parameters in (more or {}).items():
        found[node] = {**found.get(node, {}), **parameters}
    env = {"ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1"}
    log = folder / ("again.log" if again else "first.log")
    with Ears(domain) as ears, GraphRun(command, found, env, log) as run:
        yield Bench(cell, run_dir, run, ears)
        run.look()
        run.interrupt(PATIENCE_S)
