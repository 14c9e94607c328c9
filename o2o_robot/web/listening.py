"""The socket that a page of ours listens at, and the address to open."""

from __future__ import annotations

import socket

from o2o_robot.errors import ConfigError


def listen(host: str, port: int, *, or_any: bool = False) -> socket.socket:
    """A listening socket; port 0 takes any free one, and or_any that too where `port` is taken.

    Raises ConfigError where the address is not to be had.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"port must be 0 to 65535, got {port}; 0 takes any that is free")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        try:
            return socket.create_server((host, port), family=family)
        except OSError:
            if not or_any:
                raise
            return socket.create_server((host, 0), family=family)
    except OSError as problem:
        told = f"cannot listen at {host}, port {port}: {problem.strerror}"
        raise ConfigError(f"{told}; port 0 takes any that is free, host 127.0.0.1 is this machine") from None


def address(at: socket.socket, token: str) -> str:
    """What to open in a browser."""
    host, port = at.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"
