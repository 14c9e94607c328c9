"""Keys of a terminal one by one, over ssh too: without their echo, and the terminal put back as it was."""

from __future__ import annotations

import os
import termios
import tty
from contextlib import suppress
from typing import Any

from o2o_robot.errors import DeviceError

ESCAPES = {"[A": "up", "[B": "down", "[C": "right", "[D": "left", "[5~": "pageup", "[6~": "pagedown"}
ESCAPES |= {f"O{code[1]}": key for code, key in ESCAPES.items() if len(code) == 2}  # in a terminal's keypad mode
NAMES = {" ": "space", "\n": "enter", "\r": "enter", "\t": "tab", "\x7f": "backspace"}
OWN_TERMINAL = "/dev/tty"


class TerminalKeys:
    """with TerminalKeys("/dev/pts/3") as keys: names = keys.read()

    ctrl-C still interrupts whoever owns the terminal: only echo and lines are off. A process that is not of the
    terminal's session may open it by its path as well, which is how a node gets the keys of the prompt it was started
    from.
    """

    def __init__(self, path: str) -> None:
        self._path = path or OWN_TERMINAL
        self._fd = -1
        self._rest = ""

    def __enter__(self) -> TerminalKeys:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        except (OSError, termios.error) as problem:
            self.__exit__()
            raise DeviceError(
                f"keyboard: {self._path} is no terminal to read keys from ({problem}); start it from a prompt, or set "
                "keyboard.terminal to what `tty` says there"
            ) from None
        return self

    def __exit__(self, *_problem: Any) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        if hasattr(self, "_before"):
            with suppress(termios.error):  # the terminal is gone, and what it was with it
                termios.tcsetattr(fd, termios.TCSADRAIN, self._before)
        os.close(fd)

    def read(self) -> list[str]:
        """Names of the keys pressed since the last call, in order. Raises DeviceError once the terminal is gone."""
        try:
            text = os.read(self._fd, 4096).decode(errors="ignore")
        except BlockingIOError:
            return []
        except OSError as problem:
            raise DeviceError(f"keyboard: {self._path} is gone ({problem.strerror}); open a new prompt") from None
        if not text:
            raise DeviceError(f"keyboard: {self._path} is closed; open a new prompt")
        names, self._rest = key_names(self._rest + text)
        return names


def key_names(text: str) -> tuple[list[str], str]:
    """What a terminal sent, as names of keys, and the end of it that may be the beginning of a key."""
    names: list[str] = []
    while text:
        if not text.startswith("\x1b"):
            names.append(NAMES.get(text[0], text[0].lower()))
            text = text[1:]
            continue
        found = next((code for code in ESCAPES if text.startswith(code, 1)), "")
        if found:
            names.append(ESCAPES[found])
            text = text[1 + len(found) :]
        elif any(code.startswith(text[1:]) for code in ESCAPES):
            return names, text
        else:
            text = text[1:]  # escape itself is no key here, and neither is what we have no name for
    return names, ""
