"""What real cameras share: a thread that grabs, the newest frame, and opening again after the cable came out."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from o2o_robot.robot.camera import CameraError, Frame
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_health import Health, HealthLog
from o2o_robot.robot.camera_view import Intrinsics
from o2o_robot.types import Array

GRAB_S = 0.1  # how long one look for a frame may take; closing waits no longer
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 4.0


class Shot(NamedTuple):
    """What a device gave: (H, W, 3) RGB, the time since its exposure, and the device's own count of frames."""

    image: Array
    age_ns: int
    number: int


def pause_s(attempt: int) -> float:
    """How long to wait before opening a lost device for the `attempt`-th time: twice as long as the time before."""
    return min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)


class LiveCamera(ABC):
    """A camera (robot/camera.py) on a device that runs by itself, and may be unplugged and plugged in again.

        with Realsense(config) as camera:
            frame = camera.read()

    clock_ns gives the time that frames are stamped in (a node passes ROS time), steady_ns the one for ages and pauses.
    A stamp is `clock_ns()` less the frame's age, so that a step of the wall clock moves no age. A frame that the device
    repeats, or that is older than max_age_s, is counted and never handed out. on_frame is called by the thread.

    A child writes `_connect`, `_grab` and `_disconnect`; CameraError out of the first two says the device is not there.
    """

    def __init__(
        self,
        config: CameraConfig,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        on_frame: Callable[[], object] = lambda: None,
    ) -> None:
        self.config, self.name, self.on_frame = config, config.name, on_frame
        self.intrinsics: Intrinsics | None = None
        self.problem: CameraError | None = None  # why it was given up
        self._clock_ns, self._steady_ns = clock_ns, steady_ns
        self._fresh, self._stopped = threading.Condition(), threading.Event()
        self._thread: threading.Thread | None = None
        self._log = HealthLog(steady_ns())
        self._frame: tuple[int, Frame] | None = None  # steady time of its exposure, the frame
        self._is_open = False
        self._had_frame, self._attempts = False, 0

    @abstractmethod
    def _connect(self) -> Intrinsics | None:
        """Open the device; its intrinsics where it knows them. Raises CameraError where there is no such device."""

    @abstractmethod
    def _grab(self, timeout_s: float) -> Shot | None:
        """The next frame, or None after `timeout_s`. Raises CameraError where the device is gone."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Let go of the device, whatever state it is in."""

    def __enter__(self) -> LiveCamera:
        self.open()
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name=f"camera {self.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Open the device, and let nobody grab yet but who calls `turn`. Raises CameraError saying what is there."""
        self.intrinsics = self._connect()
        self._is_open, self._had_frame = True, False
        self._attempts, self.problem = 0, None
        self._log = HealthLog(self._steady_ns())

    def close(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._is_open:
            self._is_open = False
            self._disconnect()

    def read(self) -> Frame:
        """The newest frame, once there is one. Raises CameraError where the newest is older than max_age_s."""
        with self._fresh:
            self._fresh.wait_for(lambda: self._frame is not None or self.problem, self.config.first_frame_s)
        if (frame := self.newest()) is None:
            raise self.problem or CameraError(
                f"camera {self.name}: no frame within {self.config.max_age_s} s; look at its cable and its USB port"
            )
        return Frame(frame.stamp_ns, frame.image.copy())

    def newest(self) -> Frame | None:
        """The newest frame, without waiting and not copied; None where it is older than max_age_s."""
        with self._fresh:
            if self._frame is None or self._steady_ns() - self._frame[0] > self.config.max_age_s * 1e9:
                return None
            return self._frame[1]

    def health(self) -> Health:
        with self._fresh:
            return self._log.health(self._steady_ns())

    @property
    def is_open(self) -> bool:
        """Whether the device is there; false while it is looked for again."""
        return self._is_open

    def turn(self) -> float:
        """One turn of the thread: grab a frame, or open the device again. Returns the seconds until the next turn."""
        if not self._is_open:
            return self._reopen()
        try:
            if (shot := self._grab(GRAB_S)) is not None:
                self._take(shot)
            elif self._log.silent_s(self._steady_ns()) > self._patience_s:
                raise CameraError(f"camera {self.name} fell silent")
        except CameraError:
            return self._lose()
        return 0.0

    def _run(self) -> None:
        wait_s = 0.0
        while self.problem is None and not self._stopped.wait(wait_s):
            wait_s = self.turn()

    @property
    def _patience_s(self) -> float:
        return self.config.silent_s if self._had_frame else self.config.first_frame_s

    def _take(self, shot: Shot) -> None:
        now_ns = self._steady_ns()
        age_ns = max(0, shot.age_ns + round(self.config.exposure_offset_s * 1e9))  # nothing was seen in the future
        exposed_ns, stamp_ns = now_ns - age_ns, self._clock_ns() - age_ns
        with self._fresh:
            self._had_frame = True
            self._log.add(now_ns, age_ns, shot.number)
            if self._frame is not None and exposed_ns <= self._frame[0]:
                self._log.repeated += 1
                return
            if age_ns > self.config.max_age_s * 1e9:
                self._log.late += 1
                return
            self._frame = (exposed_ns, Frame(stamp_ns, shot.image))
            self._fresh.notify_all()
        self.on_frame()

    def _lose(self) -> float:
        self._is_open = False
        self._disconnect()
        return pause_s(1)

    def _reopen(self) -> float:
        self._attempts += 1
        try:
            self.intrinsics = self._connect()
        except CameraError as problem:
            return self._pause_or_give_up(problem)
        with self._fresh:
            self._log.reconnected(self._steady_ns())
        self._is_open, self._had_frame, self._attempts = True, False, 0
        return 0.0

    def _pause_or_give_up(self, problem: CameraError) -> float:
        if self._attempts < self.config.retries:
            return pause_s(self._attempts + 1)
        with self._fresh:
            self.problem = CameraError(f"{problem} (tried {self._attempts} times)")
            self._fresh.notify_all()
        self.on_frame()
        return LONGEST_PAUSE_S
