"""The arm's own messages, beside convert.py: joints, trajectories, twists, wrenches and openings to and from NumPy."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import TwistStamped, Vector3, WrenchStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from o2o_nodes import convert
from o2o_robot.errors import ArmError
from o2o_robot.robot.fault_kinds import Joints
from o2o_robot.robot.joint_path import JointPath


def joint_state(joints: Joints, ns: int) -> JointState:
    message = JointState(name=list(joints.names))
    message.header.stamp = convert.stamp(ns)
    message.position, message.velocity = joints.q_rad.tolist(), joints.dq_rad.tolist()
    return message


def measured(message: JointState, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(q_rad, dq_rad) (n,) by name. Raises ArmError for a missing name, or values that are not one a name."""
    if len(message.position) != len(message.name) or len(message.velocity) not in (0, len(message.name)):
        raise ArmError(
            f"joint_states holds {len(message.name)} names, {len(message.position)} positions and "
            f"{len(message.velocity)} velocities; each must be as many, or empty: look at its publisher"
        )
    return convert.joints(message, names)


def joint_target(message: JointState, names: list[str]) -> np.ndarray:
    """Positions asked for, (n,) rad by name. Raises ArmError for a missing name, or values that are not finite."""
    return _finite(measured(message, names)[0], "target_joint")


def positions(message: Float64MultiArray, n: int, what: str) -> np.ndarray:
    """The n numbers of a forward controller's command. Raises ArmError for another count, or ones not finite."""
    values = np.asarray(message.data, np.float64)
    if values.shape != (n,):
        raise ArmError(
            f"{what} holds {len(values)} numbers, it must be {n}; give one a joint, in the controller's order"
        )
    return _finite(values, what)


def numbers(values: np.ndarray) -> Float64MultiArray:
    return Float64MultiArray(data=np.asarray(values, np.float64).tolist())


def path(message: JointTrajectory, names: list[str], now_ns: int, q_rad: np.ndarray) -> JointPath:
    """The way from q_rad (n,) now through the message's points. A stamp of 0 is now. Raises ArmError for a bad one."""
    places = {name: i for i, name in enumerate(message.joint_names)}
    if missing := [name for name in names if name not in places]:
        raise ArmError(f"joint_trajectory lacks {', '.join(missing)}; name every joint of the arm")
    if not message.points or any(len(point.positions) != len(places) for point in message.points):
        raise ArmError("joint_trajectory needs one point at least, each with a position for every name")
    order = [places[name] for name in names]
    start_ns = convert.stamp_ns(message.header.stamp) or now_ns
    after = [(start_ns + _ns(point.time_from_start), np.asarray(point.positions)[order]) for point in message.points]
    ahead = [(ns, q) for ns, q in after if ns > now_ns]
    if not ahead:
        raise ArmError("joint_trajectory ends in the past; look at its stamp and time_from_start")
    return JointPath(np.array([now_ns, *(ns for ns, _ in ahead)]), np.array([q_rad, *(q for _, q in ahead)]))


def trajectory(q_rad: np.ndarray, names: list[str], ns: int, after_s: float) -> JointTrajectory:
    """One point, to be reached `after_s` after the stamp; a stamp of 0 is the moment it is received."""
    seconds, nanoseconds = divmod(round(after_s * 1e9), convert.NS)
    point = JointTrajectoryPoint(positions=q_rad.tolist(), time_from_start=Duration(sec=seconds, nanosec=nanoseconds))
    message = JointTrajectory(joint_names=list(names), points=[point])
    message.header.stamp = convert.stamp(ns)
    return message


def twist(message: TwistStamped) -> np.ndarray:
    """(6,) m/s, rad/s. Raises ArmError where one is not finite."""
    return _finite(np.array([*_xyz(message.twist.linear), *_xyz(message.twist.angular)]), "twist")


def twist_message(value: np.ndarray, ns: int, frame_id: str) -> TwistStamped:
    message = TwistStamped()
    message.header.stamp, message.header.frame_id = convert.stamp(ns), frame_id
    message.twist.linear, message.twist.angular = _vector(value[:3]), _vector(value[3:])
    return message


def wrench(message: WrenchStamped) -> np.ndarray:
    """(6,) N, Nm, finite or not: the guard is who judges a measurement."""
    return np.array([*_xyz(message.wrench.force), *_xyz(message.wrench.torque)])


def wrench_message(value: np.ndarray, ns: int, frame_id: str) -> WrenchStamped:
    message = WrenchStamped()
    message.header.stamp, message.header.frame_id = convert.stamp(ns), frame_id
    message.wrench.force, message.wrench.torque = _vector(value[:3]), _vector(value[3:])
    return message


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ArmError(f"{what} {values.tolist()} is not finite; look at what computed it")
    return values


def _ns(duration: Duration) -> int:
    return int(duration.sec) * convert.NS + int(duration.nanosec)


def _xyz(vector: Vector3) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _vector(xyz: np.ndarray) -> Vector3:
    x, y, z = (float(value) for value in xyz)
    return Vector3(x=x, y=y, z=z)
