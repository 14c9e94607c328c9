"""Camera-to-joint latency: how much later than the joints' stamps the pictures' stamps show the same motion.

Shake the arm by hand or by program for ten seconds, irregularly, with the camera seeing something with texture. A
picture stamped t then shows the arm as the joint state stamped t - s has it; subtract s to align the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from o2o_calibration.delay import Delay, DelayLimits, Signal, delay, in_order
from o2o_calibration.image_motion import image_motion
from o2o_robot.types import Array


def camera_latency(
    picture_t_s: Array,
    grey: Sequence[Array],
    joint_t_s: Array,
    q_rad: Array,
    *,
    rng: np.random.Generator,
    limits: DelayLimits | None = None,
) -> Delay:
    """From pictures (H, W) uint8 with stamps (m,), and joint positions (n, k) with stamps (n,), both in seconds.

    Dropped frames and repeated joint states do no harm. Raises CalibrationError where the peak is not clear.
    """
    return delay(in_order(joint_t_s, q_rad), picture_motion(picture_t_s, grey), rng=rng, limits=limits)


def picture_motion(t_s: Array, grey: Sequence[Array]) -> Signal:
    """The pictures' motion as a Signal of one value row less than stamps; repeated and backward stamps are dropped."""
    kept = in_order(t_s, np.arange(len(t_s), dtype=float)[:, None])
    return Signal(kept.t_s, image_motion([grey[int(i)] for i in kept.values[:, 0]]))
