"""Step n of the approved plan: in order, once, only while everything that it was approved under still holds."""

from concurrent.futures import wait
from dataclasses import replace

from sidecar.approvals import outcome, switch
from sidecar.approvals import store as approvals
from sidecar.contract import Json, Problem, Step, StepResult
from sidecar.credentials import store as leases
from sidecar.credentials.together import looking
from sidecar.execution import Effect, Live, Unfit, calls_for, effect_of, look
from sidecar.execution import store as steps
from sidecar.execution.pointer import value_at
from sidecar.gate.carry import carry_out
from sidecar.gate.desk import Desk, problem
from sidecar.gate.places import Labels, labels_of, places_of, relabelled
from sidecar.gate.publish import concrete
from sidecar.gate.standing import request_of
from sidecar.gate.stop import stop_late
from sidecar.gate.task import No, Ready, Task


def perform(lease: str, step: str, *, desk: Desk, actor: str = "agent") -> StepResult | Problem:
    """Raises JournalUnavailable, ClusterUnavailable (then it is not known what became of the step: call again)."""
    stop_late(desk)
    with desk.turns.alone(lease):
        with desk.ledger.read() as connection:
            held = leases.get(connection, lease)
            entry = approvals.get(connection, held.lease.plan) if held is not None else None
            done = steps.of_lease(connection, lease, "do")
            undone = steps.of_lease(connection, lease, "undo")
            suspended = leases.why_suspended(connection, lease)
            judged = leases.judged_places(connection, lease)
        if held is None or entry is None:
            return problem(404, "unknown-lease", "no such lease")
        wanted = next((found for found in entry.plan.steps if found.id == step), None)
        if wanted is None:
            return _not_in_the_plan(held, step, desk=desk, actor=actor)
        begun = done.get(step)
        if begun is not None and begun.result is not None:
            return begun.result.model_copy(update={"repeated": True})
        no = _may_not(held, entry, wanted, done, undone, suspended, desk=desk)
        if no is not None:
            return _turned_away(held, wanted, no, desk=desk, actor=actor)
        task = _task(held, entry, wanted, begun, judged, desk=desk)
        return carry_out(task, desk=desk, actor=actor)


def _may_not(
    held: leases.Entry,
    entry: approvals.Entry,
    step: Step,
    done: dict[str, steps.Entry],
    undone: dict[str, steps.Entry],
    suspended: str,
    *,
    desk: Desk,
) -> No | None:
    """Why this step may not be tried now; such a no is not the step's end."""
    now = desk.ledger.now()
    if held.lease.state != "live" or now >= held.lease.expires_at:
        return No(
            status="refused",
            reason="lease-over",
            message=f"the lease is {held.lease.state}, until {held.lease.expires_at:%H:%M:%S} UTC",
        )
    if held.undoes:
        return No(status="refused", reason="not-next", message="this lease only takes back")
    if entry.state != "leased":
        return No(status="refused", reason="not-approved", message=f"the plan is {entry.state}")
    if wrong := desk.ledger.hours.wrong():
        return No(status="refused", reason="clock-unsure", message=wrong)
    if suspended:
        return No(status="refused", reason="plan-void", message=f"the plan is suspended: {suspended}; propose it again")
    if undone:
        return No(status="refused", reason="not-next", message="the lease is being undone")
    for earlier in entry.plan.steps[: entry.plan.steps.index(step)]:
        before = done.get(earlier.id)
        if before is None or before.result is None or before.result.status != "performed":
            return No(status="refused", reason="not-next", message=f"{earlier.id} is not performed")
    if desk.judge.revision != entry.decision.revision:
        return No(status="refused", reason="plan-void", message="the policy is another one since the plan was judged")
    with desk.ledger.read() as connection:
        stopped = switch.stopped_by(connection)
        answers = approvals.answers_to(connection, entry.plan.digest)
    if stopped is not None:
        return No(status="refused", reason="plan-void", message=f"everything was stopped by {stopped}")
    request = request_of(entry)
    if entry.decision.verdict == "review" and outcome(request, answers, who=desk.people.by_name, now=now) != "approved":
        return No(status="refused", reason="not-approved", message="whoever approved may no longer do so")
    return None


def _not_in_the_plan(held: leases.Entry, step: str, *, desk: Desk, actor: str) -> Problem:
    """Whoever asks for what nobody approved has lost the thread, or is no friend: nothing more is performed."""
    lease = held.lease
    reason = f"{step} was asked for, which the approved plan does not have"
    with desk.ledger.write() as transaction:
        fresh = leases.suspend(transaction.connection, lease.id, reason=reason)
        body: dict[str, Json] = {"step": step, "reason": "unknown-step", "suspended": fresh}
        if fresh:  # asked for again it is a refusal as any other
            transaction.record("step-turned-away", actor=actor, plan=lease.plan, lease=lease.id, body=body)
    detail = "the approved plan has no such step; no further step of it is performed"
    return problem(404, "unknown-step", detail, fix="settle the lease and propose the plan again")


def _turned_away(held: leases.Entry, step: Step, no: No, *, desk: Desk, actor: str) -> StepResult:
    lease = held.lease
    result = StepResult(
        lease=lease.id,
        step=step.id,
        status=no.status,
        reason=no.reason,
        message=no.message[:500],
        target=step.action.target,
        at=desk.ledger.now(),
    )
    body: dict[str, Json] = {"step": step.id, "reason": no.reason, "message": no.message}
    desk.ledger.refusals.once("step-turned-away", actor=actor, plan=lease.plan, lease=lease.id, body=body)
    return result


def _task(
    held: leases.Entry, entry: approvals.Entry, step: Step, begun: steps.Entry | None, judged: Labels | None, *, desk: Desk
) -> Task:
    """`judged`: how the places of the plan were labelled when it was judged."""
    approved = Effect.of(entry.effects[step.id])
    performed = Effect.of(begun.effect) if begun is not None else concrete(approved, step, held, entry)

    def fitting(resumed: bool) -> Ready | No:
        live, moved = _seen(step, judged, desk=desk)
        if moved:  # frozen meanwhile, say, or of another environment: the verdict was for a place that is not this one any more
            return No(status="refused", reason="target-changed", message=moved)
        if resumed and step.action.kind == "drain_node" and value_at(live.target, ("metadata", "uid")) == step.action.target.uid:
            calls = calls_for(step.action, live, performed, manager=task.manager)
            return Ready(calls=calls, live=live.target)  # the rest of a drain that began
        effect = effect_of(step.action, live)
        if isinstance(effect, Unfit):
            code = "not-found" if effect.code == "not-found" else "target-changed"
            return No(status="refused", reason=code, message=effect.detail)
        if (effect if approved.sealed else replace(effect, sealed={})) != approved:
            return No(status="refused", reason="target-changed", message=_difference(effect, approved))
        return Ready(calls=calls_for(step.action, live, performed, manager=task.manager), live=live.target)

    task = Task(held=held, step=step, direction="do", effect=performed, fitting=fitting)
    return task


def _seen(step: Step, judged: Labels | None, *, desk: Desk) -> tuple[Live, str]:
    """The object, and how the places of the step are labelled otherwise than they were: looked at together. Raises
    ClusterUnavailable."""
    names = places_of([step.action])
    labels = [looking.submit(labels_of, name, desk.cluster) for name in names]
    try:
        live = look(step.action, desk.cluster, desk.silencer)
    finally:
        wait(labels)
    return live, relabelled(judged, dict(zip(names, [task.result() for task in labels], strict=True)))


def _difference(found: Effect, approved: Effect) -> str:
    """Which fields are not as the approvers saw them."""
    moved = [pointer for pointer, value in approved.before.items() if found.before.get(pointer) != value]
    moved += [pointer for pointer, digest in approved.sealed.items() if found.sealed.get(pointer) != digest]
    moved += [pointer for pointer, digest in approved.goal.items() if found.goal.get(pointer) != digest]
    return f"no longer as it was when the plan was approved: {', '.join(moved) or 'the result would be another one'}"
