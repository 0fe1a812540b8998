"""Sources beside the cluster, asked about what a first diagnosis found: which alerts fire, what pods wrote that are gone, which
marks stand on the time line, what containers use just now. Traced requests are in `traced_requests`."""

import html
import re
from dataclasses import replace
from datetime import timedelta

from agent.domain.incident import Alert, Window
from agent.domain.testimony import Mark, Matter, Testimony
from agent.errors import ReadRefused
from agent.ports import ClusterReader, Observed
from agent.toolsets.http_reading import HttpSource, any_of
from agent.toolsets.loki import LokiLogs
from agent.toolsets.timing import of_milliseconds
from agent.topology.fields import at, items, mapping, moment, number, text

MOST_ALERTS, MOST_MARKS = 500, 100
BACK = timedelta(hours=24)  # that marks are looked for


class AlertWitness:
    """What else fires in the namespaces in question, and about nodes; by Alertmanager's API v2."""

    name = "alertmanager"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Alertmanager is configured (LESTRADE_ALERTMANAGER_URL)"

    def wanted(self, matter: Matter) -> str:
        if matter.only_changes or not (matter.namespaces or matter.units) or (self.why_off and not matter.is_open):
            return ""
        return f"alerts that fire in {', '.join(matter.namespaces[:5]) or 'the cluster'}"

    async def tell(self, matter: Matter) -> Observed:
        assert self._source is not None
        spaces = any_of(matter.namespaces)
        params = {
            "active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "false",
            "filter": f'namespace=~"{spaces}|"',  # or of none, as alerts about nodes are
        }  # fmt: skip
        found = items({"": await self._source.json("/api/v2/alerts", params)}, "")[:MOST_ALERTS]
        alerts = tuple(_alert(one) for one in found if text(one, "labels", "alertname"))
        return Observed(now=matter.window.end, testimony=Testimony(alerts=alerts))


class RuleWitness:
    """The same where there is no Alertmanager: what Prometheus' own rules say. By its API v1."""

    name = "prometheus"
    why_off = ""

    def __init__(self, source: HttpSource) -> None:
        self._source = source

    def wanted(self, matter: Matter) -> str:
        return AlertWitness(self._source).wanted(matter)

    async def tell(self, matter: Matter) -> Observed:
        try:
            found = items(await self._source.json("/api/v1/alerts"), "data", "alerts")
        except ReadRefused:  # not everything that answers queries has rules: missed only where nobody knows a cause
            if matter.is_open:
                raise
            return Observed(now=matter.window.end)
        firing = [one for one in found if text(one, "state") == "firing" and text(one, "labels", "alertname")]
        near = [one for one in firing if text(one, "labels", "namespace") in ("", *matter.namespaces)][:MOST_ALERTS]
        alerts = tuple(replace(_alert(one), starts_at=moment(at(one, "activeAt"))) for one in near)
        return Observed(now=matter.window.end, testimony=Testimony(alerts=alerts, alerts_by=self.name))


def _alert(one: object) -> Alert:
    return Alert(
        name=text(one, "labels", "alertname"),
        labels={key: value for key, value in mapping(one, "labels").items() if isinstance(value, str)},
        annotations={key: value for key, value in mapping(one, "annotations").items() if isinstance(value, str)},
        fingerprint=text(one, "fingerprint"),
        starts_at=moment(at(one, "startsAt")),
    )


class LogWitness:
    """The last words of pods that are gone: deleted, evicted, moved elsewhere. By Loki."""

    name = "loki"

    def __init__(self, loki: LokiLogs | None) -> None:
        self._loki = loki

    @property
    def why_off(self) -> str:
        return "" if self._loki is not None else "no Loki is configured (LESTRADE_LOKI_URL)"

    def wanted(self, matter: Matter) -> str:
        if matter.only_changes or not matter.gone:
            return ""
        return f"logs of pods that are gone ({', '.join(str(one) for one in matter.gone[:5])})"

    async def tell(self, matter: Matter) -> Observed:
        assert self._loki is not None
        return Observed(now=matter.window.end, logs=await self._loki.of_pods(matter.gone, matter.window))


class MarkWitness:
    """Deployments and other marks on Grafana's time line, those that alerts leave there left out."""

    name = "grafana"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Grafana is configured (LESTRADE_GRAFANA_URL)"

    def wanted(self, matter: Matter) -> str:
        return "" if self.why_off and not matter.is_open else "marks of deployments on the time line"

    async def tell(self, matter: Matter) -> Observed:
        assert self._source is not None
        span = Window(start=matter.window.end - BACK, end=matter.window.end)
        params = {
            "from": f"{span.start.timestamp() * 1000:.0f}", "to": f"{span.end.timestamp() * 1000:.0f}",
            "limit": str(MOST_MARKS), "type": "annotation",
        }  # fmt: skip
        found = items({"": await self._source.json("/api/annotations", params)}, "")
        marks = [_mark(one) for one in found if not number(one, "alertId")]
        return Observed(
            now=matter.window.end,
            testimony=Testimony(marks=tuple(one for one in marks if one is not None and one.at <= span.end)),
        )


def _mark(one: object) -> Mark | None:
    when = of_milliseconds(number(one, "time"))
    if when is None:
        return None
    words = html.unescape(re.sub(r"<[^<>]{0,500}>", " ", text(one, "text")[:2000]))
    tags = tuple(tag[:100] for tag in items(one, "tags")[:20] if isinstance(tag, str))
    return Mark(at=when, text=words, tags=tags, source=f"grafana: annotation {number(one, 'id')}")


class UsageWitness:
    """What containers and nodes use just now, by the metrics API, where no series of them were read."""

    name = "top"
    why_off = ""

    def __init__(self, reader: ClusterReader) -> None:
        self._reader = reader

    def wanted(self, matter: Matter) -> str:
        if matter.measured or matter.only_changes or not matter.namespaces or not (matter.is_open or matter.is_about_calls):
            return ""
        return "use of CPU and memory, by the metrics API"

    async def tell(self, matter: Matter) -> Observed:
        return await self._reader.usage(matter.namespaces)
