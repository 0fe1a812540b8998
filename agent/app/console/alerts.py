"""The book of alerts as a page: what came in, what was done with it and why, and the incident that it went to.

`/alerts?state=firing&done=silenced&severity=critical&ns=shop&q=words`, newest first, fifty at a time.
`/alerts/FINGERPRINT` is for links from elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from agent.app.console.layout import page
from agent.app.console.listing import LONGEST, PAGE, SEVERITIES
from agent.app.identity import Visit
from agent.bootstrap import Workshop
from agent.domain.alerting import Done
from agent.ports.listing import AlertList, ListedAlert, WantedAlerts

STATES: dict[str, Literal["", "firing", "resolved"]] = {"firing": "firing", "resolved": "resolved"}
DONE: dict[Done, str] = {
    "opened": "opened an incident",
    "joined": "joined an incident",
    "overflow": "with the rest of a storm",
    "settled": "looked into lately",
    "ignored": "not looked into",
    "silenced": "silenced",
    "unopened": "over before it was taken up",
}
CHOICES: dict[str, tuple[str, tuple[Done, ...]]] = {
    "taken": ("has an incident", ("opened", "joined", "overflow", "settled")),
    "left": ("has none", ("ignored", "silenced", "unopened")),
    **{name: (words, (name,)) for name, words in DONE.items()},
}
SAID_ELSEWHERE = frozenset({"alertname", "severity", "namespace"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """`older`: the query of the next page, "" where there is none. `chosen`: key of CHOICES."""

    rows: Sequence[ListedAlert]
    wanted: WantedAlerts
    chosen: str
    older: str

    @property
    def is_narrowed(self) -> bool:
        return self.wanted != WantedAlerts()


async def listed(query: Mapping[str, str], alerts: AlertList, cluster: str) -> Listed:
    """Whatever in the query makes no sense is as if it were not there. Raises StoreUnavailable."""
    chosen = query.get("done", "") if query.get("done", "") in CHOICES else ""
    wanted = WantedAlerts(
        state=STATES.get(query.get("state", ""), ""),
        done=CHOICES[chosen][1] if chosen else (),
        namespace=_said(query, "ns"),
        severity=_said(query, "severity"),
        words=_said(query, "q"),
    )
    at, _, fingerprint = query.get("before", "").partition("~")
    try:
        seen = datetime.fromisoformat(at)
        wanted = replace(wanted, before=(seen.astimezone(UTC), fingerprint[:LONGEST])) if seen.tzinfo is not None else wanted
    except (ValueError, OverflowError):
        pass
    found = await alerts.find(cluster, wanted, limit=PAGE + 1)
    shown = found[:PAGE]
    asked = {
        "state": wanted.state,
        "done": chosen,
        "ns": wanted.namespace,
        "severity": wanted.severity,
        "q": wanted.words,
        "before": f"{shown[-1].alert.last_seen.isoformat()}~{shown[-1].alert.fingerprint}" if shown else "",
    }
    older = urlencode({key: value for key, value in asked.items() if value}) if len(found) > PAGE else ""
    return Listed(rows=shown, wanted=wanted, chosen=chosen, older=older)


def _said(query: Mapping[str, str], key: str) -> str:
    return query.get(key, "").strip()[:LONGEST]


def labels_of(row: ListedAlert) -> list[tuple[str, str]]:
    """What the line above them does not say already."""
    return sorted((name, value) for name, value in row.labels.items() if name not in SAID_ELSEWHERE)


def add_alerts(app: FastAPI) -> None:
    @app.get("/alerts", include_in_schema=False)
    async def alerts(request: Request, session: Visit) -> Response:
        shop: Workshop = request.app.state.shop
        return page(
            request,
            "alerts.html",
            session=session,
            listed=await listed(request.query_params, shop.alert_list, shop.reader.name),
            severities=SEVERITIES,
            choices=CHOICES,
            done=DONE,
            labels_of=labels_of,
        )

    @app.get("/alerts/{fingerprint}", include_in_schema=False)
    async def alert(request: Request, session: Visit, fingerprint: str) -> Response:
        """Where a link in somebody else's notification leads: to the alert's incident, else to what the book says of it."""
        shop: Workshop = request.app.state.shop
        words = fingerprint[:LONGEST]
        rows = await shop.alert_list.find(shop.reader.name, WantedAlerts(words=words), limit=PAGE)
        run = next((row.alert.run for row in rows if row.alert.fingerprint == fingerprint), "")
        return RedirectResponse(f"/runs/{run}" if run else f"/alerts?{urlencode({'q': words})}", 303)
