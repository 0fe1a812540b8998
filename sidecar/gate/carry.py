"""Carries one step out, or back, through the lease's own credential: noted before, sent once, noted after.

What began without an end is looked at before anything is sent again. Knows no rule of who may: `perform` and `undo` do.
"""

from dataclasses import replace
from typing import Literal

from sidecar.contract import Json, StepResult
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Effect, Live, arrived, look
from sidecar.execution import store as steps
from sidecar.execution.effect import UID
from sidecar.execution.pointer import value_at
from sidecar.execution.recover import written_by
from sidecar.gate.concealment import concealed
from sidecar.gate.desk import Desk
from sidecar.gate.ending import Found, Stored, ended, seen_later
from sidecar.gate.ledger import Transaction
from sidecar.gate.sending import send_one
from sidecar.gate.silencing import carry_silence, is_silence, known_silence
from sidecar.gate.task import No, Ready, Task

CONFLICTS = 8  # status updates of busy controllers get in between; the fields that matter are compared each time


def carry_out(task: Task, *, desk: Desk, actor: str) -> StepResult:
    """Raises JournalUnavailable, ClusterUnavailable (the step stays begun: call again)."""
    with desk.ledger.read() as connection:
        begun = steps.of_lease(connection, task.held.lease.id, task.direction).get(task.step.id)
    if begun is None:
        fit = task.fitting(False)
        with desk.ledger.write() as transaction:  # what does not fit begins and ends in one: it can never be sent later
            if not _begin(task, transaction, actor=actor, fits=not isinstance(fit, No)):
                raise ClusterUnavailable(f"{task.step.id} is being carried out elsewhere")
            if isinstance(fit, No):
                return ended(task, fit, transaction)
    else:
        known = _known(task, desk=desk)
        if known is not None:
            return known
        fit = task.fitting(True)
    return _send(task, fit, desk=desk)


def _begin(task: Task, transaction: Transaction, *, actor: str, fits: bool) -> bool:
    """Keep that it is about to be tried. A step that does not fit is kept too, but nothing is said to have begun."""
    lease, action = task.held.lease, task.step.action
    fresh = steps.begin(
        transaction.connection,
        lease=lease.id,
        step=task.step.id,
        direction=task.direction,
        incident=task.held.incident,
        kind=action.kind,
        target=action.target.document(),
        effect=task.effect.document(),
        at=transaction.now,
    )
    if fresh and fits:
        effect = concealed(task.effect.document())
        body: dict[str, Json] = {"step": task.step.id, "direction": task.direction, "effect": effect}
        transaction.record("step-began", actor=actor, plan=lease.plan, lease=lease.id, body=body)
    return fresh


def find_out(task: Task, *, desk: Desk) -> StepResult:
    """The end of a step that began and whose end was lost: nothing is sent. Raises as `carry_out`."""
    no = No(status="failed", reason="interrupted", message="it was not seen to have arrived when undoing began")
    return _known(task, desk=desk) or _end(task, no, desk=desk)


def _known(task: Task, *, desk: Desk) -> StepResult | None:
    """The end of a step whose end was lost, as far as the cluster shows it; None when it did not arrive."""
    if is_silence(task):
        silence = known_silence(task, desk=desk)
        return _end(task, silence, desk=desk) if silence is not None else None
    live = look(task.step.action, desk.cluster)
    match _arrival(task, live):
        case "arrived":
            return _end(task, seen_later(task, live), desk=desk)
        case "unknown":
            message = "somebody else changed the object meanwhile: whether this write arrived cannot be seen"
            return _end(task, No(status="refused", reason="target-changed", message=message), desk=desk)
        case _:
            return None


def _arrival(task: Task, live: Live) -> Literal["arrived", "not-arrived", "unknown"]:
    action, effect = task.step.action, task.effect
    if task.direction == "undo":
        effect = Effect(before=effect.after, after=effect.before, sealed=effect.goal, goal=effect.sealed)
    if task.direction == "undo" and action.kind in ("create_object", "rerun_job"):
        made = live.target if action.kind == "create_object" else live.made
        gone = value_at(made, ("metadata", "uid")) != task.effect.after.get(UID)
        return "arrived" if gone or value_at(made, ("metadata", "deletionTimestamp")) else "not-arrived"
    return arrived(action, live, effect, manager=task.manager)


def _send(task: Task, fit: Ready | No, *, desk: Desk) -> StepResult:
    conflicts = 0
    while not isinstance(fit, No):
        came = _send_all(fit, task, desk=desk)
        if not isinstance(came, No) or came.reason != "conflict":
            return _end(task, came, desk=desk)
        conflicts += 1
        desk.clock.sleep(0.02 * conflicts)
        again = task.fitting(True)
        if isinstance(again, Ready) and again.calls == fit.calls:
            # The same version still: it was no conflict, the API server does not want the result.
            return _end(task, replace(came, reason="invalid"), desk=desk)
        if conflicts >= CONFLICTS:
            return _end(task, replace(came, reason="target-changed"), desk=desk)
        fit = again
    return _end(task, fit, desk=desk)


def _send_all(fit: Ready, task: Task, *, desk: Desk) -> Stored | Found | No:
    """What is there after the last request, or why it was not done. Raises ClusterUnavailable where nobody can tell yet: the
    step stays begun."""
    if is_silence(task):
        return carry_silence(task, desk=desk)
    shown: Json = None
    for call in fit.calls:
        try:
            came = send_one(call, task, desk=desk)
        except ClusterUnavailable:
            live = look(task.step.action, desk.cluster)
            if _arrival(task, live) == "arrived":
                return seen_later(task, live, fit.live)
            raise
        if isinstance(came, No):
            return _landed(came, fit, task, desk=desk) or came
        if call.method in ("PATCH", "POST") and not call.path.endswith("/eviction"):
            shown = came.body
    return Stored(shown=shown, was=fit.live)


def _landed(no: No, fit: Ready, task: Task, *, desk: Desk) -> Stored | Found | None:
    """What was refused may be there all the same: by a server that broke down after it, or by an earlier try of which nothing
    was heard, and which came between."""
    if no.reason == "server-error":
        live = look(task.step.action, desk.cluster)
        return seen_later(task, live, fit.live) if _arrival(task, live) == "arrived" else None
    if no.reason in ("conflict", "target-changed") and len(fit.calls) == 1 and fit.calls[0].method in ("PATCH", "POST"):
        live = look(task.step.action, desk.cluster)
        written = live.made if task.step.action.kind == "rerun_job" else live.target
        return seen_later(task, live, fit.live) if written_by(written, task.manager) else None
    return None


def _end(task: Task, came: Stored | Found | No, *, desk: Desk) -> StepResult:
    with desk.ledger.write() as transaction:
        return ended(task, came, transaction)
