"""Who does the work of an ingest: this process, processes of this machine, or a Dask cluster given by its address.

A task is one JSON text, its answer another: no pickle crosses between our processes, and a source that kills the
process that reads it costs only itself. Answers come in the order of the tasks, so that results do not depend on how
many workers there are. A worker writes episodes into a store of its own, which the one writer of the store adopts.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from o2o_robot.config import as_mapping, build
from o2o_robot.data.ingest import sources
from o2o_robot.data.ingest.job import Job, Look, Request, Tell
from o2o_robot.data.ingest.report import SourceReport
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError, O2OError, StoreError

_ERRORS: dict[str, type[O2OError]] = {each.__name__: each for each in (ConfigError, StoreError)}
STALL_S = 300  # hours of a bag are read in less; libhdf5 was seen to go round for ever in a damaged attribute
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")


@dataclass(frozen=True)
class Task:
    """A source to look at (path, ranged), or a job to ingest into a new store at `scratch`."""

    request: Request
    path: str = ""
    ranged: tuple[str, ...] = ()
    job: Job | None = None
    scratch: str = ""


@dataclass(frozen=True)
class Answer:
    """A look or a report; died: how the worker ended before it could give one, '' where it did not."""

    look: Look | None = None
    report: SourceReport | None = None
    died: str = ""


class Crew(Protocol):
    """Does tasks, a few at once; `answers` comes in the order of the tasks, and raises what stops all of them.

    with crew(4, None, store) as workers:
        for answer in workers.answers(tasks, tell): ...        # tell(number of the task, bytes read)
    """

    def answers(self, tasks: Iterable[Task], tell: Callable[[int, int], None]) -> Iterator[Answer]: ...


@contextmanager
def crew(n_workers: int, dask: str | None, store: EpisodeStore, *, apart: bool = False) -> Iterator[Crew]:
    """The crew that was asked for; its processes are gone afterwards. Raises ConfigError where there is none.

    apart: never in this process, because what reads the sources is a C library that a damaged file can hang or crash.
    """
    if n_workers < 1:
        raise ConfigError(f"workers must be at least 1, got {n_workers}")
    if dask:
        from o2o_robot.data.ingest.dask_cluster import DaskCluster

        with DaskCluster.connect(dask) as cluster:
            yield cluster
    elif n_workers == 1 and not apart:
        yield Alone(store)
    else:
        with Processes(n_workers) as processes:
            yield processes


@dataclass(frozen=True)
class Alone:
    """This process does it all, straight into the store."""

    store: EpisodeStore

    def answers(self, tasks: Iterable[Task], tell: Callable[[int, int], None]) -> Iterator[Answer]:
        for number, task in enumerate(tasks):
            yield do(task, lambda n, number=number: tell(number, n), sink=self.store)  # type: ignore[misc]


class Processes:
    """n processes of this machine. One that dies is replaced; what it was doing is answered with how it died.

    One that reads nothing for STALL_S is ended. timer: how that is measured.
    """

    def __init__(self, n: int, timer: Callable[[float, Callable[[], None]], threading.Timer] = threading.Timer) -> None:
        self._n = n
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker(timer) for _ in range(n)]
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Processes:
        self._threads = ThreadPoolExecutor(self._n)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()
        self._threads.shutdown(cancel_futures=True)

    def answers(self, tasks: Iterable[Task], tell: Callable[[int, int], None]) -> Iterator[Answer]:
        def submit(number: int, task: Task) -> Callable[[], Answer]:
            return self._threads.submit(self._do, task, lambda n: tell(number, n)).result

        return in_order(submit, tasks, ahead=2 * self._n)

    def _do(self, task: Task, tell: Tell) -> Answer:
        worker = self._idle.get()
        try:
            return worker.ask(task, tell)
        finally:
            self._idle.put(worker)


class _Worker:
    """One process that reads tasks from its standard input; started when first asked, and again after a death."""

    def __init__(self, timer: Callable[[float, Callable[[], None]], threading.Timer]) -> None:
        self._timer = timer
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  its standard error: a death shows the end

    def ask(self, task: Task, tell: Tell) -> Answer:
        """The answer of the process. A death is an answer too."""
        process = self._running()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(as_mapping(task)) + "\n")
            process.stdin.flush()
        while line := self._line_of(process):
            said = json.loads(line)
            if "read" not in said:
                return answer_of(said)
            tell(said["read"])
        self._process = None
        return Answer(died=self._last_words(process.wait()))

    def _line_of(self, process: subprocess.Popen[str]) -> str:
        """The next whole line of the process; '' where it is dead, or said nothing for so long that it had to die."""
        assert process.stdout is not None
        timer = self._timer(STALL_S, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        return line if line.endswith("\n") else ""

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._is_stopped = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None and not self._is_stopped:
            self._said.seek(0)
            self._said.truncate()
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                env={**os.environ, **_ONE_THREAD},
                start_new_session=True,  # an interrupt reaches the parent, which ends it
            )
        if self._process is None:
            raise DataError("the worker was stopped")
        return self._process

    def _last_words(self, code: int) -> str:
        with suppress(OSError, ValueError):
            self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 4096))
        words = self._said.read().decode(errors="replace").strip().splitlines()
        how = f"by signal {_signal_name(-code)}" if code < 0 else f"with exit code {code}"
        hint = (
            f"; it needed more memory than there is, or read nothing for {STALL_S} s" if code == -signal.SIGKILL else ""
        )
        return f"the worker that read it died {how}{f' ({words[-1]})' if words else ''}{hint}"


def in_order(
    submit: Callable[[int, Task], Callable[[], Answer]], tasks: Iterable[Task], *, ahead: int
) -> Iterator[Answer]:
    """The answers in the order of the tasks, with at most `ahead` tasks submitted and not yet yielded."""
    waiting: deque[Callable[[], Answer]] = deque()
    for number, task in enumerate(tasks):
        if len(waiting) >= ahead:
            yield waiting.popleft()()
        waiting.append(submit(number, task))
    while waiting:
        yield waiting.popleft()()


def do(task: Task, tell: Tell = lambda n: None, *, sink: EpisodeStore | None = None) -> Answer:
    """Do one task. Episodes go to `sink`, else to a new store at task.scratch."""
    if task.job is None:
        return Answer(look=sources.look(Path(task.path), task.request, task.ranged))
    if sink is not None:
        return Answer(report=sources.ingest(task.job, task.request, sink, tell))
    with EpisodeStore.create(task.scratch) as scratch:
        return Answer(report=sources.ingest(task.job, task.request, scratch, tell))


def do_text(text: str, tell: Tell = lambda n: None) -> str:
    """As `do`, from and to JSON; errors that stop the whole ingest are told, not raised."""
    try:
        return json.dumps(as_mapping(do(build(Task, json.loads(text), where="task"), tell)))
    except (ConfigError, StoreError) as problem:
        return json.dumps({"stop": type(problem).__name__, "text": str(problem)})


def answer_of(said: dict[str, Any]) -> Answer:
    """The answer in a worker's words. Raises what the worker could not get past."""
    if "stop" in said:
        raise _ERRORS[said["stop"]](said["text"])
    return build(Answer, said, where="answer")


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else str(number)


def _serve() -> None:
    """The life of a worker process: a line in, progress and an answer out, until its standard input closes."""
    with os.fdopen(os.dup(1), "w", buffering=1) as out:
        os.dup2(2, 1)  # what a library prints must not be taken for an answer

        def tell(n_bytes: int) -> None:
            out.write(json.dumps({"read": n_bytes}) + "\n")

        tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
        while True:
            out.write(do_text(tasks.get(), tell) + "\n")


def _listen(tasks: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)  # the parent is gone, so nobody waits for what is being made


if __name__ == "__main__":
    _serve()
