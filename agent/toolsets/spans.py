"""Traces as Tempo (OTLP) and Jaeger give them, read into the same spans: for what is always asked about a fault as for a model
that asks for one. Knows no address.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from agent.domain.testimony import Journey, Span
from agent.toolsets.timing import of_milliseconds
from agent.topology.fields import at, counted, items, mapping, number, text

MOST_SPANS = 2000  # of one trace
_HOSTS = ("server.address", "net.peer.name", "peer.hostname", "network.peer.address", "net.peer.ip", "net.sock.peer.addr")
_PORTS = ("server.port", "net.peer.port", "peer.port", "network.peer.port")
_URLS = ("url.full", "http.url", "db.connection_string")
_CODES = ("http.response.status_code", "http.status_code")
_SAID = ("otel.status_description", "exception.message", "error.message", "error.type")
_CALLS = ("client", "producer", "span_kind_client", "span_kind_producer", "3", "4")
Attributes = Mapping[str, Any]


def journey_of_otlp(document: object, name: str) -> Journey:
    """Of OTLP as JSON, as Tempo and the collector write it."""
    trace = mapping(document, "trace") or document
    spans: list[Span] = []
    for batch in items(trace, "batches") or items(trace, "resourceSpans"):
        resource = _attributes(items(batch, "resource", "attributes"))
        for scope in items(batch, "scopeSpans") or items(batch, "instrumentationLibrarySpans"):
            spans += [one for raw in items(scope, "spans")[:MOST_SPANS] if (one := _otlp_span(raw, resource)) is not None]
    return Journey(id=name, source=f"tempo: trace {name}", spans=tuple(spans[:MOST_SPANS]))


def _otlp_span(raw: object, resource: Attributes) -> Span | None:
    begin, end = _whole(at(raw, "startTimeUnixNano")), _whole(at(raw, "endTimeUnixNano"))
    told = _attributes(items(raw, "attributes"))
    for event in items(raw, "events"):
        told = {**_attributes(items(event, "attributes")), **told}
    status = mapping(raw, "status")
    wrong = status.get("code") in (2, "STATUS_CODE_ERROR")
    return _span(
        id_=text(raw, "spanId"),
        parent=text(raw, "parentSpanId"),
        service=str(resource.get("service.name", "")),
        name=text(raw, "name"),
        begin_ms=begin / 1e6,
        took_ms=(end - begin) / 1e6,
        failed=wrong,
        said=text(status, "message"),
        kind=str(at(raw, "kind") or ""),
        told=told,
        resource=resource,
    )


def _attributes(pairs: list[Any]) -> Attributes:
    found: dict[str, Any] = {}
    for one in pairs:
        value = mapping(one, "value")
        first = next(iter(value.values()), None)
        if isinstance(first, str | int | float | bool):
            found[text(one, "key")] = first
    return found


def journey_of_jaeger(trace: object, name: str) -> Journey:
    """Of a trace as Jaeger's search and its trace by id give it."""
    resources = {
        key: {"service.name": text(process, "serviceName"), **_tags(items(process, "tags"))}
        for key, process in mapping(trace, "processes").items()
    }
    spans = (_jaeger_span(raw, resources.get(text(raw, "processID"), {})) for raw in items(trace, "spans")[:MOST_SPANS])
    return Journey(id=name, source=f"jaeger: trace {name}", spans=tuple(one for one in spans if one is not None))


def _jaeger_span(raw: object, resource: Attributes) -> Span | None:
    told = _tags(items(raw, "tags"))
    for entry in items(raw, "logs"):
        told = {**_tags(items(entry, "fields")), **told}
    parents = [text(one, "spanID") for one in items(raw, "references") if text(one, "refType") in ("CHILD_OF", "")]
    wrong = told.get("error") in (True, "true") or told.get("otel.status_code") == "ERROR"
    return _span(
        id_=text(raw, "spanID"),
        parent=next(iter(parents), ""),
        service=str(resource.get("service.name", "")),
        name=text(raw, "operationName"),
        begin_ms=number(raw, "startTime") / 1000,
        took_ms=number(raw, "duration") / 1000,
        failed=wrong,
        said="",
        kind=str(told.get("span.kind", "")),
        told=told,
        resource=resource,
    )


def _tags(pairs: list[Any]) -> Attributes:
    return {text(one, "key"): at(one, "value") for one in pairs if isinstance(at(one, "value"), str | int | float | bool)}


def _span(
    *,
    id_: str,
    parent: str,
    service: str,
    name: str,
    begin_ms: float,
    took_ms: float,
    failed: bool,
    said: str,
    kind: str,
    told: Attributes,
    resource: Attributes,
) -> Span | None:
    begin = of_milliseconds(begin_ms)
    if not id_ or begin is None or not 0 <= took_ms < 864e5:
        return None
    code = next((code for key in _CODES if (code := counted(str(told.get(key, "")))) is not None), 0)
    is_call = kind.lower() in _CALLS
    host, port = _peer(told)
    return Span(
        id=id_,
        parent=parent,
        service=service[:200],
        name=name[:200],
        begin=begin,
        took=timedelta(milliseconds=took_ms),
        failed=failed or code >= 500,
        said=(said or next((str(told[key]) for key in _SAID if told.get(key)), "") or (f"HTTP {code}" if code >= 500 else ""))[
            :300
        ],
        is_call=is_call,
        peer=host if is_call else "",
        port=port if is_call else 0,
        namespace=str(resource.get("k8s.namespace.name", "")),
        pod=str(resource.get("k8s.pod.name", "")),
        workload=next(_workloads(resource), ""),
    )


def _workloads(resource: Attributes) -> Iterator[str]:
    for kind in ("deployment", "statefulset", "daemonset", "cronjob", "job"):
        if resource.get(f"k8s.{kind}.name"):
            yield str(resource[f"k8s.{kind}.name"])


def _peer(told: Attributes) -> tuple[str, int]:
    """Host and port that a span says it called; the name of a service where it says no more."""
    port = next((port for key in _PORTS if (port := counted(str(told.get(key, "")))) is not None), 0)
    host = next((str(told[key]) for key in _HOSTS if told.get(key)), "")
    if not host:
        for key in _URLS:
            parts = _split(str(told.get(key, "")))
            if parts is not None:
                return parts[0], port or parts[1]
    return (host or str(told.get("peer.service", "")))[:260].lower(), port if port <= 65_535 else 0


def _split(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        return ((parts.hostname or "")[:260], parts.port or 0) if parts.hostname else None
    except ValueError:
        return None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else (counted(value) or 0) if isinstance(value, str) else 0
