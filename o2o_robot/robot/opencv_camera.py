"""Any camera that OpenCV opens: a webcam on V4L2 by path or index, or a video file for trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from o2o_robot.robot.camera import CameraError
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_live import LiveCamera, Shot

AUTOMATIC, MANUAL = 3.0, 1.0  # V4L2_CID_EXPOSURE_AUTO: aperture priority, manual
EXPOSURE_UNIT_US = 100.0  # V4L2_CID_EXPOSURE_ABSOLUTE
SECOND_NS = 1_000_000_000


class OpenCvCamera(LiveCamera):
    """A camera without a clock of its own: a frame is stamped when it arrives, less config.exposure_offset_s.

        with OpenCvCamera(CameraConfig("front", driver="opencv", device="/dev/v4l/by-id/usb-...")) as camera:
            frame = camera.read()

    A video file plays at config.fps, over and over. new_capture stands for cv2.VideoCapture.
    """

    def __init__(
        self, config: CameraConfig, *, new_capture: Callable[[str | int, int], Any] | None = None, **clocks: Any
    ) -> None:
        super().__init__(config, **clocks)
        self._new_capture = new_capture
        self._capture: Any = None

    def _connect(self) -> None:
        import cv2

        device, backend = _where(self.config.device)
        self._capture = (self._new_capture or cv2.VideoCapture)(device, backend)
        self._is_file = backend == cv2.CAP_ANY
        self._number = self._last_ns = 0
        self._due_ns = self._steady_ns()
        try:
            self._refuse_unless(self._capture.isOpened(), f"does not open '{device}'")
            if not self._is_file:
                self._set_up()
            self._refuse_other_size()
        except CameraError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        self._capture.release()

    def _grab(self, timeout_s: float) -> Shot | None:
        import cv2

        if self._is_file and not self._is_due(timeout_s):
            return None
        if not self._capture.grab() and not self._rewind():
            raise CameraError(f"camera {self.name} gives no more frames")
        arrived_ns = self._steady_ns()  # before decoding, which takes milliseconds
        is_read, bgr = self._capture.retrieve()
        if not is_read:
            return None  # a torn JPEG: the next frame is as good
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return Shot(image, self._steady_ns() - arrived_ns, self._count(arrived_ns))

    def _is_due(self, timeout_s: float) -> bool:
        """Whether it is time for a file's next frame, after waiting for it at most `timeout_s`."""
        now_ns, period_ns = self._steady_ns(), SECOND_NS // self.config.fps
        wait_s = (self._due_ns - now_ns) / SECOND_NS
        self._stopped.wait(min(max(wait_s, 0.0), timeout_s))
        if wait_s > timeout_s:
            return False
        # by the schedule, so that a late frame makes none after it late; but a long stall is not made up for
        self._due_ns = max(self._due_ns, now_ns - period_ns) + period_ns
        return True

    def _rewind(self) -> bool:
        import cv2

        return self._is_file and self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0) and self._capture.grab()

    def _count(self, arrived_ns: int) -> int:
        """Frames since the first by the clock: a gap of two periods is a frame that never came."""
        periods = round((arrived_ns - self._last_ns) * self.config.fps / SECOND_NS) if self._last_ns else 1
        self._number += 1 if self._is_file else max(1, periods)
        self._last_ns = arrived_ns
        return self._number

    def _set_up(self) -> None:
        import cv2

        config = self.config
        if config.fourcc:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.fourcc))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
        self._capture.set(cv2.CAP_PROP_FPS, config.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # not every backend can; a longer queue is older frames
        self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL if config.exposure_us else AUTOMATIC)
        self._capture.set(cv2.CAP_PROP_AUTO_WB, float(config.white_balance_k == 0.0))
        self._fix("exposure_us", cv2.CAP_PROP_EXPOSURE, config.exposure_us / EXPOSURE_UNIT_US)
        self._fix("gain", cv2.CAP_PROP_GAIN, config.gain)
        self._fix("white_balance_k", cv2.CAP_PROP_WB_TEMPERATURE, config.white_balance_k)

    def _fix(self, name: str, what: int, value: float) -> None:
        if value:
            asked = f"takes no {name} of {getattr(self.config, name):g}"
            self._refuse_unless(self._capture.set(what, value), f"{asked}; v4l2-ctl --list-ctrls says what it takes")

    def _refuse_other_size(self) -> None:
        import cv2

        size = tuple(int(self._capture.get(what)) for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        wanted = (self.config.width, self.config.height)
        gives = f"gives {size[0]}x{size[1]} pixels, not {wanted[0]}x{wanted[1]}"
        self._refuse_unless(size == wanted, f"{gives}; set width and height to a size it has, or fourcc to MJPG")

    def _refuse_unless(self, is_fine: bool, what: str) -> None:
        if not is_fine:
            raise CameraError(f"camera {self.name} {what} (device '{self.config.device}')")


def _where(device: str) -> tuple[str | int, int]:
    """What OpenCV opens, and by which backend: V4L2 for an index or a path under /dev, its choice for a file."""
    import cv2

    if device.isdigit() or not device:
        return int(device or 0), cv2.CAP_V4L2
    is_device = Path(device).is_absolute() and Path(device).parts[1] == "dev"
    return device, cv2.CAP_V4L2 if is_device else cv2.CAP_ANY
