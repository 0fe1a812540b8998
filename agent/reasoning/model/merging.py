"""The checks' diagnosis and what is believed of the model's, made one. The model may add and contest; it never takes away what
the checks saw clearly. Confidence is computed here, from evidence and agreement; no number of the model's is used. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.domain.finding import Diagnosis, Finding, Quote, RankedCause, RuledOut
from agent.domain.objects import Ref
from agent.reasoning.model.faithfulness import Believed, Piece
from agent.reasoning.model.proposal import CauseClaim, Cited, Refutation
from agent.signals.masking import safe

CLEAR = 0.6  # a cause of the checks that is at least so sure stands, whatever a model says
MOST_CAUSES = 3
FOR_AGREEMENT = 0.04
AGAINST_CONTESTED = 0.7  # factor
BY_MODEL, PER_SOURCE, PER_GAP, MOST_BY_MODEL = 0.35, 0.1, 0.03, 0.55  # always less sure than what a check sees clearly
SOURCES_AGAINST_HEALTHY = 2  # where the checks see no fault, one quote is not enough to call one
MARK = "As the model says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """`disagreements` name the evidence of both sides. `own` are the ids of findings that only the model made."""

    diagnosis: Diagnosis
    agrees: bool | None
    disagreements: tuple[str, ...]
    own: tuple[str, ...]


def merged(
    offline: Diagnosis, model: str, outcome: Literal["fault", "healthy", "unknown"], kept: Believed, pieces: Mapping[str, Piece]
) -> Merged:
    contested = {one.finding: one for one in kept.refutes}
    ids = {(cause.finding.cause, cause.finding.subject): cause.finding.id for cause in offline.causes}
    confirmed = {one.confirms or ids.get((one.cause, _ref(one)), ""): one for one in kept.causes}
    disagreements: list[str] = []
    clear, doubtful = list[RankedCause](), list[RankedCause]()
    for cause in offline.causes:
        judged, words = _judged(cause, confirmed.get(cause.finding.id), contested, outcome)
        disagreements += words
        (clear if is_clear(cause) or cause.finding.id in confirmed else doubtful).append(judged)
    ours = {cause.finding.id for cause in offline.causes}
    others = [one for one in kept.causes if one.confirms not in ours and (one.cause, _ref(one)) not in ids]
    beyond = [_made_by_model(one, offline, pieces) for one in others]
    if offline.outcome == "healthy" and beyond:
        strong = [one for one in beyond if len({pieces[name].source for name in one.evidence}) >= SOURCES_AGAINST_HEALTHY]
        disagreements += [f"the checks see no active fault; the model says {_claimed(one)}" for one in beyond]
        beyond = strong
    elif clear and beyond:
        disagreements += [f"beside {clear[0].finding.id} the model says {_claimed(one)}" for one in beyond]
    elif doubtful and beyond:
        disagreements += [f"{_held(doubtful[0])}; the model says {_claimed(one)}" for one in beyond]
    causes = tuple([*clear, *beyond, *doubtful][:MOST_CAUSES])
    left = [*clear, *beyond, *doubtful][MOST_CAUSES:]
    says_nothing = not kept.causes and not kept.refutes and outcome != "healthy"
    agrees = None if says_nothing else not disagreements
    return Merged(
        diagnosis=_diagnosis(offline, causes, left, [one.finding.id for one in beyond], model),
        agrees=agrees,
        disagreements=tuple(safe(one) for one in disagreements),
        own=tuple(one.finding.id for one in beyond),
    )


def is_clear(cause: RankedCause) -> bool:
    """What a model cannot talk away: active, no mere symptom, and sure enough by the evidence."""
    return cause.finding.state == "active" and not cause.finding.symptom_only and cause.confidence >= CLEAR


def _judged(
    cause: RankedCause, claim: CauseClaim | None, contested: Mapping[str, Refutation], outcome: str
) -> tuple[RankedCause, list[str]]:
    if claim is not None:
        fresh = [one.evidence for one in claim.evidence if one.evidence not in cause.evidence]
        cited = ", ".join(dict.fromkeys(one.evidence for one in claim.evidence))
        sure = min(0.97, max(cause.confidence, round(cause.confidence + (FOR_AGREEMENT if fresh else 0.0), 2)))
        because = (*cause.because, f"the model came to the same, and cites {cited}")
        return replace(cause, confidence=sure, because=because, evidence=tuple(dict.fromkeys((*cause.evidence, *fresh)))), []
    refutation = contested.get(cause.finding.id)
    cited = _cited(refutation)
    if refutation is None and outcome != "healthy":
        return cause, []
    said = "says that this is not so" if refutation is not None else "sees no fault at all"
    told = f"{_held(cause)}; the model {said}{f', and cites {cited}' if cited else ''}"
    if is_clear(cause):
        return cause, [f"{told}; what the checks saw stands"]
    if refutation is None:  # "all is well" cites nothing
        return cause, [told]
    because = (*cause.because, f"contested by the model, which cites {cited}")
    return replace(cause, confidence=max(0.05, round(cause.confidence * AGAINST_CONTESTED, 2)), because=because), [told]


def _made_by_model(claim: CauseClaim, offline: Diagnosis, pieces: Mapping[str, Piece]) -> RankedCause:
    """The words on it are ours and the cluster's; the model's own sentence is a reason, and marked."""
    subject = _ref(claim)
    quotes = tuple(
        Quote(source=pieces[one.evidence].source, about=subject, text=safe(one.words, limit=600)) for one in claim.evidence
    )
    sources = {pieces[one.evidence].source for one in claim.evidence}
    sure = BY_MODEL + PER_SOURCE * (len(sources) - 1) - PER_GAP * min(3, len(offline.missing))
    finding = Finding(
        cause=claim.cause,
        subject=subject,
        statement=safe(f"{MARK}: {claim.cause.replace('-', ' ')}, {subject}. It cites: {_quoted(claim.evidence)}", limit=600),
        quotes=quotes,
        by_model=True,
    )
    return RankedCause(
        finding=finding,
        because=(
            "no check of Lestrade names it; a model does",
            f"its quotes stand in {len(sources)} source{'' if len(sources) == 1 else 's'}",
            f"the model's own words: {safe(claim.statement, limit=400)}",
        ),
        confidence=round(max(0.05, min(MOST_BY_MODEL, sure)), 2),
        evidence=tuple(dict.fromkeys(one.evidence for one in claim.evidence)),
    )


def _diagnosis(
    offline: Diagnosis, causes: tuple[RankedCause, ...], left: Sequence[RankedCause], own: Sequence[str], model: str
) -> Diagnosis:
    ruled_out = (*offline.ruled_out, *(RuledOut(finding=one.finding, by="less likely than those named") for one in left))
    statement = offline.statement
    by_model = " ".join(one.finding.statement for one in causes if one.finding.id in own)
    if by_model:
        statement = f"{statement} {by_model}"
    return replace(
        offline,
        outcome="fault" if causes else offline.outcome,
        statement=safe(statement, limit=4000),
        causes=causes,
        ruled_out=ruled_out,
        reasoner=f"offline, model {model}",
    )


def _ref(claim: CauseClaim) -> Ref:
    return Ref(claim.subject.kind, claim.subject.namespace, claim.subject.name)


def _held(cause: RankedCause) -> str:
    cited = f" ({', '.join(cause.evidence[:4])})" if cause.evidence else ""
    return f"the checks name {cause.finding.id}{cited}"


def _claimed(cause: RankedCause) -> str:
    return f"{cause.finding.cause} of {cause.finding.subject} ({', '.join(cause.evidence[:4])})"


def _cited(refutation: Refutation | None) -> str:
    return ", ".join(dict.fromkeys(one.evidence for one in refutation.evidence)) if refutation is not None else ""


def _quoted(cited: Sequence[Cited]) -> str:
    return "; ".join(f'{one.evidence}: "{" ".join(one.words.split())[:140]}"' for one in cited[:2])
