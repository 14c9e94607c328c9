"""One cell, tried: a graph at work, a fault in the middle of an episode, and what came of arm, data and run.

result = try_cell(cell, folder, materials)
result.is_right, result.wrong       # whether all is as cells.right says, and what is not
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crashing.cells import ASKED_FOR, FREEZE_S, STORY_OF, Cell, right
from crashing.ears import Ears
from crashing.graph_run import GraphRun
from crashing.holding import COMMAND_PERIOD_MS, Held, Moment, commands_after, held, save
from crashing.inject import inject, stand_in
from crashing.ledger import LOST, Ledger, audit
from crashing.phases import MODE_OF, Materials, changes, has_spool, words, words_again
from o2o_robot import overlay
from o2o_robot.domain import free_domain
from o2o_robot.graph import STORIES
from o2o_robot.jsonfile import read_lines

STEPS_IN = 4
ON_ITS_WAY = 1  # a command that had left before the fault
UP_S, DOWN_S, ON_S = 90.0, 60.0, 60.0


@dataclass(frozen=True)
class Result:
    """held_ms: when the arm was told to stay, tool_ms: when it did; None where the arm need not be held.

    discarded: episodes that began and are in no log as whole: the open one. recovered: the run went on, or ended in
    order and was taken up again.
    """

    cell: Cell
    held_ms: float | None
    tool_ms: float | None
    late_ms: float | None
    committed: int
    lost_steps: int
    discarded: int
    exit_code: int | None
    said: str
    recovered: bool
    wrong: tuple[str, ...]
    seconds: float

    @property
    def is_right(self) -> bool:
        return not self.wrong

    def as_record(self) -> dict[str, Any]:
        return {**asdict(self), "cell": str(self.cell), "wrong": list(self.wrong)}


def try_cell(cell: Cell, folder: Path, materials: Materials, *, again: bool = True, is_timed: bool = True) -> Result:
    """Run it; a graph that does not even come up is a wrong result, not an exception.

    again: where the graph was right to end, take the run up again, as a person would the next day. is_timed: hold the
    arm to its two command periods; not where other work may keep a guard from its watch for longer.
    """
    started_s = time.monotonic()
    trial = _Trial(cell, folder, materials, is_timed)
    trial.run(again)
    return trial.result(time.monotonic() - started_s)


class _Trial:
    def __init__(self, cell: Cell, folder: Path, materials: Materials, is_timed: bool) -> None:
        self._cell, self._folder, self._materials, self._is_timed = cell, folder, materials, is_timed
        self._run_dir = folder / "run"
        self._run_dir.mkdir(parents=True)
        self._wrong: list[str] = []
        self._held: Held | None = None
        self._exit_code: int | None = None
        self._said = ""
        self._recovered = False
        self._begun: set[str] = set()
        self._lost: dict[str, int] = {}
        self._discarded = 0
        self._right = right(cell, restarts=_restarts(cell))

    def run(self, again: bool) -> None:
        env = stand_in(self._cell, self._folder / "prefix")
        with self._graph(words(self._cell, self._run_dir, self._materials), "first", env) as (run, ears):
            if not ears.until(lambda: run.exit_code is not None or self._is_midway(ears), UP_S, self._person(ears)):
                self._wrong.append(f"no second episode within {UP_S:g} s")
                return
            if run.exit_code is not None:
                self._wrong.append(f"the graph ended before the fault: {run.said()}")
                return
            run.look()
            self._break(run, ears)
        if self._right.ends and again and not self._wrong and not self._ledger().damaged:
            self._take_up_again()
        ledger = self._ledger()
        if not (self._recovered and not self._right.ends and has_spool(self._cell)):
            self._lost = ledger.missing  # else what the end came too early for is said again the next time
        self._wrong += [*ledger.damaged, *(f"{name} lacks {n} steps" for name, n in self._lost.items())]
        self._recovered = self._recovered and not self._wrong

    def result(self, seconds: float) -> Result:
        ledger = self._ledger()
        h = self._held
        return Result(
            cell=self._cell,
            held_ms=round(h.target_ms, 1) if h else None,
            tool_ms=round(h.tool_ms, 1) if h else None,
            late_ms=round(h.late_ms, 1) if h else None,
            committed=len(ledger.committed),
            lost_steps=sum(self._lost.values()),
            discarded=self._discarded,
            exit_code=self._exit_code,
            said=self._said,
            recovered=self._recovered,
            wrong=tuple(self._wrong),
            seconds=round(seconds, 1),
        )

    # --- the fault and what follows ------------------------------------------------------------------------------
    def _break(self, run: GraphRun, ears: Ears) -> None:
        pid, before = run.pid_of(self._cell.node), len(ears.starts_ns())
        ears.listen(zlib.crc32(str(self._cell).encode()) % COMMAND_PERIOD_MS * 1e-3)  # anywhere between two commands
        at_ns = inject(self._cell, pid, ears.listen)
        until_ns = at_ns + int((FREEZE_S - 0.1) * 1e9) if self._cell.fault == "freeze" else 0
        if self._cell.fault == "disk" and self._cell.kills:  # it is seen at the next write, and death comes with it
            ears.until(lambda: run.is_dead(pid) or run.exit_code is not None, ON_S)
            at_ns = time.time_ns()
        if self._right.ends:
            self._must_end(run, ears)
        else:
            self._must_go_on(run, ears, before)
        if self._right.holds:
            self._judge_hold(ears, at_ns, until_ns or time.time_ns())
        self._begun = {event.id for event in ears.events if event.kind == event.START}
        self._discarded = len(self._begun - set(self._ledger_ids()))
        if self._discarded > 1 + (not self._right.ends):  # where it went on, the one that the end cut short
            self._wrong.append(f"{self._discarded} episodes were discarded: more than the open one")

    def _must_end(self, run: GraphRun, ears: Ears) -> None:
        if not ears.until(lambda: run.exit_code is not None, DOWN_S):
            self._wrong.append(f"the graph did not end within {DOWN_S:g} s")
            return
        self._exit_code, self._said = run.exit_code, run.said()
        if self._exit_code != 1 or self._cell.node not in self._said:
            self._wrong.append(f"ended with {self._exit_code}, saying '{self._said}': expected 1 and {self._cell.node}")
        self._no_orphans(run)

    def _must_go_on(self, run: GraphRun, ears: Ears, starts_before: int) -> None:
        """A whole episode begins and ends after the fault; then the graph ends when told."""
        if self._right.latches and not ears.until(lambda: ears.guard_state() == "LATCHED", ON_S):
            self._wrong.append(f"the guard is {ears.guard_state()}, it should have latched")

        def went_on() -> bool:
            starts = [event.id for event in ears.events if event.kind == event.START]
            return bool(set(starts[starts_before:]) & set(self._ledger_ids()))

        ears.until(lambda: run.exit_code is not None or went_on(), ON_S, self._person(ears))
        self._recovered = run.exit_code is None and went_on()
        if not self._recovered:
            why = f"ended with {run.exit_code}, saying '{run.said()}'" if run.exit_code is not None else "no episode"
            self._wrong.append(f"the run did not go on: {why} within {ON_S:g} s")
        if run.exit_code is None:
            self._catch_up(run, ears)
            self._exit_code = run.interrupt(DOWN_S)
            allowed = (
                (0, 1) if self._cell.fault == "disk" else (0,)
            )  # 1: a summary could not be written, and it says so
            if self._exit_code not in allowed:
                self._wrong.append(f"told to end, the graph ended with {self._exit_code}, saying '{run.said()}'")
        self._no_orphans(run)

    def _catch_up(self, run: GraphRun, ears: Ears) -> None:
        """Until a node that was started again is at work, and what was missing meanwhile is there."""
        awaited = set(self._ledger().missing)
        deadline_s = time.monotonic() + ON_S
        while time.monotonic() < deadline_s and (awaited & set(self._ledger().missing) or run.dead_nodes()):
            ears.until(lambda: run.exit_code is not None, 1.0, self._person(ears))
        self._lost = {name: n for name, n in self._ledger().missing.items() if name in awaited}

    def _person(self, ears: Ears) -> Callable[[], None]:
        """Somebody at the robot, who resets a latched guard: on a machine too busy for the twin it latches for that."""
        return lambda: ears.guard_state() == "LATCHED" and ears.reset_guard()

    def _judge_hold(self, ears: Ears, at_ns: int, until_ns: int) -> None:
        targets = [Moment(one.sent_ns, one.position_m) for one in ears.targets]
        tool = [Moment(one.sent_ns, one.position_m) for one in ears.poses]
        if self._cell.lockstep:
            if (n := commands_after(targets, at_ns, until_ns)) > ON_ITS_WAY:
                self._wrong.append(f"{n} commands reached the arm after the fault; in lockstep each one moves it")
            return
        self._held = held(targets, tool, at_ns, until_ns)
        save(self._folder / "heard.npz", targets, tool, at_ns)
        if self._is_timed and not self._held.in_time():
            h = self._held
            self._wrong.append(
                f"target changed {h.target_ms:.0f} ms, tool moved {h.tool_ms:.0f} ms after the fault "
                f"(guard late by {h.late_ms:.0f} ms)"
            )

    def _take_up_again(self) -> None:
        before = set(self._ledger_ids())
        with self._graph(words_again(self._cell, self._run_dir, self._materials), "again", {}) as (run, ears):
            found = lambda: run.exit_code is not None or set(self._ledger_ids()) - before  # noqa: E731
            ears.until(found, UP_S, self._person(ears))
            more = set(self._ledger_ids()) - before
            run.look()
            if run.exit_code is not None or not more:
                self._wrong.append(f"taken up again, the run did not go on: exit {run.exit_code}, '{run.said()}'")
                return
            code = run.interrupt(DOWN_S)
            if code != 0:
                self._wrong.append(f"taken up again and told to end, it ended with {code}: '{run.said()}'")
            self._no_orphans(run)
        logged = {line["id"] for line in read_lines(self._run_dir / "episodes.jsonl")}
        self._wrong += [f"{name} began and is not in the log, not even as discarded" for name in self._begun - logged]
        self._recovered = True

    # --- what is looked at ---------------------------------------------------------------------------------------
    def _graph(self, command: list[str], name: str, env: dict[str, str]) -> _Both:
        domain = free_domain()
        own = {"ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1", **env}
        found = changes(self._cell, self._run_dir, self._materials)
        return _Both(GraphRun(command, found, own, self._folder / f"{name}.log"), Ears(domain))

    def _is_midway(self, ears: Ears) -> bool:
        """In the middle of an episode of the phase, with one committed before it."""
        if not (ears.targets and ears.poses and ears.steps_in_the_open_episode() >= STEPS_IN):
            return False
        return ears.events[-1].mode == MODE_OF[self._cell.phase] and bool(self._ledger_ids())

    def _ledger_ids(self) -> list[str]:
        lines = read_lines(self._run_dir / "episodes.jsonl")
        return [line["id"] for line in lines if line["termination"] not in LOST]

    def _ledger(self) -> Ledger:
        return audit(self._run_dir)

    def _no_orphans(self, run: GraphRun) -> None:
        if left := run.wait_for_orphans():
            names = [name for name, pid in run.pids.items() if pid in left]
            self._wrong.append(f"left behind: {', '.join(names)}")


class _Both:
    """A graph and the ears on it, in one `with`."""

    def __init__(self, run: GraphRun, ears: Ears) -> None:
        self._run, self._ears = run, ears

    def __enter__(self) -> tuple[GraphRun, Ears]:
        self._ears.__enter__()
        return self._run.__enter__(), self._ears

    def __exit__(self, *error: Any) -> None:
        self._run.__exit__(*error)
        self._ears.__exit__(*error)


def _restarts(cell: Cell) -> bool:
    """Whether the graph is configured to start that node again when it dies."""
    settings, describe = STORIES[STORY_OF[cell.phase]]
    asked = {name.replace("-", "_"): value for name, value in ASKED_FOR.get(cell.node, {}).items()}
    found = {process.name: process for process in describe(settings(**asked), overlay.share())}
    return cell.node in found and found[cell.node].restarts > 0
