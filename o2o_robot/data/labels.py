"""Labels after the fact: what is corrected about an episode, what that makes of it, and the log of all corrections.

STORE/labels.jsonl     one JSON object a line, appended and never rewritten: {"number": "000012", ..., "sha256": "..."}

What was recorded stays as it is. The last correction of an episode is laid over it whenever it is read, so that undoing
is one more line (`Correction.recorded`). A line is whole once its newline is there: a writer's death can cut only the
last one, which nobody was told of; it is passed over, and removed by the next `append`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from o2o_robot import config
from o2o_robot.data.archive import line_log
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.types import Array, Episode, Outcome, Termination

LOG_NAME = "labels.jsonl"
MAX_LINE_BYTES = 16 << 20  # the rewards of about a million steps
_LARGEST_REWARD = 1e30  # far inside float32, in which rewards are stored

OutcomeWord = Literal["success", "failure", "unknown"]
_OUTCOMES = {"success": Outcome.SUCCESS, "failure": Outcome.FAILURE, "unknown": Outcome.INCOMPLETE}
_NUMBER = re.compile(r"[0-9]{6,12}")
_REMEDY = "remove that line to do without the correction"


@dataclass(frozen=True)
class Correction:
    """All that is corrected about one episode; None keeps what was recorded.

    outcome: "unknown" says that nobody can tell. reward: raw, one number a step (T,), in place of the recorded ones.
    by: how it came about. who: a person, a file, or a classifier and its version. at: ISO time.
    probability: of success, where a classifier judged.
    """

    outcome: OutcomeWord | None = None
    reward: tuple[float, ...] | None = None
    by: Literal["file", "classifier", "hand"] = "hand"
    who: str = ""
    at: str = ""
    probability: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.outcome not in (None, *_OUTCOMES):
            raise ConfigError(f"outcome '{self.outcome}' is unknown; allowed: {', '.join(_OUTCOMES)}")
        if self.reward is not None:
            object.__setattr__(self, "reward", tuple(float(value) for value in self.reward))  # an array is welcome
            if not (self.reward and (np.abs(self.reward) <= _LARGEST_REWARD).all()):  # NaN is not <= either
                raise ConfigError("reward holds a number that is not finite, or none at all; give one number a step")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ConfigError(f"probability must be 0 to 1, got {self.probability}")

    @classmethod
    def recorded(cls, *, by: Literal["file", "classifier", "hand"], who: str, at: str, note: str = "") -> Correction:
        """Back to what was recorded: the undo of every correction before it."""
        return cls(None, None, by, who, at, note=note)

    @property
    def is_recorded(self) -> bool:
        """Whether it changes nothing."""
        return self.outcome is None and self.reward is None


class Line(NamedTuple):
    """One entry of the log: the episode's number in its store ("000012"), and what was corrected."""

    number: str
    correction: Correction


def outcome_of(meta: Mapping[str, Any]) -> OutcomeWord:
    """The outcome in an episode's meta as a label's word: "unknown" where it is incomplete, or was never told."""
    words: dict[Any, OutcomeWord] = {Outcome.SUCCESS.value: "success", Outcome.FAILURE.value: "failure"}
    return words.get(meta.get("outcome"), "unknown")


def describe(correction: Correction) -> dict[str, Any]:
    """The correction as a JSON object without its rewards, which may be many: what meta["label"] holds."""
    return {**_document(correction), "reward": None if correction.reward is None else len(correction.reward)}


def apply(episode: Episode, correction: Correction) -> Episode:
    """The episode with the correction laid over it; the same object where it changes nothing.

    A success is terminated on its last step with reward 1 there (a recorded success keeps the reward it has). A failure
    or an unknown end is truncated, so that it bootstraps, and loses the success's reward; a recorded failure stays as
    it ended. `reward`, where given, stands in place of the recorded and of the success's. Applying a correction twice
    is applying it once. Raises DataError where reward has another length than the episode.
    """
    if correction.is_recorded:
        return episode
    last = np.arange(len(episode)) == len(episode) - 1
    is_terminal = bool(episode.terminated[-1])
    if correction.outcome is not None:
        is_terminal = _is_terminal(episode, correction.outcome)
    return replace(
        episode,
        reward=_rewards(episode, correction),
        terminated=last & is_terminal,
        truncated=last & (not is_terminal if correction.outcome else bool(episode.truncated[-1])),
        meta=corrected_meta(episode.meta, correction),
    )


def corrected_meta(meta: Mapping[str, Any], correction: Correction) -> dict[str, Any]:
    """`meta` with outcome, termination and label as the correction has them; needs no arrays."""
    if correction.is_recorded:
        return dict(meta)
    facts: dict[str, Any] = {"label": describe(correction)}
    if correction.outcome is not None:
        facts["outcome"] = _OUTCOMES[correction.outcome].value
        facts["termination"] = _termination(meta, correction.outcome)
    return {**meta, **facts}


def read_log(store_path: str | Path) -> dict[str, Correction]:
    """The last correction of every episode that has one, by its number; empty where nothing was ever corrected.

    Raises DataError naming the line that is not what `append` writes.
    """
    return dict(history(store_path))


def history(store_path: str | Path) -> Iterator[Line]:
    """Every correction ever made, oldest first. Raises DataError naming the line that is not what `append` writes."""
    path = Path(store_path) / LOG_NAME
    for number, content in enumerate(line_log.read(path, max_line_bytes=MAX_LINE_BYTES), start=1):
        yield _parse(content, where=f"{path}, line {number}")


def append(store_path: str | Path, number: str, correction: Correction, *, durable: bool = False) -> None:
    """Log one correction; it is in the file when this returns (on the disk itself where durable).

    The caller holds the store's writer lock. Raises StoreError where the disk refuses; the log is then as it was.
    """
    if not _NUMBER.fullmatch(number):
        raise DataError(f"'{number}' is no episode's number; it is the name of its folder, like 000012")
    content, path = {"number": number, **_document(correction)}, Path(store_path) / LOG_NAME
    line_log.append(path, content, durable=durable, max_line_bytes=MAX_LINE_BYTES)


def _is_terminal(episode: Episode, outcome: OutcomeWord) -> bool:
    if outcome == "failure" and outcome_of(episode.meta) == "failure":
        return bool(episode.terminated[-1])
    return outcome == "success"


def _termination(meta: Mapping[str, Any], outcome: OutcomeWord) -> str:
    """A success ends by the task. What the task had ended and did not succeed, somebody stopped, as at ingest."""
    recorded = str(meta.get("termination", Termination.OPERATOR.value))
    if outcome == "success":
        return Termination.TASK.value
    is_same = outcome == "failure" == outcome_of(meta)
    return Termination.OPERATOR.value if recorded == Termination.TASK.value and not is_same else recorded


def _rewards(episode: Episode, correction: Correction) -> Array:
    """(T,) float32."""
    if correction.reward is not None:
        if len(correction.reward) != len(episode):
            told = f"{len(correction.reward)} rewards for the {len(episode)} steps of '{episode.meta.get('id', '?')}'"
            raise DataError(f"{told}; give one number a step")
        return np.asarray(correction.reward, np.float32)
    if correction.outcome == "success":
        return episode.reward if _has_success(episode) else np.append(episode.reward[:-1], np.float32(1))
    return _without_success(episode.reward) if correction.outcome and _has_success(episode) else episode.reward


def _has_success(episode: Episode) -> bool:
    """Whether its rewards say that it succeeded: in 0/1 by what is above 0, in -1/0 by where the task ended it."""
    is_told = outcome_of(episode.meta) == "success" or "outcome" not in episode.meta
    return is_told and bool(episode.reward[-1] > 0 or (episode.terminated[-1] and "outcome" in episode.meta))


def _without_success(reward: Array) -> Array:
    """Reward (T,) whose last run of equal values is brought down to what came before it (0 where nothing lower did)."""
    others = np.flatnonzero(reward != reward[-1])
    start = int(others[-1]) + 1 if len(others) else 0
    base = reward[start - 1] if start and reward[start - 1] < reward[-1] else min(reward[-1], np.float32(0))
    return np.append(reward[:start], np.full(len(reward) - start, base, np.float32))


def _document(correction: Correction) -> dict[str, Any]:
    return {name: value for name, value in asdict(correction).items() if value not in (None, "") or name == "outcome"}


def _parse(content: dict[str, Any], *, where: str) -> Line:
    number = content.pop("number", None)
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        raise DataError(f"{where} names no episode; {_REMEDY}")
    try:
        return Line(number, config.build(Correction, content, where=where))
    except ConfigError as problem:
        raise DataError(f"{problem}; {_REMEDY}") from None
