"""Actions from motion, for recordings that hold no command: what moved between a tick and the next is what was done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from o2o_robot.data.contract import ActionStream, Contract
from o2o_robot.data.ingest.observe import Undecodable, vectors
from o2o_robot.data.ingest.plan import Plan
from o2o_robot.data.ingest.streams import Recording
from o2o_robot.errors import DataError
from o2o_robot.types import Array

_UNIT = 1e-3  # how far from 1 the norm of a quaternion may be: recorded in float32 it is 1e-7, rounded to text 1e-4
_POSE_FIELD = {
    "geometry_msgs/msg/PoseStamped": "pose",
    "geometry_msgs/msg/PoseWithCovarianceStamped": "pose.pose",
    "geometry_msgs/msg/PoseWithCovariance": "pose",
    "geometry_msgs/msg/TransformStamped": "transform",
    "nav_msgs/msg/Odometry": "pose.pose",
}


def motion(recording: Recording, contract: Contract, names: dict[str, str], plan: Plan) -> Array:
    """The change of the contract's action stream from each tick to the next, raw (T, k) float32.

    delta_joint: radians a joint. delta_pose: metres (3), then the rotation vector (3) of R_next R_now^T, base frame.
    plan.observed holds the message of the action's topic at each of the T+1 ticks. Raises Undecodable naming messages
    that cannot be read, or whose quaternion is not of unit norm.
    """
    action, topic = contract.action, names[contract.action.topic]
    index = plan.observed[action.topic]
    if action.kind == "delta_joint":
        return np.diff(vectors(recording, topic, index, action).astype(np.float64), axis=0).astype(np.float32)
    pose = vectors(recording, topic, index, _whole_pose(action, recording.streams[topic].type_name))
    if pose.shape[1] != 7:
        raise DataError(f"{topic}: delta_pose needs a pose of 7 numbers, '{action.field}' has {pose.shape[1]}")
    norm = np.linalg.norm(pose[:, 3:], axis=1)
    bad = np.abs(norm - 1.0) > _UNIT
    if bad.any():
        reason = f"its quaternion has norm {norm[bad][0]:.6g}, a rotation has 1"
        raise Undecodable(topic, np.unique(index[bad]).tolist(), reason)
    return pose_change(pose)


def pose_change(pose: Array) -> Array:
    """Poses (T+1, 7), position then unit quaternion xyzw, as steps (T, 6): metres, rotation vector in the base frame.

    The shorter way round is taken: q and -q are one rotation.
    """
    pose = pose.astype(np.float64)
    turned = _times(pose[1:, 3:], pose[:-1, 3:] * np.array([-1.0, -1.0, -1.0, 1.0]))
    turned = np.where(turned[:, 3:] < 0, -turned, turned)
    sine = np.linalg.norm(turned[:, :3], axis=1, keepdims=True)
    half_rad = np.arctan2(sine, turned[:, 3:])
    axis = turned[:, :3] / np.maximum(sine, np.finfo(np.float64).tiny)
    return np.hstack([np.diff(pose[:, :3], axis=0), 2 * half_rad * axis]).astype(np.float32)


def _times(a: Array, b: Array) -> Array:
    """Hamilton products a b of quaternions xyzw, (N, 4) each."""
    vector = a[:, 3:] * b[:, :3] + b[:, 3:] * a[:, :3] + np.cross(a[:, :3], b[:, :3])
    return np.hstack([vector, a[:, 3:] * b[:, 3:] - (a[:, :3] * b[:, :3]).sum(axis=1, keepdims=True)])


def _whole_pose(action: ActionStream, type_name: str) -> ActionStream:
    """The action with the path of the pose in its message, where the contract left `field` as it comes."""
    default = ActionStream(action.topic, action.kind).field
    if action.field != default:
        return action
    return replace(action, field=_POSE_FIELD.get(type_name, ""), joints=())
