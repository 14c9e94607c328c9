"""The labelling page over HTTP: whoever has the token may look and label, nobody else may do anything (web/door.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict

from o2o_robot.errors import DataError, O2OError
from o2o_robot.labelling.film import Film
from o2o_robot.labelling.session import Press, Session
from o2o_robot.web.door import Door, problem

_HERE = Path(__file__).parent
_TYPES = {"page.css": "text/css", "page.js": "text/javascript"}
MAX_BODY_BYTES = 4096


class Pressed(BaseModel):
    """The body of a label."""

    model_config = ConfigDict(extra="forbid")
    what: Press


def build_app(session: Session, token: str) -> FastAPI:
    """The page and what its script asks for."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    Door(token, MAX_BODY_BYTES, printed_by="`o2o label`", images="'self' blob:").guard(app)
    _tell_problems(app)
    _static(app, token)
    _reads(app, session)
    _writes(app, session)
    return app


def _tell_problems(app: FastAPI) -> None:
    @app.exception_handler(O2OError)
    async def tell(request: Request, found: O2OError) -> Response:
        return problem(404 if isinstance(found, DataError) else 409, str(found))


def _static(app: FastAPI, token: str) -> None:
    page = (_HERE / "page.html").read_text().replace("TOKEN", token)

    @app.get("/")
    def _page() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/{name}")
    def _file(name: str) -> Response:
        if name not in _TYPES:  # a name and not a path: nothing else is ever opened
            return problem(404, f"there is no '{name[:40]}' here")
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
