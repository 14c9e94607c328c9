"""Frames of one episode out of an mp4, in order, each checked against the time of its row. Knows PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from o2o_robot.data.bags.pictures import MAX_PIXELS
from o2o_robot.data.formats.demonstration import resized
from o2o_robot.errors import DataError
from o2o_robot.types import Array

if TYPE_CHECKING:
    import av
    from av.container import InputContainer


def frames(path: Path, *, from_s: float, n_frames: int, fps: float, side: int, is_whole: bool) -> Array:
    """Frames from_s, from_s + 1/fps, ... of a video as (n_frames, side, side, 3) uint8 RGB.

    is_whole: the file holds this episode alone, so that one frame more is as wrong as one too few.
    Raises DataError naming the frame that is not where its row says (half a period of tolerance).
    """
    out = np.empty((n_frames, side, side, 3), np.uint8)
    half_s, n_found = 0.5 / fps, 0
    with _opened(path) as container:
        for frame in _from(container, path, from_s):
            time_s = -1.0 if frame.time is None else frame.time
            if n_found == 0 and time_s < from_s - half_s:  # between the key frame and the episode
                continue
            if n_found == n_frames:
                _check_end(path, n_frames, is_whole)
                break
            expected_s = from_s + n_found / fps
            if abs(time_s - expected_s) > half_s:
                raise DataError(
                    f"{path}: a frame at {time_s:.3f} s, row {n_found} of {n_frames} is at {expected_s:.3f} s; "
                    "the video does not fit its rows"
                )
            out[n_found] = _picture(frame, path, side)
            n_found += 1
    if n_found < n_frames:
        raise DataError(f"{path} has {n_found} frames from {from_s:.3f} s on, its episode {n_frames} rows")
    return out


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    import av

    if not path.is_file():
        raise DataError(f"{path} is missing; get the file, or go without cameras (--cameras none)")
    try:
        # the mp4 reader by name: by content, FFmpeg would also take a playlist that points anywhere
        with av.open(str(path), format="mp4") as container:
            yield container
    except (av.FFmpegError, OSError, ValueError, MemoryError) as problem:
        raise DataError(f"{path} cannot be decoded ({problem}); copy it again from its source") from None


def _from(container: InputContainer, path: Path, from_s: float) -> Iterator[av.VideoFrame]:
    """Frames from the last key frame before from_s on."""
    if not container.streams.video:
        raise DataError(f"{path} holds no video")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DataError(f"{path} is of a video codec that is not known here")
    _check_size(path, stream.codec_context.width, stream.codec_context.height)
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.thread_type = "AUTO"
    if from_s > 0 and stream.time_base:
        container.seek(int(from_s / stream.time_base), stream=stream)
    yield from container.decode(stream)


def _picture(frame: av.VideoFrame, path: Path, side: int) -> Array:
    from av.video.reformatter import Interpolation

    _check_size(path, frame.width, frame.height)
    # FFmpeg's quick way to RGB darkens by more than one step of 255, and smears colours over two pixels
    rgb = frame.reformat(format="rgb24", interpolation=Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
    return resized(rgb.to_ndarray()[None], side)[0]


def _check_size(path: Path, width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path} has frames of {width}x{height} pixels, at most {MAX_PIXELS} are read")


def _check_end(path: Path, n_frames: int, is_whole: bool) -> None:
    if is_whole:
        raise DataError(f"{path} has more than the {n_frames} frames its episode has rows")
