"""Many runs to one summary. Knows the store as a port, and no clock."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.domain.document import from_document
from agent.domain.report import Report
from agent.domain.summary import CauseCount, Denied, Incomplete, Line, Repeated, Spread, Summary
from agent.ports import EventLog, RunRow, RunStore

MOST_SUBJECTS, MOST_GAPS, MOST_INCOMPLETE, MOST_LINES = 3, 3, 20, 200
MOST_RUNS = 5000  # of one summary; of more the oldest count
_NOT_KNOWN = ("unknown", "failed", "ungoverned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A finished run. `cause_at`: when its diagnosis named a cause, None where it did not. `report` None: it broke."""

    row: RunRow
    report: Report | None
    cause_at: datetime | None


async def summarise(
    runs: Sequence[str], *, since: datetime, until: datetime, cluster: str, store: RunStore, events: EventLog, left_out: int = 0
) -> Summary:
    """`runs` ended in that time, the oldest first; `left_out` more did. `cluster` "": that of the last run. Raises
    StoreUnavailable."""
    found = [one for run in runs if (one := await _ended(run, store=store, events=events)) is not None]
    cluster = cluster or (found[-1].row.incident.cluster if found else "")
    return summary_of(found, since=since, until=until, cluster=cluster, left_out=left_out)


async def _ended(run: str, *, store: RunStore, events: EventLog) -> Ended | None:
    row = await store.row(run)
    if row is None or row.state != "finished":
        return None
    document = await store.report(run)
    report = from_document(Report, dict(document)) if document else None
    told = await events.told(run)
    named = [event.at for event in told if event.stage == "diagnose" and event.data.get("outcome") == "fault"]
    # Of thousands of reports only what is counted stays in memory.
    kept = replace(report, evidence=(), charts=(), timeline=()) if report is not None else None
    return Ended(row=row, report=kept, cause_at=named[0] if named else None)


def summary_of(ended: Sequence[Ended], *, since: datetime, until: datetime, cluster: str, left_out: int = 0) -> Summary:
    reports = [one.report for one in ended if one.report is not None]
    rounds = [(report, round_) for report in reports for round_ in report.rounds]
    return Summary(
        since=since,
        until=until,
        cluster=cluster,
        alerts=sum(bool(one.row.incident.alerts) for one in ended),
        questions=sum(not one.row.incident.alerts for one in ended),
        outcomes=tuple(Counter(one.row.outcome for one in ended).most_common()),
        causes=_causes(reports),
        to_cause=_spread(
            (one.cause_at - one.row.incident.opened_at).total_seconds() for one in ended if one.cause_at is not None
        ),
        to_repair=_spread(
            (at - report.incident.opened_at).total_seconds() for report in reports if (at := _repaired_at(report)) is not None
        ),
        denied=_denied(reports),
        refused=sum(round_.end == "refused" for _, round_ in rounds),
        unanswered=sum(round_.end == "no-answer" for _, round_ in rounds),
        repeated=_repeated(reports),
        incomplete=tuple(_incomplete(ended))[:MOST_INCOMPLETE],
        lines=tuple(
            Line(run=one.row.id, at=one.row.created_at, headline=one.row.headline, outcome=one.row.outcome)
            for one in ended[-MOST_LINES:]
        ),
        left_out=left_out,
    )


def _causes(reports: Sequence[Report]) -> tuple[CauseCount, ...]:
    """Each cause once a run, whatever number of objects it names there."""
    runs: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    subjects: dict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        for cause in {one.finding.cause for one in (report.diagnosis.causes if report.diagnosis else ())}:
            runs[cause] += 1
            repaired[cause] += report.outcome == "repaired"
        for one in report.diagnosis.causes if report.diagnosis else ():
            subjects[one.finding.cause][str(one.finding.subject)] += 1
    return tuple(
        CauseCount(
            cause=cause,
            count=count,
            repaired=repaired[cause],
            subjects=tuple(name for name, _ in subjects[cause].most_common(MOST_SUBJECTS)),
        )
        for cause, count in sorted(runs.items(), key=lambda found: (-found[1], found[0]))
    )


def _repaired_at(report: Report) -> datetime | None:
    """When it was last seen that it helped."""
    if report.outcome != "repaired":
        return None
    seen = [look.at for round_ in report.rounds if round_.end == "helped" for look in round_.observations if look.seen]
    return max(seen, default=report.ended_at)


def _denied(reports: Sequence[Report]) -> tuple[Denied, ...]:
    """By rule; a rule that says no twice about one plan counts once."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for report in reports:
        for round_ in report.rounds:
            if round_.end == "denied" and round_.decision is not None:
                for rule, message in {reason.rule: reason.message for reason in round_.decision.reasons}.items():
                    found[rule].append((report.run, message))
    return tuple(
        Denied(rule=rule, count=len(cases), example=cases[0][1], runs=tuple(dict.fromkeys(run for run, _ in cases)))
        for rule, cases in sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))
    )


def _repeated(reports: Sequence[Report]) -> tuple[Repeated, ...]:
    runs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for report in reports:
        if not report.incident.alerts:
            continue  # whoever asks twice has not had two incidents
        for one in report.diagnosis.causes if report.diagnosis else ():
            runs[(one.finding.cause, str(one.finding.subject))].append(report.run)
    found = [
        Repeated(cause=cause, subject=subject, runs=tuple(names)) for (cause, subject), names in runs.items() if len(names) > 1
    ]
    return tuple(sorted(found, key=lambda one: (-len(one.runs), one.cause, one.subject)))


def _incomplete(ended: Sequence[Ended]) -> Iterable[Incomplete]:
    for one in ended:
        gaps = one.report.unknowns if one.report is not None else ()
        if gaps or one.row.outcome in _NOT_KNOWN:
            more = (f"and {len(gaps) - MOST_GAPS} more",) if len(gaps) > MOST_GAPS else ()
            yield Incomplete(run=one.row.id, headline=one.row.headline, gaps=(*gaps[:MOST_GAPS], *more))


def _spread(seconds: Iterable[float]) -> Spread | None:
    """Nearest rank, so that both are times that there were."""
    found = sorted(max(0.0, one) for one in seconds)
    if not found:
        return None
    return Spread(count=len(found), median=found[(len(found) - 1) // 2], high=found[min(len(found) - 1, len(found) * 9 // 10)])
