"""The labelling page's process: a web server over a socket of ours, until it is interrupted."""

from __future__ import annotations

import socket

import uvicorn

from o2o_robot.labelling.server import build_app
from o2o_robot.labelling.session import Session


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
