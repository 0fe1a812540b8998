"""A plan comes in: look the facts up, ask the judge, keep the verdict, and where people are wanted, ask them.

The same plan again gives where it stands; only a denied one is judged again, since what denied it may have passed.

A plan may be allowed by looks of the last two seconds (sidecar.execution.recent): nothing happens by it yet, and the lease
looks at everything anew and judges again. A denial, and whatever people are shown, never rests on them.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.audit import Written, written
from sidecar.contract import (
    ChangePreview,
    Decision,
    Fix,
    Json,
    MalformedMessage,
    Plan,
    PlanState,
    PlanStatus,
    Problem,
    Reason,
)
from sidecar.credentials import BeyondCeiling, rights_for
from sidecar.execution import Looks, hides_nothing, masked
from sidecar.gate.basis import changed_its_word
from sidecar.gate.card import card_of
from sidecar.gate.concealment import concealed, discreet
from sidecar.gate.desk import Desk, problem
from sidecar.gate.examination import Examined, examine
from sidecar.gate.fatigue import too_many
from sidecar.gate.known import Known, known_of
from sidecar.gate.laps import Laps
from sidecar.gate.ledger import Transaction
from sidecar.gate.rehearsal import rehearse
from sidecar.gate.standing import standing, status_of
from sidecar.ports import Facts

_NO_VERDICT = ("policy-unavailable", "policy-malformed")
LEASED_WITHIN = timedelta(minutes=15)  # how long a yes holds before it must be used


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What policy and sidecar say by one look. `examined` and `effects`: of a plan that policy does not deny."""

    looks: Looks
    facts: Facts
    decision: Decision
    objections: list[Reason]
    examined: tuple[Examined, ...]
    effects: dict[str, Json]
    discreet: dict[str, Json | Written]  # plan, facts and effects as the record may hold them

    @property
    def holds(self) -> bool:
        """Whether it may stand although not everything was looked at just now. An engine that said nothing is not asked
        a second time: whoever waits has waited long enough."""
        silent = any(reason.rule in _NO_VERDICT for reason in self.decision.reasons)
        return not self.looks.reused or silent or (self.decision.verdict == "allow" and not self.objections)


def submit(plan: Plan, *, desk: Desk, actor: str = "agent", laps: Laps | None = None) -> PlanStatus | Problem:
    """`laps` is told where the time went. Raises JournalUnavailable."""
    digest = plan.digest
    with desk.turns.alone(digest):
        known = known_of(digest, plan.incident, desk=desk)
        if known.state not in (None, "denied") and (status := standing(digest, desk=desk)) is not None:
            return status
        if seconds := desk.intake.wait(len(plan.canonical_form)):
            return problem(429, "too-many-plans", f"more plans than are judged within a minute; try again in {seconds} s")
        laps = laps if laps is not None else Laps()
        judged = _judged(plan, known, reuse=True, desk=desk, laps=laps)
        waited = 0.0
        if not judged.holds:
            waited = judged.looks.waited
            judged = _judged(plan, known, reuse=False, desk=desk, laps=laps)
        looks, facts, effects, objections = judged.looks, judged.facts, judged.effects, judged.objections
        decision = judged.decision
        previews: tuple[ChangePreview, ...] = ()
        dry_run = ""
        if not objections and decision.verdict == "review":
            with laps.of("dry-run"):
                rehearsal = rehearse(plan, judged.examined, decision, looks=looks, history=known.history, desk=desk)
            objections, decision = rehearsal.objections, rehearsal.decision
            previews, dry_run = rehearsal.previews, rehearsal.dry_run
        told = objections or decision.reasons  # what denies it, before what only wanted people
        if objections:
            decision = denied(decision, objections)
        review = decision.verdict == "review"
        shown = card_of(plan, facts, through=looks, dry_run=dry_run) if review else approvals.Shown()
        laps.seconds["cluster"] = waited + looks.waited
        with laps.of("record"), desk.ledger.write() as transaction:
            now = transaction.now
            if decision.verdict != "deny" and (last := _shut_meanwhile(plan, decision, transaction, desk=desk)):
                decision, shown, review, told = denied(decision, last), approvals.Shown(), False, last
            entry = approvals.Entry(
                plan=plan,
                decision=decision,
                state=_state(decision),
                reason=told[0].message if decision.verdict == "deny" and told else "",
                previews=previews if review else (),
                effects=effects,
                requested_at=now,
                expires_at=_deadline(decision, now),
                lease=None,
                shown=shown,
            )
            approvals.put(transaction.connection, entry)
            body = _recorded(judged, decision, first=known.state is None)
            transaction.record("plan-decided", actor=actor, plan=digest, body=body)
        desk.tallies.decided(decision)
        return status_of(entry, ())


def _recorded(judged: _Judged, decision: Decision, *, first: bool) -> dict[str, Json | Written]:
    """`first`: the record holds each plan once."""
    by_policy = judged.decision  # what the policy alone said, and by which facts: so that the plan can be judged again
    return {
        "plan": judged.discreet["plan"] if first else None,
        "decision": decision.document(),
        "policy": {"verdict": by_policy.verdict, "rules": [*{reason.rule: None for reason in by_policy.reasons}]},
        "facts": judged.discreet["facts"],
        "effects": judged.discreet["effects"],
    }


def _judged(plan: Plan, known: Known, *, reuse: bool, desk: Desk, laps: Laps) -> _Judged:
    looks = Looks(desk.cluster, desk.silencer, recent=desk.recent, reuse=reuse)
    with laps.of("facts"):
        facts = desk.facts.gather(plan, known.history, through=looks, last=desk.judge.unread)
    looked = cache(partial(_looked_at, plan, looks=looks, desk=desk, laps=laps))
    noted = cache(partial(_noted, plan, facts))

    def meanwhile() -> None:
        for beside in (looked, noted):
            with suppress(Exception):  # it comes again below, where nobody takes it for the engine's
                beside()

    with laps.of("engine"):
        decision = desk.judge.decide(plan, facts, meanwhile=meanwhile)
    objections: list[Reason] = []
    examined: tuple[Examined, ...] = ()
    effects: dict[str, Json] = {}
    shown: Json | Written = {}
    if decision.verdict != "deny":  # a denial asks nothing more of the cluster: whatever there is cannot keep it from being said
        found, examined, effects, shown = looked()
        objections = [*found, *_own_objections(plan, decision, known, desk=desk)]
    return _Judged(
        looks=looks,
        facts=facts,
        decision=decision,
        objections=objections,
        examined=examined,
        effects=effects,
        discreet={**noted(), "effects": shown},
    )


def _looked_at(
    plan: Plan, *, looks: Looks, desk: Desk, laps: Laps
) -> tuple[list[Reason], tuple[Examined, ...], dict[str, Json], Json | Written]:
    """What the plan finds and leaves, and its effects as the record may hold them: done while the engine thinks."""
    with laps.of("examination"):
        objections, examined, effects = examine(plan, through=looks)
        return [*objections, *_beyond(plan, desk=desk)], examined, effects, _beforehand(concealed(effects))


def _noted(plan: Plan, facts: Facts) -> dict[str, Json | Written]:
    """What of plan and facts is fit for the record: written down while the engine thinks."""
    document = plan.plain_form
    with suppress(MalformedMessage):
        _ = facts.digest  # reckoned once: the decision will name it
    return {
        "plan": _beforehand(discreet(document), whole=document, form=lambda: plan.canonical_form),
        "facts": _beforehand(_fit(facts), whole=facts.document, form=lambda: facts.canonical_form),
    }


def _fit(facts: Facts) -> Json:
    """Facts without values that look secret."""
    with suppress(MalformedMessage):
        if hides_nothing(facts.canonical_form):
            return facts.document
    return masked(facts.document)


def _beforehand(value: Json, *, whole: Json = None, form: Callable[[], bytes] | None = None) -> Json | Written:
    """`whole`: of which `value` may hide texts; where it hides none, `form` gives the canonical form of both. What cannot be
    written down stays as it is: the record refuses it, if it comes to that."""
    try:
        return written(value, form=form() if form is not None and value == whole else b"")
    except MalformedMessage:
        return value


def _shut_meanwhile(plan: Plan, decision: Decision, transaction: Transaction, *, desk: Desk) -> list[Reason]:
    """Alone with the store: whether everything was stopped, or too many cards were dealt, while this plan was looked at."""
    stopped = switch.stopped_by(transaction.connection)
    reasons = [Reason(rule="stopped", message=f"everything was stopped by {stopped}")] if stopped is not None else []
    crowded = too_many(plan, transaction.connection, now=transaction.now, desk=desk) if decision.verdict == "review" else None
    return reasons if crowded is None else [*reasons, crowded]


def _beyond(plan: Plan, *, desk: Desk) -> list[Reason]:
    """What the sidecar itself never lets pass in a plan, whatever the policy says."""
    reasons: list[Reason] = []
    if plan.cluster != desk.cluster.name:
        reasons.append(Reason(rule="wrong-cluster", message=f"this sidecar governs {desk.cluster.name} only"))
    try:
        rights_for(plan.steps)
    except BeyondCeiling as exc:
        fix = Fix(op="human", text="a person with rights of their own has to do this")
        reasons.append(Reason(rule="beyond-ceiling", step=exc.step, message=str(exc)[:500], fix=fix))
    return reasons


def _own_objections(plan: Plan, decision: Decision, known: Known, *, desk: Desk) -> list[Reason]:
    """What it never lets pass in a verdict, or at this time. `known`: when the plan came in; who stops everything later is
    seen before anything is kept."""
    reasons: list[Reason] = []
    if decision.lease_seconds < 1:
        reasons.append(Reason(rule="policy-malformed", message="the policy gives no time for a lease"))
    if decision.verdict == "review" and (decision.approvals is None or not decision.approvals.roles):
        reasons.append(Reason(rule="policy-malformed", message="the policy wants a review, and names no one who may give it"))
    if known.stopped is not None:
        reasons.append(Reason(rule="stopped", message=f"everything was stopped by {known.stopped}"))
    if wrong := desk.ledger.hours.wrong():
        reasons.append(Reason(rule="clock-unsure", message=wrong))
    if decision.verdict == "review":
        with desk.ledger.read() as connection:
            crowded = too_many(plan, connection, now=desk.ledger.now(), desk=desk)
        reasons += [crowded] if crowded is not None else []
    if known.on_model and plan.basis == "checks":
        with desk.ledger.read() as connection:
            changed = changed_its_word(plan, connection)
        reasons += [changed] if changed is not None else []
    return reasons


def denied(decision: Decision, reasons: list[Reason]) -> Decision:
    return decision.model_copy(
        update={
            "verdict": "deny",
            "reasons": (*decision.reasons, *reasons),
            "approvals": None,
            "lease_seconds": 0,
            "lease_ends": "",
        }
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
