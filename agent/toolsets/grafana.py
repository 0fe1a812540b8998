"""Eyes on Grafana's annotations: deployments, maintenance and other marks that people and pipelines leave."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field

from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.toolsets.http_reading import HttpSource
from agent.toolsets.timing import of_milliseconds
from agent.topology.fields import items, number, text


class Marks(Arguments):
    hours: float = Field(24, gt=0, le=24 * 30)
    tag: str = Field("", max_length=100)


class GrafanaEyes:
    name = "grafana"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Grafana is configured (LESTRADE_GRAFANA_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        source = self._source
        if source is None:
            return ()

        async def annotations(asked: Marks) -> Sighting:
            end = view.observed.now
            begin = end - timedelta(hours=asked.hours)
            params = {"from": f"{begin.timestamp() * 1000:.0f}", "to": f"{end.timestamp() * 1000:.0f}", "limit": "200"}
            params |= {"tags": asked.tag} if asked.tag else {}
            document = await source.json("/api/annotations", params)
            rows = [
                f"{when:%Y-%m-%dT%H:%M:%SZ} [{', '.join(map(str, items(one, 'tags')))}] {text(one, 'text')}"
                for one in items({"": document}, "")
                if (when := of_milliseconds(number(one, "time"))) is not None
            ]
            return Sighting(source="grafana: annotations", text="\n".join(rows), missing="" if rows else "there are none")

        return (tool("grafana_annotations", "Marks on Grafana's time line, newest first.", Marks, annotations),)
