"""The app's side of a terminal: keys to deeds, and what the session says of itself, through o2o_nodes/prompt.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from o2o_robot import overlay
from o2o_robot.errors import DeviceError
from o2o_robot.flow.keys import KEYS
from o2o_robot.sros2 import enclave_arguments
from o2o_robot.teleop.terminal_keys import TerminalKeys

NODE = "prompt"
KEY_EVERY_S = 0.02  # between two looks at the keyboard: a stop must not wait for the progress bar
GRACE_S = 3.0


class Prompt:
    """Begins the helper process and, where `terminal` names one, reads its keys in a thread.

    with Prompt("policy_node", log=run_dir / "logs" / "prompt.log", terminal=my_terminal()) as prompt:
        prompt.do("pause")
        prompt.told["session"]["state"]         # "" before anything was heard
        prompt.answers()                        # since the last call: what came of keys and deeds
    """

    def __init__(self, session: str, *, log: Path, terminal: str = "") -> None:
        self.terminal, self._session, self._log = terminal, session, log
        self.told: dict[str, Mapping[str, Any]] = {"session": {"state": ""}, "guard": {"state": ""}}
        self._answers: list[Mapping[str, Any]] = []
        self._is_over = threading.Event()
        self._open = ExitStack()

    def __enter__(self) -> Prompt:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        errors = self._open.enter_context(self._log.open("wb"))
        env = overlay.environment()
        security = enclave_arguments(NODE, env)
        words = [sys.executable, "-m", f"{overlay.PACKAGE}.prompt", self._session]
        self._helper = subprocess.Popen(
            [*words, *(["--ros-args", *security] if security else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=env,
            text=True,
            bufsize=1,
            start_new_session=True,  # an interrupt at the prompt is the supervisor's
        )
        assert self._helper.stdout is not None
        self._begin(self._hear, self._helper.stdout)
        if self.terminal:
            self._begin(self._read_keys, self._open.enter_context(TerminalKeys(self.terminal)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads[1:]:  # before the terminal is put back
            thread.join()
        assert self._helper.stdin is not None
        with suppress(BrokenPipeError):
            self._helper.stdin.close()
        try:
            self._helper.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._helper.kill()
            self._helper.wait()
        self._threads[0].join()
        self._open.close()

    def do(self, deed: str) -> None:
        """Ask for a deed of keys.KEYS; what comes of it is among the answers."""
        assert self._helper.stdin is not None
        try:
            self._helper.stdin.write(f"{deed}\n")
        except (BrokenPipeError, ValueError):
            gone = f"the prompt's process is gone; see {self._log}"
            self._answers.append({"deed": deed, "ok": False, "message": gone})

    def answers(self) -> list[Mapping[str, Any]]:
        told, self._answers = self._answers, []
        return told

    def _begin(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads = [*getattr(self, "_threads", []), thread]
        thread.start()

    def _hear(self, lines: IO[str]) -> None:
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if told.get("kind") == "answer":
                self._answers.append(told)
            else:
                self.told[told["kind"]] = told

    def _read_keys(self, keys: TerminalKeys) -> None:
        with suppress(DeviceError):  # the terminal was closed: the run goes on
            while not self._is_over.is_set():
                for name in keys.read():
                    if deed := KEYS.get(name):
                        self.do(deed)
                time.sleep(KEY_EVERY_S)


def my_terminal() -> str:
    """The terminal that this process reads from, where it is in its foreground; else empty.

    A job in the background must not touch it: it would be stopped (SIGTTOU), and the run with it.
    """
    try:
        fd = sys.stdin.fileno()
        return os.ttyname(fd) if os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp() else ""
    except (OSError, ValueError):
        return ""
