"""Before people are asked: each step as a dry run of the API server, under the sidecar's own identity.

What they are shown is what the API server would make of the step, its defaulting, webhooks and admission included. What it
refuses is denied with its words. What it would change beyond the plan is judged by the policy as if the plan had asked for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from sidecar import contract
from sidecar.contract import ChangePreview, Decision, Fix, Json, Plan, Reason
from sidecar.credentials.issuer import message_of
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Live, Looks, Unfit, escaped, preview_of
from sidecar.execution.dryrun import beyond, dry_call, idle_call, outcome_of, seen_after
from sidecar.execution.pointer import joined, parts, value_at
from sidecar.gate.concealment import Concealing
from sidecar.gate.desk import Desk
from sidecar.gate.examination import Examined
from sidecar.ports import ApiAnswer, ApiCall, History

_EASING = ("ResourceQuota", "LimitRange", "PodDisruptionBudget")  # an earlier step on one may be what lets a later one pass
_STAMPED = (("metadata", "annotations"), ("metadata", "labels"))
_MOST_NAMED = 5
_VEIL = Concealing()
WHOLE = "every diff is of the API server's own dry run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """`dry_run`: whose the diffs are, one line. `decision`: the one that came in, or a stricter one."""

    objections: list[Reason]
    previews: tuple[ChangePreview, ...]
    dry_run: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """One step after its dry run. `computed`: why its diff is the sidecar's own, "" where it is the API server's. `more`:
    where the API server would do something else than the plan says; `stored`: the object as it would be."""

    examined: Examined
    after: Live
    computed: str = ""
    objection: Reason | None = None
    more: tuple[tuple[str, ...], ...] = ()
    stored: Json = None


def rehearse(
    plan: Plan, examined: tuple[Examined, ...], decision: Decision, *, looks: Looks, history: History, desk: Desk
) -> Rehearsal:
    calls = {
        found.step.id: call
        for found in examined
        if not found.repeated and (call := dry_call(found.step.action, found.live, found.effect)) is not None
    }
    answers = dict(zip(calls, looks.each(calls.values()), strict=True))
    tried = [_tried(found, calls, answers, plan, looks=looks) for found in examined]
    objections = [found.objection for found in tried if found.objection is not None]
    if not objections and any(found.more for found in tried):
        objections, decision = _judged_again(plan, tried, decision, looks=looks, history=history, desk=desk)
    if objections:
        return Rehearsal(objections=objections, previews=(), dry_run="", decision=decision)
    previews: list[ChangePreview] = []
    for found in tried:
        preview = preview_of(found.examined.step, found.examined.live, found.examined.effect, found.after, _VEIL)
        if isinstance(preview, Unfit):
            objections.append(Reason(rule=preview.code, step=found.examined.step.id, message=preview.detail))
        else:
            previews.append(preview)
    return Rehearsal(objections=objections, previews=tuple(previews), dry_run=_whose(tried), decision=decision)


def _tried(
    found: Examined,
    calls: Mapping[str, ApiCall],
    answers: Mapping[str, ApiAnswer | ClusterUnavailable],
    plan: Plan,
    *,
    looks: Looks,
) -> _Tried:
    step = found.step
    own = _Tried(examined=found, after=found.after)
    if step.id not in calls:
        alone = "Alertmanager has none" if step.action.kind == "silence_alert" else "it is more than one request"
        why = "an earlier step changes the same object" if found.repeated else alone
        return replace(own, computed=why)
    answer = answers[step.id]
    if isinstance(answer, ClusterUnavailable):
        return replace(own, objection=_no("dry-run-failed", step.id, f"no dry run: {answer}", wait=True))
    said = message_of(answer)
    match outcome_of(answer):
        case "unsupported":
            return replace(own, computed="an admission webhook takes no dry runs")
        case "unavailable":
            return replace(own, objection=_no("dry-run-failed", step.id, f"no dry run: {answer.status}: {said}", wait=True))
        case "refused" if _eased(step, plan):
            return replace(own, computed=f"before the steps ahead of it the API server refuses it: {said}")
        case "refused":
            message = f"the API server refuses it: {said}"
            return replace(own, objection=_no("dry-run-refused", step.id, message, wait=answer.status == 429))
        case _:
            after = seen_after(step.action, found.live, found.after, answer.body)
            places = _unexplained(found, calls[step.id], answer.body, looks=looks)
            return replace(own, after=after, more=tuple(places), stored=answer.body)


def _no(rule: str, step: str, message: str, *, wait: bool) -> Reason:
    fix = Fix(op="wait", text="submit it again when the API server takes it") if wait else None
    return Reason(rule=rule, step=step, message=escaped(" ".join(message.split()))[:500], fix=fix)


def _eased(step: contract.Step, plan: Plan) -> bool:
    ahead = plan.steps[: plan.steps.index(step)]
    spaces = {earlier.action.target.namespace for earlier in ahead if earlier.action.target.kind in _EASING}
    return step.action.target.namespace in spaces


def _unexplained(found: Examined, call: ApiCall, stored: Json, *, looks: Looks) -> list[tuple[str, ...]]:
    """What the API server would do beyond the step, without the labels and annotations that it sets at any write to this
    object: the stamps of webhooks. What else a webhook does at any write is for the policy to permit."""
    places = beyond(found.step.action, found.after, stored)
    stamps = [place for place in places if place[:2] in _STAMPED]
    if not stamps or call.method != "PATCH":
        return places
    try:
        idle = looks.send(idle_call(call))
    except ClusterUnavailable:
        return places
    always = set(beyond(found.step.action, found.live, idle.body)) if outcome_of(idle) == "done" else set()
    return [place for place in places if place not in stamps or place not in always]


def _judged_again(
    plan: Plan, tried: list[_Tried], decision: Decision, *, looks: Looks, history: History, desk: Desk
) -> tuple[list[Reason], Decision]:
    """The plan as the API server would carry it out, before the same policy; a yes to it may want more people."""
    steps = []
    for found in tried:
        step = found.examined.step
        try:
            steps.append(step.model_copy(update={"action": _effective(found)}) if found.more else step)
        except ValidationError:
            return [_more(found, "it cannot be said as a plan")], decision
    whole = Plan(**{name: getattr(plan, name) for name in Plan.model_fields if name != "steps"}, steps=tuple(steps))
    again = desk.judge.decide(whole, desk.facts.gather(whole, history, through=looks))
    if again.verdict == "deny":
        reason = again.reasons[0].message if again.reasons else "the policy gives no reason"
        return [_more(found, reason) for found in tried if found.more], decision
    if again.approvals is None or decision.approvals is None:
        return [], decision
    roles = tuple(role for role in again.approvals.roles if role in decision.approvals.roles) or again.approvals.roles
    wanted = again.approvals.model_copy(update={"roles": roles, "count": max(again.approvals.count, decision.approvals.count)})
    reasons = dict.fromkeys((*decision.reasons, *again.reasons))
    return [], decision.model_copy(update={"approvals": wanted, "reasons": tuple(reasons)})


def _more(found: _Tried, why: str) -> Reason:
    named = [joined(place) for place in found.more]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    where = f"{', '.join(named[:_MOST_NAMED])}{more}"
    message = f"the API server would do more than the plan says, at {where}; that is denied: {why}"
    return _no("more-than-planned", found.examined.step.id, message, wait=False)


def _effective(found: _Tried) -> contract.Action:
    """What the step comes to. Raises ValidationError where no action says it."""
    action, effect = found.examined.step.action, found.examined.effect
    live, stored = found.examined.live.target, found.stored
    if isinstance(action, contract.ScaleWorkload):
        return contract.ScaleWorkload.model_validate(
            {"target": action.target, "replicas": value_at(stored, ("spec", "replicas"))}
        )
    if isinstance(action, contract.CreateObject):
        manifest = {name: value_at(stored, (name,)) for name in action.manifest if name != "metadata"}
        metadata = {name: value_at(stored, ("metadata", name)) for name in ("name", "namespace", "labels", "annotations")}
        kept = {name: value for name, value in metadata.items() if value is not None}
        return contract.CreateObject.model_validate({"target": action.target, "manifest": {**manifest, "metadata": kept}})
    named = [parts(pointer) for pointer in effect.after] if isinstance(action, contract.ChangeFields) else []
    outside = [place for place in found.more if not any(place[: len(root)] == root for root in named)]
    changes = [
        contract.FieldChange.model_validate(
            {"path": joined(place), "before": value_at(live, place), "after": value_at(stored, place)}
        )
        for place in (*named, *outside)
    ]
    return contract.ChangeFields.model_validate({"target": action.target, "changes": tuple(changes)})


def _whose(tried: list[_Tried]) -> str:
    computed = [f"{found.examined.step.id} ({found.computed})" for found in tried if found.computed]
    if not computed:
        return WHOLE
    return escaped(f"of the API server's own dry run, but computed by the sidecar: {', '.join(computed)}")[:500]
