"""End a model's investigation: what of its answer stands becomes part of the diagnosis, and the rest is said. The offline answer
stands either way."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, cast

import orjson

from agent.domain.assessment import Assessment
from agent.domain.document import from_document, to_document
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.ports import Clock, RunStore
from agent.reasoning.model.case import Case, Investigator, known
from agent.reasoning.model.faithfulness import Believed, Known, Piece, believed
from agent.reasoning.model.inquiry import Inquiry, Look
from agent.reasoning.model.leash import Bill
from agent.reasoning.model.merging import merged
from agent.reasoning.model.proposal import Proposal
from agent.signals.masking import safe
from agent.stages.investigate import pieces_of
from sidecar.contract import Json

LONGEST_EXCERPT = 1500  # characters of a look that become evidence: what is quoted, and what stands around it
NOTHING = Believed(causes=(), refutes=(), summary="", inference=(), violations=())


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRemedy:
    """An action that the model wants against a cause, still a template; `cites` are evidence ids."""

    finding: str
    action: dict[str, Json]
    cites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the model would do: runbook remedies by id (`finding#candidate`) it would try first, and actions of its own."""

    preferred: tuple[str, ...] = ()
    own: tuple[OwnRemedy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    diagnosis: Diagnosis
    evidence: tuple[Evidence, ...]
    advice: Advice


async def settle(inquiry: Inquiry, case: Case, *, investigator: Investigator, store: RunStore) -> Settled:
    """The diagnosis with what is believed of the model's; as it was, but for the assessment, where no answer counts."""
    blob = await store.blob(inquiry.proposal) if inquiry.proposal else None
    proposal = Proposal.model_validate_json(blob) if blob else None
    pieces = await pieces_of(inquiry.looks, store)
    if proposal is None:
        lost = _assessment(investigator, "unavailable", inquiry.shortfall or "no-answer", inquiry.why, inquiry.bill, NOTHING)
        return Settled(diagnosis=replace(case.diagnosis, assessment=lost), evidence=(), advice=Advice())
    outcome: Literal["answered", "partial"] = "partial" if inquiry.shortfall else "answered"
    settled = await _settled(
        proposal, case, inquiry.looks, pieces, investigator, outcome, inquiry.shortfall, inquiry.why, inquiry.bill
    )
    if outcome == "answered" and inquiry.purpose == "diagnosis" and investigator.leash.cache_minutes:
        document = {
            "proposal": orjson.loads(blob or "{}"),
            "looks": [to_document(one) for one in inquiry.looks],
            "run": case.run,
        }
        await investigator.book.conclude(inquiry.fingerprint, orjson.dumps(document).decode())
    return settled


async def recall(remembered: str, case: Case, *, investigator: Investigator, store: RunStore, clock: Clock) -> Settled | None:
    """What was concluded of the same findings a while ago, held against the evidence again; None when nothing was."""
    minutes = investigator.leash.cache_minutes
    since = clock.now() - timedelta(minutes=minutes)
    found = await investigator.book.concluded(remembered, since) if minutes else None
    if found is None:
        return None
    document = orjson.loads(found)
    looks = [from_document(Look, cast(Json, one)) for one in document["looks"]]
    pieces = await pieces_of(looks, store)
    proposal = Proposal.model_validate(document["proposal"])
    settled = await _settled(proposal, case, looks, pieces, investigator, "answered", "", "", Bill())
    told = settled.diagnosis.assessment
    assert told is not None
    why = f"concluded of the same findings in run {document['run']}; the model was not asked again"
    return replace(settled, diagnosis=replace(settled.diagnosis, assessment=replace(told, cached=True, why=why)))


def _held(proposal: Proposal, case: Case, pieces: dict[str, Piece]) -> tuple[Known, Believed]:
    held = known(case, pieces)
    return held, believed(proposal, held)


async def _settled(
    proposal: Proposal,
    case: Case,
    looks: Sequence[Look],
    pieces: dict[str, Piece],
    investigator: Investigator,
    outcome: Literal["answered", "partial"],
    reason: str,
    why: str,
    bill: Bill,
) -> Settled:
    held, kept = await asyncio.to_thread(_held, proposal, case, pieces)
    name = safe(investigator.chat.name, limit=120)
    whole = merged(case.diagnosis, name, proposal.outcome, kept, held.pieces)
    told = _assessment(investigator, outcome, reason, why, bill, kept)
    told = replace(
        told,
        agrees=whole.agrees,
        disagreements=whole.disagreements,
        unknowns=tuple(safe(one, limit=400) for one in proposal.unknowns),
    )
    cited = [one for claim in kept.causes for one in claim.evidence] + [one for claim in kept.refutes for one in claim.evidence]
    quoted = {look: [one.words for one in cited if one.evidence == look] for look in pieces}
    evidence = tuple(_evidence(one, pieces[one.id], quoted[one.id]) for one in looks if quoted[one.id] and not one.missing)
    diagnosis = replace(whole.diagnosis, assessment=told)
    return Settled(diagnosis=diagnosis, evidence=evidence, advice=_advice(proposal, diagnosis))


def _advice(proposal: Proposal, diagnosis: Diagnosis) -> Advice:
    """Only against causes that stand in the diagnosis."""
    by_name = {cause.finding.cause: cause for cause in diagnosis.causes} | {cause.finding.id: cause for cause in diagnosis.causes}
    own = tuple(
        OwnRemedy(finding=by_name[one.cause].finding.id, action=one.action, cites=by_name[one.cause].evidence[:6])
        for one in proposal.own_actions
        if one.cause in by_name
    )
    return Advice(preferred=proposal.remedies, own=own)


def _assessment(
    investigator: Investigator,
    outcome: Literal["answered", "partial", "unavailable"],
    reason: str,
    why: str,
    bill: Bill,
    kept: Believed,
) -> Assessment:
    return Assessment(
        model=safe(investigator.chat.name, limit=120),
        outcome=outcome,
        reason=reason,
        why=safe(why, limit=400),
        said=safe(kept.summary, limit=3000),
        inference=(*(safe(one, limit=400) for one in kept.inference), *_numbers(kept)),
        dropped=tuple(safe(one, limit=400) for one in kept.violations),
        calls=bill.calls,
        tokens=bill.tokens,
        cost=round(bill.cost, 6),
        seconds=round(bill.seconds, 3),
    )


def _numbers(kept: Believed) -> tuple[str, ...]:
    """Numbers of its own are inference too: worked out, or made up."""
    return (safe(f"numbers of its own, which stand nowhere in what was read: {', '.join(kept.numbers)}"),) if kept.numbers else ()


def _evidence(one: Look, piece: Piece, quotes: Sequence[str]) -> Evidence:
    text = _excerpt(piece.text, quotes)
    return Evidence(id=one.id, source=one.source, about=one.about, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())


def _excerpt(text: str, quotes: Sequence[str]) -> str:
    """The lines that are quoted with one around them, whole quotes always; the whole text where it is short."""
    if len(text) <= LONGEST_EXCERPT:
        return text
    lines = text.splitlines()
    wanted: set[int] = set()
    for quote in quotes:
        first = " ".join(quote.split())[:60]
        for place, line in enumerate(lines):
            if first and (first in " ".join(line.split()) or (" ".join(line.split()) in first and len(line.strip()) > 20)):
                wanted.update(range(place - 1, place + quote.count("\n") + 2))
                break
    shown: list[str] = []
    for place in sorted(one for one in wanted if 0 <= one < len(lines)):
        if shown and place - 1 not in wanted:
            shown.append("...")
        shown.append(lines[place][:600])
    return "\n".join(shown) or text[:LONGEST_EXCERPT]
