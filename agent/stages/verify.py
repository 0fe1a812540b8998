"""Did it help? Looks until what the plan named is seen twice in a row, or its time is over. Unknown is not success."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from agent.domain.objects import Ref
from agent.domain.outcome import Observation, Round
from agent.errors import ClusterUnreachable, GovernanceUnavailable, MetricsUnavailable, ReadRefused
from agent.ports import Clock, ClusterReader, Governance, Metrics, Runbooks
from agent.stages.telling import Tell
from sidecar.contract import ObjectRef, Verification

IN_A_ROW = 2
Verdict = Literal["helped", "did-not-help", "unverified"]
_COMPARISON = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*(bool\s+)?[-+0-9.eE]+\s*$")


async def verify(
    round_: Round,
    since: datetime,
    *,
    reader: ClusterReader,
    metrics: Metrics | None,
    runbooks: Runbooks,
    governance: Governance,
    clock: Clock,
    pause_seconds: float,
    tell: Tell,
) -> Round:
    """The round, ended and settled. `since`: when the last step was done, by the cluster's clock.

    Safe to repeat: a lease that was settled before answers with its settlement, and that decides.
    """
    if round_.lease is None:
        raise ValueError("verify without a lease")
    try:
        if (await governance.status(round_.plan.digest)).state == "settled":
            return await _as_settled(round_, governance=governance)
        checks = round_.plan.verification
        verdict, looks = await _watch(
            checks, since, reader=reader, metrics=metrics, runbooks=runbooks, clock=clock, pause_seconds=pause_seconds
        )
        seen = replace(round_, observations=looks)
        await tell(
            {"helped": "it helped", "did-not-help": "it did not help", "unverified": "the effect could not be seen"}[verdict]
        )
        return await _settled(seen, verdict, governance=governance, tell=tell)
    except GovernanceUnavailable as exc:
        return replace(round_, end="unavailable", note=f"performed, but the lease could not be settled: {exc}")


async def _settled(round_: Round, verdict: Verdict, *, governance: Governance, tell: Tell) -> Round:
    lease = round_.lease.id if round_.lease else ""
    match verdict:
        case "helped":
            return replace(round_, end="helped", settlement=await governance.settle(lease, "helped"))
        case "unverified":
            return replace(round_, end="unverified", settlement=await governance.settle(lease, "unknown"))
        case "did-not-help":
            undo = await governance.undo(lease)
            await tell("undone" if undo.complete else "undone in part: some of it cannot be taken back")
            settlement = await governance.settle(lease, "undone" if undo.complete else "did-not-help")
            return replace(round_, end="did-not-help", undo=undo, settlement=settlement)


async def _as_settled(round_: Round, *, governance: Governance) -> Round:
    settlement = await governance.settle(round_.lease.id if round_.lease else "", "unknown")
    ended: Verdict = "unverified"
    if settlement.outcome == "helped":
        ended = "helped"
    elif settlement.outcome in ("undone", "did-not-help"):
        ended = "did-not-help"
    undo = await governance.undo(settlement.lease) if settlement.outcome == "undone" else None
    return replace(round_, end=ended, settlement=settlement, undo=undo, note="settled before the agent was restarted")


async def _watch(
    checks: Sequence[Verification],
    since: datetime,
    *,
    reader: ClusterReader,
    metrics: Metrics | None,
    runbooks: Runbooks,
    clock: Clock,
    pause_seconds: float,
) -> tuple[Verdict, tuple[Observation, ...]]:
    """The verdict and the last look at each check, the ones that turned out differently before included."""
    deciding = [check for check in checks if not check.optional]
    if not deciding:
        return "unverified", ()
    within = timedelta(seconds=max(check.within_seconds for check in deciding))
    deadline, own_deadline = since + within, clock.now() + within  # our own clock ends it when the cluster's cannot be read
    history: list[tuple[Observation, ...]] = []
    streak = 0
    while True:
        looks = await _look(checks, reader=reader, metrics=metrics, runbooks=runbooks, fallback=clock.now())
        history.append(looks)
        decisive = [look for look in looks if not look.optional]
        streak = streak + 1 if all(look.seen is True for look in decisive) else 0
        if streak >= IN_A_ROW:
            return "helped", _told(history)
        over = max(look.at for look in looks) >= deadline or clock.now() >= own_deadline
        # At the deadline a first good look still gets its second one; a bad one must at least not be the only one.
        if over and streak == 0 and len(history) >= IN_A_ROW:
            failed = any(look.seen is False for look in decisive)
            return ("did-not-help" if failed else "unverified"), _told(history)
        await clock.sleep(pause_seconds)


async def _look(
    checks: Sequence[Verification],
    *,
    reader: ClusterReader,
    metrics: Metrics | None,
    runbooks: Runbooks,
    fallback: datetime,
) -> tuple[Observation, ...]:
    at, why = fallback, ""
    try:
        at = await reader.now()
    except (ClusterUnreachable, ReadRefused) as exc:
        why = str(exc)
    looks = []
    for check in checks:
        if check.promql:
            seen, detail = await _ask(check.promql, at, metrics)
        elif why or check.subject is None:
            seen, detail = None, why
        else:
            seen, detail = await _read(check, check.subject, reader=reader, runbooks=runbooks)
        looks.append(Observation(description=check.description, seen=seen, detail=detail, at=at, optional=check.optional))
    return tuple(looks)


async def _read(check: Verification, subject: ObjectRef, *, reader: ClusterReader, runbooks: Runbooks) -> tuple[bool | None, str]:
    try:
        found = await reader.get(subject.api_version, Ref(subject.kind, subject.namespace, subject.name))
    except (ClusterUnreachable, ReadRefused) as exc:
        return None, str(exc)
    return (False, "it is not there") if found is None else runbooks.holds(check, found)


async def _ask(promql: str, at: datetime, metrics: Metrics | None) -> tuple[bool | None, str]:
    """A comparison in PromQL filters: something left is yes. Nothing left is no only where there was something to compare."""
    if metrics is None:
        return None, "no Prometheus is configured"
    try:
        left = await metrics.instant(promql, at)
        if left:
            return True, f"value {left[0].samples[-1][1]:g}"
        compared = _COMPARISON.sub("", promql)
        found = await metrics.instant(compared, at) if compared != promql else ()
    except MetricsUnavailable as exc:
        return None, str(exc)
    if not found:
        return None, f"{compared}: no such metric"
    return False, f"value {found[0].samples[-1][1]:g}"


def _told(history: Sequence[tuple[Observation, ...]]) -> tuple[Observation, ...]:
    """Per check, each look that differs from the one before it, and the last."""
    told: list[Observation] = []
    for looks in zip(*history, strict=True):
        for number, look in enumerate(looks):
            last = number == len(looks) - 1
            if last or number == 0 or look.seen != looks[number - 1].seen:
                told.append(look)
    return tuple(sorted(told, key=lambda look: look.at))
