"""Who may come in to a page of ours: whoever has its token, from the page itself, with a body that is bounded.

The token comes in the address of the page (?token=...) or in a header. There are no cookies, so no other site can act
in the reader's name; what a browser sends from elsewhere is refused besides.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers


@dataclass(frozen=True)
class Door:
    """door = Door(token, max_body_bytes=1024, printed_by="`o2o label`"); door.guard(app)

    images: where pictures may come from, beside `data:`, in the words of a content security policy. printed_by: who
    told the address, for whoever comes without its token.
    """

    token: str
    max_body_bytes: int
    printed_by: str
    images: str = ""

    def guard(self, app: FastAPI) -> None:
        """Judge every HTTP request before anything looks at it; a WebSocket asks `lets_in` itself."""

        @app.middleware("http")
        async def judge(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
            refused = self._refusal(request)
            response = problem(*refused) if refused else await answer(request)
            response.headers.update(self._headers())
            return response

    def lets_in(self, token: str, headers: Headers) -> bool:
        """Whether a connection with this token and these headers is of the page itself."""
        return self._knows(token) and _is_same_origin(headers)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and line of why a request is turned away; None where it is not."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self._knows(given or request.query_params.get("token", "")):
            return 403, f"the token is missing or wrong; open the address that {self.printed_by} printed"
        if request.method not in ("GET", "HEAD") and not _is_same_origin(request.headers):
            return 403, "this request comes from another site"
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers or not length.isdigit() or int(length) > self.max_body_bytes:
            return 413, f"a body of at most {self.max_body_bytes} bytes is taken"
        return None

    def _knows(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self.token.encode())

    def _headers(self) -> dict[str, str]:
        images = " ".join(("img-src", *self.images.split(), "data:"))
        return {
            "Content-Security-Policy": f"default-src 'none'; script-src 'self'; style-src 'self'; {images}; "
            "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",  # the address holds the token
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }


def problem(status: int, line: str) -> JSONResponse:
    return JSONResponse({"problem": line}, status_code=status)


def _is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that the page itself sent this; what is no browser says nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    is_ours = origin is None or origin.partition("://")[2] == headers.get("host")
    return is_ours and site in ("same-origin", "none")
