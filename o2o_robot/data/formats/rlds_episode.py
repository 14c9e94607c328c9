"""The features of one RLDS episode become an Episode: which are cameras and state, which rows are steps, how it ended.

A row holds o(t), a(t) and the reward that followed, but no row follows the last: N rows are N - 1 steps, and the last
row's action goes, which RLDS itself leaves undefined. Open X-Embodiment puts the reward of a success on that last,
terminal row; there all N rows are kept and o(N-1) stands for o(N), after which nothing is learned (as in
lerobot_episode.py). Terminated is is_terminal (else a discount of 0); is_last without it is truncated. Where neither
is set the episode was cut out of a longer one: truncated, unless it is known for a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.bags.pictures import picture
from o2o_robot.data.formats import needs_libraries
from o2o_robot.data.formats.dataset import Wishes
from o2o_robot.data.formats.demonstration import (
    MAX_ROWS,
    Demonstration,
    check_size,
    choose,
    ended,
    episode_of,
    outcome_from_reward,
    plain_name,
    stamps_ns,
)
from o2o_robot.data.formats.lerobot_table import Encoded
from o2o_robot.data.formats.rlds_example import Feature
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Termination

HZ = 10.0  # between the 3 and 20 Hz of Open X-Embodiment's robots; the records hold no stamps
_SEEN = "steps/observation/"
_ACTION = "steps/action"
_METADATA = "episode_metadata/"
_FIRST = "steps/is_first"
_FLAGS = (_FIRST, "steps/is_last", "steps/is_terminal")
_PER_ROW = (*_FLAGS, "steps/reward", "steps/discount")
_TASKS = (
    "steps/language_instruction",
    "steps/observation/natural_language_instruction",
    "episode_metadata/language_instruction",
)
_MAX_WIDTH = 4096
_MAX_FACTS = 32
_MAX_TEXT = 200
_MAX_FACT_BYTES = 1 << 16

Features = Mapping[str, Feature]


class Rows(NamedTuple):
    """The rows of an episode: how many, actions (N, k), rewards (N,) or None; is_terminal None: no end is marked."""

    n: int
    action: Array
    reward: Array | None
    is_terminal: bool | None


def rows_of(features: Features, widths: Mapping[str, int]) -> Rows:
    """Raises DataError where columns differ in rows, or an end is set before the last row."""
    n_rows = _n_rows(features, widths)
    held = {name: column(features, name, n_rows, widths)[:, 0] for name in _PER_ROW if name in features}
    _check_flags(held, n_rows)
    is_terminal = _is_terminal(held)
    is_last = bool(held.get("steps/is_last", [0])[-1]) or bool(is_terminal)
    action = action_of(features, n_rows, widths)
    return Rows(n_rows, action, held.get("steps/reward"), is_terminal if is_last else None)


def action_of(features: Features, n_rows: int, widths: Mapping[str, int]) -> Array:
    """Actions (N, k) float64; where they are a dict, its numbers side by side in order of their names."""
    names = action_names(features)
    if not names:
        raise DataError(f"there is no '{_ACTION}' made of numbers (it has {', '.join(list(features)[:12])})")
    return np.concatenate([column(features, name, n_rows, widths) for name in names], axis=1).astype(np.float64)


def action_names(features: Features) -> list[str]:
    """The features that make up an action."""
    if _ACTION in features:
        return [_ACTION]
    return sorted(name for name, each in features.items() if name.startswith(f"{_ACTION}/") and _is_numbers(each))


def column(features: Features, name: str, n_rows: int, widths: Mapping[str, int]) -> Array:
    """A feature of numbers as (n_rows, k). Raises DataError where it does not have as many for every row."""
    try:
        values = features[name].numbers()
    except DataError as problem:
        raise DataError(f"'{name}' {problem}") from None
    width = widths.get(name, len(values) // n_rows)
    if not width or len(values) != n_rows * width:
        raise DataError(f"'{name}' has {len(values)} numbers for {n_rows} rows of {width or 'any'}")
    return values.reshape(n_rows, width)


def build(
    features: Features,
    *,
    id: str,
    widths: Mapping[str, int],
    wishes: Wishes,
    action_range: ActionRange | None,
    facts: Mapping[str, Any],
) -> Episode:
    """The Episode of a record, valid. widths: numbers a row of the features whose shape is known. Raises DataError."""
    rows = rows_of(features, widths)
    cameras, state, left_out = _kinds(features, rows.n)
    cameras = choose(cameras, wishes.cameras, what="camera", where=id)
    fields = choose(state, wishes.state, what="state field", where=id)
    check_size(rows.n, wishes.image_side, len(cameras), sum(state[key] for key in fields), where=id)
    is_repeated = bool(rows.is_terminal) and rows.reward is not None and rows.reward[-1] != 0
    n_steps = rows.n if is_repeated else rows.n - 1
    if n_steps < 1:
        raise DataError("one row has no next observation, so there is no step to learn from")
    seen = np.minimum(np.arange(n_steps + 1), rows.n - 1)
    demonstration = Demonstration(
        id=id,
        images={plain_name(key): _pictures(features, key, rows.n, wishes.image_side)[seen] for key in cameras},
        state={plain_name(key): column(features, _SEEN + key, rows.n, widths)[seen] for key in fields},
        stamp_ns=stamps_ns(n_steps + 1, HZ),
        action=rows.action[:n_steps],
        reward=np.zeros(n_steps) if rows.reward is None else rows.reward[:n_steps],
        outcome=None if rows.reward is None else outcome_from_reward(rows.reward),
        task=_task(features),
        facts={**facts, **_facts(features, left_out, is_repeated=is_repeated)},
    )
    episode = episode_of(demonstration, wishes, action_range)
    if rows.is_terminal is None:  # the record does not say
        return episode
    return ended(episode, is_terminal=rows.is_terminal, otherwise=Termination.TIME_LIMIT)


def _n_rows(features: Features, widths: Mapping[str, int]) -> int:
    """By what has one number a row, else by the width of the action. Raises DataError where neither is there."""
    counts = {name: len(features[name].numbers()) for name in _PER_ROW if name in features}
    if not counts and _ACTION in features and widths.get(_ACTION):
        counts[_ACTION] = len(features[_ACTION].numbers()) // widths[_ACTION]
    if not counts:
        raise DataError(f"its rows cannot be counted: none of {', '.join(_PER_ROW)} is there, nor features.json")
    name, n_rows = next(iter(counts.items()))
    if not 0 < n_rows <= MAX_ROWS:
        raise DataError(f"'{name}' has {n_rows} rows, expected 1 to {MAX_ROWS}")
    return n_rows


def _check_flags(held: Mapping[str, Array], n_rows: int) -> None:
    for name in _FLAGS:
        rows = np.flatnonzero(held.get(name, ()))
        stray = rows[rows != (0 if name == _FIRST else n_rows - 1)]
        if len(stray):
            raise DataError(f"{name} is set at row {stray[0]} of {n_rows}; a record must be one episode")


def _is_terminal(held: Mapping[str, Array]) -> bool | None:
    if "steps/is_terminal" in held:
        return bool(held["steps/is_terminal"][-1])
    return bool(held["steps/discount"][-1] == 0) if "steps/discount" in held else None


def _kinds(features: Features, n_rows: int) -> tuple[list[str], dict[str, int], list[str]]:
    """Cameras, state fields with their widths, and what is neither, of the observation; keys without their prefix."""
    cameras: list[str] = []
    state: dict[str, int] = {}
    left_out: list[str] = []
    for name in sorted(each for each in features if each.startswith(_SEEN)):
        feature, key = features[name], name.removeprefix(_SEEN)
        width = _width(feature, n_rows)
        if feature.kind == "bytes" and _is_picture(feature):
            cameras.append(key)
        elif 1 <= width <= _MAX_WIDTH:
            state[key] = width
        elif name not in _TASKS:
            left_out.append(key)
    return cameras, state, left_out


def _width(feature: Feature, n_rows: int) -> int:
    """Numbers a row; 0 where it does not hold as many for every row."""
    try:
        n_values = len(feature.numbers())
    except DataError:
        return 0
    return n_values // n_rows if n_values % n_rows == 0 else 0


def _is_numbers(feature: Feature) -> bool:
    return feature.kind in ("floats", "ints")


def _is_picture(feature: Feature) -> bool:
    """A JPEG, or a PNG of 8 bits: one of 16 is depth."""
    head = bytes(next(iter(feature.texts()), b"")[:25])
    return head.startswith(b"\xff\xd8") or (head.startswith(b"\x89PNG\r\n\x1a\n") and head[24:] == b"\x08")


def _pictures(features: Features, key: str, n_rows: int, side: int) -> Array:
    """Frames (n_rows, side, side, 3) uint8 RGB."""
    encoded = features[_SEEN + key].texts()
    if len(encoded) != n_rows:
        raise DataError(f"'{key}' has {len(encoded)} pictures for {n_rows} rows")
    frames = np.empty((n_rows, side, side, 3), np.uint8)
    with needs_libraries("decoding pictures"):
        for row, data in enumerate(encoded):
            try:
                frames[row] = picture(Encoded("image", np.frombuffer(data, np.uint8)), side)
            except DataError as problem:
                raise DataError(f"'{key}' at row {row}: {problem}") from None
    return frames


def _task(features: Features) -> str:
    """The instruction of the first row, where there is one."""
    for name in _TASKS:
        texts = features[name].texts() if name in features and features[name].kind == "bytes" else []
        if texts and len(texts[0]):
            return _text(texts[0])
    return ""


def _facts(features: Features, left_out: list[str], *, is_repeated: bool) -> dict[str, Any]:
    """What else is worth keeping: what the record says of itself, the parts of an action, what was passed over."""
    names = [name for name in features if name.startswith(_METADATA)][:_MAX_FACTS]
    told = {name.removeprefix(_METADATA): fact for name in names if (fact := _fact(features[name])) is not None}
    found: dict[str, Any] = {"assumed_hz": HZ, "episode_metadata": told} if told else {"assumed_hz": HZ}
    if action_names(features) != [_ACTION]:
        found["action_parts"] = [name.removeprefix(f"{_ACTION}/") for name in action_names(features)]
    if left_out:
        found["left_out"] = left_out
    return {**found, "final_observation": "repeated"} if is_repeated else found


def _fact(feature: Feature) -> Any:
    """A value, or up to a few, as JSON holds them; None for what is empty, large or not finite."""
    if not feature.kind or not 0 < feature.n_bytes <= _MAX_FACT_BYTES:
        return None
    if feature.kind == "bytes":
        values: list[Any] = [_text(each) for each in feature.texts()]
    else:
        values = [value for value in feature.numbers().tolist() if np.isfinite(value)]
    return values[0] if len(values) == 1 else values[:_MAX_FACTS] or None


def _text(data: memoryview) -> str:
    return bytes(data[:_MAX_TEXT]).decode("utf-8", "replace")
