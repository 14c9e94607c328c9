"""Rigid transforms as (4, 4) matrices: T_a_b takes points of frame b to frame a. Stacks (n, 4, 4) everywhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from o2o_robot.types import Array


class Gap(NamedTuple):
    """How far apart two transforms are: mm (n,) between origins, deg (n,) of the rotation between them."""

    mm: Array
    deg: Array


def transform(R: Array, t_m: Array) -> Array:
    """The (..., 4, 4) of rotations (..., 3, 3) and offsets (..., 3)."""
    T = np.zeros((*np.shape(t_m)[:-1], 4, 4))
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = R, t_m, 1.0
    return T


def from_vector(vector: Array) -> Array:
    """The (4, 4) of (6,): metres, then a rotation vector in rad."""
    return transform(Rotation.from_rotvec(vector[3:]).as_matrix(), vector[:3])


def to_vector(T: Array) -> Array:
    """Metres and rotation vector (..., 6) of transforms (..., 4, 4)."""
    flat = T.reshape(-1, 4, 4)
    vectors = np.concatenate([flat[:, :3, 3], Rotation.from_matrix(flat[:, :3, :3]).as_rotvec()], axis=1)
    return np.asarray(vectors.reshape(*T.shape[:-2], 6))


def from_quat(position_m: Array, quat_xyzw: Array) -> Array:
    """The transforms (..., 4, 4) of positions (..., 3) and quaternions (..., 4), which are normalised."""
    return transform(Rotation.from_quat(quat_xyzw).as_matrix(), np.asarray(position_m, np.float64))


def inverse(T: Array) -> Array:
    """T_b_a of T_a_b, (..., 4, 4)."""
    R = np.swapaxes(T[..., :3, :3], -1, -2)
    return transform(R, -(R @ T[..., :3, 3:])[..., 0])


def gap(T_a: Array, T_b: Array) -> Gap:
    """How far T_b (..., 4, 4) is from T_a."""
    between = (inverse(T_a) @ T_b).reshape(-1, 4, 4)
    return Gap(np.linalg.norm(between[:, :3, 3], axis=1) * 1e3, np.rad2deg(angles_rad(between)))


def angles_rad(T: Array) -> Array:
    """The angle (n,) that each of T (n, 4, 4) turns by."""
    return np.asarray(Rotation.from_matrix(T[:, :3, :3]).magnitude())


def middle(T: Array) -> Array:
    """The (4, 4) in the middle of T (n, 4, 4): the median of each coordinate about a first chordal mean.

    Unmoved by up to half of them being wrong in translation; in rotation two steps of the same about the mean.
    """
    centre = transform(Rotation.from_matrix(T[:, :3, :3]).mean().as_matrix(), np.median(T[:, :3, 3], axis=0))
    for _ in range(5):
        centre = centre @ from_vector(np.median(to_vector(inverse(centre) @ T), axis=0))
    return centre
