"""A RealSense D400 through pyrealsense2: by serial number, with the stamps of its own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from o2o_robot.robot.camera import CameraError
from o2o_robot.robot.camera_clock import DeviceClock
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_live import LiveCamera, Shot
from o2o_robot.robot.camera_view import Intrinsics

QUEUE = 2  # frames that wait for us; an older one is dropped by the driver, since only the newest is of use
LONGEST_READOUT_NS = 200_000_000


class Realsense(LiveCamera):
    """The colour camera of a D400.

        with Realsense(CameraConfig("wrist", device="123622270300")) as camera:
            frame = camera.read()

    Stamps are of the middle of the exposure: the device's clock mapped to ours by the driver ("global time") or, where
    it cannot, by DeviceClock. Without frame metadata (a kernel without the RealSense patches) they are of arrival.
    new_context gives the library's context; wall_ns is the clock that its global time speaks.
    """

    def __init__(
        self,
        config: CameraConfig,
        *,
        new_context: Callable[[], Any] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        **clocks: Any,
    ) -> None:
        super().__init__(config, **clocks)
        self._new_context, self._wall_ns = new_context, wall_ns
        self._pipeline: Any = None
        self._queue: Any = None

    def _connect(self) -> Intrinsics:
        rs = _library(self.name)
        context = self._new_context() if self._new_context else rs.context()
        serial = self._serial(rs, context)
        wanted, size = rs.config(), (self.config.width, self.config.height)
        wanted.enable_device(serial)
        wanted.enable_stream(rs.stream.color, *size, rs.format.rgb8, self.config.fps)
        self._pipeline, self._queue = rs.pipeline(context), rs.frame_queue(QUEUE)
        self._clock = DeviceClock()
        try:
            profile = self._pipeline.start(wanted, self._queue)
            self._set_up(rs, _colour_sensor(rs, profile.get_device()))
        except RuntimeError as problem:
            self._disconnect()
            asked = f"{size[0]}x{size[1]} rgb8 at {self.config.fps} Hz"
            raise CameraError(
                f"camera {self.name} ({serial}) does not start with {asked}: {problem}; rs-enumerate-devices lists what"
                " it can do, and USB 2 can do less"
            ) from None
        except CameraError:
            self._disconnect()
            raise
        return _intrinsics(profile.get_stream(rs.stream.color).as_video_stream_profile().get_intrinsics())

    def _disconnect(self) -> None:
        pipeline, self._pipeline, self._queue = self._pipeline, None, None
        if pipeline is not None:
            with suppress(RuntimeError):  # it never started, or the device is gone: nothing is left to stop
                pipeline.stop()

    def _grab(self, timeout_s: float) -> Shot | None:
        try:
            has_come, frame = self._queue.try_wait_for_frame(int(timeout_s * 1e3))
        except RuntimeError as problem:
            raise CameraError(f"camera {self.name}: {problem}") from None
        if not has_come:
            return None
        if frame.is_frameset():
            frame = frame.as_frameset().get_color_frame()
        image = np.array(frame.as_video_frame().get_data())  # the library takes its own back
        return Shot(image, self._age_ns(frame), frame.get_frame_number())

    def _age_ns(self, frame: Any) -> int:
        """Since the middle of the exposure."""
        rs = _library(self.name)
        stamp_ns = round(frame.get_timestamp() * 1e6)  # milliseconds, of the beginning of the readout
        if frame.get_frame_timestamp_domain() == rs.timestamp_domain.hardware_clock:
            steady_ns = self._steady_ns()
            age_ns = steady_ns - self._clock.host_ns(stamp_ns, steady_ns)
        else:
            age_ns = self._wall_ns() - stamp_ns
        return age_ns + _readout_ns(rs, frame)

    def _serial(self, rs: Any, context: Any) -> str:
        """The serial to open. Raises CameraError naming those that are plugged in.

        Asked first, since a pipeline would wait 15 s for a device that is not there.
        """
        serials = sorted(device.get_info(rs.camera_info.serial_number) for device in context.query_devices())
        there = f"plugged in: {', '.join(serials) or 'no RealSense at all'}"
        if self.config.device in serials:
            return self.config.device
        if not self.config.device and len(serials) == 1:
            return serials[0]
        if not self.config.device:
            raise CameraError(f"camera {self.name} names no serial ({there}); set its parameter device to one of them")
        raise CameraError(
            f"camera {self.name}: no RealSense {self.config.device} ({there}); check its parameter device and the cable"
        )

    def _set_up(self, rs: Any, sensor: Any) -> None:
        option = rs.option
        _try_set(sensor, option.global_time_enabled, 1.0)
        _try_set(sensor, option.auto_exposure_priority, 0.0)  # 1 would halve the frame rate in the dark
        # a colour sensor counts exposure in 100 us, the stereo module (the D405's colour) in 1 us
        unit_us = 1.0 if sensor.is_depth_sensor() else 100.0
        self._set_or_leave(sensor, option.enable_auto_exposure, option.exposure, "exposure_us", unit_us)
        self._set_or_leave(sensor, None, option.gain, "gain")
        self._set_or_leave(sensor, option.enable_auto_white_balance, option.white_balance, "white_balance_k")

    def _set_or_leave(self, sensor: Any, automatic: Any, option: Any, field: str, unit: float = 1.0) -> None:
        """Fix an option at the setting `field`, or leave it to the camera where that is 0. Raises CameraError."""
        value = getattr(self.config, field)
        if automatic is not None:
            _try_set(sensor, automatic, float(value == 0.0))
        if value == 0.0:
            return
        if not sensor.supports(option):
            raise CameraError(f"camera {self.name} has no setting {field}; leave it at 0")
        allowed = sensor.get_option_range(option)
        takes = f"it takes {allowed.min * unit:g} to {allowed.max * unit:g} in steps of {allowed.step * unit:g}, or 0"
        if not allowed.min <= value / unit <= allowed.max:
            raise CameraError(f"camera {self.name}: {field} is {value:g}, {takes} for automatic")
        try:
            sensor.set_option(option, value / unit)
        except RuntimeError as problem:
            raise CameraError(f"camera {self.name} refuses {field} {value:g} ({problem}); {takes}") from None


def _library(name: str) -> Any:
    """pyrealsense2, loaded no earlier than a camera needs it.

    In a node that is after rclpy: the other way round (2.59.1 before rclpy 9.1.2) the process crashes while it exits.
    """
    try:
        import pyrealsense2
    except ImportError as problem:
        raise CameraError(
            f"camera {name}: pyrealsense2 does not load ({problem}); pip install -r requirements/cameras.txt and"
            " apt-get install libusb-1.0-0"
        ) from None
    return pyrealsense2


def _try_set(sensor: Any, option: Any, value: float) -> None:
    if sensor.supports(option) and not sensor.is_option_read_only(option):
        sensor.set_option(option, value)


def _colour_sensor(rs: Any, device: Any) -> Any:
    """The sensor that the colour stream comes from: its own on most, the stereo module on a D405."""
    for sensor in device.query_sensors():
        if any(profile.stream_type() == rs.stream.color for profile in sensor.get_stream_profiles()):
            return sensor
    raise CameraError("the device has no colour stream; choose another, or driver opencv")


def _readout_ns(rs: Any, frame: Any) -> int:
    """From the middle of the exposure to the frame's own stamp, where the device tells both (microseconds)."""
    keys = (rs.frame_metadata_value.frame_timestamp, rs.frame_metadata_value.sensor_timestamp)
    if not all(frame.supports_frame_metadata(key) for key in keys):
        return 0
    readout_us, middle_us = (frame.get_frame_metadata(key) for key in keys)
    readout_ns = (readout_us - middle_us) * 1000
    return readout_ns if 0 <= readout_ns < LONGEST_READOUT_NS else 0


def _intrinsics(found: Any) -> Intrinsics:
    """As realsense-ros does, coefficients pass as they are: of D400 colour streams they are zero or Brown-Conrady."""
    centre = (found.ppx, found.ppy)
    return Intrinsics(found.width, found.height, found.fx, found.fy, *centre, tuple(float(c) for c in found.coeffs))
