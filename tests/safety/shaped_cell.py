"""A real arm's guard in real time, an arm that follows its reference, and the laws of every tick."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from guard_examples import HAND, MS, READY_RAD, action

from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.arm import Sent
from o2o_robot.robot.rotation import rotation_vector
from o2o_robot.safety.guard_config import GuardConfig, build_guard, fr3, shaper_config
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.limits_table import FACTS
from o2o_robot.types import ArmState, Executed, Pose

DT_S = 0.01
SPACE = DeltaPosition(0.025)


def real(**changes: object) -> GuardConfig:
    """The real FR3's settings, with room around the ready pose."""
    return replace(fr3(), workspace_min_m=(0.25, -0.25, 0.2), workspace_max_m=(0.65, 0.25, 0.65), **changes)


class FollowingArm:
    """Its joints go exactly where the reference is, by the least-norm step; `is_blocked`: it stays where it is."""

    def __init__(self, q_rad: np.ndarray = READY_RAD) -> None:
        self.targets: list[Pose] = []
        self.wrench: np.ndarray | None = None
        self.is_blocked = False
        self.place(q_rad)

    def place(self, q_rad: np.ndarray) -> None:
        self.q_rad = np.array(q_rad, np.float64)
        self.tool = HAND.fk(self.q_rad)
        self.state = ArmState(0, self.q_rad, np.zeros(7), self.tool)

    def sense(self, now_ns: int) -> None:
        """A new state, stamped now; the encoders' flicker is in the speeds alone."""
        flicker = 1e-6 * np.sin(now_ns * 1e-7 + np.arange(7))
        self.state = ArmState(now_ns, self.q_rad, flicker, self.tool, wrench=self.wrench)

    def read(self) -> ArmState:
        return self.state

    def command(self, target: Pose) -> Sent:
        assert np.isfinite(target.position_m).all()
        assert np.isfinite(target.quat_xyzw).all()
        self.targets.append(target)
        if not self.is_blocked:
            turn = rotation_vector(self.tool.quat_xyzw, target.quat_xyzw)
            twist = np.concatenate([target.position_m - self.tool.position_m, turn])
            self.q_rad = self.q_rad + HAND.joint_step(self.q_rad, twist, damping=1e-4)
            self.tool = HAND.fk(self.q_rad)
        return Sent(target)

    def hold(self) -> Sent:
        return self.command(self.tool)


class ShapedCell:
    """A guard that shapes motion around a following arm, 10 ms a tick."""

    def __init__(self, config: GuardConfig | None = None, q_rad: np.ndarray = READY_RAD) -> None:
        self.config = config or real()
        self.inner, self.now_ns, self.seq = FollowingArm(q_rad), 0, 0
        self.guard = build_guard(self.config)
        self.arm = GuardedArm(self.inner, self.guard)
        self.inner.sense(0)

    def engage(self) -> ShapedCell:
        self.arm.engage(self.now_ns, self.now_ns * 1e-9)
        return self

    def act(self, values: object, **changes: object) -> Executed:
        self.seq += 1
        asked = action(self.seq, **{"stamp_ns": self.now_ns, "values": values, **changes})
        return self.arm.execute(asked, SPACE, self.now_ns, self.now_ns * 1e-9)

    def tick(self, n: int = 1, *, senses: bool = True) -> Sent:
        for _ in range(n):
            self.now_ns += 10 * MS
            if senses:
                self.inner.sense(self.now_ns)
            sent = self.arm.tick(self.now_ns, self.now_ns * 1e-9)
        return sent

    def run(self, values: object, seconds: float, **changes: object) -> None:
        """A policy that asks for the same at 10 Hz."""
        for _ in range(round(seconds * 10)):
            self.act(values, **changes)
            self.tick(10)

    def path(self) -> np.ndarray:
        """Where the tool was told to be, (k, 3) m, from the first."""
        return np.array([target.position_m for target in self.inner.targets])


@dataclass
class Worst:
    """The largest share of each bound that any tick used. At most 1 where the laws hold."""

    used: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, share: float) -> None:
        self.used[name] = max(self.used.get(name, 0.0), float(share))


class MotionLaws:
    """Watches references and joints tick by tick: speed, acceleration and jerk by finite differences, and places.

    laws.restart(pose, q_rad)       # the arm was armed here, or something else moved it
    laws.see(pose, q_rad)           # each tick; `worst` says how near to each bound it came
    """

    def __init__(self, config: GuardConfig) -> None:
        self._rates, self._config = shaper_config(config), config
        self._facts = FACTS[config.robot, config.joint_box]()
        self.worst = Worst()

    def restart(self, pose: Pose, q_rad: np.ndarray) -> None:
        self._pose, self._q_rad = pose, q_rad
        self._before = {name: (np.zeros(n), np.zeros(n)) for name, n in (("tool", 3), ("turn", 3), ("joint", 7))}

    def see(self, pose: Pose, q_rad: np.ndarray) -> None:
        step_m = pose.position_m - self._pose.position_m
        turn_rad = rotation_vector(self._pose.quat_xyzw, pose.quat_xyzw)
        self._differences("tool", step_m / DT_S, self._rates.translation, norm=True)
        self._differences("turn", turn_rad / DT_S, self._rates.rotation, norm=True)
        self._differences("joint", (q_rad - self._q_rad) / DT_S, None, norm=False)
        self._place(pose, q_rad)
        self._pose, self._q_rad = pose, q_rad

    def _differences(self, name: str, speed: np.ndarray, rates: object, *, norm: bool) -> None:
        last_speed, last_acceleration = self._before[name]
        acceleration = (speed - last_speed) / DT_S
        jerk = (acceleration - last_acceleration) / DT_S
        self._before[name] = (speed, acceleration)
        joints = self._rates.joints
        bounds = (
            (rates.speed, rates.acceleration, rates.jerk)
            if rates
            else (joints.scale * joints.envelope.max_rad_s, joints.max_rad_s2, joints.max_rad_s3)
        )
        for kind, value, most in zip(
            ("speed", "acceleration", "jerk"), (speed, acceleration, jerk), bounds, strict=True
        ):
            share = np.sqrt(value @ value) / most if norm else (np.abs(value) / most).max()
            self.worst.note(f"{name} {kind}", share)

    def _place(self, pose: Pose, q_rad: np.ndarray) -> None:
        low, high = np.array(self._config.workspace_min_m), np.array(self._config.workspace_max_m)
        middle, half = (low + high) / 2, (high - low) / 2
        self.worst.note("workspace", (np.abs(pose.position_m - middle) / half).max())
        middle, half = (self._facts.min_rad + self._facts.max_rad) / 2, (self._facts.max_rad - self._facts.min_rad) / 2
        self.worst.note("joint position", (np.abs(q_rad - middle) / half).max())
