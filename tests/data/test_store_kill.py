"""kill -9 at random instants of a writer under load: at most the operation it was in is lost, never what was told."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data.labels import Correction
from o2o_robot.data.store import EpisodeStore
from o2o_robot.types import Episode

N_KILLS = 100
LIVE_AT_MOST = 10


def an_episode_of(seed: int) -> Episode:
    """Of 1 to 60 steps and 8 to 64 pixels a side: some commits are a single file long, some take milliseconds."""
    rng = np.random.default_rng(seed)
    return an_episode(int(rng.integers(1, 61)), seed=seed, side=int(rng.choice([8, 24, 64])))


@dataclass
class Books:
    """What the store must hold: number -> seed of the episodes alive and deleted, and number -> note of the last label.

    pending: the operation that was begun and not told to be done, if there is one.
    """

    alive: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    compacted: set[str] = field(default_factory=set)
    notes: dict[str, str] = field(default_factory=dict)
    pending: list | None = None
    next_seed: int = 0

    def enter(self, line: str) -> None:
        """Enter what the writer told: first what it begins, then with the number that it got, that it was done."""
        word, name, *rest = json.loads(line)
        self.pending = [name, *rest] if word == "begin" else None
        if word == "begin" and name == "append":
            self.next_seed = rest[0] + 1
        if word == "done":
            self.apply(name, *rest)

    def apply(self, name: str, number: str, argument: object) -> None:
        if name == "append":
            self.alive[number] = int(str(argument))
        elif name == "delete":
            self.deleted[number] = self.alive.pop(number)
        elif name == "undelete":
            self.alive[number] = self.deleted.pop(number)
        elif name == "correct":
            self.notes[number] = str(argument)
        elif name == "compact":
            self.compacted |= set(self.deleted)
            self.deleted.clear()


def write_until_killed(path: Path, tell: int, seed: int, next_seed: int) -> None:
    """Append, delete, take back, correct and compact for ever, telling each operation before and after."""
    rng, notes = np.random.default_rng(seed), 0

    def say(*words: object) -> None:
        os.write(tell, json.dumps(words).encode() + b"\n")

    with EpisodeStore.open_or_create(path) as store:
        say("ready", "", "", "")
        while True:
            alive = [store.number(i) for i in range(len(store))]
            there = [number for number in store.deleted if (path / "episodes" / number).exists()]
            name = rng.choice(["append", "append", "append", "delete", "undelete", "correct", "correct", "compact"])
            if len(alive) > LIVE_AT_MOST:
                name = "delete"
            if name == "append":
                say("begin", name, next_seed)
                number = store.number(store.append(an_episode_of(next_seed)))
                say("done", name, number, next_seed)
                next_seed += 1
            elif name == "compact":
                say("begin", name, "", there)
                store.compact()
                say("done", name, "", "")
            elif name == "undelete" and there:
                number = str(rng.choice(there))
                say("begin", name, number, "")
                store.undelete(number)
                say("done", name, number, "")
            elif name in ("delete", "correct") and alive:
                index = int(rng.integers(len(alive)))
                notes += 1
                say("begin", name, alive[index], f"{seed}.{notes}")
                if name == "delete":
                    store.delete(index, "bad")
                else:
                    store.correct(index, Correction("success", note=f"{seed}.{notes}"))
                say("done", name, alive[index], f"{seed}.{notes}")


def killed_writer(path: Path, books: Books, seed: int, after_s: float, *, at_work: bool) -> None:
    """Let a forked writer work, kill it after a while (counted from its being ready, or from its birth), keep books."""
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(listen)
            write_until_killed(path, tell, seed, books.next_seed)
        finally:
            os._exit(1)  # a mistake of this test: the parent sees that no signal ended it
    os.close(tell)
    with open(listen) as lines:
        told = [lines.readline()] if at_work else []
        time.sleep(after_s)  # the instant of the kill is the thing under test
        os.kill(child, signal.SIGKILL)
        told += lines.read().splitlines()
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the writer ended by itself"
    books.pending = None
    for line in told:
        if line.startswith('["ready"') or not line:
            continue
        books.enter(line)


def settle(books: Books, store: EpisodeStore) -> None:
    """Enter the operation that was cut off where the store shows that it was done: either is right, half is not."""
    found = {store.number(i): i for i in range(len(store))}
    new = found.keys() - books.alive.keys()
    match books.pending:
        case ["append", seed] if new:
            books.apply("append", new.pop(), seed)
        case ["delete", number, _] if number not in found:
            books.apply("delete", number, "")
        case ["undelete", number, _] if number in found:
            books.apply("undelete", number, "")
        case ["correct", number, note] if store.correction(found[number]) == Correction("success", note=note):
            books.apply("correct", number, note)
        case ["compact", _, there]:
            gone = {number for number in there if not (store.path / "episodes" / number).exists()}
            books.compacted |= gone
            books.deleted = {number: seed for number, seed in books.deleted.items() if number not in gone}


def check(books: Books, store: EpisodeStore, *, digests_of: set[str]) -> None:
    """The store holds what the books say, no more and no less; the arrays of `digests_of` bit for bit."""
    numbers = [store.number(i) for i in range(len(store))]
    assert numbers == sorted(books.alive)
    assert set(store.deleted) == books.deleted.keys() | books.compacted
    assert not store.unreadable
    for i, number in enumerate(numbers):
        assert store.meta(i)["id"] == f"ep-{books.alive[number]}"
        correction = store.correction(i)
        assert (correction.note if correction else None) == books.notes.get(number)
        if number in digests_of:
            assert ep.digest(store.read(i, corrected=False)) == ep.digest(an_episode_of(books.alive[number]))
    for number in books.deleted:
        assert (store.path / "episodes" / number).exists()


@pytest.mark.timeout(600)
def test_a_writer_killed_at_100_random_instants_loses_at_most_the_operation_it_was_in(tmp_path):
    rng, books, path = np.random.default_rng(7), Books(), tmp_path / "s"
    cut_off: dict[str, int] = {}
    for kill in range(N_KILLS):
        before, at_work = set(books.alive), kill % 5 != 0  # every fifth may die while it opens and repairs
        killed_writer(path, books, kill, rng.uniform(0, 0.03), at_work=at_work)
        if not (path / "zarr.json").exists():
            continue
        name = books.pending[0] if books.pending else "none"
        cut_off[name] = cut_off.get(name, 0) + 1
        reader = EpisodeStore.open(path)  # nothing is repaired yet: a reader sees whole episodes all the same
        settle(books, reader)
        check(books, reader, digests_of=set(books.alive) - before)
    with EpisodeStore.open(path, "a") as store:
        check(books, store, digests_of=set(books.alive))
        assert not [*path.glob("writing-*"), *path.glob("deleting-*"), *path.glob("damaged-*")]
        following = int(store.number(store.append(an_episode_of(0))))
        assert following > max(map(int, {*books.alive, *books.deleted, *books.compacted} - {"", None}))
    assert books.next_seed > 20, "the writers hardly wrote"
    assert cut_off.get("append", 0) > 5, f"hardly a kill came while an episode was being written: {cut_off}"
