"""Requests that went wrong lately, from Tempo or Jaeger: those that failed and those that took long, through the services in
question. Few of them, and each whole."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from agent.domain.testimony import Journey, Matter, Span, Testimony
from agent.ports import Gap, Observed
from agent.signals.journeys import SLOW
from agent.toolsets.http_reading import HttpSource, any_of, segment
from agent.toolsets.timing import of_milliseconds
from agent.topology.fields import at, counted, items, mapping, number, text

MOST_TRACES, MOST_SERVICES, MOST_SPANS = 6, 4, 2000
_HOSTS = ("server.address", "net.peer.name", "peer.hostname", "network.peer.address", "net.peer.ip", "net.sock.peer.addr")
_PORTS = ("server.port", "net.peer.port", "peer.port", "network.peer.port")
_URLS = ("url.full", "http.url", "db.connection_string")
_CODES = ("http.response.status_code", "http.status_code")
_SAID = ("otel.status_description", "exception.message", "error.message", "error.type")
_CALLS = ("client", "producer", "span_kind_client", "span_kind_producer", "3", "4")
Attributes = Mapping[str, Any]


class TempoWitness:
    """TraceQL searches, then each trace that was found."""

    name = "tempo"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Tempo is configured (LESTRADE_TEMPO_URL)"

    def wanted(self, matter: Matter) -> str:
        return _wanted(matter, self.why_off)

    async def tell(self, matter: Matter) -> Observed:
        source = self._source
        assert source is not None
        which = f'resource.service.name =~ "{any_of(matter.services)}"'
        bad = (f"{{ {which} && status = error }}", f"{{ {which} && duration > {SLOW.total_seconds():.0f}s }}")
        when = {"start": f"{matter.window.start.timestamp():.0f}", "end": f"{matter.window.end.timestamp():.0f}", "limit": "20"}
        found = await asyncio.gather(*(source.json("/api/search", {"q": query, **when}) for query in bad))
        chosen: dict[str, None] = {}
        for document in found:
            rows = sorted(
                items(document, "traces"), key=lambda one: (text(one, "startTimeUnixNano"), text(one, "traceID")), reverse=True
            )
            chosen.update(dict.fromkeys(text(one, "traceID") for one in rows[: MOST_TRACES // 2]))
        ids = [one for one in chosen if one]
        traces = await asyncio.gather(*(source.json(f"/api/traces/{segment(one)}") for one in ids))
        journeys = [_of_otlp(trace, name) for name, trace in zip(ids, traces, strict=True)]
        return Observed(now=matter.window.end, testimony=Testimony(journeys=tuple(one for one in journeys if one.spans)))


class JaegerWitness:
    """Searches by service, each of which gives whole traces."""

    name = "jaeger"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Jaeger is configured (LESTRADE_JAEGER_URL)"

    def wanted(self, matter: Matter) -> str:
        return _wanted(matter, self.why_off)

    async def tell(self, matter: Matter) -> Observed:
        source = self._source
        assert source is not None
        known = {one for one in items(await source.json("/api/services"), "data") if isinstance(one, str)}
        asked = [name for name in matter.services if name in known][:MOST_SERVICES]
        if not asked:
            return Observed(
                now=matter.window.end, gaps=(Gap(what=self.wanted(matter), why="Jaeger knows none of these services"),)
            )
        when = {
            "start": f"{matter.window.start.timestamp() * 1e6:.0f}", "end": f"{matter.window.end.timestamp() * 1e6:.0f}",
            "limit": str(MOST_TRACES),
        }  # fmt: skip
        bad = ({"tags": json.dumps({"error": "true"})}, {"minDuration": f"{SLOW.total_seconds() * 1000:.0f}ms"})
        found = await asyncio.gather(
            *(source.json("/api/traces", {"service": name, **which, **when}) for name in asked for which in bad)
        )
        traces = {text(trace, "traceID"): trace for document in found for trace in items(document, "data")[:MOST_TRACES]}
        journeys = [_of_jaeger(traces[name], name) for name in sorted(traces) if name]
        return Observed(now=matter.window.end, testimony=Testimony(journeys=tuple(one for one in journeys if one.spans)))


class UntracedWitness:
    """Stands where neither of them is configured, so that one gap is told and not two."""

    name = "traces"
    why_off = "neither Tempo nor Jaeger is configured (LESTRADE_TEMPO_URL, LESTRADE_JAEGER_URL)"

    def wanted(self, matter: Matter) -> str:
        return _wanted(matter, self.why_off)

    async def tell(self, matter: Matter) -> Observed:
        return Observed(now=matter.window.end)


def _wanted(matter: Matter, why_off: str) -> str:
    if matter.only_changes or not matter.services or (why_off and not matter.is_about_calls):
        return ""
    plain = [name for name in matter.services if "." not in name] or list(matter.services)
    return f"traces of requests through {', '.join(plain[:4])} that failed or took long"


def _of_otlp(document: object, name: str) -> Journey:
    """OTLP as JSON, as Tempo and the collector write it."""
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


def _of_jaeger(trace: object, name: str) -> Journey:
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
