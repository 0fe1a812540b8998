"""Have the approved steps performed, one after the other. After the first no: undo what was done, give the lease back."""

from dataclasses import replace

from agent.domain.outcome import Round, RoundEnd
from agent.errors import GovernanceUnavailable
from agent.ports import Governance
from agent.stages.telling import Tell
from sidecar.contract import StepResult


async def execute(round_: Round, *, governance: Governance, tell: Tell) -> Round:
    """The round with its step results. Safe to repeat: the sidecar performs a step once and then gives the stored result."""
    if round_.lease is None:
        raise ValueError("execute without a lease")
    lease = round_.lease.id
    steps: list[StepResult] = []
    try:
        for step in round_.plan.steps:
            result = await governance.perform(lease, step.id)
            steps.append(result)
            await tell(f"{step.id} {result.status}{_because(result)}", {"step": step.id, "status": result.status})
            if result.status != "performed":
                return await _taken_back(replace(round_, steps=tuple(steps)), result, governance=governance)
    except GovernanceUnavailable as exc:
        return replace(round_, steps=tuple(steps), end="unavailable", note=str(exc))
    return replace(round_, steps=tuple(steps))


async def _taken_back(round_: Round, stopped: StepResult, *, governance: Governance) -> Round:
    if round_.lease is None:
        raise ValueError("nothing to give back without a lease")
    undo = None
    # What failed may have been done in part, such as a drain: the sidecar knows.
    if any(result.status in ("performed", "failed") for result in round_.steps):
        came = await governance.undo(round_.lease.id)
        undo = came if came.steps else None
    settlement = await governance.settle(round_.lease.id, "undone" if undo else "not-performed")
    note = f"{stopped.step}: {stopped.message or stopped.reason or stopped.status}"
    return replace(round_, undo=undo, settlement=settlement, end=_end_of(stopped), note=note)


def _end_of(result: StepResult) -> RoundEnd:
    if result.status == "failed":
        return "failed"
    match result.reason:
        case "target-changed" | "not-found":
            return "target-changed"
        case "plan-void" | "not-approved" | "lease-over":
            return "void"
        case _:
            return "failed"


def _because(result: StepResult) -> str:
    return "" if result.status == "performed" else f": {result.message or result.reason}"
