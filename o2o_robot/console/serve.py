"""The console's web server: a thread that answers at a socket of ours until it is told to end."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

from o2o_robot.console.messages import MAX_BYTES

LOOPBACK = ("127.0.0.1", "::1", "localhost")
END_WITHIN_S = 3.0


class Serving:
    """with Serving(app, listen("127.0.0.1", 8765)): ... in a thread of its own; the socket is closed at the end."""

    def __init__(self, app: FastAPI, at: socket.socket) -> None:
        settings = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ws="websockets-sansio",
            ws_max_size=MAX_BYTES * 2,
            ws_per_message_deflate=False,  # it would cost more time than a loopback or a cable does
            ws_ping_interval=5.0,
            ws_ping_timeout=5.0,
        )
        self._server, self._at = uvicorn.Server(settings), at
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [at]}, name="console web", daemon=True
        )

    def __enter__(self) -> Serving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(END_WITHIN_S)
        self._at.close()
