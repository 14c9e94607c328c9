"""Every kind of image a driver publishes: right colours, right metres, or one line that says which setting to write."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from twin_bags import STORE, header, image

from o2o_robot.data.contract import ImageStream
from o2o_robot.data.decode import picture
from o2o_robot.errors import DataError

SIDE = 8
COLOUR = np.array([200, 120, 40], np.uint8)
MOSAICS = {"rggb": "RGGB", "bggr": "BGGR", "gbrg": "GBRG", "grbg": "GRBG"}


def raw(pixels: np.ndarray, encoding: str, *, is_bigendian: bool = False) -> object:
    """An Image of pixels (H, W[, C]) of any width of number."""
    order = pixels.astype(pixels.dtype.newbyteorder(">" if is_bigendian else "<"))
    rows = order.reshape(len(pixels), -1).view(np.uint8)
    message = image(np.zeros((1, 1, 1), np.uint8), 0, encoding)
    message.height, message.width, message.step = pixels.shape[0], pixels.shape[1], rows.shape[1]
    message.is_bigendian, message.data = int(is_bigendian), np.concatenate(rows)
    return message


def packed(pixels: np.ndarray, form: str, head: bytes = b"", extension: str = ".png") -> object:
    data = head + cv2.imencode(extension, pixels)[1].tobytes()
    kind = STORE.types["sensor_msgs/msg/CompressedImage"]
    return kind(header=header(0), format=form, data=np.frombuffer(data, np.uint8))


def mosaic(order: str, dtype: type = np.uint8) -> np.ndarray:
    """What a sensor under this filter sees of a surface of COLOUR."""
    unit = COLOUR.astype(dtype) * (257 if dtype is np.uint16 else 1)
    tile = np.array([unit["RGB".index(letter)] for letter in order], dtype).reshape(2, 2)
    return np.tile(tile, (SIDE, SIDE))


CONVERT = ImageStream("cam", SIDE, bayer="convert")
DEPTH = ImageStream("cam", SIDE, depth_m=(1.0, 3.0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", MOSAICS)
def test_a_mosaic_becomes_the_colour_that_was_seen(order, dtype):
    encoding = f"bayer_{order}{8 * np.dtype(dtype).itemsize}"
    found = picture(raw(mosaic(MOSAICS[order], dtype), encoding), SIDE, CONVERT)
    assert np.abs(found.astype(int) - COLOUR).max() <= 1


@pytest.mark.parametrize("encoding", ["bayer_rggb8", "bayer_gbrg16"])
def test_a_mosaic_nobody_asked_for_is_refused_with_the_setting_to_write(encoding):
    pixels = mosaic("RGGB", np.uint16 if encoding.endswith("16") else np.uint8)
    with pytest.raises(DataError, match=r"wrist is a Bayer mosaic.*`bayer: convert`"):
        picture(raw(pixels, encoding), SIDE, ImageStream("wrist", SIDE))
    with pytest.raises(DataError, match="`bayer: convert`"):
        picture(raw(pixels, encoding), SIDE)


def test_a_compressed_mosaic_is_one_only_where_it_was_not_debayered_before():
    form = "bayer_rggb8; png compressed "
    assert np.abs(picture(packed(mosaic("RGGB"), form), SIDE, CONVERT).astype(int) - COLOUR).max() <= 1
    with pytest.raises(DataError, match="`bayer: convert`"):
        picture(packed(mosaic("RGGB"), form), SIDE)
    bgr = np.tile(COLOUR[::-1], (SIDE, SIDE, 1))
    np.testing.assert_array_equal(picture(packed(bgr, "bayer_rggb8; png compressed bgr8"), SIDE)[0, 0], COLOUR)


METRES = np.array([[0.0, 0.5, 1.0, 2.0], [3.0, 5.0, 1.5, 2.5]], np.float32)
GREY = np.array([[0, 1, 1, 128], [255, 255, 64, 192]])  # no reading, nearer, near, half way; far, farther, a quarter...


def depth_in_tiles(metres: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(metres, SIDE // 2, axis=0), SIDE // 4, axis=1)


def assert_is_depth(found: np.ndarray) -> None:
    assert found.shape == (SIDE, SIDE, 3)
    assert (np.ptp(found, axis=2) == 0).all()
    np.testing.assert_allclose(found[:: SIDE // 2, :: SIDE // 4, 0].astype(int), GREY, atol=1)


@pytest.mark.parametrize("is_bigendian", [False, True])
def test_depth_in_millimetres_and_in_metres_is_the_same_grey(is_bigendian):
    metres = depth_in_tiles(METRES)
    millimetres = np.round(metres * 1000).astype(np.uint16)
    assert_is_depth(picture(raw(millimetres, "16UC1", is_bigendian=is_bigendian), SIDE, DEPTH))
    assert_is_depth(picture(raw(millimetres, "mono16", is_bigendian=is_bigendian), SIDE, DEPTH))
    assert_is_depth(picture(raw(metres, "32FC1", is_bigendian=is_bigendian), SIDE, DEPTH))
    assert_is_depth(picture(packed(millimetres, "16UC1; png compressed "), SIDE, DEPTH))
    assert_is_depth(
        picture(packed(millimetres, "16UC1; compressedDepth png", struct.pack("<iff", 0, 0, 0)), SIDE, DEPTH)
    )


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, -1.0, 0.0])
def test_depth_that_was_not_read_is_zero_and_nothing_else_is(missing):
    metres = np.full((SIDE, SIDE), 0.01, np.float32)
    metres[0, 0] = missing
    found = picture(raw(metres, "32FC1"), SIDE, DEPTH)[:, :, 0]
    assert found[0, 0] == 0
    assert np.count_nonzero(found) == SIDE * SIDE - 1


def test_inverse_depth_of_the_compressed_transport_comes_back_in_metres():
    a, b = 4000.0, -250.0  # v = a / metres + b, as compressed_depth_image_transport quantizes 32FC1
    metres = depth_in_tiles(np.maximum(METRES, 0.5))
    value = np.where(depth_in_tiles(METRES) > 0, a / metres + b, 0).astype(np.uint16)
    head = struct.pack("<iff", 0, a, b)
    assert_is_depth(picture(packed(value, "32FC1; compressedDepth png", head), SIDE, DEPTH))


def test_shrinking_never_makes_up_a_depth_between_two_surfaces():
    metres = np.where(np.indices((64, 64)).sum(axis=0) % 2, 1.0, 3.0).astype(np.float32)
    assert set(np.unique(picture(raw(metres, "32FC1"), SIDE, DEPTH))) <= {1, 255}


@pytest.mark.parametrize(
    "message",
    [
        raw(np.ones((SIDE, SIDE), np.uint16), "16UC1"),
        raw(np.ones((SIDE, SIDE), np.float32), "32FC1"),
        packed(np.ones((SIDE, SIDE), np.uint16), "16UC1; png compressed "),
        packed(np.ones((SIDE, SIDE), np.uint16), "16UC1; compressedDepth png", bytes(12)),
        packed(np.ones((SIDE, SIDE), np.uint16), "32FC1; compressedDepth", bytes(12)),
    ],
)
def test_depth_nobody_asked_for_is_refused_with_the_setting_to_write(message):
    with pytest.raises(DataError, match=r"wrist is depth .*`depth_m: \[0\.2, 2\.0\]`"):
        picture(message, SIDE, ImageStream("wrist", SIDE))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (packed(np.ones((4, 4), np.uint16), "16UC1; compressedDepth rvl", bytes(12)), "RVL is not read"),
        (packed(np.ones((4, 4), np.uint8), "16UC1; compressedDepth png", bytes(12)), "holds no 16-bit depth"),
        (packed(np.ones((4, 4), np.uint16), "16UC1; compressedDepth png"), "not JPEG or PNG"),
        (raw(np.ones((4, 3, 2), np.uint8), "yuv422"), "4:2:2"),
        (raw(np.ones((4, 4), np.uint8), "nv21"), "'nv21' is not read"),
    ],
)
def test_an_image_that_cannot_be_read_says_why(message, said):
    with pytest.raises(DataError, match=said):
        picture(message, SIDE, DEPTH)


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize(("encoding", "order"), [("rgb16", [0, 1, 2]), ("bgr16", [2, 1, 0]), ("mono16", [0, 0, 0])])
def test_of_sixteen_bits_the_upper_eight_are_kept(encoding, order, is_bigendian):
    pixels = np.random.default_rng(0).integers(0, 2**16, (SIDE, SIDE, 1 + max(order)), np.uint16)
    found = picture(raw(pixels, encoding, is_bigendian=is_bigendian), SIDE)
    np.testing.assert_array_equal(found, (pixels >> 8)[:, :, order])


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_a_grey_image_has_three_equal_channels(encoding):
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)
    np.testing.assert_array_equal(picture(raw(pixels, encoding), SIDE), np.repeat(pixels[:, :, None], 3, axis=2))


@pytest.mark.parametrize(("encoding", "places"), [("yuv422", (1, 0, 2)), ("yuv422_yuy2", (0, 1, 3))])
def test_a_webcams_yuv_comes_out_as_the_colour_it_stands_for(encoding, places):
    # BT.601: red is y 81, u 90, v 240. places: of the first y, of u, of v in four bytes
    y, u, v = places
    pair = np.zeros(4, np.uint8)
    pair[[y, y + 2]], pair[u], pair[v] = 81, 90, 240
    pixels = np.tile(pair, (SIDE, SIDE // 2)).reshape(SIDE, SIDE, 2)
    found = picture(raw(pixels, encoding), SIDE)
    assert np.abs(found.astype(int) - [254, 0, 0]).max() <= 4


def test_sixteen_bit_png_of_grey_keeps_its_upper_eight_bits():
    pixels = np.random.default_rng(0).integers(0, 2**16, (SIDE, SIDE), np.uint16)
    found = picture(packed(pixels, "mono16; png compressed "), SIDE)
    assert np.abs(found[:, :, 0].astype(int) - (pixels >> 8)).max() <= 1
