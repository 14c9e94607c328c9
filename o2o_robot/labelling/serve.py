"""The labelling page's process: a socket of our own, and a web server over it until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from o2o_robot.errors import ConfigError
from o2o_robot.labelling.server import build_app
from o2o_robot.labelling.session import Session


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; port 0 takes any free one. Raises ConfigError where the address is not to be had."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"port must be 0 to 65535, got {port}; 0 takes any that is free")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        server = socket.create_server((host, port), family=family)
    except OSError as problem:
        raise ConfigError(f"cannot listen at {host}, port {port}: {problem.strerror}; try --port 0") from None
    with server:
        yield server


def run(session: Session, token: str, server: socket.socket) -> None:
    """Answer until Ctrl-C."""
    app = build_app(session, token)
    settings = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    try:
        uvicorn.Server(settings).run(sockets=[server])
    except KeyboardInterrupt:  # some event loops pass on what ended them, others swallow it
        return
