"""From a cause to a plan: the runbook's remedies in order, without those already tried, and with the fixes that a denial named.
Must not judge the plan: that is the sidecar's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch
import orjson
from pydantic import ValidationError

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Incident
from agent.domain.outcome import Round
from agent.ports import Candidate, Observed, Runbooks
from agent.stages.settle import Advice
from agent.topology.kinds import is_kind, plain
from sidecar.contract import Cause, Citation, Decision, Fix, ObjectRef, Plan

# These ends say nothing about the remedy itself: it may be planned again from what is there now.
NOT_TRIED = ("target-changed", "void")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The next round, and the runbook page that it follows."""

    round: Round
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPlan:
    """No remedy is left, or none that a machine may perform; `humans` says what people have to do."""

    humans: tuple[str, ...] = ()
    page: str = ""


def propose(
    incident: Incident,
    diagnosis: Diagnosis,
    observed: Observed,
    rounds: Sequence[Round],
    *,
    runbooks: Runbooks,
    evidence: Sequence[Evidence],
    advice: Advice | None = None,
) -> Proposal | NoPlan:
    """The next round. `advice`: what a model would do; it may change the order, and add actions after the runbooks'. When the
    last plan was denied with fixes that can be applied, it is proposed again with them."""
    attempt = len(rounds) + 1
    if rounds and rounds[-1].end == "denied" and rounds[-1].decision is not None:
        fixed = _with_fixes(rounds[-1].plan, rounds[-1].decision, attempt)
        said = [(earlier.plan.steps, earlier.plan.basis) for earlier in rounds]
        if fixed is not None and (fixed.steps, fixed.basis) not in said:
            return Proposal(round=_again(rounds[-1], fixed, attempt), page="")
    tried = {earlier.remedy for earlier in rounds if earlier.end not in NOT_TRIED}
    humans: list[str] = []
    page = ""
    for cause in diagnosis.causes:
        for candidate in _candidates(cause, observed, runbooks, advice):
            page = page or candidate.page
            remedy = f"{cause.finding.id}#{candidate.id}"
            if remedy in tried:
                continue
            if not candidate.steps:
                humans.append(candidate.human or f"{cause.finding.statement}: a person has to decide what to do")
                continue
            plan = _plan(incident, cause, candidate, observed, evidence, attempt)
            by_model = plan.basis == "model"
            return Proposal(round=Round(attempt=attempt, plan=plan, remedy=remedy, rests_on_model=by_model), page=page)
    return NoPlan(humans=tuple(dict.fromkeys(humans)), page=page)


def _again(last: Round, fixed: Plan, attempt: int) -> Round:
    by_model = last.rests_on_model or fixed.basis == "model"
    return Round(attempt=attempt, plan=fixed, remedy=last.remedy, rests_on_model=by_model, note="as policy asked")


def _candidates(cause: RankedCause, observed: Observed, runbooks: Runbooks, advice: Advice | None) -> Iterator[Candidate]:
    """The runbooks' remedies, those first that a model would try first; then its own, which the contract's types have to let
    through, for what the cause is about only."""
    listed = list(runbooks.candidates(cause, observed))
    if advice is None:
        yield from listed
        return
    order = {remedy: place for place, remedy in enumerate(advice.preferred)}
    yield from sorted(listed, key=lambda one: order.get(f"{cause.finding.id}#{one.id}", len(order)))
    for own in advice.own:
        if own.finding == cause.finding.id:
            yield runbooks.proposed(cause, own.action, own.cites, observed)


def _plan(
    incident: Incident,
    cause: RankedCause,
    candidate: Candidate,
    observed: Observed,
    evidence: Sequence[Evidence],
    attempt: int,
) -> Plan:
    cited = [piece for piece in evidence if piece.id in cause.evidence and piece.sha256 and not piece.missing]
    return Plan(
        incident=incident.id,
        attempt=attempt,
        cluster=incident.cluster,
        requested_by=incident.asked_by,
        basis="model" if candidate.by_model or cause.finding.by_model else "checks",
        cause=Cause(slug=cause.finding.cause, subject=_subject(cause, candidate, observed)),
        hypothesis=cause.finding.statement[:2000],
        cited=tuple(Citation(id=piece.id, sha256=piece.sha256) for piece in cited[:100]),
        steps=candidate.steps,
        verification=candidate.verification,
    )


def _subject(cause: RankedCause, candidate: Candidate, observed: Observed) -> ObjectRef:
    """The live object that the finding names; one that is missing has no uid of its own, and says "new"."""
    ref = cause.finding.subject
    for step in candidate.steps:
        target = step.action.target
        if (target.kind, target.namespace, target.name) == (ref.kind, ref.namespace, ref.name):
            return target
    for found in observed.objects:
        metadata = found.get("metadata") or {}
        same = (metadata.get("namespace") or "", metadata.get("name")) == (ref.namespace, ref.name)
        if same and is_kind(ref.kind, str(found.get("kind")), str(found.get("apiVersion"))):
            return ObjectRef(
                api_version=found["apiVersion"], kind=found["kind"], namespace=ref.namespace, name=ref.name, uid=metadata["uid"]
            )
    api_version = candidate.steps[0].action.target.api_version if candidate.steps[0].action.target.kind == ref.kind else "v1"
    return ObjectRef(api_version=api_version, kind=plain(ref.kind), namespace=ref.namespace, name=ref.name, uid="new")


def _with_fixes(plan: Plan, decision: Decision, attempt: int) -> Plan | None:
    """The plan as the denial would let it pass, or None when no edit of the plan does."""
    fixes = [(reason.step, reason.fix) for reason in decision.reasons if reason.fix is not None]
    if any(fix.op in ("wait", "commit", "human") for _, fix in fixes):
        return None
    replaced = [fix for _, fix in fixes if fix.op == "replace" and (fix.path.startswith("/steps/") or _is_stricter(fix))]
    dropped = {step for step, fix in fixes if fix.op == "drop" and step}
    if not replaced and not dropped:
        return None
    try:
        return _edited(plan, replaced, dropped, attempt)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValidationError, KeyError, TypeError):
        return None  # the fix does not fit this plan: the next remedy is tried instead


def _is_stricter(fix: Fix) -> bool:
    """The plan is to say that it rests on a model, as an earlier one of this incident did."""
    return (fix.path, fix.value) == ("/basis", "model")


def _edited(plan: Plan, replaced: Sequence[Fix], dropped: set[str], attempt: int) -> Plan | None:
    # "add" of a field of an object replaces it, and makes the one that is left out where it is the usual one.
    edits = [{"op": "add" if _is_stricter(fix) else "replace", "path": fix.path, "value": fix.value} for fix in replaced]
    document: dict[str, Any] = jsonpatch.apply_patch(plan.document(), edits)
    steps = [step for step in document["steps"] if step["id"] not in dropped]
    if not steps:
        return None
    document["steps"] = [step | {"id": f"step-{number}"} for number, step in enumerate(steps, start=1)]
    document["attempt"] = attempt
    return Plan.model_validate_json(orjson.dumps(document))
