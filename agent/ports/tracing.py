"""What a run does, told while it does it: `with span("tool", "cluster.overview"):`. Knows no vendor; unheard it costs nothing.

Who wants to know is told twice: a tracer makes spans of it (`use`), and listeners hear each end with its seconds (`listening`):
that is what /metrics counts. Only ids go into attributes: never a text of the cluster, a question or an answer.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, Protocol

Kind = Literal["run", "stage", "tool", "model", "decision", "lease", "step", "undo", "settle"]
Value = str | int | float | bool


@dataclass(slots=True, kw_only=True)
class Noted:
    """One thing that is done. `note` adds what is known only later, such as a verdict. `failed`: why it went wrong, one word."""

    kind: Kind
    name: str
    attributes: dict[str, Value] = field(default_factory=dict)
    failed: str = ""
    seconds: float = 0.0

    def note(self, **attributes: Value) -> None:
        self.attributes |= attributes


class Tracer(Protocol):
    """Must neither raise nor wait: a trace that cannot be kept is no reason to keep a run waiting."""

    def span(self, noted: Noted) -> AbstractContextManager[object]:
        """Entered when it begins; at its exit `noted` is complete."""
        ...

    def carried(self) -> Mapping[str, str]:
        """HTTP headers that hand the present span on (W3C Trace Context); empty when there is none."""
        ...


class _Nobody:
    def span(self, noted: Noted) -> AbstractContextManager[object]:
        return nullcontext()

    def carried(self) -> Mapping[str, str]:
        return {}


Listener = Callable[[Noted], None]
RUN: ContextVar[str] = ContextVar("the run that is worked on", default="")
_tracer: Tracer = _Nobody()
_listeners: tuple[Listener, ...] = ()


@contextmanager
def use(tracer: Tracer) -> Iterator[None]:
    """The process's tracer, until this is left."""
    global _tracer
    before, _tracer = _tracer, tracer
    try:
        yield
    finally:
        _tracer = before


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """`listener` is told of every end. It must not raise."""
    global _listeners
    _listeners = (*_listeners, listener)
    try:
        yield
    finally:
        _listeners = tuple(one for one in _listeners if one is not listener)


@contextmanager
def span(kind: Kind, name: str = "", /, **attributes: Value) -> Iterator[Noted]:
    """What is done inside is one span below the present one. An exception ends it as failed, and goes on."""
    noted = Noted(kind=kind, name=name, attributes=attributes)
    token = RUN.set(name) if kind == "run" else None
    began = time.perf_counter()
    with _tracer.span(noted):
        try:
            yield noted
        except BaseException as exc:
            noted.failed = noted.failed or type(exc).__name__
            raise
        finally:
            noted.seconds = time.perf_counter() - began
            for listener in _listeners:
                listener(noted)
            if token is not None:
                RUN.reset(token)


def carried() -> Mapping[str, str]:
    """Headers for a request that belongs to the present span."""
    return _tracer.carried()


def trace_id_of(run: str) -> str:
    """32 hex digits. Made from the run's id, so that a run that another process goes on with stays one trace, and a log line
    can name it without a tracer."""
    return sha256(f"lestrade run {run}".encode()).hexdigest()[:32]
