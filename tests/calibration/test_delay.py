"""Latency: a known delay is found to 5 ms through noise, drops and another clock, and an unclear peak is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from o2o_calibration.delay import DelayLimits, Signal, delay, in_order
from o2o_calibration.errors import CalibrationError
from o2o_calibration.image_motion import image_motion
from o2o_calibration.latency import camera_latency

RNG = np.random.default_rng


def shaken_joints(rng: np.random.Generator, seconds: float = 12.0, hz: float = 100.0, n_tones: int = 8) -> Signal:
    """Two joints shaken irregularly, about 0.1 rad."""
    t = np.arange(0, seconds, 1 / hz)
    tones = rng.uniform(0.3, 3.0, (2, n_tones)), rng.uniform(0, 2 * np.pi, (2, n_tones))
    q = np.stack(
        [0.04 * np.sin(2 * np.pi * f[:, None] * t + p[:, None]).sum(axis=0) for f, p in zip(*tones, strict=True)]
    )
    return Signal(t, q.T)


def seen_motion(
    joints: Signal, late_s: float, rng: np.random.Generator, *, noise_px: float = 0.5, lost: float = 0.1
) -> Signal:
    """What a 30 Hz camera sees of it, stamped late, with noise, jitter of the stamps and lost frames."""
    t = np.arange(1.0, joints.t_s[-1] - 1.0, 1 / 30) + rng.normal(
        0, 0.001, len(np.arange(1.0, joints.t_s[-1] - 1.0, 1 / 30))
    )
    t = np.sort(t[rng.uniform(size=len(t)) > lost])
    at = np.stack([np.interp(t - late_s, joints.t_s, q) for q in joints.values.T], axis=1)
    pixels = at @ np.array([[300.0, -40.0], [80.0, 250.0]])
    return Signal(t, np.diff(pixels, axis=0) + rng.normal(0, noise_px, (len(t) - 1, 2)))


@pytest.mark.parametrize("late_s", [-0.03, 0.0, 0.0437, 0.182])
def test_a_delay_is_found_to_five_milliseconds_through_noise_and_lost_frames(late_s):
    joints = shaken_joints(RNG(1))
    found = delay(joints, seen_motion(joints, late_s, RNG(2)), rng=RNG(0))
    assert found.s == pytest.approx(late_s, abs=0.005)
    assert found.half_width_s < 0.005


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    inside = []
    for seed in range(20):
        joints = shaken_joints(RNG(seed))
        found = delay(joints, seen_motion(joints, 0.06, RNG(seed + 50), noise_px=3.0), rng=RNG(seed), n_bootstrap=20)
        inside.append(abs(found.s - 0.06) <= found.half_width_s)
    assert np.mean(inside) >= 0.8


def test_rows_lost_to_blur_are_passed_over():
    joints = shaken_joints(RNG(1))
    motion = seen_motion(joints, 0.05, RNG(2))
    motion.values[::4] = np.nan
    assert delay(joints, motion, rng=RNG(0)).s == pytest.approx(0.05, abs=0.005)


def test_a_steady_rhythm_is_refused_and_told_to_change_tempo():
    t = np.arange(0, 12, 0.01)
    joints = Signal(t, 0.1 * np.stack([np.sin(2 * np.pi * 3 * t), np.cos(2 * np.pi * 3 * t)], axis=1))
    with pytest.raises(CalibrationError, match="changing the tempo"):
        delay(joints, seen_motion(joints, 0.05, RNG(2)), rng=RNG(0))


def test_motion_of_something_else_is_refused():
    joints = shaken_joints(RNG(1))
    with pytest.raises(CalibrationError, match=r"at best \d+% of the motion is explained"):
        delay(joints, seen_motion(shaken_joints(RNG(7)), 0.05, RNG(2)), rng=RNG(0))


def test_a_delay_beyond_the_range_is_refused():
    joints = shaken_joints(RNG(1))
    with pytest.raises(CalibrationError, match=r"at the edge of -0\.1 to 0\.28 s"):
        delay(joints, seen_motion(joints, 0.30, RNG(2)), rng=RNG(0), limits=DelayLimits(most_s=0.28))


def test_an_arm_at_rest_is_refused():
    joints = shaken_joints(RNG(1))
    still = joints._replace(values=np.zeros_like(joints.values))
    with pytest.raises(CalibrationError, match="nothing moves"):
        delay(still, seen_motion(joints, 0.05, RNG(2)), rng=RNG(0))


def test_too_short_a_recording_is_refused():
    joints = shaken_joints(RNG(1), seconds=3.5)
    with pytest.raises(CalibrationError, match="60 are needed"):
        delay(joints, seen_motion(joints, 0.05, RNG(2)), rng=RNG(0))


def test_repeated_backward_and_unfinished_samples_are_dropped():
    t_s = np.array([0.0, 2.0, 2.0, 1.0, 1.5, 3.0, 4.0])
    kept = in_order(t_s, np.array([[0.0], [2], [9], [9], [9], [np.nan], [4]]))
    assert kept.t_s.tolist() == [0.0, 2.0, 4.0]
    assert kept.values.ravel().tolist() == [0.0, 2.0, 4.0]


def test_image_motion_is_the_shift_of_the_picture_and_nothing_where_it_is_blank():
    wall = cv2.GaussianBlur(RNG(0).integers(0, 256, (400, 500)).astype(np.float32), (0, 0), 3)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    window = [wall[50:290, 50:370], wall[53:293, 44:364], np.full((240, 320), 90, np.uint8)]
    moved = image_motion(window)
    assert moved[0] == pytest.approx([6.0, -3.0], abs=0.1)  # the window went left and down, so the picture right and up
    assert np.isnan(moved[1]).all()


def test_a_jump_too_far_to_follow_gives_no_motion_rather_than_a_wrong_one():
    far = [cv2.GaussianBlur(RNG(i).integers(0, 256, (240, 320)).astype(np.uint8), (0, 0), 3) for i in range(2)]
    far = [cv2.normalize(shot, None, 0, 255, cv2.NORM_MINMAX) for shot in far]
    assert np.isnan(image_motion(far)).all()


def test_three_dots_are_too_little_to_tell_motion():
    dots = [np.zeros((240, 320), np.uint8) for _ in range(2)]
    for i, shot in enumerate(dots):
        for x in (80, 160, 240):
            cv2.circle(shot, (x + 3 * i, 120), 2, 255, -1)
    assert np.isnan(image_motion(dots)).all()


def test_camera_latency_is_found_from_pictures():
    """A shaken camera before a textured wall, 30 Hz, stamped 45 ms late, sensor noise, one frame in twelve lost."""
    rng = RNG(3)
    joints = shaken_joints(rng, seconds=9.0)
    wall = cv2.GaussianBlur(rng.integers(0, 256, (300, 360)).astype(np.float32), (0, 0), 3)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    t = np.arange(0.8, 8.0, 1 / 30)
    t = t[rng.uniform(size=len(t)) > 1 / 12]
    shots = []
    for at in t - 0.045:
        x, y = (40 + 100 * np.interp(at, joints.t_s, q) for q in joints.values.T)
        shot = cv2.warpAffine(wall, np.array([[1, 0, -100 + x], [0, 1, -80 + y]]), (160, 120)).astype(float)
        shots.append(np.clip(shot + rng.normal(0, 3, shot.shape), 0, 255).astype(np.uint8))
    found = camera_latency(t, shots, joints.t_s, joints.values, rng=RNG(0))
    assert found.s == pytest.approx(0.045, abs=0.005)
