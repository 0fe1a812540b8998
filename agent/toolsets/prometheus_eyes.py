"""Eyes on what Prometheus knows beside values: which series there are, what metrics mean, rules, alerts. Over its HTTP API v1."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pydantic import Field

from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.toolsets.http_reading import HttpSource
from agent.topology.fields import items, mapping, text
from sidecar.contract import Json

MOST_ROWS = 300


class Selector(Arguments):
    selector: str = Field(min_length=1, max_length=1000, description='such as up{job="api"}')
    minutes: int = Field(60, ge=1, le=10_080)


class Metric(Arguments):
    metric: str = Field(min_length=1, max_length=200, pattern=r"^[a-zA-Z_:][\w:]*$")


class Containing(Arguments):
    contains: str = Field("", max_length=200, description="only what holds this; case does not count")


class PrometheusEyes:
    name = "prometheus"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Prometheus is configured (LESTRADE_PROMETHEUS_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        source = self._source
        if source is None:
            return ()

        async def series(asked: Selector) -> Sighting:
            end = view.observed.now
            window = {"start": f"{(end - timedelta(minutes=asked.minutes)).timestamp():.0f}", "end": f"{end.timestamp():.0f}"}
            document = await source.json("/api/v1/series", {"match[]": asked.selector, "limit": str(MOST_ROWS), **window})
            rows = [_labels(one) for one in items(document, "data")]
            return _sighting(f"prometheus: series of {asked.selector}", rows)

        async def metadata(asked: Metric) -> Sighting:
            document = await source.json("/api/v1/metadata", {"metric": asked.metric})
            rows = [
                f"{name}: {text(one, 'type')}, {text(one, 'help')}"
                for name, entries in mapping(document, "data").items()
                for one in entries
            ]
            return _sighting(f"prometheus: metadata of {asked.metric}", rows)

        async def rules(asked: Containing) -> Sighting:
            document = await source.json("/api/v1/rules")
            rows = [row for row in _rules(document) if asked.contains.lower() in row.lower()]
            return _sighting("prometheus: rules", rows)

        async def alerts(asked: Containing) -> Sighting:
            document = await source.json("/api/v1/alerts")
            rows = [
                f"{text(one, 'state')} since {text(one, 'activeAt')}: {_labels(mapping(one, 'labels'))};  {text(one, 'value')}"
                for one in items(document, "data", "alerts")
            ]
            return _sighting("prometheus: alerts", [row for row in rows if asked.contains.lower() in row.lower()])

        return (
            tool("prometheus_series", "Which series a selector matches.", Selector, series),
            tool("prometheus_metadata", "Type and meaning of a metric.", Metric, metadata),
            tool("prometheus_rules", "Alerting and recording rules with their state.", Containing, rules),
            tool("prometheus_alerts", "Alerts that are pending or firing.", Containing, alerts),
        )


def _rules(document: Json) -> Iterator[str]:
    for group in items(document, "data", "groups"):
        for one in items(group, "rules"):
            state = f" [{text(one, 'state')}]" if text(one, "state") else ""
            fault = f" ERROR {text(one, 'lastError')}" if text(one, "lastError") else ""
            yield f"{text(group, 'name')}/{text(one, 'name')}{state}: {text(one, 'query')}{fault}"


def _labels(labels: object) -> str:
    known = mapping({"": labels}, "")
    inside = ", ".join(f'{key}="{value}"' for key, value in sorted(known.items()) if key != "__name__")
    return f"{known.get('__name__', '')}{{{inside}}}"


def _sighting(source: str, rows: Sequence[str]) -> Sighting:
    more = [f"... {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
    return Sighting(source=source, text="\n".join([*rows[:MOST_ROWS], *more]), missing="" if rows else "there are none")
