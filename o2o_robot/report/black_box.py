"""A black box read back: its messages as numbers on one time axis, 0 at the stop, and drawn.

python -m o2o_robot.report.black_box FOLDER...     # writes FOLDER/stop.png
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.black_box import FACTS, MESSAGES, PICTURE
from o2o_robot.black_box.stops import STOPPED
from o2o_robot.config import build
from o2o_robot.data.bag import Bag
from o2o_robot.data.decode import Types
from o2o_robot.errors import DataError, O2OError
from o2o_robot.jsonfile import read_json
from o2o_robot.safety.guard_config import PRESETS, GuardConfig
from o2o_robot.types import Array

NS = 1_000_000_000
_NEAR_NS = 1_000_000_000  # of the stop as the recorder saw it, to look for the guard's own word of it


class Track(NamedTuple):
    """Samples of one signal: t_s (N,) from the stop on, increasing; values (N, k)."""

    t_s: Array
    values: Array


class GuardWord(NamedTuple):
    """What the guard said at one time: its state, and the bits of its reasons."""

    t_s: float
    state: str
    reasons: int


class Command(NamedTuple):
    """A judged action: as asked, as sent, and why it differs."""

    t_s: float
    proposed: Array
    executed: Array
    reasons: int


@dataclass(frozen=True)
class Signals:
    """What a box holds, in SI units. A signal that nobody published has no samples."""

    facts: Mapping[str, Any]
    guard: GuardConfig | None
    tool: Track
    target: Track
    joints: Track
    force: Track
    words: tuple[GuardWord, ...] = ()
    commands: tuple[Command, ...] = ()
    episodes: tuple[tuple[float, str], ...] = ()

    @property
    def title(self) -> str:
        also = [str(reason) for reason in self.facts.get("also", ())]
        return "; then ".join([str(self.facts.get("reason", "stop")), *also[:2]])


def read(folder: Path) -> Signals:
    """The signals of a black box. Raises DataError where it is none, or is damaged."""
    facts = read_json(folder / FACTS)
    if not isinstance(facts.get("stop_ns"), int):
        raise DataError(f"{folder / FACTS} does not say when the stop was; is this the folder of a black box?")
    samples = _decoded(folder / MESSAGES, _parts(facts))
    stop_ns = _exact_stop_ns(int(facts["stop_ns"]), samples.get("safety_state", []))
    names = [str(name) for name in facts.get("joints", ())]

    def track(part: str, numbers: Any) -> Track:
        return _track(samples.get(part, []), numbers, stop_ns)

    return Signals(
        facts=facts,
        guard=_guard(facts),
        tool=track("current_pose", _position_m),
        target=track("target", _position_m),
        joints=track("joint_states", lambda message: _joints_rad(message, names)),
        force=track("external_wrench", lambda message: [float(np.linalg.norm(_xyz(message.wrench.force)))]),
        words=tuple(GuardWord((ns - stop_ns) / NS, m.state, int(m.reasons)) for ns, m in samples["safety_state"]),
        commands=tuple(_command(m, (ns - stop_ns) / NS) for ns, m in samples["executed_action"]),
        episodes=tuple(((ns - stop_ns) / NS, _event(m)) for ns, m in samples["episode"]),
    )


def draw(folder: Path) -> Path:
    """Write the picture of a black box into its folder; gives its path. Raises DataError where it is none."""
    from o2o_robot.report import black_box_figure, figures
    from o2o_robot.report.html import write_whole

    signals = read(folder)
    with figures.style():
        write_whole(folder / PICTURE, figures.png(black_box_figure.stop(signals)))
    return folder / PICTURE


def find(run_dir: Path) -> list[Path]:
    """The folders of all whole black boxes of a run, oldest first."""
    return sorted((path.parent for path in run_dir.rglob(f"black_box/*/{FACTS}")), key=lambda folder: folder.name)


def _parts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Topic -> its part; what is not of the arm contract is known by the end of its name."""
    topics = {str(topic): str(part) for part, topic in dict(facts.get("topics", {})).items()}
    for topic in dict(facts.get("messages", {})):
        end = str(topic).rpartition("/")[2]
        if end in ("safety_state", "executed_action", "episode", "joint_states", "current_pose", "external_wrench"):
            topics.setdefault(str(topic), end)
    return topics


def _decoded(path: Path, parts: Mapping[str, str]) -> dict[str, list[tuple[int, Any]]]:
    bag = Bag.open(path)
    known = {name: topic for name, topic in bag.topics().items() if name in parts}
    types, samples = Types(known), defaultdict(list)
    has_header = {name: types.has_header(name) for name in known}
    for message in bag.messages(known.keys()):
        if message.topic in known:
            decoded = types.message(message.topic, message.data)
            at_ns = _stamp_ns(decoded) if has_header[message.topic] else message.receipt_ns
            samples[parts[message.topic]].append((at_ns or message.receipt_ns, decoded))
    return samples


def _track(samples: list[tuple[int, Any]], numbers: Any, stop_ns: int) -> Track:
    """Rows by stamp; those that cannot be read, or say the same instant again, are left out."""
    rows = {ns: row for ns, message in samples if (row := numbers(message)) is not None}
    stamps = sorted(rows)
    if not stamps:
        return Track(np.zeros(0), np.zeros((0, 0)))
    values = np.array([rows[ns] for ns in stamps], float)
    return Track((np.array(stamps, float) - stop_ns) / NS, values.reshape(len(stamps), -1))


def _exact_stop_ns(heard_ns: int, words: list[tuple[int, Any]]) -> int:
    """When the guard said that it came to stop, where that is near to when the recorder heard of it."""
    states = [said.state for _, said in words]
    turns_ns = [ns for (ns, _), a, b in zip(words[1:], states, states[1:], strict=False) if a != b and b in STOPPED]
    nearest_ns = min(turns_ns, key=lambda ns: abs(ns - heard_ns), default=heard_ns)
    return nearest_ns if abs(nearest_ns - heard_ns) < _NEAR_NS else heard_ns


def _guard(facts: Mapping[str, Any]) -> GuardConfig | None:
    """As arm_node was told; its preset where it was not heard, or has settings that this code does not know."""
    try:
        told = {**dict(facts["guard"]), "lockstep": bool(facts.get("lockstep"))}
        return build(GuardConfig, told, where=FACTS) if len(told) > 1 else None
    except (KeyError, TypeError, O2OError):
        preset = PRESETS.get(str(facts.get("limits", "")))
        return preset() if preset else None


def _command(message: Any, t_s: float) -> Command:
    return Command(t_s, np.asarray(message.proposed), np.asarray(message.executed), int(message.reasons))


def _event(message: Any) -> str:
    started = message.kind == 0
    return f"{message.id} starts" if started else f"{message.id}: {message.termination}"


def _position_m(message: Any) -> list[float] | None:
    return _xyz(message.pose.position) if hasattr(message, "pose") else None  # targets of joints are not drawn


def _joints_rad(message: Any, names: list[str]) -> list[float] | None:
    found = dict(zip(message.name, message.position, strict=False))
    return [float(found[name]) for name in names] if names and all(name in found for name in names) else None


def _xyz(vector: Any) -> list[float]:
    return [float(vector.x), float(vector.y), float(vector.z)]


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * NS + int(message.header.stamp.nanosec)


def main() -> None:
    try:
        for folder in sys.argv[1:]:
            print(draw(Path(folder)))
    except O2OError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
