"""What makers say their arms may do, with the source of every number. SI units, joints 1 to n.

The published FR3 position limits come in sets that disagree. So the default box is the maker's own conservative one,
which lies inside all of them (a test asserts it), and never the widest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from o2o_robot.robot.kinematics import SerialArm, fr3, ur5e
from o2o_robot.safety.joint_motion import SpeedEnvelope
from o2o_robot.types import Array


def _row(*values: float) -> Array:
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array


# Franka Research 3. Source A: Franka's documentation, control parameters (control-parameters-joint-fr3.csv, 5f28326).
FR3_DOCS_MIN_RAD = _row(-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508)
FR3_DOCS_MAX_RAD = _row(2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508)
FR3_DOCS_MAX_RAD_S = _row(2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26)
FR3_SPEED_OFFSET_RAD_S = _row(0.6599, 0.2517, 0.2, 0.3533, 0.5757, 0.4878, 0.4628)
FR3_SPEED_DECELERATION_RAD_S2 = _row(6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0)
FR3_DOCS_MAX_RAD_S2 = _row(*(10.0,) * 7)
FR3_DOCS_MAX_RAD_S3 = _row(*(5000.0,) * 7)
# Source B: franka_description, URDF fr3 (566ba44).
FR3_URDF_MIN_RAD = _row(-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159)
FR3_URDF_MAX_RAD = _row(2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159)
# The same documentation's conservative box (a rectangle of positions and speeds that is allowed everywhere in it).
FR3_CONSERVATIVE_MIN_RAD = _row(-2.3476, -1.5454, -2.4937, -2.7714, -2.51, 0.7773, -2.7045)
FR3_CONSERVATIVE_MAX_RAD = _row(2.3476, 1.5454, 2.4937, -0.4226, 2.51, 4.2841, 2.7045)
FR3_CONSERVATIVE_MAX_RAD_S = _row(2.0, 1.0, 1.5, 1.25, 3.0, 1.5, 3.0)

# UR5e. Source: ur_description, joint_limits.yaml: +-2 pi, the elbow +-pi (set there "artificially" to help planners).
UR5E_MAX_RAD = _row(2 * math.pi, 2 * math.pi, math.pi, 2 * math.pi, 2 * math.pi, 2 * math.pi)
UR5E_MAX_RAD_S = _row(*(math.pi,) * 6)
# UR publishes no conservative box and no accelerations. Ours: half a turn either way less the safety system's
# position tolerance of 5 degrees (UR5e user manual), so that the cable does not wrap; a third of the top speed;
# braking at URScript movej's default of 1.4 rad/s^2.
UR5E_CONSERVATIVE_MAX_RAD = _row(*(math.pi - math.radians(5.0),) * 6)
UR5E_CONSERVATIVE_MAX_RAD_S = _row(*(math.pi / 3,) * 6)
UR5E_DECELERATION_RAD_S2 = _row(*(1.4,) * 6)
# Nor any jerk: ours, from rest to that acceleration in 50 ms, a hundredth of what Franka publishes for its joints.
UR5E_MAX_RAD_S3 = _row(*(28.0,) * 6)

BodyPoint = tuple[int, tuple[float, float, float]]
"""A point that turns with joint i (from 0), and where it is in that joint's frame, m."""

# Where the arm's own body reaches out between base and tool; its radius (FR3 about 60 mm, UR5e about 50 mm) is not
# counted: leave it room in the half-spaces. FR3: elbow front and back, wrist, joint 7, flange.
FR3_BODY: tuple[BodyPoint, ...] = (
    (3, (0.0, 0.0, 0.0)),
    (3, (-0.0825, 0.0, 0.0)),
    (5, (0.0, 0.0, 0.0)),
    (6, (0.0, 0.0, 0.0)),
    (6, (0.0, 0.0, 0.107)),
)
# UR5e: elbow, wrists 1 to 3, tool flange.
UR5E_BODY: tuple[BodyPoint, ...] = (
    (2, (0.0, 0.0, 0.0)),
    (3, (0.0, 0.0, 0.0)),
    (4, (0.0, 0.0, 0.0)),
    (5, (0.0, 0.0, 0.0)),
    (5, (0.0, 0.0, 0.0996)),
)


@dataclass(frozen=True)
class ArmFacts:
    """One robot: its kinematics to the flange, the joint box to stay in (n,), the speeds allowed in it.

    max_rad_s2, max_rad_s3 (n,): accelerations and jerks. body: points of the arm between base and tool.
    """

    kinematics: SerialArm
    min_rad: Array
    max_rad: Array
    envelope: SpeedEnvelope
    max_rad_s2: Array
    max_rad_s3: Array
    body: tuple[BodyPoint, ...]


def fr3_conservative() -> ArmFacts:
    """The maker's conservative box and speeds; braking distance is counted to the documented end stops."""
    envelope = SpeedEnvelope(
        FR3_DOCS_MIN_RAD,
        FR3_DOCS_MAX_RAD,
        FR3_CONSERVATIVE_MAX_RAD_S,
        FR3_SPEED_OFFSET_RAD_S,
        FR3_SPEED_DECELERATION_RAD_S2,
    )
    return _fr3(FR3_CONSERVATIVE_MIN_RAD, FR3_CONSERVATIVE_MAX_RAD, envelope)


def fr3_published() -> ArmFacts:
    """What both published sets allow (their intersection), up to the documented top speeds."""
    low = np.maximum(FR3_DOCS_MIN_RAD, FR3_URDF_MIN_RAD)
    high = np.minimum(FR3_DOCS_MAX_RAD, FR3_URDF_MAX_RAD)
    envelope = SpeedEnvelope(low, high, FR3_DOCS_MAX_RAD_S, FR3_SPEED_OFFSET_RAD_S, FR3_SPEED_DECELERATION_RAD_S2)
    return _fr3(low, high, envelope)


def ur5e_conservative() -> ArmFacts:
    """Our own box (see above); braking distance is counted to the box, as no end stop is near."""
    high = UR5E_CONSERVATIVE_MAX_RAD
    envelope = SpeedEnvelope(-high, high, UR5E_CONSERVATIVE_MAX_RAD_S, np.zeros(6), UR5E_DECELERATION_RAD_S2)
    return _ur5e(high, envelope)


def ur5e_published() -> ArmFacts:
    """The whole published range and speed."""
    envelope = SpeedEnvelope(-UR5E_MAX_RAD, UR5E_MAX_RAD, UR5E_MAX_RAD_S, np.zeros(6), UR5E_DECELERATION_RAD_S2)
    return _ur5e(UR5E_MAX_RAD, envelope)


def _fr3(low: Array, high: Array, envelope: SpeedEnvelope) -> ArmFacts:
    return ArmFacts(fr3(), low, high, envelope, FR3_DOCS_MAX_RAD_S2, FR3_DOCS_MAX_RAD_S3, FR3_BODY)


def _ur5e(high: Array, envelope: SpeedEnvelope) -> ArmFacts:
    return ArmFacts(ur5e(), -high, high, envelope, UR5E_DECELERATION_RAD_S2, UR5E_MAX_RAD_S3, UR5E_BODY)


FACTS = {
    ("fr3", "conservative"): fr3_conservative,
    ("fr3", "published"): fr3_published,
    ("ur5e", "conservative"): ur5e_conservative,
    ("ur5e", "published"): ur5e_published,
}
"""(robot, joint box) -> what it may do."""
