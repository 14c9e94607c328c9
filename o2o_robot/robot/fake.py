"""An arm without physics, for tests and laptops: it goes straight to its target at bounded speed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from o2o_robot.errors import ArmError
from o2o_robot.robot.arm import Sent
from o2o_robot.robot.kinematics import FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW, SerialArm, fr3
from o2o_robot.robot.rotation import rotation_vector
from o2o_robot.types import ArmState, Array, Pose

FR3_READY_RAD = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)
_SLICE_NS = 10_000_000  # joints follow the tool by small motions; 10 ms at 0.25 m/s is 2.5 mm


def fr3_with_hand() -> SerialArm:
    """The FR3 with its tool frame at the hand's TCP."""
    return fr3().with_tool(FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW)


class FakeArm:
    """A kinematic arm on a clock that is passed in, in nanoseconds. It refuses what a real arm's driver would refuse.

    now_ns = [0]
    arm = FakeArm(clock=lambda: now_ns[0])
    arm.command(target); now_ns[0] += 100_000_000
    assert arm.read().stamp_ns == now_ns[0]
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        kinematics: SerialArm | None = None,
        start_rad: Array | None = None,
        max_speed_m_s: float = 0.3,
        max_turn_rad_s: float = 1.0,
        gripper_m: float = 0.0,
    ) -> None:
        if max_speed_m_s <= 0 or max_turn_rad_s <= 0:
            raise ArmError(f"speeds must be > 0, got {max_speed_m_s} m/s and {max_turn_rad_s} rad/s")
        self._clock, self._gripper_m = clock, gripper_m
        self._kinematics = kinematics or fr3_with_hand()
        self._max_speed_m_s, self._max_turn_rad_s = max_speed_m_s, max_turn_rad_s
        self._q_rad = np.array(FR3_READY_RAD if start_rad is None else start_rad, np.float64)
        self._dq_rad = np.zeros_like(self._q_rad)
        self._target = self._kinematics.fk(self._q_rad)
        self._stamp_ns = clock()
        self.commands: list[Pose] = []

    def read(self) -> ArmState:
        """The state at the clock's present time. Raises ArmError where the clock went back."""
        now_ns = self._clock()
        if now_ns < self._stamp_ns:
            raise ArmError(f"the clock went back from {self._stamp_ns} to {now_ns} ns; give the arm a steady clock")
        while self._stamp_ns < now_ns:
            slice_ns = min(_SLICE_NS, now_ns - self._stamp_ns)
            self._move_for(slice_ns * 1e-9)
            self._stamp_ns += slice_ns
        tool = self._kinematics.fk(self._q_rad)
        return ArmState(self._stamp_ns, self._q_rad.copy(), self._dq_rad.copy(), tool, self._gripper_m)

    def command(self, target: Pose) -> Sent:
        """Go to `target` from now on; what is sent is what was asked. Raises ArmError for what is not a pose."""
        position_m, quat = np.array(target.position_m, np.float64), np.array(target.quat_xyzw, np.float64)
        if position_m.shape != (3,) or quat.shape != (4,):
            raise ArmError(f"target shapes {position_m.shape} and {quat.shape} must be (3,) and (4,)")
        if not (np.isfinite(position_m).all() and np.isfinite(quat).all()):
            raise ArmError(f"target {position_m} {quat} is not finite; nothing was sent, look at what proposed it")
        if abs(np.linalg.norm(quat) - 1.0) > 1e-3:
            raise ArmError(f"target quaternion {quat} has norm {np.linalg.norm(quat):.4f}, must be 1; normalise it")
        self.read()  # what was commanded before holds until now
        self._target = Pose(position_m, quat / np.linalg.norm(quat))
        self.commands.append(self._target)
        return Sent(self._target)

    def hold(self) -> Sent:
        """Stay at the present pose."""
        return self.command(self.read().tool)

    def _move_for(self, dt_s: float) -> None:
        tool = self._kinematics.fk(self._q_rad)
        shift_m = _shortened(self._target.position_m - tool.position_m, self._max_speed_m_s * dt_s)
        turn_rad = _shortened(rotation_vector(tool.quat_xyzw, self._target.quat_xyzw), self._max_turn_rad_s * dt_s)
        step_rad = self._kinematics.joint_step(self._q_rad, np.concatenate([shift_m, turn_rad]))
        self._q_rad = self._q_rad + step_rad
        self._dq_rad = step_rad / dt_s


def _shortened(vector: Array, longest: float) -> Array:
    """The vector, or one of the same direction no longer than `longest`."""
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)
