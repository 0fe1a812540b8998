"""Spans by OpenTelemetry: the only door to its SDK. What a run notes becomes a span; nothing here may keep a run waiting.

Names follow the semantic conventions where there are some (gen_ai.*, error.type, k8s.cluster.name); the rest is lestrade.*.
"""

import logging
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, StatusCode

from agent.ports.tracing import Kind, Noted, trace_id_of

EXPORT_SECONDS = 5  # of one attempt
CLOSE_SECONDS = 2.0  # for what is still to be sent when the process ends
KEPT = 2048  # spans that wait to be sent; further ones are dropped

NAMES: Mapping[str, str] = {
    "cluster": "k8s.cluster.name",
    "model": "gen_ai.request.model",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "run": "lestrade.run.id",
    "incident": "lestrade.incident.id",
    "plan": "lestrade.plan.digest",
    "lease": "lestrade.lease.id",
    "step": "lestrade.step.id",
}
_NAMED: Mapping[Kind, str] = {"run": "lestrade.run.id", "stage": "lestrade.stage", "tool": "lestrade.tool.name"}
_CALLS: frozenset[Kind] = frozenset({"tool", "model", "decision", "lease", "step", "undo", "settle"})
_TRACE: ContextVar[int] = ContextVar("the trace of the run that begins", default=0)

logger = logging.getLogger(__name__)


class Spans:
    """A Tracer of agent.ports.tracing."""

    def __init__(self, exporter: SpanExporter, *, service: str, version: str) -> None:
        resource = Resource.create({"service.name": service, "service.version": version})
        self._provider = TracerProvider(resource=resource, id_generator=_RunsOwn(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Quiet(exporter), max_queue_size=KEPT))
        self._tracer = self._provider.get_tracer("lestrade", version)

    @contextmanager
    def span(self, noted: Noted) -> Iterator[None]:
        is_run = noted.kind == "run"
        token = _TRACE.set(int(trace_id_of(noted.name), 16)) if is_run else None
        try:
            with self._tracer.start_as_current_span(
                f"{noted.kind} {noted.name}" if noted.name and not is_run else noted.kind,
                context=Context() if is_run else None,  # a run is nobody's child
                kind=SpanKind.CLIENT if noted.kind in _CALLS else SpanKind.INTERNAL,
                record_exception=False,  # its text may hold what was read
                set_status_on_exception=False,
            ) as span:
                try:
                    yield
                finally:
                    span.set_attributes(_attributes(noted))
                    if noted.failed:
                        span.set_status(StatusCode.ERROR)
        finally:
            if token is not None:
                _TRACE.reset(token)

    def carried(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        return headers

    def close(self) -> None:
        """What cannot be sent soon is lost: an end must not wait for a collector that is away, or that hangs."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)


def over_http(endpoint: str, *, service: str, version: str) -> Spans:
    """`endpoint` is the base address of a collector (`/v1/traces` is added); "": what OTEL_EXPORTER_OTLP_* say."""
    address = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    return Spans(OTLPSpanExporter(endpoint=address, timeout=EXPORT_SECONDS), service=service, version=version)


def _attributes(noted: Noted) -> dict[str, str | int | float | bool]:
    told = {NAMES.get(key, f"lestrade.{key}"): value for key, value in noted.attributes.items()}
    if noted.kind in _NAMED:
        told[_NAMED[noted.kind]] = noted.name
    if noted.kind == "model":
        told["gen_ai.operation.name"] = "chat"
    if noted.failed:
        told["error.type"] = noted.failed
    return told


class _RunsOwn(IdGenerator):
    """A run's trace has the id that follows from the run's own, whichever process works on it."""

    def generate_span_id(self) -> int:
        return random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return _TRACE.get() or random.getrandbits(128) or 1


class Quiet(SpanExporter):
    """Says once that spans cannot be sent, and once that they can again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False
        for name in ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
            why = "" if result is SpanExportResult.SUCCESS else "the collector does not take them"
        except Exception as exc:  # noqa: BLE001  whatever a collector answers, the thread that sends goes on
            result, why = SpanExportResult.FAILURE, type(exc).__name__
        if why and not self._failing:
            logger.warning("traces cannot be sent (%s): they are dropped until it works again", why)
        elif not why and self._failing:
            logger.warning("traces are sent again")
        self._failing = bool(why)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
