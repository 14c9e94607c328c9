"""What the policy sees of a picture, and that its intrinsics are those of what it sees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_view import Intrinsics, View

RAW = Intrinsics(640, 480, 600.0, 590.0, 322.0, 236.0, (0.1, -0.2, 0.0, 0.0, 0.0))
VIEWS = [
    View(0, 0, 640, 480, 64),
    View(80, 0, 480, 480, 128),
    View(201, 53, 300, 200, 100),
    View(300, 200, 64, 64, 128),
]


def blob_at(u: float, v: float) -> np.ndarray:
    """A picture with a soft white spot whose centre of mass is (u, v)."""
    y, x = np.mgrid[0:480, 0:640]
    spot = np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 6.0**2))
    return np.repeat((255 * spot).astype(np.uint8)[..., None], 3, axis=2)


def centre_of(image: np.ndarray) -> tuple[float, float]:
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("seed", range(4))
def test_a_point_in_space_is_seen_where_the_views_intrinsics_project_it(view, seed):
    rng = np.random.default_rng(seed)
    u = rng.uniform(view.left + 25, view.left + view.width - 25)
    v = rng.uniform(view.top + 25, view.top + view.height - 25)
    ray = ((u - RAW.cx_px) / RAW.fx_px, (v - RAW.cy_px) / RAW.fy_px)
    seen = view.intrinsics(RAW)
    expected = (seen.fx_px * ray[0] + seen.cx_px, seen.fy_px * ray[1] + seen.cy_px)
    assert centre_of(view(blob_at(u, v))) == pytest.approx(expected, abs=0.06)
    assert (seen.width, seen.height, seen.distortion) == (view.side, view.side, RAW.distortion)


def test_a_view_gives_a_square_of_its_own_and_leaves_the_picture_as_found():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    before = image.copy()
    for view in VIEWS:
        seen = view(image)
        assert seen.shape == (view.side, view.side, 3)
        assert seen.dtype == np.uint8
        seen[:] = 0
    np.testing.assert_array_equal(image, before)


def test_fine_stripes_shrink_to_grey_and_not_to_coarse_stripes():
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    seen = View(0, 0, 640, 480, 48)(stripes)
    assert np.ptp(seen) <= 24
    np.testing.assert_array_equal(seen, cv2.resize(stripes, (48, 48), interpolation=cv2.INTER_AREA))


def test_without_a_crop_the_whole_picture_is_seen_and_with_one_that_box():
    assert View.of(CameraConfig("front", policy_size=64)) == View(0, 0, 640, 480, 64)
    assert View.of(CameraConfig("front", policy_size=64, crop=(80, 0, 480, 480))) == View(80, 0, 480, 480, 64)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"driver": "zed"}, "zed.*realsense, opencv"),
        ({"width": 0}, "width is 0"),
        ({"fps": -30}, "fps is -30"),
        ({"exposure_us": float("nan")}, "exposure_us is nan"),
        ({"crop": (0, 0, 641, 480)}, "crop.*within the picture of 640x480"),
        ({"crop": (-1, 0, 10, 10)}, "crop.*within"),
        ({"crop": (0, 0, 480)}, "left, top, width, height"),
        ({"crop": (5, 5, 0, 10)}, "crop.*within"),
        ({"fourcc": "MJPEG"}, "four letters"),
        ({"silent_s": 0.0}, "silent_s is 0.0"),
    ],
)
def test_an_impossible_setting_is_refused_with_its_camera_and_value(wrong, named):
    with pytest.raises(ConfigError, match=f"camera front: .*{named}|{named}"):
        CameraConfig("front", **wrong)
