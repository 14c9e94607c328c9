"""A keyboard at a real terminal, the other end of which the test holds (a pty): raw mode, repeats, letting go."""

import os
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest
from virtual_devices import Hands, moment

from o2o_robot.errors import ConfigError, DeviceError
from o2o_robot.teleop.hand import HandRules, Operator
from o2o_robot.teleop.keyboard import MOVES, Keyboard, KeyboardConfig
from o2o_robot.teleop.terminal_keys import key_names

UP = b"\x1b[A"
REPEATS_S = 0.04  # of a held key, after DELAY_S: what X and the Linux console do
DELAY_S = 0.5


class Terminal(NamedTuple):
    """Two ends of a terminal: what a person's fingers write to, and the path that a program opens."""

    fingers: int
    path: str


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    fingers, shown = os.openpty()
    yield Terminal(fingers, os.ttyname(shown))
    for fd in (fingers, shown):
        with suppress(OSError):  # a test hung up
            os.close(fd)


@pytest.fixture
def keyboard(terminal: Terminal) -> Iterator[Keyboard]:
    with Keyboard(KeyboardConfig(terminal.path), Hands()) as device:
        yield device


def test_a_tap_moves_a_little_and_keeps_the_arm_still_for_a_while(keyboard, terminal):
    os.write(terminal.fingers, UP)
    assert keyboard.read(moment(0.0)).axes[0] == 1.0
    assert keyboard.read(moment(0.15)).axes[0] == 1.0
    still = keyboard.read(moment(0.16))
    assert not still.axes.any()
    assert still.is_held
    assert not keyboard.read(moment(0.71)).is_held


def test_a_held_key_moves_on_without_a_gap_once_it_repeats_and_never_hands_back_before(keyboard, terminal):
    strokes = [0.0, *(DELAY_S + REPEATS_S * i for i in range(25))]
    end_s, seen = strokes[-1], []
    for tick in range(60):
        now_s = tick / 30
        while strokes and strokes[0] <= now_s:
            strokes.pop(0)
            os.write(terminal.fingers, UP)
        reading = keyboard.read(moment(now_s))
        seen.append((now_s, reading.axes[0], reading.is_held))
    assert all(held for now_s, _, held in seen if now_s <= end_s)
    assert all(moves == 1.0 for now_s, moves, _ in seen if DELAY_S + 0.04 <= now_s <= end_s)


@pytest.mark.parametrize(("sent", "key"), [(b"\x1b[A", "up"), (b"\x1bOB", "down"), (b"\x1b[5~", "pageup"), (b"j", "j")])
def test_each_way_a_terminal_has_to_send_a_key_moves_its_axis(keyboard, terminal, sent, key):
    os.write(terminal.fingers, sent)
    axis, sign = MOVES[key]
    assert keyboard.read(moment(0.0)).axes[axis] == sign


def test_a_key_that_arrives_in_two_parts_is_one_key(keyboard, terminal):
    os.write(terminal.fingers, b"\x1b")
    assert keyboard.read(moment(0.0)).buttons == frozenset()
    os.write(terminal.fingers, b"[D")
    assert keyboard.read(moment(0.1)).buttons == {"left"}
    assert key_names("\x1bx\x1b[Zy") == (["x", "[", "z", "y"], "")


def test_a_held_letter_says_its_word_once(keyboard, terminal):
    who = Operator(keyboard.rules, keyboard.buttons, HandRules(), n_action=3)
    told = []
    for tick in range(60):
        now = moment(tick / 30)
        if now.now_s == 0.0 or 0.5 < now.now_s < 1.2:
            os.write(terminal.fingers, b"s")
        told += who.see(keyboard.read(now), now).deeds
    assert told == ["success"]


def test_no_key_is_echoed_or_waits_for_a_line_and_ctrl_c_still_interrupts(keyboard, terminal):
    flags = termios.tcgetattr(terminal.fingers)[3]
    assert not flags & (termios.ECHO | termios.ICANON)
    assert flags & termios.ISIG


def test_the_terminal_is_put_back_as_it_was(terminal):
    before = termios.tcgetattr(terminal.fingers)
    with Keyboard(KeyboardConfig(terminal.path), Hands()):
        assert termios.tcgetattr(terminal.fingers) != before
    assert termios.tcgetattr(terminal.fingers) == before


def test_a_terminal_that_hangs_up_has_released_and_says_so(keyboard, terminal):
    os.write(terminal.fingers, UP)
    keyboard.read(moment(0.0))
    os.close(terminal.fingers)
    assert keyboard.read(moment(0.1)) is None
    assert "open a new prompt" in keyboard.trouble


def test_what_is_no_terminal_is_refused_by_name(tmp_path):
    path = tmp_path / "keys"
    path.write_text("")
    with pytest.raises(DeviceError, match=str(path)), Keyboard(KeyboardConfig(str(path)), Hands()):
        pass
    with pytest.raises(ConfigError, match="tap_s"):
        KeyboardConfig(tap_s=1.0, hold_s=0.5)
