"""A plan comes in: look the facts up, ask the judge, keep the verdict, and where people are wanted, ask them.

The same plan again gives where it stands; only a denied one is judged again, since what denied it may have passed.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sidecar.approvals import store as approvals
from sidecar.contract import ChangePreview, Decision, Fix, Json, Plan, PlanState, PlanStatus, Reason
from sidecar.credentials import BeyondCeiling, rights_for
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Live, Unfit, effect_of, look, masked, preview_of, projected
from sidecar.execution import store as steps
from sidecar.gate.card import card_of
from sidecar.gate.desk import Desk
from sidecar.gate.standing import standing, status_of
from sidecar.ports import History

LEASED_WITHIN = timedelta(minutes=15)  # how long a yes holds before it must be used
MOST_WAITING = 20  # more cards than this are not read any more


def submit(plan: Plan, *, desk: Desk, actor: str = "agent") -> PlanStatus:
    """Raises JournalUnavailable."""
    digest = plan.digest
    with desk.turns.alone(digest):
        known = standing(digest, desk=desk)
        if known is not None and known.state != "denied":
            return known
        facts = desk.facts.gather(plan, history_of(digest, desk=desk))
        decision = desk.judge.decide(plan, facts)
        previews: tuple[ChangePreview, ...] = ()
        effects: dict[str, Json] = {}
        if decision.verdict != "deny":
            objections, previews, effects = examine(plan, desk=desk)
            objections += _own_objections(plan, decision, desk=desk)
            if objections:
                decision = denied(decision, objections)
        shown = card_of(plan, facts, desk=desk) if decision.verdict == "review" else approvals.Shown()
        with desk.ledger.write() as transaction:
            now = transaction.now
            entry = approvals.Entry(
                plan=plan,
                decision=decision,
                state=_state(decision),
                reason=decision.reasons[0].message if decision.verdict == "deny" and decision.reasons else "",
                previews=previews if decision.verdict != "deny" else (),
                effects=effects,
                requested_at=now,
                expires_at=_deadline(decision, now),
                lease=None,
                shown=shown,
            )
            approvals.put(transaction.connection, entry)
            document: Json = plan.document() if known is None else None  # the record holds each plan once
            transaction.record(
                "plan-decided",
                actor=actor,
                plan=digest,
                body={
                    "plan": document,
                    "decision": decision.document(),
                    "facts": masked(facts.document),  # by which the plan can be judged again
                    "effects": masked(effects),
                },
            )
        return status_of(entry, ())


def history_of(digest: str, *, desk: Desk) -> History:
    """What policy may count of what this sidecar did, but for the plan itself."""
    since = desk.ledger.now() - timedelta(hours=24)
    with desk.ledger.read() as connection:
        performed = list(steps.performed_since(connection, since))
        return History(performed=performed, leased=leases.held(connection, but_for=digest))


def examine(plan: Plan, *, desk: Desk) -> tuple[list[Reason], tuple[ChangePreview, ...], dict[str, Json]]:
    """Each step against the live objects, as they will be after the steps before it: objections, previews, effects."""
    seen: dict[str, Live] = {}
    previews: list[ChangePreview] = []
    effects: dict[str, Json] = {}
    for step in plan.steps:
        action = step.action
        try:
            live = look(action, desk.cluster)
        except ClusterUnavailable as exc:
            return [Reason(rule="target-unreadable", step=step.id, message=str(exc)[:500])], (), {}
        earlier = seen.get(str(action.target))
        if earlier is not None:
            live = replace(live, target=earlier.target)
        effect = effect_of(action, live)
        if isinstance(effect, Unfit):
            return [Reason(rule=effect.code, step=step.id, message=effect.detail[:500])], (), {}
        after = projected(action, live, effect)
        seen[str(action.target)] = after
        preview = preview_of(step, live, effect, after)
        if isinstance(preview, Unfit):
            return [Reason(rule=preview.code, step=step.id, message=preview.detail)], (), {}
        previews.append(preview)
        # After an earlier step the API server may have filled in defaults: a fingerprint of the whole would not hold.
        effects[step.id] = (effect if earlier is None else replace(effect, sealed={})).document()
    return [], tuple(previews), effects


def _own_objections(plan: Plan, decision: Decision, *, desk: Desk) -> list[Reason]:
    """What the sidecar itself never lets pass, whatever the policy says."""
    reasons: list[Reason] = []
    if plan.cluster != desk.cluster.name:
        reasons.append(Reason(rule="wrong-cluster", message=f"this sidecar governs {desk.cluster.name} only"))
    try:
        rights_for(plan.steps)
    except BeyondCeiling as exc:
        fix = Fix(op="human", text="a person with rights of their own has to do this")
        reasons.append(Reason(rule="beyond-ceiling", step=exc.step, message=str(exc)[:500], fix=fix))
    if decision.lease_seconds < 1:
        reasons.append(Reason(rule="policy-malformed", message="the policy gives no time for a lease"))
    if decision.verdict == "review" and (decision.approvals is None or not decision.approvals.roles):
        reasons.append(Reason(rule="policy-malformed", message="the policy wants a review, and names no one who may give it"))
    with desk.ledger.read() as connection:
        stopped = approvals.stopped_by(connection)
        waiting = sum(1 for _ in approvals.listed(connection, ("waiting",)))
    if stopped is not None:
        reasons.append(Reason(rule="stopped", message=f"everything was stopped by {stopped}"))
    if decision.verdict == "review" and waiting >= MOST_WAITING:
        reasons.append(Reason(rule="too-many-waiting", message=f"{waiting} plans wait for people already"))
    return reasons


def denied(decision: Decision, reasons: list[Reason]) -> Decision:
    return decision.model_copy(
        update={"verdict": "deny", "reasons": (*decision.reasons, *reasons), "approvals": None, "lease_seconds": 0}
    )


def _state(decision: Decision) -> PlanState:
    match decision.verdict:
        case "allow":
            return "approved"
        case "review":
            return "waiting"
        case _:
            return "denied"


def _deadline(decision: Decision, now: datetime) -> datetime:
    if decision.verdict == "review" and decision.approvals is not None:
        return now + timedelta(seconds=decision.approvals.expires_seconds)
    return now + LEASED_WITHIN
