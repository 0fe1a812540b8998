"""Back again: the inverse of every performed step, the last first, under the same preconditions as doing.

An inverse that does not fit any more stops the rest: somebody else is at work, and a person has to look.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from sidecar.approvals import store as approvals
from sidecar.contract import Plan, Problem, Step, StepResult, UndoResult
from sidecar.credentials import store as leases
from sidecar.errors import AlertmanagerUnavailable
from sidecar.execution import Effect, Live, look, look_back, read, undo_calls
from sidecar.execution import store as steps
from sidecar.execution.effect import REPLICAS, TEMPLATE, UID
from sidecar.execution.pointer import value_at
from sidecar.execution.recover import holds, is_closed_by
from sidecar.gate.afterwards import end_of, lease_to_undo
from sidecar.gate.carry import carry_out, find_out
from sidecar.gate.desk import Desk, problem
from sidecar.gate.publish import maker_of
from sidecar.gate.stop import stop_late
from sidecar.gate.task import No, Ready, Task

UNHEARD = "alertmanager-unavailable"
log = structlog.get_logger("sidecar.leases")


def undo(lease: str, *, desk: Desk, actor: str = "agent") -> UndoResult | Problem:
    """Also within an hour after the lease's time, by a lease of its own. Raises JournalUnavailable, ClusterUnavailable (then
    call again)."""
    stop_late(desk)
    with desk.turns.alone(lease):
        with desk.ledger.read() as connection:
            held = leases.get(connection, lease)
            entry = approvals.get(connection, held.lease.plan) if held is not None else None
            done = steps.of_lease(connection, lease, "do")
        if held is None or entry is None:
            return problem(404, "unknown-lease", "no such lease")
        if _find_out(held, entry.plan, done, desk=desk):
            with desk.ledger.read() as connection:
                done = steps.of_lease(connection, lease, "do")
        performed = [step for step in reversed(entry.plan.steps) if _is_done(held, step, done.get(step.id), desk=desk)]
        if held.lease.state == "live" and desk.ledger.now() < held.lease.expires_at:
            results = _taken_back(held, performed, done, {}, desk=desk, actor=actor)
        else:
            results = _taken_back_late(held, entry, performed, done, desk=desk, actor=actor)
        complete = all(result.status == "performed" for result in results)
        if not complete:  # nothing tries again by itself
            left = [f"{result.step}: {result.reason}" for result in results if result.status != "performed"]
            desk.ledger.refusals.once(
                "undo-incomplete",
                actor="sidecar",
                plan=held.lease.plan,
                lease=lease,
                body={"left": [*left], "reason": "; ".join(left)},
            )
            log.error("an undo is not complete, a person has to look", lease=lease, plan=held.lease.plan, left=left)
        return UndoResult(lease=lease, steps=tuple(results), complete=complete)


def _taken_back(
    held: leases.Entry,
    performed: Sequence[Step],
    done: dict[str, steps.Entry],
    known: dict[str, StepResult],
    *,
    desk: Desk,
    actor: str,
) -> list[StepResult]:
    """`known`: what is back already, under another lease."""
    with desk.ledger.read() as connection:
        back = steps.of_lease(connection, held.lease.id, "undo")
    results: list[StepResult] = []
    for step in performed:
        stored = back.get(step.id)
        if step.id in known:
            results.append(known[step.id])
        elif stored is not None and stored.result is not None:
            results.append(stored.result.model_copy(update={"repeated": True}))
        elif (no := _may_not(held, results, desk=desk)) is not None:
            results.append(_held_back(held, step, no, desk=desk))
        else:
            results.append(_carried_back(held, step, done[step.id], desk=desk, actor=actor))
    return results


def _carried_back(held: leases.Entry, step: Step, done: steps.Entry, *, desk: Desk, actor: str) -> StepResult:
    try:
        return carry_out(_task(held, step, done, desk=desk), desk=desk, actor=actor)
    except AlertmanagerUnavailable as exc:  # a repair that harms is not left standing for it: the lease's end ends a silence
        return _held_back(held, step, No(status="failed", reason=UNHEARD, message=str(exc)), desk=desk)


def _taken_back_late(
    held: leases.Entry,
    entry: approvals.Entry,
    performed: Sequence[Step],
    done: dict[str, steps.Entry],
    *,
    desk: Desk,
    actor: str,
) -> list[StepResult]:
    """The lease is over. What did not come back under it comes back under a lease for that, where one may be had."""
    known: dict[str, StepResult] = {}
    with desk.ledger.read() as connection:
        back = steps.of_lease(connection, held.lease.id, "undo")
        late = leases.of_plan(connection, held.lease.plan, undoes=held.lease.id)
        later = steps.of_lease(connection, late.lease.id, "undo") if late is not None else {}
    for step in performed:
        begun = back.get(step.id)
        # It may have arrived: look, before it is sent again. To end a silence twice harms nobody.
        if begun is not None and begun.result is None and step.action.kind != "silence_alert":
            result: StepResult | None = find_out(_task(held, step, done[step.id], desk=desk), desk=desk)
        else:
            ended = later.get(step.id) or begun
            result = ended.result if ended is not None else None
        if result is not None and (result.status == "performed" or step.id in later or result.reason == "irreversible"):
            known[step.id] = result.model_copy(update={"repeated": True})
    left = [step for step in performed if step.id not in known]
    if not left:
        return [known[step.id] for step in performed]
    may = lease_to_undo(held, entry, left, desk=desk, actor=actor)
    if isinstance(may, No):
        return [known.get(step.id) or _held_back(held, step, may, desk=desk) for step in performed]
    with desk.turns.alone(may.lease.id):
        results = _taken_back(may, performed, done, known, desk=desk, actor=actor)
        end_of(may, complete=all(result.status == "performed" for result in results), desk=desk, actor=actor)
    return results


def _find_out(held: leases.Entry, plan: Plan, done: dict[str, steps.Entry], *, desk: Desk) -> bool:
    """A step that began and has no end may have been written: look, so that what was written is taken back too."""
    lost = [step for step in plan.steps if step.id in done and done[step.id].result is None]
    for step in lost:
        effect = Effect.of(done[step.id].effect)
        with suppress(AlertmanagerUnavailable):  # it stays begun: the lease's end looks again
            find_out(Task(held=held, step=step, direction="do", effect=effect, fitting=_never), desk=desk)
    return bool(lost)


def _never(resumed: bool) -> No:
    return No(status="refused", reason="not-next", message="the lease is being undone")


def _is_done(held: leases.Entry, step: Step, entry: steps.Entry | None, *, desk: Desk) -> bool:
    """Whether there is something to take back: it was performed, or is a drain that closed its node and did not come to its
    end, for whatever reason. Raises ClusterUnavailable."""
    if entry is None or entry.result is None:
        return False
    if entry.result.status == "performed" or step.action.kind != "drain_node":
        return entry.result.status == "performed"
    return is_closed_by(maker_of(held.lease.id, step), read(step.action.target, desk.cluster))


def _may_not(held: leases.Entry, results: list[StepResult], *, desk: Desk) -> No | None:
    if held.lease.state != "live" or desk.ledger.now() >= held.lease.expires_at:
        return No(
            status="refused", reason="lease-over", message=f"the lease is {held.lease.state}: nothing can be undone under it"
        )
    if any(result.status != "performed" and result.reason not in ("irreversible", UNHEARD) for result in results):
        return No(status="refused", reason="held", message="a later step could not be undone: a person has to look")
    return None


def _held_back(held: leases.Entry, step: Step, no: No, *, desk: Desk) -> StepResult:
    """Not the step's end: it may be tried again."""
    return StepResult(
        lease=held.lease.id,
        step=step.id,
        status=no.status,
        reason=no.reason,
        message=no.message[:500],
        target=step.action.target,
        at=desk.ledger.now(),
    )


def _task(held: leases.Entry, step: Step, done: steps.Entry, *, desk: Desk) -> Task:
    effect = Effect.of(done.effect)
    seen = done.result.after if done.result is not None else {}
    if UID in seen and "" in effect.before:  # made by us: taken back by its uid
        effect = replace(effect, after={UID: seen[UID]})
    elif step.action.kind == "change_fields" and done.result is not None:
        effect = Effect(before=done.result.before, after=seen)  # with what the API server changed along with it
    else:
        effect = replace(effect, after={pointer: seen.get(pointer, value) for pointer, value in effect.after.items()})

    def fitting(resumed: bool) -> Ready | No:
        if step.action.kind == "silence_alert":
            return Ready(calls=(), live=None)  # it is ended whatever has become of the object that it is about
        live = (
            look_back(step.action, effect.sealed.get(TEMPLATE, ""), desk.cluster)
            if effect.goal
            else look(step.action, desk.cluster)
        )
        calls = undo_calls(step.action, live, effect, manager=task.manager)
        if isinstance(calls, str):
            return No(status="refused", reason="irreversible", message=calls)
        if not _as_left(step, live, effect):
            return No(status="refused", reason="target-changed", message="no longer as the step left it")
        return Ready(calls=calls, live=live.target)

    task = Task(held=held, step=step, direction="undo", effect=effect, fitting=fitting)
    return task


def _as_left(step: Step, live: Live, effect: Effect) -> bool:
    """Whether the object is as the step left it; for what was made, whether it is that very object."""
    action = step.action
    if action.kind in ("create_object", "rerun_job"):
        made = live.target if action.kind == "create_object" else live.made
        return value_at(made, ("metadata", "uid")) == effect.after.get(UID) is not None
    if value_at(live.target, ("metadata", "uid")) != action.target.uid:
        return False
    after = {pointer: value for pointer, value in effect.after.items() if pointer != "/pods"}
    if REPLICAS in after:
        return value_at(live.target, ("spec", "replicas")) == after[REPLICAS]
    return holds(live.target, after, effect.goal)
