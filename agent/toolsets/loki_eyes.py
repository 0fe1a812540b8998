"""Eyes on Loki: lines by LogQL, and which labels there are."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field

from agent.domain.incident import Window
from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.toolsets.http_reading import HttpSource, segment
from agent.toolsets.loki import LokiLogs
from agent.topology.fields import items


class Query(Arguments):
    logql: str = Field(min_length=2, max_length=2000, description='a log query, such as {namespace="shop"} |= "error"')
    minutes: int = Field(60, ge=1, le=10_080, description="back from now")


class Label(Arguments):
    label: str = Field("", max_length=200, pattern=r"^[a-zA-Z_]?\w*$", description="its values; empty: the names of labels")


class LokiEyes:
    name = "loki"

    def __init__(self, loki: LokiLogs | None, source: HttpSource | None) -> None:
        self._loki = loki
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._loki is not None else "no Loki is configured (LESTRADE_LOKI_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        loki, source = self._loki, self._source
        if loki is None or source is None:
            return ()

        async def query(asked: Query) -> Sighting:
            end = view.observed.now
            logs = await loki.query(asked.logql, Window(start=end - timedelta(minutes=asked.minutes), end=end))
            lines = [f"{log.pod}/{log.container}: {line}" for log in logs for line in log.text.splitlines()]
            return Sighting(source=f"loki: {asked.logql}", text="\n".join(lines), missing="" if lines else "no such lines")

        async def labels(asked: Label) -> Sighting:
            path = f"/loki/api/v1/label/{segment(asked.label)}/values" if asked.label else "/loki/api/v1/labels"
            found = [str(one) for one in items(await source.json(path), "data")]
            missing = "" if found else "there are none"
            return Sighting(source=f"loki: labels {asked.label}".rstrip(), text="\n".join(found[:500]), missing=missing)

        return (
            tool("loki_query", "Log lines by LogQL, oldest first.", Query, query),
            tool("loki_labels", "Names of labels, or values of one.", Label, labels),
        )
