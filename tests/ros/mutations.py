"""Sound messages of every kind that a node hears, and the same with something in them spoiled."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from o2o_msgs import msg as m
from sensor_msgs.msg import JointState

from o2o_nodes import convert
from o2o_robot.types import Action, Executed, Observation, Pose, Source, Step, TaskState

WORDS = ("", "x" * 1_000_000, "../../etc/passwd", "a\nb", "\0", "wrist", "eval", "é" * 300, "online-000000")
FLOATS = (float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, 0.0, 1e9)
LENGTHS = (0, 1, 2, 5, 4097, 100_000)
INT_BITS = {
    "uint8": 8,
    "octet": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
    "int8": -8,
    "int16": -16,
    "int32": -32,
    "int64": -64,
}
NS = 5_000_000_000


def observation(side: int = 4) -> Observation:
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (side, side, 3), np.uint8) for name in ("wrist", "front")}
    return Observation(NS, images, {"tool_position_m": np.ones(3, np.float32), "gripper_m": np.ones(1, np.float32)})


def executed() -> Executed:
    values = np.full(3, 0.5, np.float32)
    return Executed(NS, 7, values, values, 0, Source.POLICY, 3)


def sound() -> dict[type, Any]:
    """One sound message of each type, made anew."""
    step = Step("online-000003", 2, observation(), executed(), 0.0)
    event = m.EpisodeEvent(id="online-000003", task="peg", mode="online", kind=m.EpisodeEvent.END)
    event.outcome, event.termination = "success", "task"
    joints = JointState(name=["a", "b"], position=[0.1, 0.2], velocity=[0.0, 0.0])
    weights = m.Weights(revision=3, learner_step=2, sha256="0" * 64, data=list(range(50)))
    made = [
        convert.image_message(observation().images["wrist"], NS, "wrist"),
        convert.observation_message(observation()),
        convert.step_message(step, "online"),
        convert.action_message(Action(NS, 7, np.zeros(3, np.float32)), "base"),
        convert.executed_message(executed()),
        convert.task_message(TaskState(NS, 0.0, False, False, np.ones(4))),
        convert.pose_message(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), NS, "base"),
        event,
        joints,
        weights,
        m.PolicyState(),
        m.LearnerState(phase="warmup"),
        m.RecorderState(),
        m.SafetyState(state="RUN"),
        m.StepAck(reader="learner_node", run="x"),
        m.SessionState(state="running"),
    ]
    return {type(message): message for message in made}


def spoil(message: Any, rng: np.random.Generator) -> str:
    """Give one field of the message, however deep, another value that its type allows; the field's path."""
    fields = message.get_fields_and_field_types()
    name = str(rng.choice(sorted(fields)))
    value, kind = getattr(message, name), fields[name]
    if hasattr(value, "get_fields_and_field_types"):
        return f"{name}.{spoil(value, rng)}"
    if (
        kind.startswith("sequence")
        and len(value)
        and hasattr(value[0], "get_fields_and_field_types")
        and rng.random() < 0.7
    ):
        return f"{name}[].{spoil(value[int(rng.integers(len(value)))], rng)}"
    setattr(message, name, _sequence(value, kind, rng) if "<" in kind else _scalar(kind, rng))
    return name


def _sequence(value: Any, kind: str, rng: np.random.Generator) -> Any:
    """Longer, shorter, or with one entry that is another."""
    inner = kind[kind.index("<") + 1 : -1]
    entries = list(value)
    if entries and rng.random() < 0.4 and not hasattr(entries[0], "get_fields_and_field_types"):
        entries[int(rng.integers(len(entries)))] = _scalar(inner, rng)
    elif rng.random() < 0.3:
        entries = entries * 2
    elif hasattr(entries[0] if entries else None, "get_fields_and_field_types") or "/" in inner:
        entries = entries[: int(rng.integers(len(entries) + 1))]
    else:
        filler = "name" if inner.startswith("string") else _scalar(inner, rng)
        entries = [filler] * int(rng.choice(LENGTHS))
    return array.array(value.typecode, entries) if isinstance(value, array.array) else entries


def _scalar(kind: str, rng: np.random.Generator) -> Any:
    if kind.startswith("string"):
        return WORDS[int(rng.integers(len(WORDS)))]
    if kind == "boolean":
        return bool(rng.integers(2))
    if kind in ("float", "double"):
        limit = 3.4e38 if kind == "float" else 1e308
        value = FLOATS[int(rng.integers(len(FLOATS)))]
        return value if not np.isfinite(value) else float(np.clip(value, -limit, limit))
    bits = INT_BITS[kind]
    low, high = (0, 2**bits - 1) if bits > 0 else (-(2 ** (-bits - 1)), 2 ** (-bits - 1) - 1)
    extremes = (low, high, high - 1, 1, 2, 7, min(high, 2**31 - 1))
    return extremes[int(rng.integers(len(extremes)))]
