"""How far a recorder's steps are safe: below which number every step lies in an episode that is stored or given up."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from o2o_robot.jsonfile import read_json, write_json


class StepMemory:
    """memory.took(run, number, episode); memory.settle(recorder.running); acknowledge(memory.durable)

    path: where run and number are kept, so that a recorder that was killed asks for what it lacks; None: nowhere.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        known = read_json(path) if path is not None and path.is_file() else {}
        self.run, self.durable = str(known.get("run", "")), int(known.get("durable", 0))
        self._begun: dict[str, int] = {}  # episode -> number of its first step
        self._next = self.durable

    def took(self, run: str, number: int, episode: str) -> None:
        """A step came, in order."""
        if run != self.run:
            self.run, self.durable = run, 0
            self._begun.clear()
        self._begun.setdefault(episode, number)
        self._next = number + 1

    def settle(self, running: Collection[str]) -> None:
        """Of all episodes only these are open."""
        self._begun = {episode: number for episode, number in self._begun.items() if episode in running}
        durable = min(self._begun.values(), default=self._next)
        if durable != self.durable and self.run:
            self.durable = durable
            if self._path is not None:
                write_json(self._path, {"run": self.run, "durable": durable})
