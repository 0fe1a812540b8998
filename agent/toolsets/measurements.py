"""Eyes on metrics: instant and range queries in PromQL, and what was read. Over the Metrics port."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field

from agent.domain.incident import Window
from agent.domain.objects import Series
from agent.ports import Metrics
from agent.ports.toolset import Arguments, Sighting, Tool, View, tool

MOST_SERIES = 60
POINTS = 24


class Instant(Arguments):
    promql: str = Field(min_length=1, max_length=2000)


class Range(Arguments):
    promql: str = Field(min_length=1, max_length=2000)
    minutes: int = Field(60, ge=1, le=10_080, description="back from now")


class Names(Arguments):
    contains: str = Field("", max_length=120, description="only metric names that hold this")


class MetricEyes:
    """The Toolset over the Metrics port; None where nothing measures."""

    name = "metrics"

    def __init__(self, metrics: Metrics | None) -> None:
        self._metrics = metrics

    @property
    def why_off(self) -> str:
        return "" if self._metrics is not None else "no Prometheus is configured (LESTRADE_PROMETHEUS_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        metrics = self._metrics
        if metrics is None:
            return ()

        async def instant(asked: Instant) -> Sighting:
            found = await metrics.instant(asked.promql, view.observed.now)
            rows = [f"{_labels(one)} {one.samples[-1][1]:g}" for one in found[:MOST_SERIES] if one.samples]
            return _sighting(f"metrics: {asked.promql}", rows, len(found))

        async def over_time(asked: Range) -> Sighting:
            end = view.observed.now
            window = Window(start=end - timedelta(minutes=asked.minutes), end=end)
            found = await metrics.range(asked.promql, window, max(15, asked.minutes * 60 // 240))
            rows = [_curve(one) for one in found[:MOST_SERIES] if one.samples]
            return _sighting(f"metrics: {asked.promql} over {asked.minutes} min", rows, len(found))

        async def names(asked: Names) -> Sighting:
            counted: dict[str, int] = {}
            for one in view.series:
                if asked.contains in one.name:
                    counted[one.name] = counted.get(one.name, 0) + 1
            rows = [f"{name}: {count} series" for name, count in sorted(counted.items())]
            return _sighting("metrics: names of what was read", rows, len(rows))

        return (
            tool("metrics_query", "A PromQL expression now.", Instant, instant),
            tool("metrics_range", "A PromQL expression over time, thinned out.", Range, over_time),
            tool("metrics_names", "Names of the metrics that were read for this incident.", Names, names),
        )


def _sighting(source: str, rows: Sequence[str], found: int) -> Sighting:
    more = [f"... {found - len(rows)} more series"] if found > len(rows) else []
    return Sighting(source=source, text="\n".join([*rows, *more]), missing="" if rows else "no such series")


def _labels(one: Series) -> str:
    inside = ", ".join(f'{key}="{value}"' for key, value in sorted(one.labels.items()) if key != "__name__")
    return f"{one.name}{{{inside}}}"


def _curve(one: Series) -> str:
    values = [value for _, value in one.samples]
    step = max(1, len(values) // POINTS)
    thin = " ".join(f"{value:.4g}" for value in values[::step])
    return f"{_labels(one)} min {min(values):.4g} max {max(values):.4g} last {values[-1]:.4g}; {thin}"
