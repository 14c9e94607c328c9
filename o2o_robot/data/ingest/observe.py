"""The messages that Plans name become arrays: numbers and pictures, only what is used is decoded, and that once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.contract import ActionStream, Contract, RewardStream, StateField
from o2o_robot.data.ingest.pixel_rows import PixelRows
from o2o_robot.data.ingest.streams import Fate, Raw, Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Array

if TYPE_CHECKING:
    from o2o_robot.data.ingest.plan import Plan

_DECODERS = 2
_IN_FLIGHT = 64  # images decoded at a time: full-size pixels never pile up
_PATIENCE = 2  # rounds with unreadable messages of a topic, before all of it is looked through at once


class Undecodable(Exception):
    """Messages of `topic` that no one can read, and why the first could not be."""

    def __init__(self, topic: str, indices: list[int], reason: str) -> None:
        super().__init__(reason)
        self.topic, self.indices, self.reason = topic, indices, reason


class _Field(NamedTuple):
    """Numbers that are taken from messages of a topic, and the rows taken so far by message index."""

    what: StateField | ActionStream | RewardStream
    rows: dict[int, Array]


class Reader:
    """What the messages of a recording say, as far as plans have asked for it. No message is decoded twice.

    reader = Reader(recording, contract, names)
    while not reader.read(plans):               # unreadable messages are marked: plan again without them
        plans = ...
    images, state = reader.images(plan), reader.state(plan)

    scratch: a folder with room for the pixels of all plans; without one they are held in memory.
    """

    def __init__(
        self, recording: Recording, contract: Contract, names: dict[str, str], scratch: Path | None = None
    ) -> None:
        self.notes: list[str] = []
        self._recording, self._contract, self._names = recording, contract, names
        self._fields: dict[str, dict[str, _Field]] = {}  # topic of the bag -> what it is for -> field
        self._pictures: dict[str, dict[str, PixelRows]] = {}
        self._known: dict[str, set[int]] = {}
        self._rounds = Counter[str]()
        self._bad: dict[str, dict[int, str]] = {}
        self._executed: dict[int, Any] = {}
        self._executed_topic = names[contract.action.topic] if contract.action.kind == "executed" else ""
        for name, each in contract.state.items():
            self._fields.setdefault(names[each.topic], {})[f"state/{name}"] = _Field(each, {})
        if contract.action.kind == "command":
            self._fields.setdefault(names[contract.action.topic], {})["action"] = _Field(contract.action, {})
        judge = contract.reward_stream or (contract.reward and RewardStream(contract.reward, "reward"))
        if judge:
            self._fields.setdefault(names[judge.topic], {})["reward"] = _Field(judge, {})
        for name, camera in contract.images.items():
            rows = PixelRows(camera, scratch)
            self._pictures.setdefault(names[camera.topic], {})[f"images/{name}"] = rows

    def read(self, plans: Iterable[Plan]) -> bool:
        """Decode what these plans need. False where messages cannot be read: they are marked and noted."""
        wanted = {topic: self._unknown(topic, index) for topic, index in self._asked(list(plans)).items()}
        for topic, index in wanted.items():
            for rows in self._pictures.get(topic, {}).values():
                rows.expect(index)
        seen, n_bad = Counter[str](), sum(map(len, self._bad.values()))
        with ThreadPoolExecutor(_DECODERS) as pool:  # OpenCV lets go of the interpreter lock
            waiting: list[Raw] = []
            for raw in self._recording.select(wanted):
                seen[raw.topic] += 1
                if raw.topic in self._pictures:
                    waiting.append(raw)
                else:
                    self._note(raw, self._take(raw))
                if len(waiting) == _IN_FLIGHT:
                    self._take_all(waiting, pool)
            self._take_all(waiting, pool)
        for topic, index in wanted.items():
            self._check(topic, index, seen[topic])
        return n_bad == sum(map(len, self._bad.values()))

    def images(self, plan: Plan) -> dict[str, Array]:
        """Each camera's pixels at every tick of the plan, uint8 (T+1, side, side, 3)."""
        return {
            name: self._pictures[self._names[each.topic]][f"images/{name}"].at(plan.observed[each.topic])
            for name, each in self._contract.images.items()
        }

    def state(self, plan: Plan) -> dict[str, Array]:
        """Each field of the state at every tick of the plan, float32 (T+1, k)."""
        return {
            name: self._values(each.topic, f"state/{name}", plan.observed[each.topic])
            for name, each in self._contract.state.items()
        }

    def command(self, plan: Plan) -> Array:
        """The commands of the plan as recorded, float32 (T, k)."""
        return self._values(self._contract.action.topic, "action", plan.action)

    def executed(self, plan: Plan) -> list[Any]:
        """The executed actions of the plan, T messages."""
        return [self._executed[i] for i in plan.action.tolist()]

    def problem(self, plan: Plan) -> str:
        """Why the plan cannot be an episode as it is: the first message it names that cannot be read; '' if all can."""
        for topic, index in self._asked([plan]).items():
            bad = [i for i in index.tolist() if i in self._bad.get(topic, {})]
            if bad:
                return f"message {bad[0]} of {topic}: {self._bad[topic][bad[0]]}"
        return ""

    def reward(self, plan: Plan) -> Array:
        """The reward of every step, float32 (T,); 0 where the judge said nothing."""
        reward = np.zeros(len(plan.reward), np.float32)
        judge = self._contract.reward_stream.topic if self._contract.reward_stream else self._contract.reward
        said = plan.reward >= 0
        if judge and said.any():
            values = self._values(judge, "reward", plan.reward[said])
            if values.shape[1] != 1:
                raise DataError(
                    f"{self._names[judge]}: a reward is one number, its field holds {values.shape[1]}; "
                    "name one of them in the contract, e.g. data[0]"
                )
            reward[said] = values[:, 0]
        return reward

    def _asked(self, plans: list[Plan]) -> dict[str, Array]:
        """For each topic of the bag, the messages that plans name, in order."""
        asked: dict[str, list[Array]] = {}
        judge = self._contract.reward_stream.topic if self._contract.reward_stream else self._contract.reward
        for plan in plans:
            for topic, index in plan.observed.items():
                asked.setdefault(self._names[topic], []).append(index)
            if self._contract.action.kind in ("command", "executed"):
                asked.setdefault(self._names[self._contract.action.topic], []).append(plan.action)
            if judge:
                asked.setdefault(self._names[judge], []).append(plan.reward[plan.reward >= 0])
        return {topic: np.unique(np.concatenate(index)) for topic, index in asked.items()}

    def _unknown(self, topic: str, index: Array) -> Array:
        if self._rounds[topic] >= _PATIENCE and topic not in self._pictures:
            index = np.flatnonzero(self._recording.streams[topic].fate != Fate.UNDECODABLE)
        known, bad = self._known.setdefault(topic, set()), self._bad.get(topic, {})
        return np.array([i for i in index.tolist() if i not in known and i not in bad], np.int64)

    def _take_all(self, waiting: list[Raw], pool: ThreadPoolExecutor) -> None:
        for raw, problem in zip(waiting, pool.map(self._take, waiting), strict=True):
            self._note(raw, problem)
        waiting.clear()
        for topic in self._pictures.values():
            for rows in topic.values():
                rows.let_go()

    def _take(self, raw: Raw) -> str:
        """Decode one message for all that it is for. Returns why that cannot be, or ''."""
        try:
            message = self._recording.types.message(raw.topic, raw.data)
            if raw.topic == self._executed_topic:
                self._executed[raw.number] = message
            for field in self._fields.get(raw.topic, {}).values():
                field.rows[raw.number] = _numbers(message, field.what)
            for rows in self._pictures.get(raw.topic, {}).values():
                rows.put(raw.number, decode.picture(message, rows.camera.side, rows.camera))
        except DataError as problem:
            return str(problem)
        return ""

    def _note(self, raw: Raw, problem: str) -> None:
        if problem:
            self._bad.setdefault(raw.topic, {})[raw.number] = problem
        else:
            self._known[raw.topic].add(raw.number)

    def _check(self, topic: str, index: Array, n_seen: int) -> None:
        """Mark and note what could not be read. Raises DataError where that is all, or a message has vanished."""
        if n_seen != len(index):
            raise DataError(
                f"{topic}: {len(index)} messages were there a moment ago, now {n_seen}; is it being written?"
            )
        bad = [i for i in index.tolist() if i in self._bad.get(topic, {})]
        if not bad:
            return
        reason = self._bad[topic][bad[0]]
        self._recording.streams[topic].mark(bad, Fate.UNDECODABLE)
        if not self._known[topic] and len(bad) > 1:
            raise DataError(f"{topic}: none of the {len(bad)} messages that are needed can be read ({reason})")
        self._rounds[topic] += 1
        self.notes.append(f"{topic}: {len(bad)} unreadable messages ({reason})")

    def _values(self, topic: str, use: str, index: Array) -> Array:
        field = self._fields[self._names[topic]][use]
        return stack([field.rows[i] for i in index.tolist()], f"'{field.what.field}' of {self._names[topic]}")


def vectors(recording: Recording, topic: str, index: Array, what: StateField | ActionStream) -> Array:
    """The field of `what` in messages `index` (N,) as float32 (N, k). Raises Undecodable naming the messages."""
    rows: dict[int, Array] = {}
    bad: dict[int, str] = {}
    for number, message in _decoded(recording, topic, index, bad):
        try:
            rows[number] = _numbers(message, what)
        except DataError as problem:
            bad[number] = str(problem)
    if bad:
        raise Undecodable(topic, sorted(bad), bad[min(bad)])
    return stack([rows[int(number)] for number in index], f"'{what.field}' of {topic}")


def messages(recording: Recording, topic: str, index: Array) -> list[Any]:
    """Messages `index` (N,) of a topic, decoded, in that order. Raises Undecodable naming those that cannot be."""
    bad: dict[int, str] = {}
    found = dict(_decoded(recording, topic, index, bad))
    if bad:
        raise Undecodable(topic, sorted(bad), bad[min(bad)])
    return [found[int(number)] for number in index]


def stack(rows: list[Array], what: str) -> Array:
    """Rows (k,) as (N, k). Raises DataError where they differ in length."""
    sizes = sorted({len(row) for row in rows})
    if len(sizes) != 1:
        raise DataError(f"{what}: messages hold {' and '.join(map(str, sizes))} values; their number must not change")
    return np.stack(rows)


def _decoded(recording: Recording, topic: str, index: Array, bad: dict[int, str]) -> Iterator[tuple[int, Any]]:
    """Each message once, with its number; why one cannot be decoded is put into `bad`."""
    for raw in recording.select({topic: np.unique(index)}):
        try:
            yield raw.number, recording.types.message(topic, raw.data)
        except DataError as problem:
            bad[raw.number] = str(problem)


def _numbers(message: Any, what: StateField | ActionStream | RewardStream) -> Array:
    return decode.numbers(message, what.field, getattr(what, "joints", ()), getattr(what, "default", None))
