"""Ask for a verdict, wait for people, take the lease. Must not weaken a no: whatever is not a plain yes ends the round."""

from dataclasses import replace

from agent.domain.outcome import Round, RoundEnd
from agent.errors import GovernanceUnavailable
from agent.ports import Clock, Governance
from agent.stages.telling import Tell
from sidecar.contract import PlanStatus, Problem

ENDS: dict[str, RoundEnd] = {"denied": "denied", "refused": "refused", "expired": "no-answer", "void": "void", "settled": "void"}
STALE = frozenset({"target-changed", "not-found", "target-unreadable"})
NOBODY_ASKED = "policy asks nobody here, and what rests on a model's word alone is not done without a person's yes"
PAUSE_SECONDS = 0.1
WAIT_FOR_LEASE_SECONDS = 60.0  # another plan holds the target: its lease ends within minutes


async def authorize(round_: Round, *, governance: Governance, clock: Clock, wait_seconds: int, tell: Tell) -> Round:
    """The round with a lease, or with its end. Safe to repeat: the sidecar knows the plan by its digest."""
    try:
        status = await governance.submit(round_.plan)
        if status.state == "waiting":
            await _tell_wait(status, tell)
        while status.state == "waiting":
            status = await governance.status(round_.plan.digest, wait_seconds=wait_seconds)
            await clock.sleep(PAUSE_SECONDS)  # the answer may come at once, again and again
        judged = replace(round_, decision=status.decision, status=status)
        if status.state in ENDS:
            end = "target-changed" if status.state == "denied" and _is_stale(status) else ENDS[status.state]
            return replace(judged, end=end, note=status.reason)
        if round_.rests_on_model and not status.answers:
            return replace(judged, end="denied", note=NOBODY_ASKED)
        return await _leased(judged, governance=governance, clock=clock, tell=tell)
    except GovernanceUnavailable as exc:
        return replace(round_, end="unavailable", note=str(exc))


def _is_stale(status: PlanStatus) -> bool:
    """The sidecar's first look found the objects other than the plan says: that is no judgement on the remedy."""
    rules = {reason.rule for reason in status.decision.reasons}
    return bool(rules) and rules <= STALE


async def _leased(round_: Round, *, governance: Governance, clock: Clock, tell: Tell) -> Round:
    waited = 0.0
    while True:
        lease = await governance.lease(round_.plan.digest)
        if not isinstance(lease, Problem):
            return replace(round_, lease=lease)
        if lease.code != "target-leased" or waited >= WAIT_FOR_LEASE_SECONDS:
            return replace(round_, end=_end_of(lease), note=lease.detail or lease.title)
        await tell("another plan holds a lease on the same target: waiting for it to end")
        await clock.sleep(2.0)
        waited += 2.0


def _end_of(problem: Problem) -> RoundEnd:
    match problem.code:
        case "target-changed":
            return "target-changed"
        case "expired":
            return "no-answer"
        case "policy-changed" | "approval-lapsed" | "policy-denies" | "not-approved":
            return "void"
        case _:
            return "failed"


async def _tell_wait(status: PlanStatus, tell: Tell) -> None:
    wanted = status.approval
    if wanted is None:
        await tell("waiting for approval", {"plan": status.plan})
        return
    who = " or ".join(wanted.roles)
    await tell(
        f"waiting for {wanted.count} approval{'' if wanted.count == 1 else 's'} by {who} until {wanted.expires_at:%H:%M:%S} UTC",
        {"plan": status.plan, "roles": list(wanted.roles), "count": wanted.count, "expires_at": wanted.expires_at.isoformat()},
    )
