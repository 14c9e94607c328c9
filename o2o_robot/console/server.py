"""The console over HTTP and WebSocket: whoever has the token may look and stop (web/door.py), whoever has control may
do the rest."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse, Response

from o2o_robot.console.commands import Answer
from o2o_robot.console.console import Console
from o2o_robot.console.link import Link, answered
from o2o_robot.console.messages import Press
from o2o_robot.web.door import Door, problem

_HERE = Path(__file__).parent
_SCRIPTS = ("page.js", "wire.js", "cards.js", "plots.js", "drive.js")
_FILES = {"page.html": "text/html", "page.css": "text/css"} | dict.fromkeys(_SCRIPTS, "text/javascript")
MAX_BODY_BYTES, MAX_PAGES, CLIENT_CHARACTERS = 1024, 16, (16, 64)


def build_app(console: Console, token: str) -> FastAPI:
    """The page, its socket, and the two buttons that work without either."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    door = Door(token, MAX_BODY_BYTES, printed_by="the console")
    door.guard(app)
    _stops(app, console)
    _reads(app, console, token)
    _socket(app, console, door)
    return app


def _stops(app: FastAPI, console: Console) -> None:
    @app.post("/api/estop")
    async def _estop() -> JSONResponse:
        return _told(console.estop("http"))

    @app.post("/api/hold")
    async def _hold() -> JSONResponse:
        answer = await answered(console, Press(kind="press", id=0, command="hold"), "http")
        console.note("hold", "http", answer)
        return _told(answer)


def _reads(app: FastAPI, console: Console, token: str) -> None:
    files = {name: (_HERE / name).read_text().replace("TOKEN", token) for name in _FILES}

    @app.get("/api/state")
    async def _state() -> Response:
        head = f'{{"now":{console.clock()},"control":{json.dumps(console.control.name)},"board":'
        return Response(f"{head}{console.board.text()}}}", media_type="application/json")

    @app.get("/")
    async def _page() -> Response:
        return Response(files["page.html"], media_type="text/html")

    @app.get("/{name}")
    async def _file(name: str) -> Response:
        if name not in _FILES:  # a name and not a path: nothing else is ever opened
            return problem(404, f"there is no '{name[:40]}' here")
        return Response(files[name], media_type=_FILES[name])


def _socket(app: FastAPI, console: Console, door: Door) -> None:
    encoder = ThreadPoolExecutor(1, thread_name_prefix="pictures")
    there: set[WebSocket] = set()

    @app.websocket("/ws")
    async def _ws(socket: WebSocket, token: str = "", client: str = "") -> None:
        fits = CLIENT_CHARACTERS[0] <= len(client) <= CLIENT_CHARACTERS[1] and client.isalnum()
        if not (door.lets_in(token, socket.headers) and fits and len(there) < MAX_PAGES):
            await socket.close()  # not accepted: the browser sees 403
            return
        await socket.accept()
        there.add(socket)
        try:
            await Link(socket, console, client, encoder=encoder).run()
        finally:
            there.discard(socket)


def _told(answer: Answer) -> JSONResponse:
    body: dict[str, Any] = answer._asdict()
    return JSONResponse(body, status_code=200 if answer.ok else 409)
