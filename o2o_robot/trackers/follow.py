"""Follows the logs of a run as they grow and tells trackers, in a thread of its own: the node's loop waits for nothing.

Where the reading stands is kept beside the event files, so that a run taken up again tells every line once.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from o2o_robot.errors import DataError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.trackers import scalars
from o2o_robot.trackers.scalars import Told
from o2o_robot.trackers.tracker import Tracker

EVERY_S, MOST_BYTES = 1.0, 1 << 20  # of a log at one look: a backlog must not hold the interpreter for long
LOGS: dict[str, Callable[[Mapping[str, Any], int], Told | None]] = {
    "learner.jsonl": lambda line, count: scalars.learner(line),
    "episodes.jsonl": lambda line, count: scalars.episode(line),
    "policy.jsonl": lambda line, count: scalars.policy(line, count=count),
}


class Follower:
    """One node's part of a run.

    with Follower(run_dir, ("learner.jsonl",), open_trackers, warn=logger.warning) as follower:
        ...                         # looks once a second; `look` does at once
    """

    def __init__(
        self,
        run_dir: Path,
        logs: Sequence[str],
        open_trackers: Callable[[], Sequence[Tracker]],
        *,
        state: Path,
        warn: Callable[[str], None],
        resume: bool = False,
        every_s: float = EVERY_S,
    ) -> None:
        """logs: of LOGS. open_trackers: called in the thread, since importing them takes seconds.

        state: where the place in each log is kept; read again with resume, else a new run begins at its end, since
        what a folder held before is another run's.
        """
        self._run_dir, self._logs, self._open, self._state = run_dir, tuple(logs), open_trackers, state
        self._warn, self._every_s = warn, every_s
        self._places = self._recalled() if resume else {name: [self._size(name), 0] for name in self._logs}
        self._trackers: Sequence[Tracker] = ()
        self._must_stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trackers", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """What is in the logs by now is told first."""
        self._must_stop.set()
        self._thread.join(timeout=20.0)

    def open(self) -> None:
        self._trackers = self._open()

    def look(self) -> int:
        """Tell what is new; gives how many lines were told."""
        n = 0
        for name in self._logs:
            for told in self._new(name):
                n += 1
                for tracker in self._trackers:
                    tracker.scalars(told.values, step=told.step)
        if n:
            for tracker in self._trackers:
                tracker.flush()
            write_json(self._state, self._places)
        return n

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()

    def _run(self) -> None:
        """Whatever goes wrong here is said once, and the run goes on without curves."""
        try:
            self.open()
            while not self._must_stop.wait(self._every_s):
                self.look()
            while self.look():
                pass
            self.close()
        except Exception as problem:
            self._warn(f"no more curves: {type(problem).__name__}: {problem}; the logs in {self._run_dir} are whole")

    def _new(self, name: str) -> list[Told]:
        """The whole lines since the last look; a line cut short waits for its end, one that is not JSON is passed."""
        place = self._places.setdefault(name, [0, 0])
        if not (self._run_dir / name).is_file():
            return []
        with (self._run_dir / name).open("rb") as log:
            log.seek(place[0])
            data = log.read(MOST_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == MOST_BYTES:  # no log of ours has such a line: passed over
            whole = data
        place[0] += len(whole)
        found = []
        for text in whole.splitlines():
            place[1] += 1
            if (told := self._told(name, text, place[1])) is not None:
                found.append(told)
        return found

    @staticmethod
    def _told(name: str, text: bytes, count: int) -> Told | None:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return LOGS[name](line, count) if isinstance(line, dict) else None

    def _size(self, name: str) -> int:
        path = self._run_dir / name
        return path.stat().st_size if path.is_file() else 0

    def _recalled(self) -> dict[str, list[int]]:
        try:
            kept = read_json(self._state)
        except DataError:
            return {name: [0, 0] for name in self._logs}
        whole = {name: place for name, place in kept.items() if _is_place(place)}
        return {name: whole.get(name, [0, 0]) for name in self._logs}


def _is_place(place: Any) -> bool:
    return isinstance(place, list) and len(place) == 2 and all(isinstance(n, int) and n >= 0 for n in place)
