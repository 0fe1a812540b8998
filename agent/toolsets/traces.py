"""Eyes on traces: Tempo (TraceQL search, one trace) or Jaeger (search by service, one trace), each over its HTTP API."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pydantic import Field

from agent.domain.testimony import Journey
from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.toolsets.http_reading import HttpSource, segment
from agent.toolsets.spans import journey_of_jaeger, journey_of_otlp
from agent.topology.fields import at, items, number, text

MOST_TRACES, MOST_SPANS = 20, 200


class TraceQL(Arguments):
    traceql: str = Field(min_length=2, max_length=1000, description='such as { resource.service.name = "web" && status = error }')
    minutes: int = Field(60, ge=1, le=10_080)


class Service(Arguments):
    service: str = Field(min_length=1, max_length=200)
    minutes: int = Field(60, ge=1, le=10_080)
    slower_than_ms: int = Field(0, ge=0, le=3_600_000)


class Trace(Arguments):
    trace: str = Field(pattern=r"^[0-9a-fA-F]{8,64}$", description="its id")


class TempoEyes:
    name = "tempo"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Tempo is configured (LESTRADE_TEMPO_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        source = self._source
        if source is None:
            return ()

        async def search(asked: TraceQL) -> Sighting:
            end = view.observed.now
            begin = end - timedelta(minutes=asked.minutes)
            params = {
                "q": asked.traceql, "limit": str(MOST_TRACES),
                "start": f"{begin.timestamp():.0f}", "end": f"{end.timestamp():.0f}",
            }  # fmt: skip
            rows = [
                f"{text(one, 'traceID')} {text(one, 'rootServiceName')} {text(one, 'rootTraceName')}, "
                f"{number(one, 'durationMs')} ms"
                for one in items(await source.json("/api/search", params), "traces")
            ]
            return Sighting(source=f"tempo: {asked.traceql}", text="\n".join(rows), missing="" if rows else "no such traces")

        async def trace(asked: Trace) -> Sighting:
            rows = list(_lines(journey_of_otlp(await source.json(f"/api/traces/{segment(asked.trace)}"), asked.trace)))
            return Sighting(source=f"tempo: trace {asked.trace}", text="\n".join(rows), missing="" if rows else "it has no spans")

        return (
            tool("tempo_search", "Traces by TraceQL, with their duration.", TraceQL, search),
            tool("tempo_trace", "The spans of one trace, slowest first.", Trace, trace),
        )


class JaegerEyes:
    name = "jaeger"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Jaeger is configured (LESTRADE_JAEGER_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        source = self._source
        if source is None:
            return ()

        async def search(asked: Service) -> Sighting:
            end = view.observed.now
            begin = end - timedelta(minutes=asked.minutes)
            params = {
                "service": asked.service, "limit": str(MOST_TRACES),
                "start": f"{begin.timestamp() * 1e6:.0f}", "end": f"{end.timestamp() * 1e6:.0f}",
            }  # fmt: skip
            params |= {"minDuration": f"{asked.slower_than_ms}ms"} if asked.slower_than_ms else {}
            rows = [_jaeger_line(one) for one in items(await source.json("/api/traces", params), "data")]
            return Sighting(source=f"jaeger: traces of {asked.service}", text="\n".join(rows), missing="" if rows else "none")

        async def trace(asked: Trace) -> Sighting:
            found = items(await source.json(f"/api/traces/{segment(asked.trace)}"), "data")
            rows = list(_lines(journey_of_jaeger(found[0], asked.trace))) if found else []
            return Sighting(source=f"jaeger: trace {asked.trace}", text="\n".join(rows), missing="" if rows else "no such trace")

        return (
            tool("jaeger_search", "Traces of a service, with their duration and errors.", Service, search),
            tool("jaeger_trace", "The spans of one trace, slowest first.", Trace, trace),
        )


def _lines(journey: Journey) -> Iterator[str]:
    """Duration, service, name, and what went wrong, a line each whatever they say; the slowest first."""
    for one in sorted(journey.spans, key=lambda one: one.took, reverse=True)[:MOST_SPANS]:
        wrong = f" ERROR {one.said}".rstrip() if one.failed else ""
        yield " ".join(f"{one.took.total_seconds() * 1000:.1f} ms {one.service or '?'} {one.name}{wrong}".split())


def _jaeger_line(trace: object) -> str:
    spans = items(trace, "spans")
    longest = max((number(one, "duration") for one in spans), default=0) / 1000
    failed = sum(_is_failed(one) for one in spans)
    return f"{text(trace, 'traceID')} {len(spans)} spans, {longest:.1f} ms, {failed} failed"


def _is_failed(span: object) -> bool:
    return any(text(one, "key") == "error" and at(one, "value") in (True, "true") for one in items(span, "tags"))
