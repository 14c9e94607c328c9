"""A RealSense without a camera: librealsense's own software device, fed by hand, that can be unplugged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyrealsense2 as rs

FX_PX, CENTRE_PX = 600.0, (320.0, 240.0)


class SoftwareRealsense:
    """device = SoftwareRealsense("123"); Realsense(config, new_context=device.new_context); device.feed(image, 33.0)"""

    def __init__(self, *serials: str, width: int = 640, height: int = 480, fps: int = 30) -> None:
        self.size, self.fps = (width, height), fps
        self.is_plugged_in = True
        self._fed = 0
        self._devices = [self._device(serial) for serial in serials]
        self._held: list[Any] = []  # contexts, and the lists that keep a software device in them

    @property
    def sensor(self) -> Any:
        """The colour sensor of the first device."""
        return self._devices[0][1]

    def new_context(self) -> Any:
        """A context in which the devices are plugged in, or none.

        librealsense 2.59 holds an added device only weakly: it is in the context for as long as somebody keeps the list
        that the callback was handed.
        """
        self._held.clear()
        context = rs.context()
        context.set_devices_changed_callback(lambda event: self._held.append(event.get_new_devices()))
        if self.is_plugged_in:
            for device, _, _ in self._devices:
                device.add_to(context)
        self._held.append(context)
        return context

    def feed(self, image: np.ndarray, stamp_ms: float, *, number: int | None = None, domain: Any = None) -> None:
        """One frame of the first device, if it streams; numbered one after the other unless `number` says otherwise."""
        self._fed = self._fed + 1 if number is None else number
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = np.ascontiguousarray(image), image.shape[1] * 3, 3
        frame.timestamp, frame.frame_number = stamp_ms, self._fed
        frame.domain = rs.timestamp_domain.hardware_clock if domain is None else domain
        frame.profile = self._devices[0][2].as_video_stream_profile()
        if self.is_plugged_in:
            self.sensor.on_video_frame(frame)

    def let_go(self) -> None:
        """Free what the library made, while there still is a Python for its callbacks to end in."""
        self._held.clear()
        self._devices.clear()

    def _device(self, serial: str) -> tuple[Any, Any, Any]:
        device = rs.software_device()
        device.register_info(rs.camera_info.serial_number, serial)
        device.register_info(rs.camera_info.name, "software D435")
        sensor = device.add_sensor("RGB Camera")
        profile = sensor.add_video_stream(self._stream(), True)
        sensor.add_option(rs.option.exposure, _range(1.0, 10000.0, 156.0), True)
        sensor.add_option(rs.option.enable_auto_exposure, _range(0.0, 1.0, 1.0), True)
        sensor.add_option(rs.option.auto_exposure_priority, _range(0.0, 1.0, 1.0), True)
        return device, sensor, profile

    def _stream(self) -> Any:
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = rs.stream.color, 0, 0, rs.format.rgb8, 3
        (stream.width, stream.height), stream.fps = self.size, self.fps
        found = rs.intrinsics()
        (found.width, found.height), (found.ppx, found.ppy) = self.size, CENTRE_PX
        found.fx = found.fy = FX_PX
        found.model, found.coeffs = rs.distortion.brown_conrady, [0.1, -0.2, 0.001, 0.002, 0.05]
        stream.intrinsics = found
        return stream


def _range(least: float, most: float, default: float) -> Any:
    """By name: the constructor of pyrealsense2 2.59 takes step for default and default for step."""
    allowed = rs.option_range()
    allowed.min, allowed.max, allowed.step, allowed.default = least, most, 1.0, default
    return allowed
