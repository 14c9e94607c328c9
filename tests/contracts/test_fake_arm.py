"""The fake refuses what a real driver would."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ArmError
from o2o_robot.robot.fake import FakeArm
from o2o_robot.types import Pose


def test_the_fake_is_never_faster_than_its_limit() -> None:
    now_ns = [0]
    arm = FakeArm(clock=lambda: now_ns[0], max_speed_m_s=0.2)
    rng = np.random.default_rng(0)
    for _ in range(30):
        before = arm.read().tool
        arm.command(Pose(before.position_m + rng.uniform(-0.1, 0.1, 3), before.quat_xyzw))
        now_ns[0] += 50_000_000
        moved_m = np.linalg.norm(arm.read().tool.position_m - before.position_m)
        assert moved_m <= 0.2 * 0.05 * 1.01  # the joints' first-order step is 1 % off at most


def test_a_clock_that_goes_back_is_refused() -> None:
    now_ns = [5]
    arm = FakeArm(clock=lambda: now_ns[0])
    now_ns[0] = 4
    with pytest.raises(ArmError, match="went back"):
        arm.read()


def test_a_quaternion_that_is_not_of_unit_norm_is_refused() -> None:
    arm = FakeArm(clock=lambda: 0)
    with pytest.raises(ArmError, match="norm"):
        arm.command(Pose(np.array([0.4, 0.0, 0.4]), np.array([2.0, 0.0, 0.0, 0.0])))
