"""Real cameras on the topics that the twin's have: RealSense, or whatever OpenCV opens, where no driver of ROS runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.guard_condition import GuardCondition

from o2o_nodes import qos
from o2o_nodes.camera_places import publish_places
from o2o_nodes.camera_stream import CameraStream
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ConfigError
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_drivers import make_camera
from o2o_robot.robot.camera_view import Intrinsics

if TYPE_CHECKING:
    from o2o_calibration.lens import Calibrated

TELL_S = 1.0


class CameraNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("camera_node")

    def open(self) -> None:
        names = self.setting("cameras", ["wrist", "front"], "camera names; <name>.driver and so on: see CameraConfig")
        quality = self.setting("jpeg_quality", 0, "of image_raw/compressed, 1 to 100; 0: no such topic")
        if not 0 <= quality <= 100 or len(set(names)) != len(names):
            raise ConfigError(f"jpeg_quality is {quality}, allowed 0 to 100; cameras {names} must differ in name")
        configs = [self._config(name) for name in names]
        frames = {
            "base": self.setting("base_frame", "base", "of the arm's base, for hand-eye results of fixed cameras"),
            "tool": self.setting("tool_frame", "tool", "of the arm's tool, for hand-eye results of wrist cameras"),
        }
        measured = {config.name: found for config in configs if (found := _calibrated(config)) is not None}
        with ExitStack() as opened:
            cameras = [opened.enter_context(make_camera(config, clock_ns=self.now_ns)) for config in configs]
            self._cameras = opened.pop_all()
        self._streams = [CameraStream(self, camera, quality, _lens(measured, camera.name)) for camera in cameras]
        publish_places(self, measured, frames)
        self._guards = [self._wake_by(stream) for stream in self._streams]
        self._health_out = self.create_publisher(DiagnosticArray, "/diagnostics", qos.SENSOR_OUT)

    def start(self) -> None:
        for stream in self._streams:
            stream.start()
        self.create_timer(TELL_S, self._tell, clock=STEADY)

    def close(self) -> None:
        self._cameras.close()  # first: no thread may call a guard condition that is gone
        for guard in self._guards:
            self.destroy_guard_condition(guard)

    def summary(self) -> dict[str, Any]:
        return {stream.camera.name: stream.camera.health()._asdict() for stream in self._streams}

    def _config(self, name: str) -> CameraConfig:
        defaults = as_mapping(CameraConfig(name))
        described = "see CameraConfig"
        try:
            chosen = {f: self.setting(f"{name}.{f}", v, described) for f, v in defaults.items() if f != "name"}
        except InvalidParameterTypeException as problem:  # a serial number without quotes is the usual one
            raise ConfigError(f"camera_node: {problem}; quote what is a word, and write 30.0 for a number") from None
        return build(CameraConfig, {"name": name, **chosen}, where=f"camera_node's parameters of {name}")

    def _wake_by(self, stream: CameraStream) -> GuardCondition:
        """The camera's thread says that there is a frame; the executor publishes it."""
        guard = self.create_guard_condition(lambda: self._show(stream))
        stream.camera.on_frame = guard.trigger
        return guard

    def _show(self, stream: CameraStream) -> None:
        if stream.camera.problem is not None:
            self.get_logger().fatal(str(stream.camera.problem))
            self._tell()
            self.finish(1)
        elif self.is_started:
            stream.publish()

    def _tell(self) -> None:
        message = DiagnosticArray(status=[stream.status() for stream in self._streams])
        message.header.stamp = self.get_clock().now().to_msg()
        self._health_out.publish(message)


def _calibrated(config: CameraConfig) -> Calibrated | None:
    if not config.calibration:
        return None
    from o2o_calibration.lens import calibrated

    return calibrated(Path(config.calibration), camera=config.name, size_px=(config.width, config.height))


def _lens(measured: Mapping[str, Calibrated], camera: str) -> Intrinsics | None:
    return measured[camera].lens if camera in measured else None


def main() -> None:
    run(CameraNode)
