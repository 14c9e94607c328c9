"""How far a JPEG may be reduced while it is decoded, and what that costs in grey levels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.jpeg import reduction

DATA = Path(__file__).parents[3] / "shared" / "data" / "g1-bags" / "g1_bottle_ep1"
TOPIC = "/cam_high/color/image_raw/compressed"


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(8, 1024))
def test_a_reduced_picture_is_never_less_than_half_as_large_again_as_the_one_that_is_wanted(width, height, side):
    by = reduction(width, height, side)
    assert by == 1 or min(width, height) // by >= 1.5 * side


@pytest.mark.parametrize(("side", "by"), [(64, 2), (128, 2), (160, 2), (161, 1), (40, 4)])
def test_a_vga_frame_is_halved_down_to_160_pixels_and_quartered_down_to_40(side, by):
    assert reduction(640, 480, side) == by


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings under {DATA}")
@pytest.mark.parametrize(("side", "mean", "most"), [(40, 0.5, 8), (64, 0.5, 12), (128, 0.5, 24), (160, 0.6, 32)])
def test_frames_of_a_real_camera_come_out_within_half_a_grey_level_in_the_mean(side, mean, most):
    store = get_typestore(Stores.LATEST)
    flag = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}[reduction(640, 480, side)]
    found = []
    for i, message in enumerate(each for each in Bag.open(DATA).messages({TOPIC}) if each.topic == TOPIC):
        if i % 40 == 0:
            data = np.array(store.deserialize_cdr(message.data, "sensor_msgs/msg/CompressedImage").data)
            full, reduced = (
                cv2.resize(cv2.imdecode(data, how), (side, side), interpolation=cv2.INTER_AREA).astype(int)
                for how in (cv2.IMREAD_COLOR, flag)
            )
            found.append(np.abs(full - reduced))
    assert np.mean(found) < mean
    assert np.max(found) <= most
