"""The explanation that a diagnosis keeps: why this is the cause, by what others are ruled out, and what was looked at and is
well. Words only; decides nothing."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from agent.checks import weight_of
from agent.checks.traced import cleared
from agent.domain.finding import Changed, Finding, RankedCause
from agent.domain.objects import Ref, Series
from agent.reasoning.testifying import also_seen, spoken
from agent.signals.changes import Change, changes
from agent.signals.golden import unit_of
from agent.signals.masking import safe
from agent.signals.metrics import anomalies
from agent.topology import Topology
from agent.topology.fields import condition, ref_of, text

RECENT = timedelta(hours=2)
MOST_SERIES = 1000  # that are looked through for what else behaves unlike before


def known_changes(topology: Topology) -> list[Change]:
    """All changes by people and tools, newest first, worked out once a topology."""
    found: list[Change] | None = topology.derived.get("changes")
    if found is None:
        found = topology.derived["changes"] = changes(topology, within=timedelta(days=3650))
    return found


def change_before(finding: Finding, topology: Topology, *, within: timedelta = timedelta(days=1)) -> Change | None:
    """The last change to what the finding is about, or to a ConfigMap or Secret that it reads, not later than its beginning (a
    minute is left for clocks)."""
    begun = (finding.since or topology.now) + timedelta(minutes=1)
    unit = topology.unit(finding.subject)
    read = {one.to for one in topology.names.get(unit, ()) if one.to.kind in ("ConfigMap", "Secret")}
    units = {unit, finding.subject, *read}
    found = [one for one in known_changes(topology) if begun - within <= one.at <= begun and topology.unit(one.about) in units]
    at_once = [one for one in found if found[0].at - one.at <= timedelta(minutes=1)]  # one deed, told by several
    return min(at_once, key=_how_plain, default=None)


def _how_plain(change: Change) -> int:
    """A revision says more than the edit that made it, and that more than what controllers tell of it."""
    return {"revision": 0, "edit": 1}.get(change.what.partition(" ")[0], 2)


def changed(finding: Finding, topology: Topology) -> Changed | None:
    """The change before it, for whoever relates others to the same one."""
    found = change_before(finding, topology)
    return Changed(about=found.about, at=found.at, what=safe(found.what), who=safe(found.who)) if found is not None else None


def because(
    finding: Finding, explained: tuple[str, ...], near: float, topology: Topology, active: Sequence[Finding]
) -> tuple[str, ...]:
    quotes = len(finding.quotes)
    shown = "1 quote of the cluster shows it" if quotes == 1 else f"{quotes} quotes of the cluster show it"
    reasons = [shown if quotes else "the objects themselves show it"]
    if explained:
        reasons.append(f"it explains {', '.join(explained)}")
    if finding.since is not None:
        reasons.append(f"it can be seen since {finding.since:%Y-%m-%d %H:%M:%S}Z, not later than what it explains")
    if near >= 1.0:
        reasons.append("it is about an object that was asked about")
    elif near >= 0.9:
        reasons.append("an object that was asked about depends on it")
    users = sorted(topology.dependents_of(finding.subject))[:5]
    if users:
        reasons.append(f"these depend on {finding.subject}: {', '.join(map(str, users))}")
    reasons += _needs_are_well(finding, topology, active)
    if answers := cleared(topology).get(topology.unit(finding.subject), ""):
        reasons.append(f"against it: {answers}")
    reasons += [f"for it: {one.text} ({one.source})" for one in spoken(finding, "supports", topology)]
    reasons += [f"against it: {one.text} ({one.source})" for one in spoken(finding, "excludes", topology)]
    change = change_before(finding, topology)
    if change is not None:
        reasons.append(f"changed before it began: {change.about}, {change.what}, by {change.who}, {change.at:%Y-%m-%d %H:%M:%S}Z")
    return tuple(safe(one) for one in reasons)


def _needs_are_well(finding: Finding, topology: Topology, active: Sequence[Finding]) -> Iterator[str]:
    """That nothing upstream has a fault is why the search ends here."""
    needs = topology.depends_on(finding.subject)
    troubled = {topology.unit(one.subject) for one in active if one.id != finding.id}
    if needs and not needs & troubled:
        named = sorted(
            one for one in needs if one in topology.objects and one.kind in ("Service", "Deployment", "StatefulSet", "Node")
        )
        which = f", among them {', '.join(map(str, named[:4]))}" if named else ""
        yield f"nothing that it depends on has a fault that was seen ({_counted(len(needs), 'object')}{which})"


def explained_by(finding: Finding, by: Finding, topology: Topology) -> str:
    """By what, and how it hangs together."""
    ours, theirs = topology.unit(by.subject), topology.unit(finding.subject)
    if ours == theirs:
        how = "the same object, and it says more"
    elif ours in topology.depends_on(theirs):
        how = f"{theirs} depends on {ours}"
    else:
        how = f"it affects {theirs}"
    if by.since is not None and finding.since is not None and by.since < finding.since:
        how += f", and it began {_spoken(finding.since - by.since)} earlier"
    return safe(f"explained by {by.id} ({how})")


def less_likely(finding: Finding, first: RankedCause, near: float, nearest: float, topology: Topology) -> str:
    """Why a finding that nothing explains is not among the causes."""
    against = spoken(finding, "excludes", topology)
    if against:
        why = f"{against[0].source} says against it: {against[0].text}"
    elif near < nearest - 0.15:
        why = "it has less to do with what was asked"
    elif weight_of(finding) < weight_of(first.finding):
        why = "it says less by itself"
    else:
        why = "more has been found for others"
    answers = cleared(topology).get(topology.unit(finding.subject), "")
    return f"less likely than {first.finding.id}: {safe(why)}{f'; {safe(answers)}' if answers else ''}"


def stale(finding: Finding, begun: str) -> str:
    since = f" since {finding.since:%Y-%m-%d %H:%M}Z" if finding.since else ""
    return f"it has been so{since}, long before the trouble began ({begun}), and explains none of it"


def _spoken(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def looked_at(topology: Topology, units: Sequence[Ref], findings: Sequence[Finding]) -> tuple[str, ...]:
    """What was looked at around these workloads and is well, in sentences: an answer is worth what was ruled out for it."""
    told = [*_nodes(topology), *_changes(topology, findings), *_metrics(topology, set(units)), *_logs(topology)]
    return (*(safe(one) for one in told), *also_seen(topology))


def _nodes(topology: Topology) -> Iterator[str]:
    nodes = topology.of_kind("Node")
    ready = [one for one in nodes if text(condition(one, "Ready"), "status") == "True"]
    if nodes and len(ready) == len(nodes):
        yield f"nodes: {'the only one is' if len(nodes) == 1 else f'all {len(nodes)} are'} ready"


def _changes(topology: Topology, findings: Sequence[Finding]) -> Iterator[str]:
    times = [one.since for one in findings if one.since is not None]
    begun = min(times, default=topology.now)
    near = [one for one in known_changes(topology) if begun - RECENT <= one.at <= begun + timedelta(minutes=1)]
    if not near:
        yield f"changes: none by a person or a tool in the 2 hours before {begun:%Y-%m-%d %H:%M}Z"
        return
    named = "; ".join(f"{one.about}, {one.what}, by {one.who}, {one.at:%H:%M:%S}Z" for one in near[:4])
    yield f"changes in the 2 hours before {begun:%Y-%m-%d %H:%M}Z: {len(near)}, the last ones: {named}"


def _metrics(topology: Topology, units: set[Ref]) -> Iterator[str]:
    own: list[Series] = [one for one in topology.series if len(one.samples) > 1 and unit_of(topology, one.labels) in units]
    if not own:
        return
    own = own[:MOST_SERIES]
    odd = anomalies(own, top=3)
    if not odd:
        yield f"metrics: of {len(own)} series of {', '.join(map(str, sorted(units)[:3]))} none behaves unlike before"
        return
    named = "; ".join(
        f"{one.labels.get('__name__', '')} {'rose' if one.rises else 'fell'} from {one.before:.3g} to {one.after:.3g} at"
        f" {one.onset:%H:%M:%S}Z"
        for one in odd
    )
    yield f"metrics: of {len(own)} series these behave most unlike before: {named}"


def _logs(topology: Topology) -> Iterator[str]:
    read = [log for logs in topology.logs.values() for log in logs if log.text]
    if read:
        lines = sum(log.text.count("\n") + 1 for log in read)
        pods = {ref_of(one) for one in topology.of_kind("Pod")}
        silent = len([one for one in topology.logs if one in pods])
        yield f"logs: {lines} lines of {_counted(len(read), 'container')} in {_counted(silent, 'pod')} were read"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
