"""Tell what happened, in the order in which it happened. Adds nothing that is not in the run."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.outcome import Round, RunOutcome
from agent.domain.report import TimelineEntry
from agent.ports import RunRow


def recount(
    row: RunRow,
    diagnosis: Diagnosis | None,
    rounds: Sequence[Round],
    evidence: Sequence[Evidence],
    *,
    ended_at: datetime,
    outcome: RunOutcome,
) -> tuple[TimelineEntry, ...]:
    """What the cluster showed, by its own clock; then the run, in the order of its steps.

    The two clocks need not agree, so they are not sorted into one another.
    """
    return (
        *sorted(_of_cluster(row, diagnosis, evidence), key=lambda entry: entry.at),
        *_of_run(row, diagnosis, rounds, ended_at, outcome),
    )


def _of_cluster(row: RunRow, diagnosis: Diagnosis | None, evidence: Sequence[Evidence]) -> Iterator[TimelineEntry]:
    for alert in row.incident.alerts:
        if alert.starts_at:
            yield TimelineEntry(at=alert.starts_at, who="cluster", text=f"alert {alert.name} fires")
        if alert.resolved and alert.ends_at:
            yield TimelineEntry(at=alert.ends_at, who="cluster", text=f"alert {alert.name} is resolved")
    cited = {piece for cause in (diagnosis.causes if diagnosis else ()) for piece in cause.evidence}
    for cause in diagnosis.causes if diagnosis else ():
        if cause.finding.since:
            yield TimelineEntry(at=cause.finding.since, who="cluster", text=f"begins: {cause.finding.statement}")
    for piece in evidence:
        if piece.id in cited and piece.at:
            yield TimelineEntry(at=piece.at, who="cluster", text=_first_line(piece), evidence=piece.id)


def _of_run(
    row: RunRow, diagnosis: Diagnosis | None, rounds: Sequence[Round], ended_at: datetime, outcome: RunOutcome
) -> Iterator[TimelineEntry]:
    asked = f"{row.incident.asked_by} asks" if row.incident.asked_by else "question" if row.incident.question else "alert"
    yield TimelineEntry(at=row.created_at, who="agent", text=f"run {row.id} opened ({asked})")
    if diagnosis:
        yield TimelineEntry(at=row.created_at, who="agent", text=f"diagnosis: {diagnosis.statement}")
    for round_ in rounds:
        yield from _of_round(round_)
    yield TimelineEntry(at=ended_at, who="agent", text=f"run ends: {outcome}")


def _of_round(round_: Round) -> Iterator[TimelineEntry]:
    what = "; ".join(f"{step.action.kind} {step.action.target}" for step in round_.plan.steps)
    if round_.decision is not None:
        decision = round_.decision
        because = "; ".join(reason.message for reason in decision.reasons)
        verdict = {"allow": "allows", "review": "wants people to review", "deny": "denies"}[decision.verdict]
        yield TimelineEntry(
            at=decision.decided_at,
            who="sidecar",
            text=f"policy {verdict} plan {round_.attempt} ({what})" + (f": {because}" if because else ""),
        )
    for answer in round_.status.answers if round_.status else ():
        said = "approves" if answer.verdict == "approve" else "says no"
        reason = f": {answer.reason}" if answer.reason else ""
        yield TimelineEntry(at=answer.at, who=answer.person, text=f"{said} (plan {round_.attempt}, by {answer.via}){reason}")
    if round_.end == "no-answer" and round_.status and round_.status.approval:
        yield TimelineEntry(at=round_.status.approval.expires_at, who="sidecar", text="the request expires: nobody answered")
    if round_.lease:
        yield TimelineEntry(at=round_.lease.granted_at, who="sidecar", text=f"rights on loan to {round_.lease.identity}")
    for result in round_.steps:
        told = f"{result.step} {result.status}: {result.target}"
        because = f" ({result.message or result.reason})" if result.status != "performed" else ""
        yield TimelineEntry(at=result.at, who="sidecar", text=told + because)
    for look in round_.observations:
        seen = {True: "seen", False: "not seen", None: "could not be told"}[look.seen]
        yield TimelineEntry(
            at=look.at, who="cluster", text=f"{seen}: {look.description}" + (f" ({look.detail})" if look.detail else "")
        )
    for result in round_.undo.steps if round_.undo else ():
        yield TimelineEntry(at=result.at, who="sidecar", text=f"undo of {result.step} {result.status}: {result.target}")
    if round_.settlement:
        after = round_.settlement.refused_after_ms
        proof = f"; old token refused ({round_.settlement.refusal}) after {after:.0f} ms" if after is not None else ""
        yield TimelineEntry(
            at=round_.settlement.settled_at, who="sidecar", text=f"lease {round_.settlement.state.replace('_', ' ')}{proof}"
        )


def _first_line(piece: Evidence) -> str:
    line = piece.text.strip().splitlines()[0] if piece.text.strip() else piece.source
    return line if len(line) <= 160 else line[:159] + "…"
