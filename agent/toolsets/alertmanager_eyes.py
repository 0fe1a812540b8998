"""Eyes on Alertmanager: what fires now, what is silenced and by whom. Over its HTTP API v2."""

from collections.abc import Sequence

from pydantic import Field

from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.toolsets.http_reading import HttpSource
from agent.topology.fields import at, items, mapping, text

MOST_ROWS = 200


class Containing(Arguments):
    contains: str = Field("", max_length=200, description="only what holds this; case does not count")


class AlertmanagerEyes:
    name = "alertmanager"

    def __init__(self, source: HttpSource | None) -> None:
        self._source = source

    @property
    def why_off(self) -> str:
        return "" if self._source is not None else "no Alertmanager is configured (LESTRADE_ALERTMANAGER_URL)"

    def tools(self, view: View) -> Sequence[Tool]:
        source = self._source
        if source is None:
            return ()

        async def alerts(asked: Containing) -> Sighting:
            document = await source.json("/api/v2/alerts")
            rows = [_alert(one) for one in items({"": document}, "")]
            return _sighting("alertmanager: alerts", rows, asked.contains)

        async def silences(asked: Containing) -> Sighting:
            document = await source.json("/api/v2/silences")
            rows = [_silence(one) for one in items({"": document}, "") if text(one, "status", "state") != "expired"]
            return _sighting("alertmanager: silences", rows, asked.contains)

        return (
            tool("alertmanager_alerts", "Alerts that Alertmanager has now.", Containing, alerts),
            tool("alertmanager_silences", "Silences that hold or are to come.", Containing, silences),
        )


def _alert(one: object) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in sorted(mapping(one, "labels").items()))
    summary = text(one, "annotations", "summary") or text(one, "annotations", "description")
    return f"{text(one, 'status', 'state')} since {text(one, 'startsAt')}: {labels}: {summary}"


def _silence(one: object) -> str:
    matchers = ", ".join(
        f"{text(part, 'name')}{'=' if at(part, 'isEqual') is not False else '!='}{'~' if at(part, 'isRegex') is True else ''}"
        f"{text(part, 'value')}"
        for part in items(one, "matchers")
    )
    when = f"{text(one, 'startsAt')} to {text(one, 'endsAt')}"
    return f"{text(one, 'status', 'state')} {when} by {text(one, 'createdBy')}: {matchers}: {text(one, 'comment')}"


def _sighting(source: str, rows: Sequence[str], contains: str) -> Sighting:
    found = [row for row in rows if contains.lower() in row.lower()]
    more = [f"... {len(found) - MOST_ROWS} more"] if len(found) > MOST_ROWS else []
    return Sighting(source=source, text="\n".join([*found[:MOST_ROWS], *more]), missing="" if found else "there are none")
