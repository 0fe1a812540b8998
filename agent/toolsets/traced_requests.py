"""Requests that went wrong lately, from Tempo or Jaeger: those that failed and those that took long, through the services in
question. Few of them, and each whole."""

import asyncio
import json

from agent.domain.testimony import Matter, Testimony
from agent.ports import Gap, Observed
from agent.signals.journeys import SLOW
from agent.toolsets.http_reading import HttpSource, any_of, segment
from agent.toolsets.spans import journey_of_jaeger, journey_of_otlp
from agent.topology.fields import items, text

MOST_TRACES, MOST_SERVICES = 6, 4


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
        journeys = [journey_of_otlp(trace, name) for name, trace in zip(ids, traces, strict=True)]
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
        journeys = [journey_of_jaeger(traces[name], name) for name in sorted(traces) if name]
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
