"""Words of other sources beside what the checks found: alerts that fire about the same objects, requests that ended there, a
tool's own word of a change right before, use against limits. They strengthen a finding, date the trouble, and make no cause."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agent.checks.traced import ended, quotes, turns
from agent.domain.finding import Finding, Quote
from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.domain.testimony import Statement, Verdict
from agent.reasoning.alerted import objects_of
from agent.reasoning.focus import Focus
from agent.signals import releases
from agent.signals.masking import safe
from agent.topology import Topology

MOST = 2  # words of one source beside one finding
JUST_BEFORE = timedelta(hours=1)  # a change that near before a finding is worth its own evidence
ONE_TROUBLE = timedelta(hours=24)  # alerts that fire longer than that are of another one


def testified(findings: Sequence[Finding], topology: Topology) -> list[Finding]:
    """The findings, each with what others say of its object."""
    alerts = fired(topology)
    told = {about for _, about, _, _, _ in releases.told(topology)}
    if not alerts and not told and not topology.testimony and not _keepers(topology):
        return list(findings)
    return [_with_words(one, topology, alerts, told) if one.state == "active" else one for one in findings]


def _with_words(finding: Finding, topology: Topology, alerts: dict[Ref, list[Alert]], told: set[Ref]) -> Finding:
    unit = topology.unit(finding.subject)
    units = list(dict.fromkeys((unit, finding.subject, *(topology.unit(one) for one in finding.affects))))
    more: list[Quote] = []
    firing = {alert.fingerprint or alert.name: (one, alert) for one in units for alert in alerts.get(one, ())}
    more += [_of_alert(one, alert, topology.testimony.alerts_by) for one, alert in list(firing.values())[:MOST]]
    if unit in told or finding.subject in told:
        more += list(_of_changes(finding, {unit, finding.subject}, topology))[:MOST]
    own = [quote for one in ended(topology) if one.unit == unit for quote in quotes(one)]
    more += own[-MOST:]
    more += [
        Quote(source=one.source, about=one.about, text=f"{one.settles}: {one.text}")
        for one in spoken(finding, "supports", topology)[:MOST]
    ]
    kept = _keepers(topology)
    before = [_from_its_keeper(one, kept) for one in finding.quotes]
    have = {(one.source, one.text) for one in before}
    return replace(finding, quotes=(*before, *(one for one in more if (one.source, one.text) not in have)))


def spoken(finding: Finding, verdict: Verdict, topology: Topology) -> list[Statement]:
    """What sources say for a finding, or against it, whose answers an operator has declared the meaning of."""
    return [one for one in topology.testimony.statements if one.finding == finding.id and one.verdict == verdict]


def _keepers(topology: Topology) -> dict[Ref, str]:
    """Pods whose logs only another has."""
    found: dict[Ref, str] | None = topology.derived.get("log-keepers")
    if found is None:
        found = {pod: log.keeper for pod, logs in topology.logs.items() for log in logs if log.keeper and len(logs) == 1}
        topology.derived["log-keepers"] = found
    return found


def _from_its_keeper(quote: Quote, kept: dict[Ref, str]) -> Quote:
    keeper = kept.get(quote.about) if quote.source.startswith("log: ") else None
    return replace(quote, source=f"{keeper.lower()}: {quote.source.removeprefix('log: ')}") if keeper else quote


def fired(topology: Topology) -> dict[Ref, list[Alert]]:
    """Alerts that fire, by the object that they name, oldest first; worked out once a topology."""
    known: dict[Ref, list[Alert]] | None = topology.derived.get("fired")
    if known is None:
        known = topology.derived["fired"] = {}
        for alert in sorted(
            topology.testimony.alerts, key=lambda one: (one.starts_at or topology.now, one.name, one.fingerprint)
        ):
            for ref in dict.fromkeys(objects_of(alert, topology)):
                known.setdefault(ref, []).append(alert)
    return known


def onset(focus: Focus, topology: Topology) -> datetime | None:
    """Since when alerts fire about what was asked about, or, where nothing was named, about the namespaces."""
    alerts = fired(topology)
    units = {topology.unit(one) for one in focus.objects}
    about = [
        one for ref, ones in alerts.items() for one in ones if (ref in units if units else ref.namespace in focus.namespaces)
    ]
    starts = [one.starts_at for one in about if one.starts_at is not None and topology.now - one.starts_at <= ONE_TROUBLE]
    return min(starts, default=None)


def _of_alert(about: Ref, alert: Alert, by: str) -> Quote:
    since = f" since {alert.starts_at:%Y-%m-%d %H:%M:%S}Z" if alert.starts_at else ""
    said = alert.annotations.get("summary") or alert.annotations.get("description") or alert.annotations.get("message") or ""
    words = f"{alert.name} fires{since}{f': {said}' if said else ''}"
    return Quote(source=f"{by}: alert {alert.name}", about=about, text=words[:600], at=alert.starts_at)


def _of_changes(finding: Finding, about: set[Ref], topology: Topology) -> Iterator[Quote]:
    begun = (finding.since or topology.now) + timedelta(minutes=1)
    for when, unit, what, who, source in sorted(releases.told(topology), reverse=True):
        if unit in about and begun - JUST_BEFORE <= when <= begun:
            yield Quote(source=source, about=unit, text=f"{what}, by {who}, {when:%Y-%m-%d %H:%M:%S}Z", at=when)


def also_seen(topology: Topology) -> tuple[str, ...]:
    """What the other sources were seen to say, in sentences, for the list of what was looked at."""
    return tuple(safe(one) for one in (*_alerts(topology), *_traces(topology), *_marks(topology), *told_beside(topology)))


def _alerts(topology: Topology) -> Iterator[str]:
    if not topology.testimony.alerts:
        return
    named = sorted(
        {(alert.starts_at or topology.now, alert.name, str(ref)) for ref, ones in fired(topology).items() for alert in ones}
    )
    if not named:
        yield f"alerts: {len(topology.testimony.alerts)} fire, none about these objects"
        return
    rows = "; ".join(f"{name} about {ref} since {since:%H:%M:%S}Z" for since, name, ref in named[:4])
    yield f"alerts that fire about these objects: {len(named)}, the oldest: {rows}"


def _traces(topology: Topology) -> Iterator[str]:
    if topology.testimony.journeys:
        wrong = turns(topology)
        places = "; ".join(
            f"{len(one.turns)} of {one.of} end at {one.unit or one.host}" for one in ended(topology)[:3]
        )  # fmt: skip
        yield (
            f"traces: of {len(topology.testimony.journeys)} requests {len(wrong)} went wrong"
            f"{f': {places}' if places else ', and most of them at no one place' if wrong else ''}"
        )


def _marks(topology: Topology) -> Iterator[str]:
    marks = sorted(topology.testimony.marks, key=lambda one: one.at, reverse=True)
    if marks:
        last = marks[0]
        words = " ".join(last.text.split())[:120]
        yield f"marks on the time line: {len(marks)}, the last {words} at {last.at:%Y-%m-%d %H:%M:%S}Z"


def told_beside(topology: Topology) -> tuple[str, ...]:
    """What declared sources tell that is neither for nor against a finding."""
    told = (f"{one.source}, {one.settles}: {one.text}" for one in topology.testimony.statements if one.verdict == "tells")
    return tuple(dict.fromkeys(safe(one) for one in told))
