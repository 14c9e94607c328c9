"""Images of every encoding to RGB pixels of one size, by OpenCV. Sizes are checked before memory is asked for."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.bags.foreign import as_ros_defines
from o2o_robot.data.bags.jpeg import reduction
from o2o_robot.data.contract import ImageStream
from o2o_robot.errors import DataError
from o2o_robot.types import Array

MAX_PIXELS = 100_000_000


class _Layout(NamedTuple):
    """Values a pixel in a raw image, their type, and OpenCV's name of the way to RGB ('': it is RGB)."""

    n_channels: int
    dtype: str
    to_rgb: str


_COLOURS = {
    "rgb8": _Layout(3, "u1", ""),
    "bgr8": _Layout(3, "u1", "BGR2RGB"),
    "8UC3": _Layout(3, "u1", "BGR2RGB"),
    "rgba8": _Layout(4, "u1", "RGBA2RGB"),
    "bgra8": _Layout(4, "u1", "BGRA2RGB"),
    "8UC4": _Layout(4, "u1", "BGRA2RGB"),
    "mono8": _Layout(1, "u1", "GRAY2RGB"),
    "8UC1": _Layout(1, "u1", "GRAY2RGB"),
    "rgb16": _Layout(3, "u2", ""),
    "bgr16": _Layout(3, "u2", "BGR2RGB"),
    "mono16": _Layout(1, "u2", "GRAY2RGB"),
    "yuv422": _Layout(2, "u1", "YUV2RGB_UYVY"),
    "uyvy": _Layout(2, "u1", "YUV2RGB_UYVY"),
    "yuv422_yuy2": _Layout(2, "u1", "YUV2RGB_YUY2"),
    "yuyv": _Layout(2, "u1", "YUV2RGB_YUY2"),
}
_BAYER = {
    f"bayer_{order}{bits}": _Layout(1, f"u{bits // 8}", f"Bayer{order.upper()}2RGB")
    for order in ("rggb", "bggr", "gbrg", "grbg")
    for bits in (8, 16)
}
_DEPTH = {"16UC1": _Layout(1, "u2", ""), "32FC1": _Layout(1, "f4", "")}
_KNOWN = {**_COLOURS, **_BAYER, **_DEPTH}


def picture(message: Any, side: int, stream: ImageStream | None = None) -> Array:
    """An Image or CompressedImage as RGB uint8 (side, side, 3), averaged over each pixel's area when it shrinks.

    stream: what to do with mosaics and depth; without one both are refused. Depth is not averaged, for between two
    surfaces there is none: 0 where there was no reading, else 1 (near, and nearer) to 255 (far, and farther).
    Raises DataError where the bytes are no picture, or where the contract has to say how to see it.
    """
    stream = stream or ImageStream("a camera", side)
    with as_ros_defines("an image"):
        return _compressed(message, side, stream) if hasattr(message, "format") else _raw(message, side, stream)


def _raw(message: Any, side: int, stream: ImageStream) -> Array:
    layout = _KNOWN.get(message.encoding)
    if layout is None:
        raise DataError(f"image encoding '{message.encoding}' is not read (known: {', '.join(_KNOWN)})")
    _refuse_unasked(message.encoding, stream)
    pixels = _rows(message, layout)
    if _is_depth(message.encoding, stream):
        return _grey(pixels / np.float32(1000) if pixels.dtype == np.uint16 else pixels, side, stream)
    return _resized(_rgb(pixels, layout), side)


def _is_depth(encoding: str, stream: ImageStream) -> bool:
    """Some drivers call millimetres mono16: it is depth where the contract says from where to where."""
    return encoding in _DEPTH or (encoding == "mono16" and bool(stream.depth_m))


def _refuse_unasked(encoding: str, stream: ImageStream) -> None:
    if encoding in _BAYER and stream.bayer == "refuse":
        raise DataError(
            f"{stream.topic} is a Bayer mosaic ({encoding}); write `bayer: convert` for this camera in the contract, "
            "or record the debayered topic"
        )
    if encoding in _DEPTH and not stream.depth_m:
        raise DataError(
            f"{stream.topic} is depth ({encoding}); write e.g. `depth_m: [0.2, 2.0]`, near and far in metres, for this "
            "camera in the contract to see it as grey"
        )


def _rows(message: Any, layout: _Layout) -> Array:
    """Pixels (H, W, C) of a raw image in this machine's byte order, its rows freed from their padding."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    n_bytes = width * layout.n_channels * int(layout.dtype[1])
    if not height or not width or n_bytes > step or step * height != len(message.data):
        raise DataError(
            f"an image of {width}x{height} {message.encoding}, {step} bytes a row, has {len(message.data)} bytes"
        )
    rows = np.ascontiguousarray(np.asarray(message.data, np.uint8).reshape(height, step)[:, :n_bytes])
    order = ">" if message.is_bigendian else "<"
    values = rows.view(np.dtype(order + layout.dtype)).astype(layout.dtype, copy=False)
    return values.reshape(height, width, layout.n_channels)


def _rgb(pixels: Array, layout: _Layout) -> Array:
    """Pixels (H, W, C) as RGB uint8; of 16 bits the upper eight are kept."""
    import cv2

    if layout.to_rgb.startswith("YUV") and pixels.shape[1] % 2:
        raise DataError(f"an image {pixels.shape[1]} pixels wide cannot be 4:2:2")
    if layout.to_rgb:
        pixels = cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{layout.to_rgb}"))
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _resized(rgb: Array, side: int) -> Array:
    import cv2

    if rgb.shape[:2] == (side, side):
        return np.ascontiguousarray(rgb)
    shrinks = side < min(rgb.shape[:2])
    return cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _grey(depth_m: Array, side: int, stream: ImageStream) -> Array:
    """Depth (H, W) or (H, W, 1) in metres as grey (side, side, 3)."""
    import cv2

    near_m, far_m = stream.depth_m
    depth_m = cv2.resize(depth_m.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    is_read = np.isfinite(depth_m) & (depth_m > 0)
    share = np.clip((np.where(is_read, depth_m, near_m) - near_m) / (far_m - near_m), 0.0, 1.0)
    grey = np.where(is_read, 1 + np.round(254 * share), 0).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _compressed(message: Any, side: int, stream: ImageStream) -> Array:
    """A CompressedImage of image_transport's `compressed` or `compressedDepth`; its format begins with the encoding."""
    import cv2

    encoding = message.format.split(";")[0].strip()
    data = np.asarray(message.data, np.uint8)
    if "compressedDepth" in message.format:
        return _compressed_depth(message.format, encoding, data, side, stream)
    if encoding in _DEPTH or _is_depth(encoding, stream):
        _refuse_unasked(encoding, stream)
        return _grey(_millimetres(data, message.format) / np.float32(1000), side, stream)
    if encoding in _BAYER and (mosaic := _decoded(data, message.format, cv2.IMREAD_UNCHANGED)).ndim == 2:
        _refuse_unasked(encoding, stream)  # a mosaic that was debayered before it was compressed has three channels
        return _resized(_rgb(mosaic, _BAYER[encoding]), side)
    bgr = _resized(_decoded(data, message.format, cv2.IMREAD_COLOR, side), side)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _compressed_depth(form: str, encoding: str, data: Array, side: int, stream: ImageStream) -> Array:
    """compressed_depth_image_transport: 12 bytes (int32 format, float32 a, b), then a 16-bit PNG.

    Of 16UC1 the PNG is the image in millimetres; of 32FC1 it holds v = a / metres + b, 0 for no reading.
    """
    if "rvl" in form:
        raise DataError(f"{stream.topic} is '{form}'; RVL is not read, record it with `format: png`")
    _refuse_unasked(encoding if encoding in _DEPTH else "16UC1", stream)
    if len(data) < 12:
        raise DataError(f"a compressed image ('{form}', {len(data)} bytes) is too short for its header")
    _, a, b = struct.unpack_from("<iff", data.tobytes())
    value = _millimetres(data[12:], form)
    if encoding != "32FC1":
        return _grey(value / np.float32(1000), side, stream)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = np.float32(a) / (value.astype(np.float32) - np.float32(b))
    return _grey(np.where(value > 0, depth_m, 0.0), side, stream)


def _millimetres(data: Array, form: str) -> Array:
    """The single channel (H, W) of a 16-bit PNG."""
    import cv2

    pixels = _decoded(data, form, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 2 or pixels.dtype != np.uint16:
        raise DataError(f"a compressed image ('{form}') holds no 16-bit depth but {pixels.dtype} {pixels.shape}")
    return pixels


def _decoded(data: Array, form: str, flag: int, side: int | None = None) -> Array:
    """The pixels of a JPEG or PNG. side: a JPEG in colour may come reduced, as far as side x side pixels permit."""
    import cv2

    width, height = _stated_size(data.tobytes())
    if not width * height:
        raise DataError(f"a compressed image ('{form}', {len(data)} bytes) is not JPEG or PNG")
    if width * height > MAX_PIXELS:
        raise DataError(f"a compressed image claims {width}x{height} pixels, more than {MAX_PIXELS}")
    if side is not None and data[0] == 0xFF:  # a PNG would be decoded in full and then thinned
        flag = {1: flag, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}[reduction(width, height, side)]
    pixels = cv2.imdecode(data, flag)
    if pixels is None:
        raise DataError(f"a compressed image ('{form}', {len(data)} bytes) cannot be decoded")
    return pixels


def _stated_size(data: bytes) -> tuple[int, int]:
    """Width and height that a PNG or JPEG states, before anything is unpacked; (0, 0) where it is neither."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, ITU-T T.81 table B.1
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        has_length = marker not in (0x01, 0xFF, *range(0xD0, 0xD8))
        at += 2 + struct.unpack_from(">H", data, at + 2)[0] if has_length else 1 if marker == 0xFF else 2
    return 0, 0
