"""Every refusal is application/problem+json (RFC 9457), or a page for a browser, and bad input is never a 500."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from agent.app.console.layout import message, session_of, wants_page
from agent.app.identity import NotKnown
from agent.errors import Busy, ClusterUnreachable, InputError, LestradeError, NotThere, StoreUnavailable
from sidecar.contract import Problem
from sidecar.contract.problem import MEDIA_TYPE

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Not finished",
    413: "Too large",
    415: "Unsupported media type",
    422: "Bad request",
    429: "Too many requests",
    500: "Broken",
    503: "Unavailable",
}

WORDS = {404: "There is nothing at this address.", 405: "This address is not asked in this way."}


def add_refusals(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        if isinstance(exc, NotKnown) and wants_page(request) and request.method == "GET":
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?{urlencode({'goes_to': asked})}", 303)
        return told(request, exc.status_code, _words(exc), exc.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        fault = exc.errors()[0]
        return told(request, 400, f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}")

    @app.exception_handler(LestradeError)
    async def cannot(request: Request, exc: LestradeError) -> Response:
        again = {"Retry-After": "5"} if isinstance(exc, StoreUnavailable | ClusterUnreachable) else None
        return told(request, status_of(exc), str(exc), again)

    @app.exception_handler(Exception)
    async def broken(request: Request, exc: Exception) -> Response:
        return told(request, 500, "something broke that should not; the log of the service says where")


def _words(exc: HTTPException) -> str:
    """The framework's own refusals say no more than their status does."""
    says_nothing = exc.detail == HTTPStatus(exc.status_code).phrase
    return WORDS.get(exc.status_code, exc.detail) if says_nothing else str(exc.detail)


def told(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A page for a browser, a problem for everybody else, and where there are no pages (a worker's port knows nobody)."""
    if not wants_page(request) or not hasattr(request.app.state, "identity"):
        return problem(status, detail, headers)
    return message(request, status, TITLES.get(status, "Refused"), detail[:1000], session=session_of(request))


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(_problem(status, detail).document())
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def problem_of(exc: LestradeError) -> Problem:
    """For answers that have begun already."""
    return _problem(status_of(exc), str(exc))


def status_of(exc: LestradeError) -> int:
    match exc:
        case NotThere():
            return 404
        case InputError():
            return 400
        case Busy():
            return 409
        case _:
            return 503


def _problem(status: int, detail: str) -> Problem:
    title = TITLES.get(status, "Refused")
    return Problem(title=title, status=status, detail=detail[:1000], code=title.lower().replace(" ", "-"))
