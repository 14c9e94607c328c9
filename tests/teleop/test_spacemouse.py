"""A SpaceMouse through pyspacemouse's own parser, fed the bytes that the device sends."""

import numpy as np
import pytest
from virtual_devices import Hands, HidMouse, moment

from o2o_robot.errors import DeviceError
from o2o_robot.teleop.spacemouse import SILENT_S, Found, SpaceMouse, SpaceMouseConfig, find_mouse

pyspacemouse = pytest.importorskip("pyspacemouse")


@pytest.fixture
def hid() -> HidMouse:
    return HidMouse()


@pytest.fixture
def mouse(hid: HidMouse):
    info = pyspacemouse.get_device_specs()["SpaceMouseCompact"]
    clock = Hands()
    with SpaceMouse(SpaceMouseConfig(), clock, find=lambda _serial: Found(hid, info)) as device:
        device.clock = clock
        yield device


def test_pushed_away_to_the_left_and_up_are_x_y_and_z(mouse, hid):
    for push, axis in (({"y": -350}, 0), ({"x": -350}, 1), ({"z": -350}, 2)):
        hid.push(**push)
        np.testing.assert_allclose(mouse.read(moment(0.0)).axes, np.eye(6)[axis], atol=1e-9)


def test_the_newest_of_many_reports_counts_and_none_is_left_in_the_queue(mouse, hid):
    for counts in range(0, 350, 5):
        hid.push(y=-counts)
    assert mouse.read(moment(0.0)).axes[0] == pytest.approx(345 / 350)
    assert not hid.reports


def test_both_buttons_have_names_and_a_press_is_no_motion(mouse, hid):
    hid.press(0b01)
    assert mouse.read(moment(0.0)).buttons == {"left"}
    hid.press(0b11)
    reading = mouse.read(moment(0.1))
    assert reading.buttons == {"left", "right"}
    assert not reading.axes.any()


def test_a_cap_at_rest_says_nothing_and_is_there_while_a_pushed_one_that_says_nothing_is_lost(mouse, hid):
    assert mouse.read(moment(50.0)).stamp_s == 50.0
    hid.push(y=-200)
    assert mouse.read(moment(51.0)).stamp_s == 51.0
    assert mouse.read(moment(51.0 + 0.9 * SILENT_S)).stamp_s == pytest.approx(51.0 + 0.9 * SILENT_S)
    assert mouse.read(moment(52.0)).stamp_s == 51.0, "no radio: it is as old as its last report"


def test_pulled_out_it_is_gone_and_plugged_in_again_it_is_back_at_rest(mouse, hid):
    hid.push(y=-350)
    assert mouse.read(moment(0.0)).axes[0] == 1.0
    hid.is_gone = True
    assert mouse.read(moment(0.1)) is None
    assert "plug it in" in mouse.trouble
    assert hid.is_closed
    hid.is_gone = False
    assert mouse.read(moment(0.2)) is None, "not asked for 30 times a second"
    assert not mouse.read(moment(1.2)).axes.any()
    assert mouse.trouble == ""


def test_where_there_is_none_the_error_says_so():
    with pytest.raises(DeviceError, match="plug it in"):
        find_mouse("")
