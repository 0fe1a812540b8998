"""What both listeners share: refusals as problem+json, bearer tokens, whole bodies of bounded size. Knows no use case.

Whatever a handler raises ends as a problem (RFC 9457): bad input is a 4xx, "cannot now" a 503, a fault of ours a 500
with one line in the log and nothing of it in the answer.
"""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from email.utils import formatdate
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from identity import IdentityUnavailable
from sidecar.contract import MalformedMessage, Message, Problem
from sidecar.contract.problem import MEDIA_TYPE
from sidecar.contract.wire import MAX_BYTES
from sidecar.errors import ClusterUnavailable, JournalUnavailable, PolicyUnavailable
from sidecar.execution import escaped
from sidecar.gate.refusals import RECORDED, Refusal

log = structlog.get_logger("sidecar.http")
CODE_HEADER = "X-Lestrade-Code"  # of a page that says no
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# FastAPI would make spans of its own wherever a provider is set, with the query of each request: a log-in's code is in one.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}

_CODES = {401: "not-authenticated", 404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "wrong-media-type"}
_CANNOT: dict[type[Exception], tuple[str, str]] = {
    JournalUnavailable: ("journal-unavailable", "the record cannot be written, so nothing was done"),
    ClusterUnavailable: ("cluster-unavailable", "ask again when the API server answers"),
    PolicyUnavailable: ("policy-unavailable", "ask again when the policy engine answers"),
    IdentityUnavailable: ("identity-unavailable", "ask again when the identity provider answers, or use a local token"),
}
CANNOT = tuple(_CANNOT)


def make_app(
    title: str, *, version: str, taken: Sequence[type[Message]], side: str = "", noted: Callable[[Refusal], None] | None = None
) -> FastAPI:
    """An application whose every error is a problem. `taken`: messages that bodies are read as, for the documentation.

    `noted` is told of every refusal (4xx) before it is answered, unless whoever refused has put it on record.
    """
    app = _Documented(title, version, taken)
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(MalformedMessage, _malformed)
    for kind in _CANNOT:
        app.add_exception_handler(kind, _cannot)
    if noted is not None:
        app.add_middleware(_OnRecord, side=side, noted=noted)
    app.add_middleware(_LastResort)
    return app


class _Documented(FastAPI):
    """Bodies are read by the contract itself, not by FastAPI: their schemas are added to the documentation here."""

    def __init__(self, title: str, version: str, taken: Sequence[type[Message]]) -> None:
        super().__init__(title=title, version=version, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)
        self._taken = tuple(taken)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = get_openapi(title=self.title, version=self.version, routes=self.routes)
            _, definitions = models_json_schema(
                [(kind, "validation") for kind in self._taken], ref_template="#/components/schemas/{model}"
            )
            known = schema.setdefault("components", {}).setdefault("schemas", {})
            known.update({name: found for name, found in definitions["$defs"].items() if name not in known})
            self.openapi_schema = schema
        return self.openapi_schema


def takes(kind: type[Message]) -> dict[str, Any]:
    """The documentation of a body that is read by `kind.from_bytes`."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of refusals; 401, 400 and 503 can happen everywhere."""
    said = {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": "a refusal"}
    return dict.fromkeys((400, 401, 503, *statuses), said)


def answer(message: Message | Problem, *, status: int = 200) -> Response:
    if isinstance(message, Problem):
        return problem_response(message)
    return Response(message.model_dump_json(by_alias=True), status_code=status, media_type="application/json")


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return Response(problem.model_dump_json(), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def bearer(request: Request) -> str:
    """The token that the caller presents; raises a 401 when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized()
    return token.strip()


def unauthorized() -> HTTPException:
    return HTTPException(401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})


async def whole_body(request: Request) -> bytes:
    """At most MAX_BYTES, whatever the headers say; raises a 413."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > MAX_BYTES:
        raise HTTPException(413, f"at most {MAX_BYTES} bytes are taken")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"at most {MAX_BYTES} bytes are taken")
    return bytes(body)


async def no_body(request: Request) -> None:
    """What is approved has no parameters: whoever sends some wants something else. Raises a 400."""
    if (await whole_body(request)).strip() not in (b"", b"{}"):
        raise MalformedMessage("this call takes no body: it does what was approved, and nothing else")


async def _http_problem(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, StarletteHTTPException):
        raise exc
    code = _CODES.get(exc.status_code, "refused")
    problem = Problem(title=code.replace("-", " "), status=max(400, exc.status_code), detail=str(exc.detail), code=code)
    return problem_response(problem, dict(exc.headers or {}))


async def _invalid(_: Request, exc: Exception) -> Response:
    if not isinstance(exc, RequestValidationError):
        raise exc
    faults = "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()[:3])
    return problem_response(Problem(title="malformed request", status=400, detail=faults, code="malformed"))


async def _malformed(_: Request, exc: Exception) -> Response:
    return problem_response(Problem(title="malformed message", status=400, detail=str(exc)[:2000], code="malformed"))


async def _cannot(_: Request, exc: Exception) -> Response:
    return problem_response(unable(exc))


def unable(exc: Exception) -> Problem:
    """What is answered where something of CANNOT was raised; it is logged as well."""
    code, fix = _CANNOT[type(exc)]
    log.warning("cannot", code=code, reason=str(exc))
    return Problem(title=code.replace("-", " "), status=503, detail=str(exc), code=code, fix=fix)


def known_as(request: Request, actor: str) -> None:
    """Who the caller is, for the record: said by whoever checked the credentials."""
    request.state.actor = actor


class _OnRecord:
    """Before a refusal is answered, it is on record."""

    def __init__(self, app: App, *, side: str, noted: Callable[[Refusal], None]) -> None:
        self._app = app
        self._side = side
        self._noted = noted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        written: list[int] = []
        token = RECORDED.set(written)
        state = scope.setdefault("state", {})
        held: list[MutableMapping[str, Any]] = []

        async def looked_at(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and _is_refusal(message):
                held.append(message)  # the code comes with the body, and is told first
                return
            if held and message["type"] == "http.response.body":
                start = held.pop()
                if not written:
                    refusal = _refusal(self._side, scope, state, start, message.get("body", b""))
                    await run_in_threadpool(self._noted, refusal)
                await send(start)
            await send(message)

        try:
            await self._app(scope, receive, looked_at)
        finally:
            RECORDED.reset(token)


_PLAN = re.compile(r"^/(?:v1/plans|approvals)/([0-9a-f]{64})(?:/|$)")
_LEASE = re.compile(r"^/v1/leases/([a-z0-9][a-z0-9-]{0,62})(?:/|$)")


def _is_refusal(message: MutableMapping[str, Any]) -> bool:
    """A problem, or a page that says its code in a header; an answer of the cluster's that is handed on is neither."""
    return 400 <= message["status"] < 500 and (_header(message, b"content-type") == MEDIA_TYPE or bool(_code_of(message)))


def _code_of(message: MutableMapping[str, Any]) -> str:
    return _header(message, CODE_HEADER.lower().encode())


def _header(message: MutableMapping[str, Any], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in message.get("headers", []) if name.lower() == wanted), "")


def _refusal(side: str, scope: Scope, state: Any, start: MutableMapping[str, Any], body: bytes) -> Refusal:
    try:
        code = _code_of(start) or str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        code = "refused"
    path = escaped(scope.get("path", ""))
    plan, lease = _PLAN.match(path), _LEASE.match(path)
    return Refusal(
        side=side,
        status=start["status"],
        code=code,
        actor=str(state.get("actor") or "unknown"),
        method=escaped(scope.get("method", ""))[:20],
        path=path[:200],
        plan=plan[1] if plan else "",
        lease=lease[1] if lease else "",
    )


class _LastResort:
    """Outermost: an unforeseen exception becomes a 500 without a trace; every answer carries a Date."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def dated(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", []))
                if not any(name.lower() == b"date" for name, _ in headers):
                    headers.append((b"date", formatdate(usegmt=True).encode()))
                message["headers"] = headers
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if _has_two_ends(scope):
                await problem_response(_TWO_ENDS, {"Connection": "close"})(scope, receive, dated)
                return
            await self._app(scope, receive, dated)
        except Exception as exc:  # noqa: BLE001  the HTTP edge: nothing of it may reach the caller
            log.error("a fault of the sidecar's own", path=scope.get("path"), error=type(exc).__name__, where=_where(exc))
            if not started:
                problem = Problem(title="internal error", status=500, detail="see the sidecar's log", code="internal")
                await problem_response(problem)(scope, receive, dated)


_TWO_ENDS = Problem(
    title="malformed request", status=400, detail="a request has either a length or chunks, and not both", code="malformed"
)


def _has_two_ends(scope: Scope) -> bool:
    """Whoever stands before us may have gone by the other one, and what comes next would be somebody else's request."""
    names = {name.lower() for name, _ in scope.get("headers", [])}
    return {b"content-length", b"transfer-encoding"} <= names


def _where(exc: BaseException) -> str:
    """File and line of the fault, for the log; no values."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
