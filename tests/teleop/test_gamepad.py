"""A gamepad through evdev's own reader of kernel events; a virtual one of uinput where this machine has that."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from virtual_devices import Hands, PipePad, moment

from o2o_robot.errors import DeviceError
from o2o_robot.teleop.gamepad import Gamepad, GamepadConfig, find_pad

evdev = pytest.importorskip("evdev")
KEY, ABS, SYN = 1, 3, 0
ABS_X, ABS_Y, ABS_RX, ABS_RY = 0, 1, 3, 4
BTN_A, BTN_TR = 0x130, 0x137
UP_OR_LEFT = -32768


@pytest.fixture
def pad() -> PipePad:
    return PipePad()


@pytest.fixture
def gamepad(pad: PipePad):
    pads = [pad]
    with Gamepad(GamepadConfig(), Hands(), find=lambda _path: pads[-1]) as device:
        device.pads = pads
        yield device


@pytest.mark.parametrize(("code", "axis"), [(ABS_Y, 0), (ABS_X, 1), (ABS_RY, 2), (ABS_RX, 5)])
def test_each_stick_moves_its_axis_up_and_left_being_positive(gamepad, pad, code, axis):
    pad.send((ABS, code, UP_OR_LEFT), (SYN, 0, 0))
    np.testing.assert_allclose(gamepad.read(moment(0.0)).axes, np.eye(6)[axis], atol=1e-4)
    pad.send((ABS, code, -UP_OR_LEFT - 1), (SYN, 0, 0))
    np.testing.assert_allclose(gamepad.read(moment(0.1)).axes, -np.eye(6)[axis], atol=1e-4)


def test_a_stick_that_is_held_says_nothing_and_is_held(gamepad, pad):
    pad.send((ABS, ABS_Y, UP_OR_LEFT))
    gamepad.read(moment(0.0))
    later = gamepad.read(moment(60.0))
    assert later.axes[0] == pytest.approx(1.0)
    assert later.stamp_s == 60.0


def test_buttons_have_names_from_press_to_release(gamepad, pad):
    pad.send((KEY, BTN_TR, 1), (KEY, BTN_A, 1))
    assert gamepad.read(moment(0.0)).buttons == {"rb", "a"}
    pad.send((KEY, BTN_A, 0))
    assert gamepad.read(moment(0.1)).buttons == {"rb"}


def test_where_the_kernel_lost_events_the_present_state_counts(gamepad, pad):
    pad.send((KEY, BTN_TR, 1), (ABS, ABS_Y, UP_OR_LEFT))
    gamepad.read(moment(0.0))
    pad.send((SYN, 3, 0))
    reading = gamepad.read(moment(0.1))
    assert reading.buttons == frozenset(), "the release of the deadman button may be what was lost"
    assert np.abs(reading.axes).max() < 1e-4


def test_pulled_out_it_is_gone_and_another_one_plugged_in_takes_its_place(gamepad, pad):
    pad.send((KEY, BTN_TR, 1))
    gamepad.read(moment(0.0))
    pad.unplug()
    assert gamepad.read(moment(0.1)) is None
    assert pad.is_closed
    assert "plug it in again" in gamepad.trouble
    gamepad.pads.append(PipePad())
    reading = gamepad.read(moment(1.2))
    assert reading.buttons == frozenset()
    assert gamepad.trouble == ""


def test_a_range_that_is_not_the_usual_one_is_the_full_range_too(pad):
    pad.RANGE = SimpleNamespace(min=0, max=255, value=128)
    with Gamepad(GamepadConfig(), Hands(), find=lambda _path: pad) as device:
        assert np.abs(device.read(moment(0.0)).axes).max() < 0.01
        pad.send((ABS, ABS_Y, 0))
        assert device.read(moment(0.1)).axes[0] == pytest.approx(1.0)


def test_where_there_is_none_the_error_says_so(tmp_path):
    with pytest.raises(DeviceError, match="plug it in" if not os.path.isdir("/dev/input") else "gamepad"):
        find_pad("")
    with pytest.raises(DeviceError, match="input"):
        find_pad(str(tmp_path / "event7"))


@pytest.mark.skipif(not os.access("/dev/uinput", os.W_OK), reason="no /dev/uinput that may be written on this machine")
def test_a_pad_of_the_kernels_own_is_found_and_read():
    from evdev import AbsInfo, UInput, ecodes

    stick = AbsInfo(value=0, min=-100, max=100, fuzz=0, flat=0, resolution=0)
    able = {KEY: [BTN_A, BTN_TR], ABS: [(code, stick) for code in (ABS_X, ABS_Y, ABS_RX, ABS_RY)]}
    with UInput(able, name="o2o test pad") as virtual:
        path = virtual.device.path
        with Gamepad(GamepadConfig(path=path), Hands()) as device:
            virtual.write(ecodes.EV_ABS, ABS_Y, -100)
            virtual.write(ecodes.EV_KEY, BTN_TR, 1)
            virtual.syn()
            for _ in range(1000):
                reading = device.read(moment(0.0))
                if reading.buttons:
                    break
            assert reading.buttons == {"rb"}
            assert reading.axes[0] == 1.0
