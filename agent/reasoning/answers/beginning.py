"""When it began, and what came first: the time, what shows it, and the order of what is known. Pure.

Events and logs are kept for an hour or so, and conditions name only their last change: what is told is the first that can still
be seen.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis, Finding
from agent.domain.objects import Ref
from agent.reasoning.answers.reply import counted, inside, moment, table
from agent.reasoning.focus import Focus
from agent.signals.changes import changes
from agent.signals.masking import safe
from agent.topology import Topology

RIGHT_BEFORE = timedelta(minutes=30)  # a change so shortly before what was seen first began it, as far as can be seen
SLACK = timedelta(minutes=1)  # clocks
SHOWN = 12


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    at: datetime
    rank: int  # of what is told of one time a change comes first, then what somebody said
    about: str
    what: str
    source: str

    @property
    def row(self) -> tuple[str, str, str, str]:
        return moment(self.at).removesuffix("Z"), self.about, self.what, self.source


def when_it_began(found: Diagnosis, focus: Focus, topology: Topology, findings: Sequence[Finding]) -> Diagnosis:
    """The same judgement, led by the time, with what is known in its order."""
    told, over = _concerned(found, focus, topology, findings)
    seen = sorted(set(_entries(told)))
    begun = _changed_at(found) or min((one.at for one in seen), default=None)
    units = {topology.unit(one.subject) for one in told} | {topology.unit(ref) for one in told for ref in one.affects}
    before = _changes_before(begun, units, topology) if begun is not None else []
    rows, left = table(one.row for one in sorted({*before, *seen})[:SHOWN])
    if begun is None:
        lead = (
            "No beginning can be told: nothing is wrong now, and no trace of trouble is left."
            if found.outcome == "healthy"
            else "When it began cannot be seen: nothing of it bears a time."
        )
    else:
        lead = _lead(begun, seen, before, over=over, now=topology.now)
    notes = (*left, "the first that can still be seen: events are kept for an hour or so, logs as long as their pods")
    answer = Answer(intent="when", columns=("when (UTC)", "what", "", "seen in"), rows=rows, notes=notes)
    return replace(found, statement=safe(f"{lead} {found.statement}", limit=4000), answer=answer)


def _changed_at(found: Diagnosis) -> datetime | None:
    """Of a cause that is a change itself, the time of that: whoever failed before failed for something else."""
    first = found.causes[0] if found.causes else None
    if first is None or first.change is None or first.finding.since is None:
        return None
    return first.finding.since if abs(first.change.at - first.finding.since) <= SLACK else None


def _concerned(found: Diagnosis, focus: Focus, topology: Topology, findings: Sequence[Finding]) -> tuple[list[Finding], bool]:
    """The findings to date: the causes with what they explain; of what nobody knows the cause of, its symptoms; where all is
    well, what is over (and so the second is True)."""
    if found.causes:
        ids = {name for cause in found.causes for name in (cause.finding.id, *cause.explains)}
        return [one for one in findings if one.id in ids], False
    units = {topology.unit(one) for one in (*found.victims, *focus.objects)}
    if found.outcome == "unknown":
        return [one for one in findings if one.state == "active" and topology.unit(one.subject) in units], False
    past = [one for one in findings if one.state != "active"]
    near = {need for one in units for need in (one, *topology.depends_on(one))}
    return [one for one in past if (topology.unit(one.subject) in near if units else inside(one.subject, focus.namespaces))], True


def _entries(told: Iterable[Finding]) -> Iterator[_Entry]:
    for one in told:
        dated = [quote for quote in one.quotes if quote.at is not None]
        for quote in dated:
            source = quote.source.partition(":")[0]
            yield _Entry(quote.at or datetime.max, 1, str(quote.about), safe(quote.text, limit=200), source)
        if one.since is not None and not any(quote.at is not None and abs(quote.at - one.since) <= SLACK for quote in dated):
            yield _Entry(one.since, 2 + one.symptom_only, str(one.subject), safe(one.statement, limit=200), "the objects")


def _changes_before(begun: datetime, units: set[Ref], topology: Topology) -> list[_Entry]:
    """Of what is concerned and what it reads, right before, in their order; the scaling that a rollout does is no change of its
    own."""
    read = {one.to for unit in units for one in topology.names.get(unit, ())}
    made = changes(topology, before=begun + SLACK, within=RIGHT_BEFORE + SLACK)
    near = [one for one in made if one.about in read or topology.unit_of_name(one.about) in units]
    rolled = {one.about for one in near if one.who == "rollout"}
    return [
        _Entry(one.at, 0, str(one.about), f"{safe(one.what, limit=160)}, by {safe(one.who, limit=60)}", "changes")
        for one in reversed(near)
        if not (one.who == "ScalingReplicaSet" and one.about in rolled)
    ]


def _lead(begun: datetime, seen: Sequence[_Entry], before: Sequence[_Entry], *, over: bool, now: datetime) -> str:
    time = f"{moment(begun)}, {ago(now - begun)}"
    near = [one for one in seen if abs(one.at - begun) <= SLACK and one.rank == 1]  # what the objects say follows anyway
    shown = f" What shows it first: {near[0].about}, {near[0].what.rstrip('.')}." if near else ""
    if over:
        return f"It is over. It was seen first at {time}.{shown}"
    last = max(before, key=lambda one: (one.at, "revision" in one.what)) if before else None
    change = f", right after {last.about}: {last.what} ({moment(last.at)})" if last is not None else ""
    return f"It began at {time}, as far as can be seen{change}.{shown}"


def ago(span: timedelta) -> str:
    seconds = max(0.0, span.total_seconds())
    if seconds < 90:
        return f"{counted(round(seconds), 'second')} ago"
    if seconds < 7200:
        return f"{counted(round(seconds / 60), 'minute')} ago"
    return (
        f"{counted(round(seconds / 3600), 'hour')} ago" if seconds < 172_800 else f"{counted(round(seconds / 86400), 'day')} ago"
    )
