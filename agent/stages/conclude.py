"""Write down what happened: outcome, headline, timeline, charts, what is left for people. Decides everything that a reader sees;
renderers only lay it out. Leases that an accident left open are settled here."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Incident, Window
from agent.domain.objects import Manifest, Ref
from agent.domain.outcome import Round, RunOutcome
from agent.domain.report import Chart, FollowUp, Report
from agent.errors import ClusterUnreachable, GovernanceUnavailable, ReadRefused
from agent.ports import Clock, ClusterReader, Gap, Governance, Metrics, RunRow, RunStore
from agent.stages.advise import advise
from agent.stages.gather import read_metrics
from agent.stages.plot import plot
from agent.stages.recount import recount
from agent.stages.silence import LEFT_TO_PEOPLE
from agent.stages.unseen import unseen
from sidecar.contract import Plan


async def conclude(
    row: RunRow,
    diagnosis: Diagnosis | None,
    rounds: Sequence[Round],
    *,
    latest: str,
    mended: Sequence[RankedCause],
    humans: Sequence[str],
    suggestion: Plan | None,
    page: str,
    gaps: Sequence[str],
    failure: str,
    same_as: str = "",
    namespaces: Sequence[str],
    reader: ClusterReader,
    metrics: Metrics | None,
    metrics_minutes: int,
    governance: Governance | None,
    store: RunStore,
    clock: Clock,
) -> Report:
    """`latest`: the outcome of the last diagnosis, "" when there was none since the last repair; `diagnosis` is the one that
    was acted on last, `mended` the causes that are seen to be repaired; `same_as`: the run that works on the same cause. Safe to
    repeat."""
    ended = tuple([await _given_back(round_, governance=governance) for round_ in rounds])
    outcome = outcome_of(diagnosis, ended, latest=latest, governed=governance is not None, failure=failure)
    if same_as and not failure:
        outcome = "joined"
    evidence = tuple(await store.evidence(row.id))
    now = clock.now()
    whole = _with_mended(diagnosis, mended)
    charts, chart_gaps = await _charts(whole, ended, namespaces, reader=reader, metrics=metrics, minutes=metrics_minutes)
    return Report(
        run=row.id,
        incident=row.incident,
        outcome=outcome,
        headline=_with_alerts(headline(outcome, diagnosis, ended, mended, failure=failure, same_as=same_as), row.incident),
        diagnosis=whole,
        rounds=ended,
        evidence=evidence,
        timeline=recount(row, whole, ended, evidence, ended_at=now, outcome=outcome),
        charts=charts,
        unknowns=_unknowns(diagnosis, ended, gaps, chart_gaps),
        follow_ups=(
            *advise(outcome, ended, humans, suggestion, await _objects(ended, suggestion, namespaces, reader=reader)),
            *(_quiet(row, outcome) if governance is not None else ()),
        ),
        victims=_victims(whole),
        started_at=row.created_at,
        ended_at=now,
        runbook=page,
    )


def outcome_of(diagnosis: Diagnosis | None, rounds: Sequence[Round], *, latest: str, governed: bool, failure: str) -> RunOutcome:
    """One word for the whole run; the last round decides, because the ones before it did not end it."""
    if failure or diagnosis is None:
        return "failed"
    if not rounds:
        if diagnosis.outcome != "fault":
            return diagnosis.outcome
        return "human-needed" if governed else "diagnosed"
    match rounds[-1].end:
        case "helped":
            return "human-needed" if latest == "fault" else "repaired"  # one cause is repaired, another is left
        case "refused":
            return "refused"
        case "no-answer":
            return "no-answer"
        case "unavailable":
            return "ungoverned"
        case "unverified":
            return "human-needed"
        case "denied":
            return "not-repaired" if any(round_.steps for round_ in rounds) else "denied"
        case "target-changed" | "void" if latest == "healthy":
            return "healthy"
        case _:
            return "not-repaired"


def headline(
    outcome: RunOutcome,
    diagnosis: Diagnosis | None,
    rounds: Sequence[Round],
    mended: Sequence[RankedCause] = (),
    *,
    failure: str,
    same_as: str = "",
) -> str:
    """One sentence: what was wrong, and what came of it; a second one where one cause was repaired and another was not."""
    if outcome == "failed" or diagnosis is None:
        return f"The run broke: {failure or 'no diagnosis was reached'}"
    cause = diagnosis.causes[0].finding.statement if diagnosis.causes else diagnosis.statement
    repaired = "; ".join(dict.fromkeys(one.finding.statement.rstrip(".") for one in mended))
    cause = repaired if repaired and outcome == "repaired" else cause.rstrip(".")
    undone = sum(round_.end == "did-not-help" for round_ in rounds)
    again = f" ({undone} remedy that did not help was undone)" if undone == 1 else f" ({undone} were undone)" if undone else ""
    words: dict[RunOutcome, str] = {
        "repaired": f"Repaired: {cause}{again}",
        "not-repaired": f"Not repaired: {cause}{again}",
        "denied": f"Not repaired, policy forbids it: {cause}",
        "refused": f"Not repaired, a person said no: {cause}",
        "no-answer": f"Not repaired, nobody answered in time: {cause}",
        "human-needed": f"A person is needed: {cause}",
        "diagnosed": f"Diagnosed: {cause}",
        "healthy": f"No active fault: {diagnosis.statement.rstrip('.')}",
        "unknown": f"Not known: {diagnosis.statement.rstrip('.')}",
        "answered": diagnosis.statement,
        "unclear": diagnosis.statement,
        "absent": diagnosis.statement,
        "joined": f"Run {same_as} works on the same cause: {cause}",
        "ungoverned": f"Diagnosed only, the sidecar could not be reached: {cause}",
    }
    return f"{words[outcome]}. Repaired: {repaired}" if repaired and outcome != "repaired" else words[outcome]


def _quiet(row: RunRow, outcome: RunOutcome) -> tuple[FollowUp, ...]:
    """What on-call may ask for where the alerts of a known cause fire on until somebody has seen to it."""
    if outcome not in LEFT_TO_PEOPLE or not row.incident.group_key or all(alert.resolved for alert in row.incident.alerts):
        return ()
    words = (
        f"Its alerts fire on until then. For quiet: `lestrade silence {row.id}`, or say *silence it for an hour* about this run."
    )
    return (FollowUp(kind="look", text=words),)


def _with_alerts(words: str, incident: Incident) -> str:
    """That the alerts are over is news, whatever came of the run."""
    over = bool(incident.alerts) and all(alert.resolved for alert in incident.alerts)
    return f"{words} (its {'alerts have' if len(incident.alerts) > 1 else 'alert has'} resolved by now)" if over else words


def _with_mended(diagnosis: Diagnosis | None, mended: Sequence[RankedCause]) -> Diagnosis | None:
    """The last diagnosis no longer knows what was repaired before it; the report does."""
    if diagnosis is None:
        return None
    known = {cause.finding.id for cause in diagnosis.causes}
    before = tuple(cause for cause in mended if cause.finding.id not in known)
    if not before:
        return diagnosis
    statement = " ".join((*(cause.finding.statement for cause in before), diagnosis.statement))
    return replace(diagnosis, causes=(*before, *diagnosis.causes), statement=statement)


async def _given_back(round_: Round, *, governance: Governance | None) -> Round:
    """Rights end with the run, whatever went wrong before. Where that cannot be asked for, the sidecar's clock ends them."""
    if round_.lease is None or round_.settlement is not None or governance is None:
        return round_
    try:
        # A step without an answer may have been performed all the same.
        settlement = await governance.settle(round_.lease.id, "unknown")
    except GovernanceUnavailable as exc:
        return replace(round_, end=round_.end or "unavailable", note=round_.note or f"the lease could not be settled: {exc}")
    return replace(round_, settlement=settlement, end=round_.end or "unverified")


async def _charts(
    diagnosis: Diagnosis | None,
    rounds: Sequence[Round],
    namespaces: Sequence[str],
    *,
    reader: ClusterReader,
    metrics: Metrics | None,
    minutes: int,
) -> tuple[tuple[Chart, ...], tuple[Gap, ...]]:
    """Metrics once more, so that the charts show what came after the repair too."""
    if diagnosis is None or diagnosis.outcome != "fault" or metrics is None:
        return (), ()
    try:
        now = await reader.now()
    except (ClusterUnreachable, ReadRefused) as exc:
        return (), (Gap(what="metrics after the repair", why=str(exc)),)
    window = Window(start=now - timedelta(minutes=minutes), end=now)
    series, gaps = await read_metrics(namespaces, window, metrics=metrics)
    return plot(diagnosis, rounds, series), gaps


async def _objects(
    rounds: Sequence[Round], suggestion: Plan | None, namespaces: Sequence[str], *, reader: ClusterReader
) -> tuple[Manifest, ...]:
    """The cluster once more, only where a rollback has to be told as a change of a template."""
    plans = [*(round_.plan for round_ in rounds), *([suggestion] if suggestion else [])]
    if not any(step.action.kind == "rollback_workload" for plan in plans for step in plan.steps):
        return ()
    try:
        return (await reader.overview(namespaces)).objects
    except (ClusterUnreachable, ReadRefused):
        return ()


def _victims(diagnosis: Diagnosis | None) -> tuple[Ref, ...]:
    if diagnosis is None:
        return ()
    affected = [ref for cause in diagnosis.causes for ref in cause.finding.affects]
    return tuple(dict.fromkeys((*diagnosis.victims, *affected)))


def _unknowns(
    diagnosis: Diagnosis | None, rounds: Sequence[Round], gaps: Sequence[str], chart_gaps: Sequence[Gap]
) -> tuple[str, ...]:
    told = [*gaps, *(diagnosis.missing if diagnosis else ()), *(f"{gap.what}: {gap.why}" for gap in chart_gaps)]
    for round_ in rounds:
        told.extend(f"{look.description}: could not be seen: {look.detail}" for look in round_.observations if look.seen is None)
        if round_.end == "unavailable":
            told.append(f"what became of plan {round_.attempt}: {round_.note}")
    return unseen(told)
