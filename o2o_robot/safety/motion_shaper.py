"""Turns accepted targets into a motion: at each tick the next point of a path within speed, acceleration and jerk.

A moving average of a moving average (Biagiotti and Melchiorri, "FIR filters for online trajectory planning with time-
and frequency-domain specifications", Control Engineering Practice 20, 2012) over a point that runs straight to the
target at a bounded speed. What follows from that, with windows of n1 and n2 ticks of dt_s:

- Every output is a weighted mean of points between accepted targets. So it stays in any convex set that they are in,
  the workspace's box and half-spaces, never overshoots, and keeps to the line between them.
- Speed is that of the point at most. Acceleration is (u_k - u_{k-n1}) / (n1 dt_s), u the point's velocity: bounding
  that difference bounds it, and standing still (u_k = 0) is always allowed, so the arm can always be stopped.
- Jerk is at most twice the acceleration's bound over n2 dt_s.
- After the point stands, the arm stands (n1 + n2 - 1) ticks later: the path of every stop is already inside the limits.

The price is a delay of (n1 + n2) dt_s / 2, for small motions too. In the tool's space and not the joints', since poses
are what controllers are given and an impedance-controlled arm's spare joint is not known; the joints' speeds and
accelerations are bounded through the Jacobian at the measured joints, exact to first order. So is the turning: it is
averaged as a rotation vector from where the arm last stood, whose rate is the angular velocity for small vectors only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import rotated, rotation_vector
from o2o_robot.safety.joint_motion import SpeedEnvelope
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limit import LESS, require_positive
from o2o_robot.types import Array, Pose

_AT_REST = 1e-9
_BENT = 0.8  # of the joints' acceleration is planned with: the Jacobian turns on while the window lasts
_THERE = 1e-12  # a way shorter than this is rounding: walked, it would keep the last output from standing still


@dataclass(frozen=True)
class ToolRates:
    """Bounds of the tool's speed, acceleration and jerk, as norms: metres or radians per s, s^2, s^3."""

    speed: float
    acceleration: float
    jerk: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require_positive(f"the tool's {name}", value, "0.25, 2.5, 500 in m and s")


@dataclass(frozen=True)
class JointRates:
    """Bounds of each joint: its speed envelope and the share of its top speed, acceleration and jerk (n,)."""

    envelope: SpeedEnvelope
    scale: float
    max_rad_s2: Array
    max_rad_s3: Array

    def __post_init__(self) -> None:
        for name in ("max_rad_s2", "max_rad_s3"):
            value = np.asarray(getattr(self, name))
            if not (np.isfinite(value).all() and (value > 0).all()):
                raise LimitError(f"joint {name} {value.tolist()} must be finite and > 0; take them from limits_table")


@dataclass(frozen=True)
class ShaperConfig:
    """dt_s: of a tick. window_s: over which speed is built up (acceleration); smooth_s: over which acceleration is."""

    dt_s: float
    window_s: float
    smooth_s: float
    translation: ToolRates
    rotation: ToolRates
    joints: JointRates

    def __post_init__(self) -> None:
        require_positive("tick_period_s", self.dt_s, "0.01")
        if not self.window_s >= self.smooth_s >= self.dt_s:
            raise LimitError(
                f"shaping_s={self.window_s} must be >= smoothing_s={self.smooth_s} >= tick_period_s={self.dt_s}; "
                "0.12, 0.02 and 0.01 are usual"
            )
        for name, rates in (("tool's", self.translation), ("tool's turning", self.rotation)):
            self._check_jerk(name, rates.acceleration, rates.jerk)
        self._check_jerk("joints'", self.joints.max_rad_s2, self.joints.max_rad_s3)

    @property
    def n_window(self) -> int:
        return round(self.window_s / self.dt_s)

    @property
    def n_smooth(self) -> int:
        return round(self.smooth_s / self.dt_s)

    @property
    def gain_s(self) -> float:
        """The acceleration bound times this is the most that velocity may change over the window."""
        return self.n_window * self.dt_s

    def _check_jerk(self, whose: str, acceleration: float | Array, jerk: float | Array) -> None:
        worst = 2.0 * np.asarray(acceleration) / (self.n_smooth * self.dt_s)
        if np.any(worst > np.asarray(jerk)):
            raise LimitError(
                f"the {whose} jerk may reach {np.max(worst):.0f}, allowed {np.min(jerk):.0f}; raise smoothing_s above "
                f"{np.max(2.0 * np.asarray(acceleration) / np.asarray(jerk)):.3f}, or lower the acceleration"
            )


class MotionShaper:
    """The reference of an arm in real time. Its first output after `restart` is the pose it was given.

    shaper.restart(state.tool)
    while True: arm.command(shaper.step(target, state.q_rad))      # each tick
    shaper.stand()                                                 # from now on decelerate: where it will come to rest
    """

    def __init__(self, config: ShaperConfig, predict: JointPrediction) -> None:
        self._config, self._predict = config, predict
        n1, n2 = config.n_window, config.n_smooth
        weights = np.convolve(np.full(n1, 1.0 / n1), np.full(n2, 1.0 / n2))
        self._weights = weights
        self._points = np.zeros((max(len(weights), n1 + 1), 6))  # newest first: metres, then rad from the anchor
        self._anchor: Array | None = None
        self._q_rad = np.zeros(predict.n_joints)  # last measured joints that were finite
        self._out: Pose | None = None

    @property
    def pose(self) -> Pose | None:
        """The last output; None before the first `restart`."""
        return self._out

    @property
    def is_at_rest(self) -> bool:
        return bool(np.abs(self._points - self._points[0]).max() < _AT_REST)

    def restart(self, pose: Pose) -> None:
        """Stand at `pose`: for an arm that stands there."""
        self._anchor = pose.quat_xyzw
        self._points[:, :3], self._points[:, 3:] = pose.position_m, 0.0
        self._out = pose

    def rebound(self, config: ShaperConfig) -> None:
        """Other speeds, accelerations and jerks from the next tick on. Raises LimitError for other windows."""
        same = ("dt_s", "n_window", "n_smooth")
        if any(getattr(config, name) != getattr(self._config, name) for name in same):
            raise LimitError("shaping_s, smoothing_s and tick_period_s cannot change while the guard runs; restart it")
        self._config = config

    def stand(self) -> Pose:
        """Where the arm comes to rest if it is stopped now, as fast as acceleration and jerk allow."""
        return self._pose_of(self._points[0])

    def step(self, target: Pose, q_rad: Array) -> Pose:
        """One tick onward to `target`; q_rad (n,) are the joints measured now. Raises LimitError before `restart`."""
        if np.isfinite(q_rad).all():
            self._q_rad = q_rad
        if self._out and np.abs(self._points[0, 3:]).max() > 0.5 and self.is_at_rest:
            self.restart(self._out)  # rotation vectors are counted from near by
        point = self._points[0] + self._move(self._coordinates(target) - self._points[0])
        self._points[1:] = self._points[:-1]
        self._points[0] = point
        self._out = self._pose_of(self._weights @ self._points[: len(self._weights)])
        return self._out

    def _move(self, way: Array) -> Array:
        """The largest part of `way` (6,) that the point may go in this tick: one factor for all, so no turn."""
        if np.abs(way).max() < _THERE:
            return np.zeros(6)
        n1 = self._config.n_window
        leaving = self._points[n1 - 1] - self._points[n1]
        factor = min(
            _tool_factor(way[:3], leaving[:3], self._config.translation, self._config),
            _tool_factor(way[3:], leaving[3:], self._config.rotation, self._config),
            self._joint_factor(way, leaving),
        )
        return way if factor >= 1.0 else factor * LESS * way

    def _joint_factor(self, way: Array, leaving: Array) -> float:
        config, joints, q_rad = self._config, self._config.joints, self._q_rad
        to_joints = self._predict.map_at(q_rad)
        want, had = to_joints @ way, to_joints @ leaving
        change = joints.max_rad_s2 * (_BENT * config.gain_s * config.dt_s)
        braking = np.where(want > 0, joints.envelope.upper(q_rad), joints.envelope.lower(q_rad))
        most = np.minimum(joints.scale * joints.envelope.max_rad_s, braking) * config.dt_s
        most = np.minimum(most, np.minimum(change, np.maximum(change + np.sign(want) * had, 0.0)))
        size = np.abs(want)
        over = size > most
        return float(np.min(most[over] / size[over])) if over.any() else 1.0

    def _coordinates(self, pose: Pose) -> Array:
        turn = rotation_vector(self._start(), pose.quat_xyzw)
        size = math.sqrt(float(turn @ turn))
        if size > 1e-9:  # past half a turn the shorter way is the other way round: stay on the turn we are in
            other = turn - turn * (2.0 * math.pi / size)
            here = self._points[0, 3:]
            turn = other if np.linalg.norm(other - here) < np.linalg.norm(turn - here) else turn
        return np.concatenate([pose.position_m, turn])

    def _pose_of(self, point: Array) -> Pose:
        return Pose(point[:3].copy(), rotated(self._start(), point[3:]))

    def _start(self) -> Array:
        if self._anchor is None:
            raise LimitError("the shaper has not started; call restart with the measured pose first")
        return self._anchor


def _tool_factor(way: Array, leaving: Array, rates: ToolRates, config: ShaperConfig) -> float:
    """The largest f in [0, 1] with |f way| within the speed and |f way - leaving| within the change allowed."""
    length = math.sqrt(float(way @ way))
    if length < 1e-15:
        return 1.0
    change = rates.acceleration * config.gain_s * config.dt_s
    most = min(rates.speed * config.dt_s, change)
    along = float(way @ leaving) / length
    inside = along * along - float(leaving @ leaving) + change * change
    reach = along + math.sqrt(max(inside, 0.0))
    return max(0.0, min(1.0, most / length, reach / length))
