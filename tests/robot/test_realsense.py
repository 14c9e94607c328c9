"""The RealSense driver on librealsense's own software device: the very path of a camera, without one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pyrealsense2", reason="pip install -r requirements/cameras.txt; apt-get install libusb-1.0-0")

import pyrealsense2 as rs
from software_realsense import SoftwareRealsense

from o2o_robot.robot.camera import CameraError
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.realsense import Realsense

MS = 1_000_000
PLAIN = np.full((480, 640, 3), 50, np.uint8)


class Clocks:
    """Times that stand still until the test moves them."""

    def __init__(self) -> None:
        self.steady_ns, self.wall_ns, self.ros_ns = 10_000 * MS, 1_700_000_000_000 * MS, 77_000 * MS

    def let_pass(self, ms: float) -> None:
        for name in ("steady_ns", "wall_ns", "ros_ns"):
            setattr(self, name, getattr(self, name) + round(ms * MS))


@pytest.fixture
def device() -> SoftwareRealsense:
    return SoftwareRealsense("123", "456")


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def opened(device, clocks, request) -> Callable[..., Realsense]:
    """opened(**settings): a camera on the software device, whose turns the test takes itself."""

    def make(**settings: object) -> Realsense:
        camera = Realsense(
            CameraConfig("wrist", **{"device": "123", **settings}),
            new_context=device.new_context,
            wall_ns=lambda: clocks.wall_ns,
            steady_ns=lambda: clocks.steady_ns,
            clock_ns=lambda: clocks.ros_ns,
        )
        camera.open()
        request.addfinalizer(camera.close)
        return camera

    return make


def take(camera: Realsense, frames: int) -> None:
    """Turns until so many frames arrived in all; the library hands them over in a thread of its own."""
    for _ in range(100):
        if camera.health().frames >= frames:
            return
        camera.turn()
    raise AssertionError(f"{camera.health().frames} of {frames} frames arrived")


def test_the_very_pixels_arrive_as_rgb(device, opened):
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    camera = opened()
    device.feed(image, 1.0)
    take(camera, 1)
    np.testing.assert_array_equal(camera.read().image, image)


def test_a_frame_stays_as_it_was_when_the_next_ones_come(device, clocks, opened):
    camera = opened()
    device.feed(PLAIN, 1.0)
    take(camera, 1)
    first = camera.newest()
    for k in range(2, 8):
        clocks.let_pass(33)
        device.feed(PLAIN + np.uint8(k), 33.0 * k)
        take(camera, k)
    np.testing.assert_array_equal(first.image, PLAIN)
    assert first.image.flags.owndata, "a frame that we hold is one that the library cannot fill again"


def test_stamps_of_the_cameras_own_clock_become_the_hosts_as_even_as_they_were(device, clocks, opened):
    """The device says every 33 ms; arrivals come 0 to 20 ms late."""
    camera, stamps = opened(), []
    for k, late_ms in enumerate([0, 20, 5, 13, 0, 19, 7, 1, 16, 3]):
        clocks.let_pass(late_ms)
        device.feed(PLAIN, 400_000.0 + 33.0 * k)
        take(camera, k + 1)
        stamps.append(camera.newest().stamp_ns)
        clocks.let_pass(33 - late_ms)
    assert np.diff(stamps).tolist() == [33 * MS] * 9


@pytest.mark.parametrize("domain", ["global_time", "system_time"])
def test_stamps_in_the_walls_time_give_the_age_and_the_stamp_is_in_the_nodes_time(device, clocks, opened, domain):
    camera = opened()
    device.feed(PLAIN, clocks.wall_ns / MS - 24.0, domain=getattr(rs.timestamp_domain, domain))
    take(camera, 1)
    assert camera.newest().stamp_ns == pytest.approx(clocks.ros_ns - 24 * MS, abs=1000)


def test_where_the_device_tells_the_stamp_is_of_the_middle_of_the_exposure(device, opened, clocks):
    device.sensor.set_metadata(rs.frame_metadata_value.frame_timestamp, 5_000_000)
    device.sensor.set_metadata(rs.frame_metadata_value.sensor_timestamp, 5_000_000 - 9_500)
    camera = opened()
    device.feed(PLAIN, 5000.0)
    take(camera, 1)
    assert camera.newest().stamp_ns == clocks.ros_ns - 9_500_000


def test_intrinsics_are_the_factorys(opened):
    found = opened().intrinsics
    assert found[:6] == (640, 480, 600.0, 600.0, 320.0, 240.0)
    assert found.distortion == pytest.approx((0.1, -0.2, 0.001, 0.002, 0.05))


def test_a_fixed_exposure_is_set_in_the_sensors_units_and_turns_the_automatic_off(device, opened):
    opened(exposure_us=8000.0)
    assert device.sensor.get_option(rs.option.exposure) == 80.0  # of 100 us
    assert device.sensor.get_option(rs.option.enable_auto_exposure) == 0.0


def test_without_an_exposure_the_camera_finds_its_own_and_keeps_its_rate(device, opened):
    device.sensor.set_option(rs.option.enable_auto_exposure, 0.0)
    opened()
    assert device.sensor.get_option(rs.option.enable_auto_exposure) == 1.0
    assert device.sensor.get_option(rs.option.auto_exposure_priority) == 0.0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"device": "789"}, r"no RealSense 789 .plugged in: 123, 456."),
        ({"device": ""}, r"names no serial .plugged in: 123, 456."),
        ({"exposure_us": 2e6}, r"exposure_us is 2e\+06, it takes 100 to 1e\+06 in steps of 100"),
        ({"gain": 16.0}, r"no setting gain"),
        ({"width": 320}, r"does not start with 320x480 rgb8 at 30 Hz"),
    ],
)
def test_what_cannot_be_had_is_refused_when_opened_with_what_can(opened, settings, named):
    with pytest.raises(CameraError, match=named):
        opened(**settings)


def test_the_only_camera_needs_no_serial(clocks):
    only = SoftwareRealsense("321")
    with Realsense(CameraConfig("wrist"), new_context=only.new_context) as camera:
        assert camera.is_open


def test_two_cameras_by_serial_give_each_its_own_pictures(device, opened):
    first, second = opened(), opened(device="456")
    device.feed(PLAIN, 1.0)
    take(first, 1)
    second.turn()
    assert (first.health().frames, second.health().frames) == (1, 0)


def test_an_unplugged_camera_is_found_again_and_goes_on_with_a_clock_that_began_anew(device, clocks, opened):
    camera = opened()
    device.feed(PLAIN, 9_000_000.0, number=4000)
    take(camera, 1)
    device.is_plugged_in = False
    clocks.let_pass(1001)
    camera.turn()
    assert not camera.is_open
    camera.turn()
    assert not camera.is_open
    device.is_plugged_in = True
    camera.turn()
    assert camera.is_open
    clocks.let_pass(40)
    device.feed(PLAIN + np.uint8(1), 12.0, number=1)
    take(camera, 2)
    assert camera.newest().stamp_ns == clocks.ros_ns
    assert camera.newest().image[0, 0, 0] == 51
    assert camera.health().reconnects == 1


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyrealsense2", None)
    with pytest.raises(CameraError, match=r"requirements/cameras\.txt"):
        Realsense(CameraConfig("wrist")).open()
