"""The list of runs as a page has it: what is asked for in its address, and where the next page begins. Knows no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args
from urllib.parse import urlencode

from agent.chat.working import waits_for_people
from agent.domain.outcome import RunOutcome
from agent.ports import RunEvent, RunRow
from agent.ports.listing import RunList, Wanted

PAGE = 50
LONGEST = 200
OUTCOMES = tuple(get_args(RunOutcome))
SEVERITIES = ("critical", "warning", "info")
STATES: dict[str, Literal["", "open", "finished"]] = {"open": "open", "finished": "finished"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """`older`: the query of the next page, "" where there is none. `is_live`: something in it is not finished.
    `latest`: what those that are not finished told last."""

    rows: Sequence[RunRow]
    wanted: Wanted
    older: str
    is_live: bool
    latest: Mapping[str, RunEvent]

    @property
    def is_narrowed(self) -> bool:
        return self.wanted != Wanted()

    def waits(self, row: RunRow) -> bool:
        """Whether it is people whom the run waits for."""
        return row.state == "running" and row.id in self.latest and waits_for_people(self.latest[row.id])


async def listed(query: Mapping[str, str], runs: RunList) -> Listed:
    """Whatever in the query makes no sense is as if it were not there. Raises StoreUnavailable."""
    wanted = wanted_of(query)
    found = await runs.find(wanted, limit=PAGE + 1)
    shown = found[:PAGE]
    older = urlencode({**asked(wanted), "before": _place(shown[-1])}) if len(found) > PAGE else ""
    going = [row.id for row in shown if row.state != "finished"]
    return Listed(rows=shown, wanted=wanted, older=older, is_live=bool(going), latest=await runs.latest(going))


def wanted_of(query: Mapping[str, str]) -> Wanted:
    outcome = query.get("outcome", "")
    wanted = Wanted(
        state=STATES.get(query.get("state", ""), ""),
        outcome=outcome if outcome in OUTCOMES else "",
        namespace=_said(query, "ns"),
        severity=_said(query, "severity"),
        words=_said(query, "q"),
    )
    at, _, run = query.get("before", "").partition("~")
    try:
        begun = datetime.fromisoformat(at)
        return replace(wanted, before=(begun.astimezone(UTC), run[:LONGEST])) if begun.tzinfo is not None else wanted
    except (ValueError, OverflowError):  # no time, or one that is in no year of UTC
        return wanted


def _said(query: Mapping[str, str], key: str) -> str:
    return query.get(key, "").strip()[:LONGEST]


def asked(wanted: Wanted) -> dict[str, str]:
    """The query that says this, without its place."""
    said = {
        "state": wanted.state,
        "outcome": wanted.outcome,
        "ns": wanted.namespace,
        "severity": wanted.severity,
        "q": wanted.words,
    }
    return {key: value for key, value in said.items() if value}


def _place(row: RunRow) -> str:
    return f"{row.created_at.isoformat()}~{row.id}"


def severity(row: RunRow) -> str:
    """The worst of its alerts, "" where none says."""
    said = {alert.labels.get("severity", "") for alert in row.incident.alerts}
    return next((name for name in SEVERITIES if name in said), next(iter(sorted(filter(None, said))), ""))


def namespaces(row: RunRow) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for alert in row.incident.alerts if (name := alert.labels.get("namespace", ""))))


def about(row: RunRow) -> str:
    """What set it off, in one line."""
    if row.incident.question:
        return row.incident.question
    return ", ".join(dict.fromkeys(alert.name for alert in row.incident.alerts)) or row.incident.id
