"""The console's web server: a socket of our own, and a thread that answers at it until it is told to end."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

from o2o_robot.console.messages import MAX_BYTES
from o2o_robot.errors import ConfigError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
END_WITHIN_S = 3.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. A port that is taken gives way to any free one, port 0 asks for that.

    Raises ConfigError where the address is not to be had at all.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"console port must be 0 to 65535, got {port}; 0 takes any that is free")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        try:
            return socket.create_server((host, port), family=family)
        except OSError:
            return socket.create_server((host, 0), family=family)
    except OSError as problem:
        raise ConfigError(f"console cannot listen at {host}: {problem.strerror}; 127.0.0.1 is this machine") from None


def address(at: socket.socket, token: str) -> str:
    """What to open in a browser."""
    host, port = at.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"


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
