"""The topics of one camera: the raw picture, the policy's, intrinsics of both, and JPEGs where they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from o2o_nodes import camera_messages, convert
from o2o_nodes.node import HouseNode
from o2o_robot.robot.camera import Frame
from o2o_robot.robot.camera_live import LiveCamera
from o2o_robot.robot.camera_view import Intrinsics, View

# REP-2003: reliable out, best effort in. Five raw pictures of 640x480 are 5 MB; as deep as other sensors would be 46.
IMAGE_OUT = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class CameraStream:
    """Publishes each frame of a camera at most once. What nobody subscribes to is neither made nor sent.

    lens: as calibrated; without one it is what the device says of itself. The camera's thread calls `camera.on_frame`,
    which wakes the executor by a guard condition; `publish` runs there.
    """

    def __init__(self, node: HouseNode, camera: LiveCamera, jpeg_quality: int, lens: Intrinsics | None = None) -> None:
        self.camera, self._lens = camera, lens
        self._node, self._quality = node, jpeg_quality
        self._frame_id = f"{camera.name}_color_optical_frame"
        self._view = View.of(camera.config) if camera.config.policy_size else None
        self._last: Frame | None = None
        self._published = self._before = 0
        self._size = (camera.config.width, camera.config.height)
        self._outputs: list[tuple[Publisher, Callable[[Frame], Any]]] = []
        self._advertise(f"{camera.name}/color")

    def publish(self) -> None:
        """The newest frame, if it was not published before and is not too old."""
        frame = self.camera.newest()
        if frame is None or frame is self._last or frame.stamp_ns <= 0:  # 0: no /clock was heard yet
            return
        self._last = frame
        self._published += 1
        for publisher, message in self._outputs:
            if publisher.get_subscription_count():
                publisher.publish(message(frame))

    def status(self) -> DiagnosticStatus:
        """A line of /diagnostics; skipped is what was fresh and not published, the executor being slow."""
        health = self.camera.health()
        skipped = health.frames - health.repeated - health.late - self._published
        return camera_messages.status(self.camera, health, max(0, skipped - self._before))

    def start(self) -> None:
        """Frames until now are history: none of them is published."""
        self._last = self.camera.newest()
        health = self.camera.health()
        self._published, self._before = 0, health.frames - health.repeated - health.late

    def _advertise(self, topic: str) -> None:
        view = self._view
        self._output(Image, f"{topic}/image_raw", self._raw)
        self._output(CameraInfo, f"{topic}/camera_info", lambda frame: self._info(frame, None))
        if view is not None:
            self._output(Image, f"{topic}/image_policy", self._policy)
            self._output(CameraInfo, f"{topic}/image_policy/camera_info", lambda frame: self._info(frame, view))
        if self._quality:
            self._output(CompressedImage, f"{topic}/image_raw/compressed", self._jpeg)

    def _output(self, kind: type, topic: str, message: Callable[[Frame], Any]) -> None:
        self._outputs.append((self._node.create_publisher(kind, topic, IMAGE_OUT), message))

    def _raw(self, frame: Frame) -> Image:
        return convert.image_message(frame.image, frame.stamp_ns, self._frame_id)

    def _policy(self, frame: Frame) -> Image:
        assert self._view is not None
        return convert.image_message(self._view(frame.image), frame.stamp_ns, self._frame_id)

    def _jpeg(self, frame: Frame) -> CompressedImage:
        return camera_messages.jpeg_message(frame.image, self._quality, frame.stamp_ns, self._frame_id)

    def _info(self, frame: Frame, view: View | None) -> CameraInfo:
        raw = self._lens or self.camera.intrinsics
        if view is None:
            return camera_messages.camera_info(raw, self._size, frame.stamp_ns, self._frame_id)
        seen = view.intrinsics(raw) if raw is not None else None
        return camera_messages.camera_info(seen, (view.side, view.side), frame.stamp_ns, self._frame_id)
