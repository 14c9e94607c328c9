"""The operator's web page: shows what the graph says, and presses what a person presses. Never touches the arm itself.

It runs beside every other node and none waits for it: without it, and when it dies, everything goes on.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from o2o_nodes.console_ears import ConsoleEars, picture
from o2o_nodes.console_hands import ConsoleHands
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_robot.console.board import Board
from o2o_robot.console.console import Console
from o2o_robot.console.control import Control
from o2o_robot.console.frames import Eyes
from o2o_robot.console.history import Growing, story
from o2o_robot.console.place import forget_address, read_address, write_address
from o2o_robot.console.returns import Promises, read_transform
from o2o_robot.errors import ConfigError
from o2o_robot.vitals import Value

LOOK_EVERY_S = 0.5
LINES_KEPT = 5000


class ConsoleNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("console_node")

    def open(self) -> None:
        host = self.setting("host", "127.0.0.1", "address to listen at; another than this machine's own is open to all")
        port = self.setting("port", 8765, "its port; any free one where that is taken, or 0")
        cameras = [name for name in self.setting("cameras", ["wrist", "front"], "camera names") if name]
        topic = self.setting("image_topic", "color/image_raw", "a camera's pictures")
        checkpoint = self.setting("checkpoint", "", "the policy's: says what its critic was asked to predict")
        self._board = Board(time.monotonic)
        self._promises = Promises(read_transform(Path(checkpoint)) if checkpoint else None)
        self._hands = ConsoleHands(self)
        eyes = Eyes(cameras, picture)
        self._console = Console(self._board, eyes, self._hands, Control(time.monotonic), time.monotonic)
        ConsoleEars(self, self._board, eyes, self._promises, topic=topic)
        self._log = Growing(self.run_dir / "episodes.jsonl") if self.run_dir else None
        self._lines: list[dict[str, Any]] = []
        self._told_mode = ""
        self._serve(host, port)

    def start(self) -> None:
        self._web.__enter__()
        self.create_timer(LOOK_EVERY_S, self._look, clock=STEADY)
        self.get_logger().info(f"console: {self._address}")

    def close(self) -> None:
        self._web.__exit__()
        if self.run_dir is not None:
            forget_address(self.run_dir)

    def readings(self) -> dict[str, Value]:
        return {"pages open": self._console.control.n_open, "in control": self._console.control.name or "nobody"}

    def trouble(self) -> list[str]:
        return list(self._console.eyes.trouble.values())

    def _serve(self, host: str, port: int) -> None:
        try:
            from o2o_robot.console.serve import LOOPBACK, Serving
            from o2o_robot.console.server import build_app
            from o2o_robot.web.listening import address, listen
        except ModuleNotFoundError as missing:
            raise ConfigError(f"console_node needs {missing.name}: pip install fastapi uvicorn websockets") from None
        known = read_address(self.run_dir) if self.run_dir else {}
        token = str(known.get("token", "")) or secrets.token_urlsafe(24)
        at = listen(host, int(known.get("port", port)), or_any=True)
        self._address = address(at, token)
        if self.run_dir is not None:
            write_address(self.run_dir, url=self._address, token=token, port=at.getsockname()[1])
        self._web = Serving(build_app(self._console, token), at)
        if host not in LOOPBACK:
            self.get_logger().warning("the console is not encrypted: use a network you trust, or an ssh tunnel")

    def _look(self) -> None:
        """What nobody tells: which services are there, and how the episodes went."""
        self._hands.find()
        self._board.put("services", {"blocked": self._hands.blocked()})
        fresh = list(self._log.look()) if self._log is not None else []
        mode = str(self._board.get("session").get("mode", ""))
        for line in fresh:
            self._promises.ended(line)
        self._lines = [*self._lines, *fresh][-LINES_KEPT:]
        mode = mode or (str(self._lines[-1].get("mode", "")) if self._lines else "")
        if fresh or mode != self._told_mode:
            self._told_mode = mode
            self._board.put("history", {"story": story(self._lines, mode), "promises": self._promises.kept()})


def main() -> None:
    run(ConsoleNode)


if __name__ == "__main__":
    main()
