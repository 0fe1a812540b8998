"""What is done with each alert of a notification? Pure: what is known goes in, placements come out.

An alert goes to the run that it is in already; to the open run of its group; to one that is about the same thing and was touched
lately; and only then opens one. What is not looked into is kept too, with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.domain.alerting import NEW, OVERFLOW, Done, KnownAlert, Neighbourhood, OpenRun, Placement
from agent.domain.incident import Alert
from agent.stages.relate import neighbourhood, relation

CRITICAL, WARNING, OTHER = 0, 1, 2
_PRIORITIES = {
    **dict.fromkeys(("critical", "page", "emergency", "disaster", "high", "p1", "sev1"), CRITICAL),
    **dict.fromkeys(("warning", "warn", "error", "major", "medium", "p2", "sev2"), WARNING),
}
_NOBODY_IS_CALLED = frozenset({"info", "none", "informational"})
SAME_CHANGE = timedelta(hours=2)  # after a change, what begins later is hardly its doing
CLOCKS = timedelta(minutes=1)  # two of them may differ by so much
_NEVER_REOPENED_BY = frozenset({"failed", "resolved"})  # a run that ended so has settled nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeBounds:
    """`queued`: runs that may wait; a fifth more for critical alerts. `ignored`: names of alerts that are never looked into."""

    queued: int = 50
    window: timedelta = timedelta(minutes=10)
    reopen: timedelta = timedelta(hours=1)
    ignored: frozenset[str] = frozenset({"Watchdog", "InfoInhibitor"})


def place(
    alerts: Sequence[Alert],
    known: Mapping[str, KnownAlert],
    runs: Sequence[OpenRun] | None,
    now: datetime,
    *,
    group_key: str,
    silenced: frozenset[str],
    bounds: IntakeBounds,
) -> list[Placement] | None:
    """One placement an alert. `known` by fingerprint; `runs` are all that are not finished, and those that ended lately;
    `silenced` are fingerprints. Without `runs` None where one of them has to be found a run."""
    desk = _Desk(group_key, runs or (), bounds, now)
    placed = []
    for alert in alerts:
        row = known.get(alert.fingerprint)
        settled = _known_end(alert, row, silenced, bounds, now)
        if settled is None and runs is None:
            return None
        placed.append(settled or desk.run_for(alert, row))
    return placed


def folded(alerts: Sequence[Alert], runs: Sequence[OpenRun], since: datetime) -> list[Placement]:
    """What becomes of the alerts of a run that still waits, taken in `since`: they go to an open run that has found out meanwhile
    which change is behind all of them that fire. Nothing where there is none."""
    firing = [(alert, neighbourhood(alert.labels)) for alert in alerts if not alert.resolved]
    for run in runs:
        if run.outcome or run.group_key == OVERFLOW:
            continue
        whys = [_same_change(alert, about, run, since) for alert, about in firing]
        if whys and all(whys):
            placed = [_placed(alert, "joined", run=run.id, why=whys[0]) for alert in alerts]
            return [replace(one, place=neighbourhood(one.alert.labels)) for one in placed]
    return []


def severity_of(labels: Mapping[str, str]) -> str:
    return (labels.get("severity") or labels.get("priority") or "").strip().lower()[:40]


def _known_end(
    alert: Alert, row: KnownAlert | None, silenced: frozenset[str], bounds: IntakeBounds, now: datetime
) -> Placement | None:
    """For what needs no run of its own to be found or opened."""
    severity = severity_of(alert.labels)
    before = row.done if row is not None and row.state == ("resolved" if alert.resolved else "firing") else ""
    if alert.name in bounds.ignored:
        why = f"{alert.name} says that alerting works, not that something is wrong"
        return _placed(alert, "ignored", why=why, repeats=before == "ignored")
    if severity in _NOBODY_IS_CALLED:
        return _placed(alert, "ignored", why=f"severity {severity}: nobody is called for it", repeats=before == "ignored")
    if alert.resolved:
        if row is None or not row.run:
            return _placed(alert, "unopened" if row is None else row.done, why="resolved before a run was opened for it")
        return _placed(alert, row.done, run=row.run, why=row.why, repeats=row.state == "resolved")
    if alert.fingerprint in silenced:
        return _placed(alert, "silenced", why="silenced in Alertmanager", repeats=before == "silenced")
    if row is None or not row.run:
        return None
    if row.run_state != "finished":
        return _placed(alert, row.done, run=row.run, why=row.why, repeats=row.state == "firing")
    if _is_settled(alert, row, bounds, now):
        minutes = int(bounds.reopen.total_seconds() // 60)
        why = f"run {row.run} ended as {row.run_outcome}; looked into again when it still fires {minutes} minutes after that"
        return _placed(alert, "settled", run=row.run, why=why, repeats=row.done == "settled")
    return None


def _is_settled(alert: Alert, row: KnownAlert, bounds: IntakeBounds, now: datetime) -> bool:
    """The same firing as the one that the ended run was about, and not long ago."""
    if row.state == "resolved" or row.run_outcome in _NEVER_REOPENED_BY or row.run_updated_at is None:
        return False
    same_firing = alert.starts_at is None or row.starts_at is None or alert.starts_at == row.starts_at
    return same_firing and now - row.run_updated_at < bounds.reopen


def _placed(alert: Alert, done: Done, *, run: str = "", why: str, repeats: bool = False) -> Placement:
    severity = severity_of(alert.labels)
    return Placement(
        alert=alert,
        done=done,
        run=run,
        why=why,
        severity=severity,
        priority=_PRIORITIES.get(severity, OTHER),
        place=Neighbourhood(),
        repeats=repeats,
    )


class _Desk:
    """Finds the run for alerts that have none, one after the other: the first may open the one that the rest join."""

    def __init__(self, group_key: str, runs: Sequence[OpenRun], bounds: IntakeBounds, now: datetime) -> None:
        self._bounds = bounds
        self._now = now
        ended = [run for run in runs if run.outcome and run.outcome not in _NEVER_REOPENED_BY]
        self._ended = [run for run in ended if run.last_alert_at is not None and now - run.last_alert_at < bounds.reopen]
        runs = [run for run in runs if not run.outcome]
        self._queued = sum(not run.is_running for run in runs)
        self._group = next((run for run in runs if run.group_key == group_key), None)
        self._overflow = next((run for run in runs if run.group_key == OVERFLOW), None)
        recent = [run for run in runs if run.last_alert_at is not None and now - run.last_alert_at <= bounds.window]
        self._recent = [run for run in recent if run.group_key != OVERFLOW]
        self._changed = [run for run in runs if run.change is not None and run.group_key != OVERFLOW]
        self._opened = False

    def run_for(self, alert: Alert, row: KnownAlert | None) -> Placement:
        severity = severity_of(alert.labels)
        priority = _PRIORITIES.get(severity, OTHER)
        about = neighbourhood(alert.labels)
        base = Placement(alert=alert, done="joined", run="", why="", severity=severity, priority=priority, place=about)
        if self._group is not None:
            return replace(base, run=self._group.id, why="same alert group")
        for run in self._recent:
            if why := relation(about, run.place):
                return replace(base, run=run.id, why=why)
        for run in self._changed:
            if why := _same_change(alert, about, run, self._now):
                return replace(base, run=run.id, why=why)
        for run in self._ended if row is None or not row.run else ():
            if alert.name in run.names and (same := about.own & run.place.own):
                why = f"{alert.name} of the same {min(same)} was looked into lately: run {run.id} ended as {run.outcome}"
                return replace(base, done="settled", run=run.id, why=why)
        if self._opened:
            return replace(base, done="opened", run=NEW, why="same notification")
        most = self._bounds.queued + (self._bounds.queued // 5 if priority == CRITICAL else 0)
        if self._queued >= most:
            why = f"{self._queued} runs wait, and no more may"
            return replace(base, done="overflow", run=self._overflow.id if self._overflow else OVERFLOW, why=why)
        self._opened = True
        again = f"; run {row.run} ended as {row.run_outcome}" if row and row.run else ""
        return replace(base, done="opened", run=NEW, why=f"nothing open is about it{again}")


def _same_change(alert: Alert, about: Neighbourhood, run: OpenRun, now: datetime) -> str:
    """Why one change is behind the alert and what the run works on; "" where it is not: the alert is about something that the
    change explains, and began after it and not long after."""
    change = run.change
    if change is None or change.about.isdisjoint(about.own):
        return ""
    if not -CLOCKS <= (alert.starts_at or now) - change.at <= SAME_CHANGE:
        return ""
    return f"same change as {min(change.about & about.own)} suffers from: {change.what}"
