"""Rotations as unit quaternions (x, y, z, w) and rotation vectors (axis times angle, rad)."""

from __future__ import annotations

import math

import numpy as np

from o2o_robot.types import Array

Quat = tuple[float, float, float, float]


def quat_multiply(left: Array, right: Array) -> Array:
    """The rotation `right` followed by `left` (both in the base frame), (4,)."""
    return np.array(_product(_floats(left), _floats(right)))


def rotation_vector(quat_from: Array, quat_to: Array) -> Array:
    """The shortest rotation that takes `quat_from` to `quat_to`, in the base frame, (3,) rad, of norm at most pi."""
    x, y, z, w = _floats(quat_from)
    x, y, z, w = _product(_floats(quat_to), (-x, -y, -z, w))
    sine = math.sqrt(x * x + y * y + z * z)
    if sine < 1e-12:
        return np.zeros(3)
    sign = -1.0 if w < 0 else 1.0  # q and -q are one rotation; the shorter way has w >= 0
    scale = sign * 2.0 * math.atan2(sine, sign * w) / sine
    return np.array([x * scale, y * scale, z * scale])


def rotated(quat: Array, vector_rad: Array) -> Array:
    """`quat` turned by a base-frame rotation vector (3,); the result has unit norm."""
    x, y, z = (float(value) for value in vector_rad)
    angle = math.sqrt(x * x + y * y + z * z)
    half = math.sin(angle / 2) / angle if angle > 1e-12 else 0.5
    turned = quat_multiply(np.array([x * half, y * half, z * half, math.cos(angle / 2)]), quat)
    return turned / math.sqrt(float(turned @ turned))


def matrix_from_quat(quat: Array) -> Array:
    """The rotation matrix (3, 3) of a unit quaternion."""
    x, y, z, w = (float(value) for value in quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_from_matrix(matrix: Array) -> Array:
    """The unit quaternion (4,) of a rotation matrix (3, 3), w >= 0. Stable at every angle (Bar-Itzhack's K matrix)."""
    m = np.asarray(matrix, np.float64)
    k = np.empty((4, 4))
    k[:3, :3] = m + m.T - np.trace(m) * np.eye(3)
    k[:3, 3] = k[3, :3] = (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1])
    k[3, 3] = np.trace(m)
    quat = np.linalg.eigh(k)[1][:, -1]
    return -quat if quat[3] < 0 else quat


def _floats(quat: Array) -> Quat:
    x, y, z, w = np.asarray(quat, np.float64).tolist()  # Python floats: on four numbers far faster than NumPy
    return x, y, z, w


def _product(left: Quat, right: Quat) -> Quat:
    ax, ay, az, aw = left
    bx, by, bz, bw = right
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
