"""A camera that runs by itself: its stamps, what it never hands out, and how it comes back after the cable did."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.robot.camera import CameraError
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_live import LONGEST_PAUSE_S, LiveCamera, Shot

S, MS = 1_000_000_000, 1_000_000
IMAGE = np.zeros((4, 6, 3), np.uint8)


class ByHand(LiveCamera):
    """A device whose time, frames and cable the test holds; it notes what was done to it."""

    def __init__(self, **settings: object) -> None:
        self.now_ns, self.wall_ns = 100 * S, 5_000 * S
        self.shots: list[Shot] = []
        self.is_plugged_in, self.done = True, ""
        config = CameraConfig("hand", width=6, height=4, **settings)
        super().__init__(config, clock_ns=lambda: self.wall_ns, steady_ns=lambda: self.now_ns)

    def _connect(self) -> None:
        self.done += "o" if self.is_plugged_in else "x"
        if not self.is_plugged_in:
            raise CameraError("no such camera")

    def _disconnect(self) -> None:
        self.done += "c"

    def _grab(self, timeout_s: float) -> Shot | None:
        assert self.done.endswith("o"), "it is not open"
        return self.shots.pop(0) if self.shots else self.let_pass(timeout_s)

    def let_pass(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)
        self.wall_ns += round(seconds * S)

    def give(self, *, age_ms: float = 5.0, number: int = 1, value: int = 0) -> None:
        self.shots.append(Shot(IMAGE + np.uint8(value), round(age_ms * MS), number))
        self.turn()

    def lose(self) -> list[float]:
        """Unplug it; the pauses until it is back or was given up."""
        self.is_plugged_in = False
        pauses = []
        while not self.problem and len(pauses) < 100:
            if pause_s := self.turn():
                pauses.append(pause_s)
                self.let_pass(pause_s)
        return pauses


@pytest.fixture
def camera() -> ByHand:
    camera = ByHand()
    camera.open()
    return camera


@pytest.mark.parametrize("step_s", [0, -3600, 7200])
def test_a_stamp_is_the_clock_less_the_age_and_a_step_of_the_clock_moves_no_age(camera, step_s):
    camera.give(age_ms=20.0)
    camera.let_pass(0.1)
    camera.wall_ns += step_s * S
    camera.give(age_ms=20.0)
    assert camera.read().stamp_ns == camera.wall_ns - 20 * MS
    assert camera.health().age_p99_ms == pytest.approx(20.0)


def test_the_exposure_offset_makes_every_frame_so_much_older():
    camera = ByHand(exposure_offset_s=0.012)
    camera.open()
    camera.give(age_ms=3.0)
    assert camera.read().stamp_ns == camera.wall_ns - 15 * MS


def test_no_stamp_lies_in_the_future_whatever_the_driver_says(camera):
    camera.give(age_ms=-50.0)
    assert camera.read().stamp_ns == camera.wall_ns


def test_a_frame_is_not_handed_out_once_it_is_older_than_max_age(camera):
    camera.give(age_ms=0.0, value=7)
    camera.let_pass(camera.config.max_age_s)
    assert camera.read().image[0, 0, 0] == 7
    camera.let_pass(0.001)
    assert camera.newest() is None
    with pytest.raises(CameraError, match=r"camera hand: no frame within 0\.5 s"):
        camera.read()


def test_a_frame_that_arrives_too_old_or_for_the_second_time_is_counted_and_not_taken(camera):
    heard: list[int] = []
    camera.on_frame = lambda: heard.append(1)
    camera.give(age_ms=10.0, number=1, value=1)
    camera.give(age_ms=10.0, number=1, value=2)  # no time has passed: the same exposure
    camera.let_pass(1.0)
    camera.give(age_ms=501.0, number=2, value=3)
    assert camera.newest() is None
    health = camera.health()
    assert (health.frames, health.repeated, health.late, len(heard)) == (3, 1, 1, 1)


def test_what_read_gives_is_the_callers_own(camera):
    camera.give(value=9)
    camera.read().image[:] = 0
    assert camera.read().image[0, 0, 0] == 9


def test_numbers_that_the_device_skips_are_dropped_frames(camera):
    for number in (5, 6, 9, 10, 20):
        camera.let_pass(0.033)
        camera.give(number=number)
    assert camera.health().dropped == 2 + 9


def test_the_rate_is_of_the_frames_that_came(camera):
    for number in range(900):
        camera.let_pass(1 / 30)
        camera.give(number=number)
    assert camera.health().rate_hz == pytest.approx(30.0, rel=0.02)
    camera.let_pass(10.1)
    assert camera.health().rate_hz == 0.0


def test_a_camera_that_falls_silent_is_closed_and_opened_again_with_pauses_that_double(camera):
    camera.give()
    pauses = camera.lose()
    assert pauses[:5] == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert max(pauses) == LONGEST_PAUSE_S
    assert camera.done == "oc" + "x" * camera.config.retries
    with pytest.raises(CameraError, match=r"no such camera \(tried 20 times\)"):
        camera.read()


def test_it_waits_for_the_first_frame_longer_than_for_the_others(camera):
    camera.let_pass(camera.config.first_frame_s - 0.2)
    assert camera.turn() == 0.0
    assert camera.is_open
    camera.give()
    camera.let_pass(camera.config.silent_s + 0.01)
    camera.turn()
    assert not camera.is_open


def test_after_the_cable_is_back_frames_come_again_and_no_old_one_in_between(camera):
    camera.give(value=1, number=500)
    camera.is_plugged_in = False
    while camera.is_open:
        camera.turn()
    for _ in range(3):
        camera.let_pass(camera.turn())
        assert camera.newest() is None
    camera.is_plugged_in = True
    camera.turn()
    assert camera.is_open
    assert camera.newest() is None
    camera.give(value=2, number=900)
    assert camera.read().image[0, 0, 0] == 2
    health = camera.health()
    assert (health.reconnects, health.dropped) == (1, 0)


def test_a_camera_that_comes_back_has_all_its_tries_again(camera):
    for _ in range(3):
        camera.give()
        camera.is_plugged_in = False
        while camera.is_open:
            camera.turn()
        for _ in range(camera.config.retries - 1):
            camera.let_pass(camera.turn())
        camera.is_plugged_in = True
        camera.turn()
        assert camera.is_open
    assert camera.problem is None


def test_a_camera_that_is_not_there_when_opened_says_so_at_once():
    camera = ByHand()
    camera.is_plugged_in = False
    with pytest.raises(CameraError, match="no such camera"), camera:
        pass
    assert camera.done == "x"


def test_with_opens_and_closes_once_and_closing_again_does_no_harm():
    camera = ByHand()
    camera._grab = lambda timeout_s: Shot(IMAGE, 0, 1)
    with camera:
        assert camera.read().image.shape == (4, 6, 3)
    camera.close()
    assert camera.done == "oc"
