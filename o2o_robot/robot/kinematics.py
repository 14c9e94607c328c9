"""Serial arms from their Denavit-Hartenberg tables: tool pose, Jacobian, and one differential inverse-kinematics step.

Both DH conventions are the same chain of constant transforms with a rotation about z between them:
T_base_tool(q) = F_1 Rz(q_1) F_2 Rz(q_2) ... F_n Rz(q_n) E T_flange_tool. Only where a, d and alpha sit differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import matrix_from_quat, quat_from_matrix
from o2o_robot.types import Array, Pose

DhRow = tuple[float, float, float]
"""(a_m, d_m, alpha_rad)."""


@dataclass(frozen=True)
class SerialArm:
    """A chain of n revolute joints. `links` (n, 4, 4) are the F above, `end` (4, 4) is E T_flange_tool.

    pose = arm.fk(q_rad)
    dq_rad = arm.joint_step(q_rad, twist)       # the joints' share of a small tool motion
    """

    links: Array
    end: Array

    @property
    def n_joints(self) -> int:
        return len(self.links)

    def frames(self, q_rad: Array) -> Array:
        """T_base_joint of every joint after its rotation, then of the tool: (n + 1, 4, 4)."""
        cos, sin = np.cos(q_rad)[:, None], np.sin(q_rad)[:, None]
        turned = self.links.copy()
        turned[:, :, 0] = self.links[:, :, 0] * cos + self.links[:, :, 1] * sin
        turned[:, :, 1] = self.links[:, :, 1] * cos - self.links[:, :, 0] * sin
        frames = np.empty((self.n_joints + 1, 4, 4))
        frames[0] = turned[0]
        for i in range(1, self.n_joints):
            np.matmul(frames[i - 1], turned[i], out=frames[i])
        np.matmul(frames[-2], self.end, out=frames[-1])
        return frames

    def fk(self, q_rad: Array) -> Pose:
        """The tool pose in the base frame at joint positions (n,)."""
        tool = self.frames(self._checked(q_rad))[-1]
        return Pose(tool[:3, 3].copy(), quat_from_matrix(tool[:3, :3]))

    def jacobian(self, q_rad: Array) -> Array:
        """Geometric Jacobian (6, n), base frame: rows 0-2 tool velocity (m/s), rows 3-5 angular velocity (rad/s)."""
        frames = self.frames(self._checked(q_rad))
        axes, lever = frames[:-1, :3, 2], frames[-1, :3, 3] - frames[:-1, :3, 3]
        jacobian = np.empty((6, self.n_joints))
        jacobian[0] = axes[:, 1] * lever[:, 2] - axes[:, 2] * lever[:, 1]  # np.cross costs five times as much
        jacobian[1] = axes[:, 2] * lever[:, 0] - axes[:, 0] * lever[:, 2]
        jacobian[2] = axes[:, 0] * lever[:, 1] - axes[:, 1] * lever[:, 0]
        jacobian[3:] = axes.T
        return jacobian

    def joint_step(self, q_rad: Array, twist: Array, *, damping: float = 0.01) -> Array:
        """The joint motion (n,) rad of a small tool motion `twist` (3 m, 3 rad, base frame): `joint_map` @ twist."""
        return self.joint_map(q_rad, damping=damping) @ twist

    def joint_map(self, q_rad: Array, *, damping: float = 0.01) -> Array:
        """From a small tool motion to the joints', (n, 6): the Jacobian's inverse in damped least squares.

        Least-norm, so a redundant arm is taken not to move its elbow for its own sake. The damping
        (Wampler 1986; Nakamura and Hanafusa 1986) keeps it finite at singularities, where it is an underestimate:
        1 % at a singular value of 0.1, half at 0.01.
        """
        jacobian = self.jacobian(q_rad)
        gram = jacobian @ jacobian.T
        gram.flat[::7] += damping**2  # the diagonal of a (6, 6)
        return np.linalg.solve(gram, jacobian).T

    def with_tool(self, offset_m: Sequence[float], quat_xyzw: Sequence[float] = (0.0, 0.0, 0.0, 1.0)) -> SerialArm:
        """The same arm, its tool frame moved by `offset_m` (3,) and turned by `quat_xyzw`, both in the present one."""
        return replace(self, end=self.end @ _transform(matrix_from_quat(np.asarray(quat_xyzw)), offset_m))

    def with_tool_at(self, tool: Pose, q_rad: Array) -> SerialArm:
        """The same arm, its tool frame where `tool` was measured with the joints at q_rad (n,)."""
        T_base_flange = self.frames(self._checked(q_rad))[-1]
        T_base_tool = _transform(matrix_from_quat(tool.quat_xyzw), tool.position_m.tolist())
        return replace(self, end=self.end @ np.linalg.inv(T_base_flange) @ T_base_tool)

    def _checked(self, q_rad: Array) -> Array:
        if np.shape(q_rad) != (self.n_joints,):
            raise LimitError(
                f"joint positions of shape {np.shape(q_rad)}, this arm has {self.n_joints} joints; "
                "check that the robot's name fits its driver, and that joint_states are matched by name"
            )
        return q_rad


def from_modified_dh(rows: Sequence[DhRow], flange: DhRow) -> SerialArm:
    """An arm by Craig's convention: row i holds a_{i-1}, d_i, alpha_{i-1}. `flange` is a last row without a joint."""
    links = np.stack([_rot_x(alpha) @ _translation(a, 0.0, d) for a, d, alpha in rows])
    a, d, alpha = flange
    return SerialArm(links, _rot_x(alpha) @ _translation(a, 0.0, d))


def from_standard_dh(rows: Sequence[DhRow]) -> SerialArm:
    """An arm by the original convention: row i holds a_i, d_i, alpha_i, all after joint i."""
    after = [_translation(a, 0.0, d) @ _rot_x(alpha) for a, d, alpha in rows]
    return SerialArm(np.stack([np.eye(4), *after[:-1]]), after[-1])


def fr3() -> SerialArm:
    """Franka Research 3, tool at the flange (fr3_link8), base fr3_link0. Source: Franka's public DH table."""
    h = np.pi / 2
    rows = [
        (0.0, 0.333, 0.0),
        (0.0, 0.0, -h),
        (0.0, 0.316, h),
        (0.0825, 0.0, h),
        (-0.0825, 0.384, -h),
        (0.0, 0.0, h),
        (0.088, 0.0, h),
    ]
    return from_modified_dh(rows, flange=(0.0, 0.107, 0.0))


def ur5e() -> SerialArm:
    """Universal Robots UR5e, tool at tool0, in the controller's `base` (base_link turned by pi about z)."""
    h = np.pi / 2
    rows = [
        (0.0, 0.1625, h),
        (-0.425, 0.0, 0.0),
        (-0.3922, 0.0, 0.0),
        (0.0, 0.1333, h),
        (0.0, 0.0997, -h),
        (0.0, 0.0996, 0.0),
    ]
    return from_standard_dh(rows)


FR3_HAND_TCP_OFFSET_M = (0.0, 0.0, 0.1034)
FR3_HAND_TCP_QUAT_XYZW = (0.0, 0.0, -0.3826834323650898, 0.9238795325112867)
"""fr3_hand_tcp in fr3_link8: 103.4 mm along z, turned by -45 degrees (franka_description)."""


def _rot_x(angle_rad: float) -> Array:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]], np.float64)


def _translation(x_m: float, y_m: float, z_m: float) -> Array:
    return _transform(np.eye(3), (x_m, y_m, z_m))


def _transform(rotation: Array, offset_m: Sequence[float]) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, offset_m
    return matrix
