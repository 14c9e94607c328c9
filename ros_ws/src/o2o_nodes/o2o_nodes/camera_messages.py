"""What a camera says in ROS: intrinsics, JPEGs and health. Beside convert.py, since no other node needs them."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from sensor_msgs.msg import CameraInfo, CompressedImage

from o2o_nodes import convert
from o2o_robot.robot.camera_health import Health
from o2o_robot.robot.camera_live import LiveCamera
from o2o_robot.robot.camera_view import Intrinsics
from o2o_robot.types import Array


def camera_info(found: Intrinsics | None, size: tuple[int, int], ns: int, frame_id: str) -> CameraInfo:
    """CameraInfo of a picture (width, height); without intrinsics k[0] is 0, which says uncalibrated (REP-104)."""
    message = CameraInfo(width=size[0], height=size[1])
    message.header.stamp = convert.stamp(ns)
    message.header.frame_id = frame_id
    if found is not None:
        fx, fy, cx, cy = found.fx_px, found.fy_px, found.cx_px, found.cy_px
        message.distortion_model = "plumb_bob"
        message.d = [float(c) for c in found.distortion]
        message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
        message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def jpeg_message(pixels: Array, quality: int, ns: int, frame_id: str) -> CompressedImage:
    """A JPEG of (H, W, 3) RGB; the format string is image_transport's."""
    import cv2

    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.header.stamp = convert.stamp(ns)
    message.header.frame_id = frame_id
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    message.data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return message


def status(camera: LiveCamera, health: Health, skipped: int) -> DiagnosticStatus:
    """One line of /diagnostics: ERROR while the camera is gone, WARN where it is slow, old or drops."""
    level, text = _judgement(camera, health)
    facts = {
        "rate_hz": f"{health.rate_hz:.1f}",
        "age_p50_ms": f"{health.age_p50_ms:.1f}",
        "age_p99_ms": f"{health.age_p99_ms:.1f}",
        "since_last_frame_s": f"{health.silent_s:.2f}",
        **{name: str(getattr(health, name)) for name in ("frames", "dropped", "repeated", "late", "reconnects")},
        "skipped": str(skipped),
    }
    values = [KeyValue(key=key, value=value) for key, value in facts.items()]
    device = camera.config.device or camera.config.driver
    return DiagnosticStatus(
        level=level, name=f"camera_node: {camera.name}", message=text, hardware_id=device, values=values
    )


def _judgement(camera: LiveCamera, health: Health) -> tuple[bytes, str]:
    config = camera.config
    if camera.problem is not None:
        return DiagnosticStatus.ERROR, str(camera.problem)
    if not camera.is_open:
        return DiagnosticStatus.ERROR, "unplugged; looking for it again"
    if health.silent_s > config.silent_s:
        return DiagnosticStatus.ERROR, "no frames"
    if health.rate_hz < 0.9 * config.fps:
        return DiagnosticStatus.WARN, f"{health.rate_hz:.1f} Hz, not {config.fps}; look at exposure and USB"
    if health.age_p99_ms > 1e3 * config.max_age_s:
        return DiagnosticStatus.WARN, f"frames up to {health.age_p99_ms:.0f} ms old"
    return DiagnosticStatus.OK, "streaming"
