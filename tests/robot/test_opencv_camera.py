"""The OpenCV driver, on a video file and on a capture that checks what it is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from o2o_robot.robot.camera import CameraError
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.opencv_camera import OpenCvCamera

MS = 1_000_000
GREYS = (40, 120, 200)
RANGES = {cv2.CAP_PROP_EXPOSURE: (1, 5000), cv2.CAP_PROP_GAIN: (0, 100), cv2.CAP_PROP_WB_TEMPERATURE: (2800, 6500)}


class Webcam:
    """Stands for cv2.VideoCapture on V4L2: keeps what is set, refuses what a webcam would."""

    def __init__(self, device: str | int, backend: int) -> None:
        self.device, self.backend = device, backend
        self.told: dict[int, float] = {cv2.CAP_PROP_FRAME_WIDTH: 1280.0, cv2.CAP_PROP_FRAME_HEIGHT: 720.0}
        self.order: list[int] = []
        self.is_there, self.released = True, 0
        self.ranges = dict(RANGES)

    def isOpened(self) -> bool:
        return self.is_there

    def set(self, what: int, value: float) -> bool:
        least, most = self.ranges.get(what, (-np.inf, np.inf))
        if not least <= value <= most:
            return False
        self.told[what] = value
        self.order.append(what)
        return True

    def get(self, what: int) -> float:
        return self.told.get(what, 0.0)

    def grab(self) -> bool:
        return self.is_there

    def retrieve(self) -> tuple[bool, np.ndarray]:
        size = int(self.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(self.get(cv2.CAP_PROP_FRAME_WIDTH))
        return True, np.full((*size, 3), (10, 20, 30), np.uint8)  # BGR

    def release(self) -> None:
        self.released += 1


class Time:
    def __init__(self) -> None:
        self.ns = 50_000 * MS

    def __call__(self) -> int:
        return self.ns


def webcam(**settings: object) -> tuple[OpenCvCamera, list[Webcam], Time]:
    made: list[Webcam] = []
    now = Time()

    def capture(device: str | int, backend: int) -> Webcam:
        made.append(Webcam(device, backend))
        return made[-1]

    config = CameraConfig("front", **{"driver": "opencv", "device": "2", **settings})
    return OpenCvCamera(config, new_capture=capture, steady_ns=now, clock_ns=now), made, now


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Three grey frames."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for grey in GREYS:
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("device", "opened"), [("2", 2), ("", 0), ("/dev/v4l/by-id/usb-x", "/dev/v4l/by-id/usb-x")])
def test_an_index_or_a_path_of_a_device_is_opened_by_v4l2(device, opened):
    camera, made, _ = webcam(device=device)
    camera.open()
    assert (made[0].device, made[0].backend) == (opened, cv2.CAP_V4L2)


def test_the_camera_is_told_every_setting_and_its_format_before_its_size():
    settings = {"fourcc": "MJPG", "fps": 60, "exposure_us": 5000.0, "gain": 12.0, "white_balance_k": 4500.0}
    camera, made, _ = webcam(**settings)
    camera.open()
    told = made[0].told
    assert told[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert (told[cv2.CAP_PROP_FRAME_WIDTH], told[cv2.CAP_PROP_FRAME_HEIGHT], told[cv2.CAP_PROP_FPS]) == (640, 480, 60)
    assert (told[cv2.CAP_PROP_AUTO_EXPOSURE], told[cv2.CAP_PROP_EXPOSURE]) == (1.0, 50.0)  # V4L2: manual, of 100 us
    assert (told[cv2.CAP_PROP_AUTO_WB], told[cv2.CAP_PROP_WB_TEMPERATURE]) == (0.0, 4500.0)
    assert told[cv2.CAP_PROP_GAIN] == 12.0
    order = made[0].order
    assert order.index(cv2.CAP_PROP_FOURCC) < order.index(cv2.CAP_PROP_FRAME_WIDTH)
    assert order.index(cv2.CAP_PROP_AUTO_EXPOSURE) < order.index(cv2.CAP_PROP_EXPOSURE)


def test_what_is_not_chosen_is_left_to_the_camera():
    camera, made, _ = webcam()
    camera.open()
    assert made[0].told[cv2.CAP_PROP_AUTO_EXPOSURE] == 3.0
    assert made[0].told[cv2.CAP_PROP_AUTO_WB] == 1.0
    assert not {cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_GAIN, cv2.CAP_PROP_WB_TEMPERATURE} & set(made[0].order)


def test_a_value_the_camera_does_not_take_is_refused_by_name_and_the_device_let_go():
    camera, made, _ = webcam(exposure_us=900_000.0)
    with pytest.raises(CameraError, match="camera front takes no exposure_us of 900000"):
        camera.open()
    assert made[0].released == 1


def test_a_camera_that_gives_another_size_is_refused_with_the_size_it_gives(monkeypatch):
    monkeypatch.setitem(RANGES, cv2.CAP_PROP_FRAME_WIDTH, (1280, 1280))
    camera, made, _ = webcam()
    with pytest.raises(CameraError, match="gives 1280x480 pixels, not 640x480"):
        camera.open()
    assert made[0].released == 1


def test_a_frame_is_rgb_and_stamped_when_it_arrived_less_the_exposure_offset():
    camera, made, now = webcam(exposure_offset_s=0.030)
    camera.open()
    retrieve = made[0].retrieve

    def slowly() -> tuple[bool, np.ndarray]:
        now.ns += 8 * MS  # decoding is no reason to stamp a frame later
        return retrieve()

    made[0].retrieve = slowly
    arrived_ns = now.ns
    camera.turn()
    frame = camera.newest()
    assert frame.image[0, 0].tolist() == [30, 20, 10]
    assert frame.stamp_ns == arrived_ns - 30 * MS


def test_a_gap_of_three_periods_is_two_frames_that_never_came():
    camera, _, now = webcam()
    camera.open()
    for gap_ms in (33, 35, 100, 31, 33):
        now.ns += gap_ms * MS
        camera.turn()
    assert (camera.health().frames, camera.health().dropped) == (5, 2)


def test_a_webcam_that_is_pulled_out_is_opened_again():
    camera, made, now = webcam()
    camera.open()
    camera.turn()
    made[0].is_there = False
    assert camera.turn() > 0.0
    assert made[0].released == 1
    now.ns += 500 * MS
    camera.turn()
    camera.turn()
    assert len(made) == 2
    assert camera.newest() is not None


def test_a_device_that_does_not_open_is_named():
    with pytest.raises(CameraError, match=r"camera front does not open '/nowhere/film\.avi'"):
        OpenCvCamera(CameraConfig("front", driver="opencv", device="/nowhere/film.avi")).open()


def test_a_film_plays_at_its_rate_over_and_over(film):
    now = Time()
    config = CameraConfig("front", driver="opencv", device=str(film), width=64, height=48, fps=30)
    camera = OpenCvCamera(config, steady_ns=now, clock_ns=now)
    camera.open()
    camera._stopped.wait = lambda wait_s: setattr(now, "ns", now.ns + round(wait_s * 1e9))
    seen, began_ns = [], now.ns
    while len(seen) < 7:
        camera.turn()
        seen.append(int(camera.newest().image.mean().round()))
    camera.close()
    np.testing.assert_allclose(seen, (GREYS * 3)[:7], atol=2)
    assert (now.ns - began_ns) / 1e9 == pytest.approx(6 / 30, abs=0.001)
    assert camera.health().dropped == 0
