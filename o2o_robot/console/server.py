"""The console over HTTP and WebSocket: whoever has the token may look and stop, whoever has control may do the rest.

The token comes in the address of the page (?token=...). There are no cookies, so no other site can act in the reader's
name; what a browser sends from elsewhere is refused besides.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers

from o2o_robot.console.commands import Answer
from o2o_robot.console.console import Console
from o2o_robot.console.link import Link, answered
from o2o_robot.console.messages import Press

_HERE = Path(__file__).parent
_SCRIPTS = ("page.js", "wire.js", "cards.js", "plots.js", "drive.js")
_FILES = {"page.html": "text/html", "page.css": "text/css"} | dict.fromkeys(_SCRIPTS, "text/javascript")
MAX_BODY_BYTES, MAX_PAGES, CLIENT_CHARACTERS = 1024, 16, (16, 64)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_WRONG_TOKEN = "the token is missing or wrong; open the address that the console printed"


def build_app(console: Console, token: str) -> FastAPI:
    """The page, its socket, and the two buttons that work without either."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _guard(app, token)
    _stops(app, console)
    _reads(app, console, token)
    _socket(app, console, token)
    return app


def _guard(app: FastAPI, token: str) -> None:
    @app.middleware("http")
    async def judge(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = _refusal(request, token)
        response = _problem(*refused) if refused else await answer(request)
        response.headers.update(_HEADERS)
        return response


def _refusal(request: Request, token: str) -> tuple[int, str] | None:
    """Status and line of why a request is turned away before anything looks at it; None where it is not."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ") or request.query_params.get("token", "")
    if not _is_token(given, token):
        return 403, _WRONG_TOKEN
    if request.method not in ("GET", "HEAD") and not _is_same_origin(request.headers):
        return 403, "this request comes from another site"
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return 413, f"a body of at most {MAX_BODY_BYTES} bytes is taken"
    return None


def _is_token(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the page itself sent this; what is no browser says nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    is_ours = origin is None or origin.partition("://")[2] == headers.get("host")
    return is_ours and site in ("same-origin", "none")


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
            return _problem(404, f"there is no '{name[:40]}' here")
        return Response(files[name], media_type=_FILES[name])


def _socket(app: FastAPI, console: Console, right_token: str) -> None:
    encoder = ThreadPoolExecutor(1, thread_name_prefix="pictures")
    there: set[WebSocket] = set()

    @app.websocket("/ws")
    async def _ws(socket: WebSocket, token: str = "", client: str = "") -> None:
        fits = CLIENT_CHARACTERS[0] <= len(client) <= CLIENT_CHARACTERS[1] and client.isalnum()
        if not (_is_token(token, right_token) and _is_same_origin(socket.headers) and fits and len(there) < MAX_PAGES):
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


def _problem(status: int, line: str) -> JSONResponse:
    return JSONResponse({"problem": line}, status_code=status)
