"""ROS messages to and from the house's types. No other module of the house knows both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from sensor_msgs.msg import Image, JointState

from o2o_nodes import checks
from o2o_robot.errors import ArmError, DataError
from o2o_robot.types import Action, ArmState, Executed, Observation, Pose, Source, Step, TaskState
from o2o_robot.weights_form import Offer

NS = 1_000_000_000


def stamp_ns(stamp: Time) -> int:
    return stamp.sec * NS + stamp.nanosec


def stamp(ns: int) -> Time:
    return Time(sec=int(ns // NS), nanosec=int(ns % NS))


def image(message: Image) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Raises DataError where the encoding is neither rgb8 nor bgr8, or sizes do not agree."""
    checks.image(message)
    return _image(message)


def _image(message: Image) -> np.ndarray:
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : message.width * 3].reshape(message.height, message.width, 3)
    return pixels if message.encoding == "rgb8" else pixels[:, :, ::-1].copy()


def image_message(pixels: np.ndarray, ns: int, frame_id: str) -> Image:
    message = Image()
    message.header.stamp = stamp(ns)
    message.header.frame_id = frame_id
    message.height, message.width = pixels.shape[:2]
    message.encoding = "rgb8"
    message.step = message.width * 3
    message.data = np.ascontiguousarray(pixels).tobytes()
    return message


def pose(message: PoseStamped) -> Pose:
    p, q = message.pose.position, message.pose.orientation
    return Pose(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))


def pose_message(value: Pose, ns: int, frame_id: str) -> PoseStamped:
    message = PoseStamped()
    message.header.stamp = stamp(ns)
    message.header.frame_id = frame_id
    p, q = message.pose.position, message.pose.orientation
    p.x, p.y, p.z = (float(v) for v in value.position_m)
    q.x, q.y, q.z, q.w = (float(v) for v in value.quat_xyzw)
    return message


def joints(message: JointState, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(q_rad, dq_rad) in the order of `names`: matched by name, never by index. Raises ArmError for a missing name."""
    places = {name: i for i, name in enumerate(message.name)}
    missing = [name for name in names if name not in places]
    if missing:
        raise ArmError(
            f"joint_states lacks {', '.join(missing)} (it has {', '.join(message.name)}); check the parameter joints"
        )
    if len(message.position) != len(message.name) or len(message.velocity) not in (0, len(message.name)):
        raise ArmError(
            f"joint_states holds {len(message.name)} names, {len(message.position)} positions and "
            f"{len(message.velocity)} velocities; each must be as many, or empty: look at its publisher"
        )
    order = [places[name] for name in names]
    velocity = np.asarray(message.velocity) if len(message.velocity) else np.zeros(len(message.name))
    return np.asarray(message.position)[order], velocity[order]


def joint_message(state: ArmState, names: list[str]) -> JointState:
    message = JointState()
    message.header.stamp = stamp(state.stamp_ns)
    message.name = list(names)
    message.position = [float(v) for v in state.q_rad]
    message.velocity = [float(v) for v in state.dq_rad]
    return message


def action(message: m.Action) -> Action:
    """Raises DataError for an unknown source; values that nobody could follow are the guard's to refuse."""
    checks.action(message)
    return Action(
        stamp_ns(message.header.stamp),
        message.seq,
        np.asarray(message.values, np.float32),
        Source(message.source),
        message.policy_revision,
    )


def action_message(value: Action, frame_id: str) -> m.Action:
    message = m.Action(seq=value.seq, policy_revision=value.revision, source=int(value.source))
    message.header.stamp = stamp(value.stamp_ns)
    message.header.frame_id = frame_id
    message.values = value.values.astype(np.float32)
    return message


def executed(message: m.ExecutedAction) -> Executed:
    """Raises DataError where it is not sound."""
    checks.executed(message)
    return _executed(message)


def _executed(message: m.ExecutedAction) -> Executed:
    return Executed(
        stamp_ns(message.header.stamp),
        message.seq,
        np.asarray(message.executed, np.float32),
        np.asarray(message.proposed, np.float32),
        message.reasons,
        Source(message.source),
        message.policy_revision,
    )


def executed_message(value: Executed) -> m.ExecutedAction:
    message = m.ExecutedAction(seq=value.seq, policy_revision=value.revision, source=int(value.source))
    message.header.stamp = stamp(value.stamp_ns)
    message.header.stamp = stamp(value.stamp_ns)
    message.proposed = value.proposed.astype(np.float32)
    message.executed = value.values.astype(np.float32)
    message.reasons = int(value.reasons)
    return message


def observation(message: m.Observation) -> Observation:
    """Raises DataError where names, sizes and data do not agree, or a number is not finite."""
    checks.observation(message)
    return _observation(message)


def _observation(message: m.Observation) -> Observation:
    ends = np.cumsum(message.state_sizes)
    flat = np.asarray(message.state, np.float32)
    fields = dict(zip(message.state_names, np.split(flat, ends[:-1]), strict=True)) if len(ends) else {}
    images = {name: _image(i) for name, i in zip(message.image_names, message.images, strict=True)}
    return Observation(stamp_ns(message.header.stamp), images, fields)


def observation_message(value: Observation) -> m.Observation:
    message = m.Observation()
    message.header.stamp = stamp(value.stamp_ns)
    message.image_names = list(value.images)
    message.images = [image_message(pixels, value.stamp_ns, name) for name, pixels in value.images.items()]
    message.state_names = list(value.state)
    message.state_sizes = [len(field) for field in value.state.values()]
    message.state = np.concatenate([np.zeros(0, np.float32), *value.state.values()]).astype(np.float32)
    return message


def step(message: m.Step) -> Step:
    """Raises DataError where it is not sound."""
    checks.step(message)
    return Step(
        message.episode,
        message.index,
        _observation(message.observation),
        None if message.is_last else _executed(message.action),
        message.reward,
        message.terminated,
        message.truncated,
    )


def step_message(value: Step, mode: str) -> m.Step:
    message = m.Step(episode=value.episode, index=value.index, mode=mode, is_last=value.is_last)
    message.header.stamp = stamp(value.observation.stamp_ns)
    message.observation = observation_message(value.observation)
    if value.executed is not None:
        message.action = executed_message(value.executed)
    message.reward = float(value.reward)
    message.terminated, message.truncated = bool(value.terminated), bool(value.truncated)
    return message


def offer(message: m.Weights) -> Offer:
    """Not looked at yet: what the weights must be is the door's to say."""
    return Offer(message.revision, message.learner_step, message.sha256, bytes(message.data))


def scene_message(drawn: Mapping[str, Any], ns: int) -> DiagnosticArray:
    """What was drawn for a scene, each quantity's name with its value as JSON."""
    values = [KeyValue(key=name, value=json.dumps(value)) for name, value in drawn.items()]
    message = DiagnosticArray(status=[DiagnosticStatus(name="scene", values=values)])
    message.header.stamp = stamp(ns)
    return message


def drawn(message: DiagnosticArray) -> dict[str, Any]:
    """The inverse of scene_message. Raises DataError where a value is not JSON."""
    try:
        return {pair.key: json.loads(pair.value) for status in message.status for pair in status.values}
    except ValueError:
        raise DataError("topic scene: a value is not JSON; look who else publishes there") from None


def task_state(message: m.TaskState) -> TaskState:
    """Raises DataError where it is not finite, or says success and failure."""
    checks.task_state(message)
    return TaskState(
        stamp_ns(message.header.stamp), message.reward, message.success, message.failure, np.asarray(message.privileged)
    )


def task_message(value: TaskState) -> m.TaskState:
    message = m.TaskState(reward=float(value.reward), success=bool(value.success), failure=bool(value.failure))
    message.header.stamp = stamp(value.stamp_ns)
    message.privileged = [float(v) for v in value.privileged]
    return message
