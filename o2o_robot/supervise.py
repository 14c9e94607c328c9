"""Starts the processes of a graph, watches them, and brings all down in order when one ends."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import yaml

from o2o_robot import overlay
from o2o_robot.errors import GraphError
from o2o_robot.graph import Process
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.sros2 import enclave_arguments
from o2o_robot.yamlfile import PlainDumper

LAST_LINES = 15
BACK_OFF_S = 1.0  # before the first restart of a node; twice as long before each further one
GRACE_S = (8.0, 4.0)  # to heed SIGINT, then SIGTERM, before SIGKILL
_PR_SET_PDEATHSIG = 1


@dataclass
class Running:
    """A started node and the log its words go to."""

    process: Process
    popen: subprocess.Popen[bytes]
    log: Path
    n_restarts: int = 0
    again_s: float | None = None  # when it is started again, where it died and may be

    @property
    def exit_code(self) -> int | None:
        return self.popen.poll()

    def last_lines(self) -> str:
        return "\n".join(f"    {line}" for line in self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])


@dataclass
class Supervisor:
    """Runs a graph until its session ends, a node dies, or somebody interrupts.

        with Supervisor(processes, run_dir) as running:
            running.wait(tell=progress)      # raises GraphError naming the node that died and its last lines

    A node that may be restarted (Process.restarts) is, and the run goes on; every other death ends it.
    Going down: the session first, then learner, recorder, and last what holds the arm.
    held: descriptors that every node keeps open: a lock of the run lasts until the last of them is gone.
    """

    processes: Sequence[Process]
    run_dir: Path
    held: tuple[int, ...] = ()
    running: list[Running] = field(default_factory=list, init=False)
    interrupted: bool = field(default=False, init=False)

    def __enter__(self) -> Supervisor:
        self._env = overlay.environment()
        try:
            for process in self.processes:
                self.running.append(self._start(process))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, *, tell: Callable[[], None] = lambda: None, every_s: float = 0.1) -> None:
        """Return when the session ended well or somebody interrupted; raise GraphError when a node died."""
        with self._heeding_interrupts():
            while not (self.interrupted or self.has_ended()):
                tell()
                time.sleep(every_s)

    def has_ended(self) -> bool:
        """Whether the session ended well. Looks after the dead: GraphError where one may not be started again."""
        for one in self.running:
            if one.exit_code is not None and not (one.process.is_session and one.exit_code == 0):
                self._bury(one)
        ended = [one for one in self.running if one.process.is_session and one.exit_code == 0]
        for one in ended:
            if not self._has_finished(one):
                self.stop()
                raise GraphError(f"{one.process.name} was told to end by somebody before its schedule was done")
        return bool(ended)

    def _has_finished(self, one: Running) -> bool:
        """Whether a session that left with 0 had nothing more to do, as its own summary says."""
        summary = self.run_dir / f"{one.process.name}.json"
        return not summary.exists() or bool(read_json(summary).get("finished", True))

    def stop(self) -> None:
        """End every process in order, and write who they were and how they ended. Again, it does nothing."""
        by_name = {one.process.name: one for one in self.running}
        for process in in_order_down([one.process for one in self.running]):
            _end(by_name[process.name])
        write_json(self.run_dir / "processes.json", {"nodes": self.facts()})

    def facts(self) -> list[dict[str, Any]]:
        return [
            {"name": r.process.name, "pid": r.popen.pid, "exit_code": r.exit_code, "restarts": r.n_restarts}
            for r in self.running
        ]

    def _bury(self, one: Running) -> None:
        """Start a dead node again once its time has come; GraphError, with all stopped, where it may not be."""
        if one.n_restarts >= one.process.restarts:
            self.stop()
            raise GraphError(_obituary(one))
        now_s = time.monotonic()
        if one.again_s is None:
            one.again_s = now_s + BACK_OFF_S * 2**one.n_restarts
            with one.log.open("ab") as log:
                log.write(f"--- {one.process.name} {how_it_ended(one.popen.returncode)}; is started again\n".encode())
        elif now_s >= one.again_s:
            process = replace(one.process, parameters={**one.process.parameters, **one.process.on_restart})
            one.popen, one.again_s = self._start(process, mode="ab").popen, None
            one.n_restarts += 1

    def _start(self, process: Process, *, mode: Literal["wb", "ab"] = "wb") -> Running:
        log = self.run_dir / "logs" / f"{process.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        files = parameter_files(process, self.run_dir)
        arguments = [word for path in files for word in ("--params-file", str(path))]
        executable = overlay.prefix() / "lib" / overlay.PACKAGE / process.name
        with log.open(mode) as out:
            popen = subprocess.Popen(
                [str(executable), "--ros-args", *enclave_arguments(process.name, self._env), *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._env,
                pass_fds=self.held,
                start_new_session=True,  # an interrupt at the prompt comes to us, and we choose the order
                preexec_fn=_die_with_parent,
            )
        return Running(process, popen, log)

    @contextmanager
    def _heeding_interrupts(self) -> Iterator[None]:
        def heed(_number: int, _frame: FrameType | None) -> None:
            self.interrupted = True

        before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def parameter_files(process: Process, run_dir: Path) -> list[Path]:
    """Write a process's parameters into the run's folder; that file, then the robot's own. The later one wins."""
    path = run_dir / "params" / f"{process.name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump({f"/**/{process.name}": {"ros__parameters": process.parameters}}, Dumper=PlainDumper))
    return [path, *([Path(process.params_file)] if process.params_file else [])]


def in_order_down(processes: Sequence[Process]) -> list[Process]:
    """Who ends first to who ends last: what asks for motion, the learner, the recorder, the guard, the arm."""
    last = ("learner_node", "recorder_node", "camera_node", "arm_node", "twin_node")
    return sorted(processes, key=lambda process: last.index(process.name) + 1 if process.name in last else 0)


def ended_well(exit_code: int | None) -> bool:
    """0; or SIGINT's own death, of a process that was told to end before it could listen, with nothing begun."""
    return exit_code in (0, -signal.SIGINT)


def how_it_ended(exit_code: int) -> str:
    """In words: a negative code is the signal that killed it."""
    return f"was killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with code {exit_code}"


def _end(one: Running) -> None:
    for number, grace_s in zip((signal.SIGINT, signal.SIGTERM), GRACE_S, strict=True):
        if one.exit_code is not None:
            return
        one.popen.send_signal(number)
        try:
            one.popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            continue
    if one.exit_code is None:
        one.popen.kill()
        one.popen.wait()


def _obituary(one: Running) -> str:
    assert one.exit_code is not None
    died = f"{one.process.name} {how_it_ended(one.exit_code)}"
    return f"{died}; the others were stopped, the arm holds. Its last lines ({one.log}):\n{one.last_lines()}"


def _die_with_parent() -> None:
    """A supervisor that is killed must not leave a graph behind that nobody watches (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
