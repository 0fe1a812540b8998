"""Spans by OpenTelemetry: the only door to its SDK. A call that carries a trace context becomes a span of that trace, and the
sidecar's requests to the API server below it. Ids, methods, routes and statuses: no body, no query, no token.

Reads through the gateway are not traced: a run makes hundreds, and the agent's own span covers them.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode

from sidecar.ports import ApiAnswer, ApiCall, Cluster
from sidecar.ports.cluster import ApiStream, Credential

EXPORT_SECONDS = 5  # of one attempt
CLOSE_SECONDS = 2.0  # for what is still to be sent when the process ends
KEPT = 2048  # spans that wait to be sent; further ones are dropped
UNTRACED = ("/v1/read/", "/healthz", "/readyz", "/metrics")
IDS = {"digest": "lestrade.plan.digest", "lease_id": "lestrade.lease.id", "step": "lestrade.step.id"}  # of a route's parameters

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
log = structlog.get_logger("sidecar.traces")


class Spans:
    """Implements sidecar.telemetry.Tracing."""

    active = True

    def __init__(self, exporter: SpanExporter, *, service: str, version: str) -> None:
        resource = Resource.create({"service.name": service, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Quiet(exporter), max_queue_size=KEPT))
        self._tracer = self._provider.get_tracer("lestrade", version)

    def watched(self, cluster: Cluster) -> Cluster:
        return _Watched(cluster, self._tracer)

    def install(self, app: FastAPI) -> None:
        app.add_middleware(_Served, tracer=self._tracer)

    def close(self) -> None:
        """What cannot be sent soon is lost: an end must not wait for a collector that is away, or that hangs."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)


def over_http(endpoint: str, *, service: str, version: str) -> Spans:
    """`endpoint` is the base address of a collector (`/v1/traces` is added); "": what OTEL_EXPORTER_OTLP_* say."""
    address = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    return Spans(OTLPSpanExporter(endpoint=address, timeout=EXPORT_SECONDS), service=service, version=version)


class _Served:
    """Outermost: one span a call, as OpenTelemetry's conventions for HTTP servers have it, for calls within a trace."""

    def __init__(self, app: App, *, tracer: trace.Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope.get("headers", ())
            if name.lower() in (b"traceparent", b"tracestate")
        }
        if scope["type"] != "http" or "traceparent" not in headers or str(scope.get("path", "")).startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        status = 500

        async def seen(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope.get("method", "")
        with self._tracer.start_as_current_span(
            str(method),
            context=propagate.extract(headers),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, seen)
            finally:
                route = str(getattr(scope.get("route"), "path", ""))
                span.update_name(f"{method} {route}".strip())
                known: dict[str, str | int] = {
                    "http.request.method": str(method),
                    "http.response.status_code": status,
                    "http.route": route,
                }
                ids = {IDS[key]: str(value) for key, value in (scope.get("path_params") or {}).items() if key in IDS}
                span.set_attributes({**known, **ids})
                if status >= 500:
                    span.set_attribute("error.type", str(status))
                    span.set_status(StatusCode.ERROR)


class _Watched:
    """A cluster whose requests are spans below the call that they are made for; without such a call, none."""

    def __init__(self, cluster: Cluster, tracer: trace.Tracer) -> None:
        self._cluster = cluster
        self._tracer = tracer

    @property
    def name(self) -> str:
        return self._cluster.name

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        if not trace.get_current_span().is_recording():
            return self._cluster.send(call, credential)
        known: dict[str, str | bool] = {
            "http.request.method": call.method,
            "url.path": call.path,
            "k8s.cluster.name": self.name,
            "lestrade.with_lease": credential is not None,
        }
        with self._tracer.start_as_current_span(
            call.method, kind=SpanKind.CLIENT, attributes=known, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                answer = self._cluster.send(call, credential)
            except Exception as exc:
                span.set_attribute("error.type", type(exc).__name__)
                span.set_status(StatusCode.ERROR)
                raise
            span.set_attribute("http.response.status_code", answer.status)
            if answer.status >= 400:
                span.set_attribute("error.type", str(answer.status))
                span.set_status(StatusCode.ERROR)
            return answer

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        return self._cluster.stream(call, silence=silence)


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
            log.warning("traces cannot be sent: they are dropped until it works again", reason=why)
        elif not why and self._failing:
            log.warning("traces are sent again")
        self._failing = bool(why)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
