"""The labelling page over HTTP: whoever has the token may look and label, nobody else may do anything.

The token comes in the address of the page (?token=...) and, from its script, in a header. There are no cookies, so no
other site can act in the reader's name; a POST that a browser sends from elsewhere is refused besides.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers

from o2o_robot.errors import DataError, O2OError
from o2o_robot.labelling.film import Film
from o2o_robot.labelling.session import Press, Session

_HERE = Path(__file__).parent
_TYPES = {"page.css": "text/css", "page.js": "text/javascript"}
MAX_BODY_BYTES = 4096
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Pressed(BaseModel):
    """The body of a label."""

    model_config = ConfigDict(extra="forbid")
    what: Press


def build_app(session: Session, token: str) -> FastAPI:
    """The page and what its script asks for."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _guard(app, token)
    _static(app, token)
    _reads(app, session)
    _writes(app, session)
    return app


def _guard(app: FastAPI, token: str) -> None:
    @app.middleware("http")
    async def judge(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = _refusal(request, token)
        response = _problem(*refused) if refused else await answer(request)
        response.headers.update(_HEADERS)
        return response

    @app.exception_handler(O2OError)
    async def tell(request: Request, problem: O2OError) -> Response:
        return _problem(404 if isinstance(problem, DataError) else 409, str(problem))


def _refusal(request: Request, token: str) -> tuple[int, str] | None:
    """Status and line of why a request is turned away before anything looks at it; None where it is not."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ") or request.query_params.get("token", "")
    if not secrets.compare_digest(given.encode(), token.encode()):
        return 403, "the token is missing or wrong; open the address that `o2o label` printed"
    if request.method not in ("GET", "HEAD") and not _is_same_origin(request.headers):
        return 403, "this request comes from another site"
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return 413, f"a body of at most {MAX_BODY_BYTES} bytes is taken"
    return None


def _is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the page itself sent this; what is no browser says nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    is_ours = origin is None or origin.partition("://")[2] == headers.get("host")
    return is_ours and site in ("same-origin", "none")


def _static(app: FastAPI, token: str) -> None:
    page = (_HERE / "page.html").read_text().replace("TOKEN", token)

    @app.get("/")
    def _page() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/{name}")
    def _file(name: str) -> Response:
        if name not in _TYPES:  # a name and not a path: nothing else is ever opened
            return _problem(404, f"there is no '{name[:40]}' here")
        return Response((_HERE / name).read_bytes(), media_type=_TYPES[name])


def _reads(app: FastAPI, session: Session) -> None:
    @app.get("/api/alive")
    def _alive() -> dict[str, int]:
        return {"revision": session.revision}

    @app.get("/api/overview")
    def _overview() -> dict[str, Any]:
        return session.overview()

    @app.get("/api/episodes/{index}/film")
    def _film(index: int) -> dict[str, Any]:
        film = session.film(index)
        return {"cameras": []} if film is None else _told(film)

    @app.get("/api/episodes/{index}/strip.jpg")
    def _strip(index: int) -> Response:
        return _jpeg(_there(session.film(index)).strip)

    @app.get("/api/episodes/{index}/sheets/{number}.jpg")
    def _sheet(index: int, number: int) -> Response:
        sheets = list(_there(session.film(index)).sheets.values())
        if not 0 <= number < len(sheets):
            raise DataError(f"episode {index} has {len(sheets)} cameras, there is no number {number}")
        return _jpeg(sheets[number])


def _writes(app: FastAPI, session: Session) -> None:
    @app.post("/api/episodes/{index}/label")
    def _label(index: int, pressed: Pressed) -> dict[str, Any]:
        session.press(index, pressed.what)
        return session.overview()

    @app.post("/api/undo")
    def _undo() -> dict[str, Any]:
        index = session.undo()
        return {**session.overview(), "undone": index}


def _told(film: Film) -> dict[str, Any]:
    return {
        "cameras": list(film.sheets),
        "n_columns": film.n_columns,
        "side_px": film.side_px,
        "times_s": film.times_s,
        "strip_frames": film.strip_frames,
    }


def _there(film: Film | None) -> Film:
    if film is None:
        raise DataError("this episode has no camera; there is nothing to show")
    return film


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")


def _problem(status: int, line: str) -> Response:
    return JSONResponse({"problem": line}, status_code=status)
