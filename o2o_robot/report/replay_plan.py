"""What a recording asks of an arm again: where it started, which targets it was sent when, and where it then was."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.report.replay_tracking import Motion
from o2o_robot.robot.action import DeltaPosition, DeltaPositionGripper
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.types import ArmState, Array, Episode, Pose

NS_PER_S = 1e9
_NEEDED = ("q_rad", "tool_position_m", "tool_quat_xyzw")
_SPACES = {DeltaPosition.n_action: DeltaPosition, DeltaPositionGripper.n_action: DeltaPositionGripper}


class Command(NamedTuple):
    """At t_s (s since the start) the tool was sent here; opening_m: and the gripper (None: left as it is)."""

    t_s: float
    target: Pose
    opening_m: float | None = None


class Plan(NamedTuple):
    """wanted: the recorded motion. commands: in order of time, none after its end. seed: of the twin's scene.

    posture_rad: a joint path's own postures at the commands (C, n), where the recording has them; else None.
    """

    name: str
    kind: str
    wanted: Motion
    commands: tuple[Command, ...]
    seed: int | None = None
    posture_rad: Array | None = None


def plan_of_episode(episode: Episode, *, scale_m: float) -> Plan:
    """The targets that the executed actions meant: counted from the recorded pose, as arm_node counted them.

    Raises DataError where the episode has no joints or tool pose, or actions of another kind.
    """
    missing = [name for name in _NEEDED if name not in episode.state]
    if missing:
        raise DataError(f"episode has no {', '.join(missing)} (it has {', '.join(episode.state)}); ingest it with them")
    if episode.action.shape[1] not in _SPACES:
        n = episode.action.shape[1]
        raise DataError(f"actions of {n} values cannot be replayed, displacements of 3 (or 4, with a gripper) can")
    space = _SPACES[episode.action.shape[1]](scale_m=scale_m)
    t_s = (episode.stamp_ns - episode.stamp_ns[0]) / NS_PER_S
    wanted = Motion(t_s, *(np.asarray(episode.state[name], np.float64) for name in _NEEDED))
    wanted = wanted._replace(tool_quat_xyzw=_unit(wanted.tool_quat_xyzw))
    commands = tuple(
        Command(float(t_s[i]), space.target(action, _state(wanted, i)), space.opening_m(action))
        for i, action in enumerate(episode.action)
    )
    seed = episode.meta.get("seed")
    is_seed = isinstance(seed, int) and seed >= 0
    name = str(episode.meta.get("id", "episode"))
    return Plan(name, "executed actions", wanted, commands, seed if is_seed else None)


def plan_of_path(name: str, t_s: Array, q_rad: Array, arm: SerialArm, *, rate_hz: float) -> Plan:
    """A recorded joint path as tool poses (by forward kinematics) and postures, sampled evenly at rate_hz.

    t_s (N,) increasing; q_rad (N, n).
    """
    times_s = np.arange(0.0, t_s[-1] - t_s[0], 1.0 / rate_hz)
    path = np.stack([np.interp(times_s + t_s[0], t_s, joint) for joint in q_rad.T], axis=1)
    poses = [arm.fk(q) for q in path]
    positions = np.array([pose.position_m for pose in poses])
    wanted = Motion(times_s, path, positions, np.array([pose.quat_xyzw for pose in poses]))
    commands = tuple(Command(float(t), pose) for t, pose in zip(times_s[:-1], poses[:-1], strict=True))
    return Plan(name, "joint path", wanted, commands, posture_rad=path[:-1])


def read_path(path: Path, n_joints: int) -> tuple[Array, Array]:
    """(t_s (N,), q_rad (N, n)) of a .npy whose columns are nanoseconds, then joint positions, then whatever else.

    Repeated and backward stamps are left out. Raises DataError naming what is wrong with the file.
    """
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise DataError(f"{path} cannot be read as .npy ({problem}); give columns of stamps in ns and joints") from None
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] < n_joints + 1 or rows.dtype.kind != "f":
        shape = getattr(rows, "shape", type(rows).__name__)
        raise DataError(f"{path} holds {shape}; rows of floats are read: stamp in ns, then {n_joints} joints in rad")
    rows = rows[:, : n_joints + 1]
    if not np.isfinite(rows).all():
        raise DataError(f"{path} has values that are not finite, the first in row {_first_bad(rows)}; cut it out")
    if np.abs(rows[:, 1:]).max(initial=0.0) > 4 * np.pi:
        told = f"{path} has joint positions up to {np.abs(rows[:, 1:]).max():.1f}, no arm turns so far"
        raise DataError(f"{told}; columns are a stamp in ns, then radians")
    newest = np.maximum.accumulate(rows[:, 0])
    rows = rows[np.diff(newest, prepend=-np.inf) > 0]
    t_s = (rows[:, 0] - rows[:1, 0]) / NS_PER_S
    if len(rows) < 2 or t_s[-1] < 0.5:
        raise DataError(f"{path} holds {len(rows)} instants over less than half a second; there is nothing to replay")
    return t_s, rows[:, 1:]


def _state(motion: Motion, i: int) -> ArmState:
    still = np.zeros_like(motion.q_rad[i])
    return ArmState(0, motion.q_rad[i], still, Pose(motion.tool_m[i], motion.tool_quat_xyzw[i]))


def _unit(quats: Array) -> Array:
    return quats / np.linalg.norm(quats, axis=1, keepdims=True)


def _first_bad(rows: Array) -> int:
    return int(np.argwhere(~np.isfinite(rows))[0][0])
