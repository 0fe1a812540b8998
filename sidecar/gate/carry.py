"""Carries one step out, or back, through the lease's own credential: noted before, sent once, noted after.

What began without an end is looked at before anything is sent again. Knows no rule of who may: `perform` and `undo` do.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sidecar.contract import Json, Step, StepResult
from sidecar.credentials import Refused, message_of
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Effect, Live, arrived, look
from sidecar.execution import store as steps
from sidecar.execution.effect import REPLICAS, UID
from sidecar.execution.pointer import differences, joined, parts, value_at
from sidecar.gate.concealment import concealed, result_left
from sidecar.gate.desk import Desk
from sidecar.gate.ledger import Transaction
from sidecar.gate.stop import why_over
from sidecar.ports import ApiAnswer, ApiCall, Credential

CONFLICTS = 8  # status updates of busy controllers get in between; the fields that matter are compared each time
FIRST_REFUSALS = 10  # a right just minted may be refused for some milliseconds (2 in 420, recorded)
BUDGET_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    status: Literal["refused", "failed"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The requests, compiled against `live`: the object (its main one) whose version they carry."""

    calls: tuple[ApiCall, ...]
    live: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What has to be done: `fitting` looks and compiles, and says no where the object is not as it has to be; it is told
    whether the step began earlier, and may be half done."""

    held: leases.Entry
    step: Step
    direction: steps.Direction
    effect: Effect
    fitting: Callable[[bool], Ready | No]

    @property
    def manager(self) -> str:
        """The field manager of this one write, by which it is known again."""
        undo = "-undo" if self.direction == "undo" else ""
        return f"lestrade-{self.held.lease.id}-{self.step.id}{undo}"


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
                return _ended(task, fit, transaction)
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
    live = look(task.step.action, desk.cluster)
    match _arrival(task, live):
        case "arrived":
            return _end(task, _seen(task, live), desk=desk)
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
        came = _send_all(fit.calls, task, desk=desk)
        if not isinstance(came, No) or came.reason != "conflict":
            return _end(task, came, desk=desk, was=fit.live)
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


def _send_all(calls: tuple[ApiCall, ...], task: Task, *, desk: Desk) -> Json | No:
    """The object as the last answer shows it (None where it shows none), or why it was not done."""
    shown: Json = None
    for call in calls:
        try:
            answer = _send_one(call, task, desk=desk)
        except ClusterUnavailable:
            # The request may have arrived or not. If the cluster can be read again, look; else the step stays begun.
            live = look(task.step.action, desk.cluster)
            if _arrival(task, live) == "arrived":
                return _seen(task, live)
            raise
        no = answer if isinstance(answer, No) else _judged(answer, call)
        if no is not None and no.reason == "server-error":
            live = look(task.step.action, desk.cluster)
            if _arrival(task, live) == "arrived":
                return _seen(task, live)
        if no is not None:
            return no
        if isinstance(answer, ApiAnswer) and call.method in ("PATCH", "POST") and not call.path.endswith("/eviction"):
            shown = answer.body
    return shown


def _seen(task: Task, live: Live) -> Json:
    return live.made if task.step.action.kind == "rerun_job" else live.target


def _send_one(call: ApiCall, task: Task, *, desk: Desk) -> ApiAnswer | No:
    """With the lease's credential; waits out a right that is not there yet, a throttled server and a disruption budget."""
    credential = _credential(task, desk=desk)
    if isinstance(credential, No):
        return credential
    eviction = call.path.endswith("/eviction")
    refusals, throttled, stale = 0, 0, 0
    while True:
        over = why_over(task.held.lease, desk=desk)
        if over:
            return No(status="refused", reason="lease-over", message=over)
        try:
            answer = desk.cluster.send(call, credential)
        finally:
            desk.recent.forget()
        if answer.status == 401 and not stale:  # the token is older than the API server's clock allows
            stale += 1
            desk.issuer.forget(task.held.lease.id)
            credential = _credential(task, desk=desk)
            if isinstance(credential, No):
                return credential
            continue
        if answer.status == 403 and refusals < FIRST_REFUSALS and "exceeded quota" not in message_of(answer):
            refusals += 1
            desk.clock.sleep(0.02 * refusals)
        elif answer.status == 429 and throttled < BUDGET_TRIES:
            throttled += 1
            desk.clock.sleep(0.25 if eviction else 0.1)
        else:
            return answer


def _credential(task: Task, *, desk: Desk) -> Credential | No:
    minted = desk.issuer.credential(task.held.lease.id)
    if isinstance(minted, Refused):
        over = why_over(task.held.lease, desk=desk)  # its account goes when it ends
        if over:
            return No(status="refused", reason="lease-over", message=over)
        raise ClusterUnavailable(f"no token for the lease: the API server says {minted.status}: {minted.detail}")
    return minted.credential


def _judged(answer: ApiAnswer, call: ApiCall) -> No | None:
    """None: done. A conflict is looked at again; everything else is an end."""
    status, text = answer.status, message_of(answer)
    eviction = call.path.endswith("/eviction")
    if 200 <= status < 300 or (eviction and status == 404):
        return None
    if eviction and status == 409:
        return None  # another pod of the same name: the one that was approved is gone
    match status:
        case 409 if call.method == "POST":
            return No(status="refused", reason="target-changed", message=text)
        case 404 | 409:
            return No(status="refused", reason="conflict", message=text)
        case 422 if isinstance(call.body, list):
            # A failed test of a JSON Patch and an invalid result look alike: the next look tells them apart.
            return No(status="failed", reason="conflict", message=text)
        case 401 | 403:
            return No(status="refused", reason="forbidden", message=text)
        case 429:
            return No(status="failed", reason="disruption-budget" if eviction else "throttled", message=text)
        case _ if status >= 500:
            return No(status="failed", reason="server-error", message=text)
        case _:
            return No(status="failed", reason="invalid", message=text)


def _end(task: Task, came: Json | No, *, desk: Desk, was: Json = None) -> StepResult:
    with desk.ledger.write() as transaction:
        return _ended(task, came, transaction, was)


def _ended(task: Task, came: Json | No, transaction: Transaction, was: Json = None) -> StepResult:
    """The one and only end, in the store and in the record. `was`: the object in the version that the write was made on."""
    lease = task.held.lease
    result = _result(task, came, was, at=transaction.now)
    if not steps.end(transaction.connection, result, direction=task.direction):
        stored = steps.of_lease(transaction.connection, lease.id, task.direction)[task.step.id].result
        return (stored or result).model_copy(update={"repeated": True})
    body: dict[str, Json] = {"direction": task.direction, "result": result_left(result.document())}
    transaction.record(f"step-{result.status}", actor="sidecar", plan=lease.plan, lease=lease.id, body=body)
    return result


def _result(task: Task, came: Json | No, was: Json, *, at: datetime) -> StepResult:
    nothing = StepResult(lease=task.held.lease.id, step=task.step.id, status="performed", target=task.step.action.target, at=at)
    if isinstance(came, No):
        return nothing.model_copy(update={"status": came.status, "reason": came.reason, "message": came.message[:500]})
    before, after = {**task.effect.before}, {**task.effect.after}
    if task.direction == "undo":
        before, after = after, before
    else:
        after |= _as_stored(after, came)
        for place in _along(task, was, came):
            before[joined(place)], after[joined(place)] = value_at(was, place), value_at(came, place)
    sealed = {pointer: f"sha256:{digest}" for pointer, digest in (task.effect.goal or {}).items()}
    version = value_at(came, ("metadata", "resourceVersion"))
    return nothing.model_copy(
        update={
            "before": {**before, **{pointer: f"sha256:{task.effect.sealed.get(pointer)}" for pointer in sealed}},
            "after": {**after, **sealed},
            "resource_version": version if isinstance(version, str) else "",
        }
    )


def _along(task: Task, was: Json, came: Json) -> list[tuple[str, ...]]:
    """What the API server changed along with a change of fields: a default that follows from it, an admission plugin. The
    write carried the version of `was`, so nobody else can have done it; undoing takes it back too."""
    if task.step.action.kind != "change_fields" or was is None or came is None:
        return []
    roots = [parts(pointer) for pointer in task.effect.after]
    places = [
        place
        for name in ("spec", "data", "binaryData")
        for place in differences(value_at(was, (name,)), value_at(came, (name,)), (name,))
    ]
    return [place for place in places if not any(place[: len(root)] == root for root in roots)]


def _as_stored(after: dict[str, Json], shown: Json) -> dict[str, Json]:
    """The values as the API server keeps them (it may write 1000m as 1), and the uid of what was made."""
    if shown is None:
        return {}
    stored = {p: value_at(shown, parts(p)) for p in after if p not in ("", "/pods", REPLICAS)}
    return stored | ({UID: value_at(shown, parts(UID))} if "" in after or "/metadata/name" in after else {})
