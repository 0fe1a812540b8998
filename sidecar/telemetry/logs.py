"""The log: one JSON object a line on stdout, with the incident and the trace of whoever asked, and no secret in any line."""

import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from sidecar.reading.shapes import Mask

DEEPEST = 12
_MASK = Mask()
_RUN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def told_by(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """What a call says of itself, for the lines that are logged meanwhile. `headers`: with names in lower case."""
    told: dict[str, str] = {}
    for name, value in headers:
        if name == b"lestrade-run" and _RUN.fullmatch(value):
            told["incident"] = value.decode()
        elif name == b"traceparent" and (found := _TRACE.fullmatch(value)):
            told["trace_id"] = found[1].decode()
    return told


class Correlated:
    """Every line that is logged while a call is answered names the incident (`Lestrade-Run`) and the trace that it came with."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = told_by(scope.get("headers", ()))
        if not told:
            await self._app(scope, receive, send)
            return
        with structlog.contextvars.bound_contextvars(**told):
            await self._app(scope, receive, send)


def configure_log(level: str) -> None:
    """One JSON object a line on stdout: no line of a message can pretend to be another. What libraries log comes out alike."""
    number = getattr(logging, level.upper())
    shared: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    ending: list[Any] = [
        masked,
        structlog.processors.TimeStamper(fmt="iso", utc=True),  # our own word: there is no secret to be looked for
        structlog.processors.JSONRenderer(serializer=_written),
    ]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),  # a line and its end at once
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, bounded, *ending],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


_ENCODER = json.JSONEncoder(default=str)  # kept: to make one takes as long as to write a line


def _written(event: EventDict, **_: object) -> str:
    return _ENCODER.encode(event)


def bounded(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Of an exception only its class, and of a library, but for the server's own, only that it said something: their texts
    may hold what was read."""
    information = event.pop("exc_info", None)
    if isinstance(information, tuple) and information[0] is not None:
        event["error"] = information[0].__name__
    if not str(event.get("logger", "")).startswith("uvicorn"):
        event["event"] = "library"
    return event


def masked(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Every text of it, however deep, without what looks like a secret's value."""
    return {str(key): _without(str(key), value, DEEPEST) for key, value in event.items()}


def _without(name: str, value: object, depth: int) -> object:
    if isinstance(value, str):
        return _MASK.named(name, value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, dict):
        return {_MASK.text(str(key)): _without(str(key), inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_without("", inner, depth - 1) for inner in value]
    return _MASK.text(str(value))
