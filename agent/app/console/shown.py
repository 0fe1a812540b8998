"""What a run's page shows: from the report once there is one, before that from how far the run is. Knows no HTML."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from agent.bootstrap import Workshop
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.outcome import Round
from agent.domain.report import Chart, FollowUp, TimelineEntry
from agent.errors import GovernanceUnavailable
from agent.ports import RunEvent, RunRow
from sidecar.contract import PlanStatus

SECONDS = 1.5  # that the sidecar is waited for, where a page only wants to show what it says


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`told` are the run's events; `timeline` the report's account, empty before there is one. `waiting`: what people are asked
    just now."""

    row: RunRow
    diagnosis: Diagnosis | None
    rounds: tuple[Round, ...]
    evidence: tuple[Evidence, ...]
    told: tuple[RunEvent, ...]
    timeline: tuple[TimelineEntry, ...] = ()
    charts: tuple[Chart, ...] = ()
    unknowns: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    runbook: str = ""
    ended_at: datetime | None = None
    waiting: PlanStatus | None = None


async def shown(row: RunRow, shop: Workshop) -> Shown:
    """Raises StoreUnavailable."""
    told = tuple(await shop.events.told(row.id))
    report = await shop.report(row.id) if row.state == "finished" else None
    if report is not None:
        return Shown(
            row=row,
            diagnosis=report.diagnosis,
            rounds=report.rounds,
            evidence=report.evidence,
            told=told,
            timeline=report.timeline,
            charts=report.charts,
            unknowns=report.unknowns,
            follow_ups=report.follow_ups,
            runbook=report.runbook,
            ended_at=report.ended_at,
        )
    progress = await shop.progress(row.id)
    rounds = await _judged(progress.rounds, told, shop) if row.state == "running" else progress.rounds
    evidence = tuple(await shop.store.evidence(row.id))
    return Shown(
        row=row,
        diagnosis=progress.diagnosis,
        rounds=rounds,
        evidence=evidence,
        told=told,
        unknowns=progress.diagnosis.missing if progress.diagnosis else (),
        waiting=_waiting(rounds),
    )


async def _judged(rounds: tuple[Round, ...], told: Sequence[RunEvent], shop: Workshop) -> tuple[Round, ...]:
    """The last round with what the sidecar says of it now: the run itself writes that down when it is over. Only of a plan that
    the sidecar is known to have: a question about another would be on its record as a refusal."""
    governance = shop.means.governance
    if not rounds or governance is None or rounds[-1].end is not None or rounds[-1].status is not None:
        return rounds
    if not any(event.stage == "authorize" and event.data.get("plan") == rounds[-1].plan.digest for event in told):
        return rounds
    with suppress(GovernanceUnavailable, TimeoutError):
        async with asyncio.timeout(SECONDS):
            status = await governance.status(rounds[-1].plan.digest)
        return (*rounds[:-1], replace(rounds[-1], status=status, decision=status.decision))
    return rounds


def _waiting(rounds: Sequence[Round]) -> PlanStatus | None:
    status = rounds[-1].status if rounds and rounds[-1].end is None else None
    return status if status is not None and status.state == "waiting" else None
