"""Every refusal is application/problem+json (RFC 9457), and bad input is never a 500."""

import json
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

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
    503: "Unavailable",
}


def add_refusals(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        return problem(exc.status_code, str(exc.detail), exc.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        fault = exc.errors()[0]
        return problem(400, f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}")

    @app.exception_handler(LestradeError)
    async def cannot(request: Request, exc: LestradeError) -> Response:
        if isinstance(exc, InputError):
            return problem(404 if isinstance(exc, NotThere) else 400, str(exc))
        if isinstance(exc, Busy):
            return problem(409, str(exc))
        if isinstance(exc, StoreUnavailable | ClusterUnreachable):
            return problem(503, str(exc), {"Retry-After": "5"})
        return problem(503, str(exc))


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    title = TITLES.get(status, "Refused")
    document = Problem(title=title, status=status, detail=detail[:1000], code=title.lower().replace(" ", "-")).document()
    return Response(json.dumps(document), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))
