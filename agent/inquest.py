"""The model's part of a run's course: begun after the checks, turn by turn, ended before a plan is made. No langgraph here.

What stands between two turns is plain data in the run's state (`inquest`, `advice`); a run without a model never comes here.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agent.domain.assessment import Assessment
from agent.domain.document import from_document, to_document
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.outcome import Round
from agent.ports import Clock, Runbooks, RunRow, RunStore
from agent.ports.toolset import View
from agent.reasoning.model.case import Case, Investigator, fingerprint
from agent.reasoning.model.inquiry import Inquiry
from agent.reasoning.model.leash import Bill
from agent.stages.gather import Sight
from agent.stages.investigate import begin, investigate
from agent.stages.look import look
from agent.stages.settle import Advice, Settled, recall, settle
from agent.stages.telling import Tell
from sidecar.contract import Json

MOST_INQUIRIES = 3  # of one run: the first, and after plans that did not come to pass
OPEN_TO_DOUBT = ("fault", "healthy", "unknown")
NOT_DONE = ("did-not-help", "failed", "denied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """`inquiry` None: none is going on. `looks` counts those of the whole run, so that an id means one thing."""

    inquiry: Inquiry | None = None
    bill: Bill = field(default_factory=Bill)
    looks: int = 0
    inquiries: int = 0


class Inquest:
    def __init__(self, investigator: Investigator, *, store: RunStore, runbooks: Runbooks, clock: Clock) -> None:
        self._investigator = investigator
        self._store = store
        self._runbooks = runbooks
        self._clock = clock
        self._views: dict[str, View] = {}  # of runs that go on: what was worked out of a view is worked out once

    def forget(self, run: str) -> None:
        self._views.pop(run, None)

    def is_wanted(self, state: Mapping[str, Any], outcome: str) -> bool:
        """At first, and again after a plan that was denied, failed or did not help; three times at most."""
        rounds = state.get("rounds") or []
        began = _memo(state).inquiries
        if outcome not in OPEN_TO_DOUBT or began >= MOST_INQUIRIES:
            return False
        return began == 0 if not rounds else outcome == "fault" and rounds[-1].get("end") in NOT_DONE

    async def investigate(self, state: Mapping[str, Any], row: RunRow, sight: Sight, tell: Tell) -> dict[str, Any]:
        memo = _memo(state)
        case = await self._case(state, row, sight)
        if memo.inquiry is None:
            recalled = await self._recalled(case, tell)
            if recalled is not None:
                memo = replace(memo, looks=max(memo.looks, *map(_number, recalled.evidence), 0), inquiries=memo.inquiries + 1)
                return await self._ended(memo, case, recalled, tell)
            await tell(f"the model {self._investigator.chat.name} looks into it")
            begun = await begin(case, self._investigator, store=self._store, bill=memo.bill, first_look=memo.looks + 1)
            memo = replace(memo, inquiry=begun, inquiries=memo.inquiries + 1)
            return {"inquest": _document(memo), "then": "investigate"}  # kept before anything is paid for
        turned = await investigate(
            memo.inquiry, case, investigator=self._investigator, store=self._store, clock=self._clock, tell=tell
        )
        memo = replace(memo, inquiry=turned.inquiry, bill=turned.inquiry.bill)
        if turned.then != "settle":
            return {"inquest": _document(memo), "then": turned.then}
        settled = await settle(turned.inquiry, case, investigator=self._investigator, store=self._store)
        memo = replace(memo, inquiry=None, looks=memo.looks + len(turned.inquiry.looks))
        return await self._ended(memo, case, settled, tell)

    async def look(self, state: Mapping[str, Any], row: RunRow, sight: Sight, tell: Tell) -> dict[str, Any]:
        memo = _memo(state)
        if memo.inquiry is None:
            return {"then": "investigate"}
        case = await self._case(state, row, sight)
        seen = await look(memo.inquiry, case, investigator=self._investigator, store=self._store, clock=self._clock, tell=tell)
        return {"inquest": _document(replace(memo, inquiry=seen, bill=seen.bill)), "then": "investigate"}

    def broken(self, state: Mapping[str, Any], why: str) -> dict[str, Any]:
        """After an error of ours: the diagnosis as the checks made it, with the reason, and no further inquiry."""
        memo = replace(_memo(state), inquiry=None, inquiries=MOST_INQUIRIES)
        diagnosis = from_document(Diagnosis, cast(Json, state["diagnosis"]))
        told = Assessment(
            model=self._investigator.chat.name,
            outcome="unavailable",
            reason="unusable",
            why=why,
            calls=memo.bill.calls,
            tokens=memo.bill.tokens,
            cost=round(memo.bill.cost, 6),
            seconds=round(memo.bill.seconds, 3),
        )
        return {"inquest": _document(memo), "diagnosis": to_document(replace(diagnosis, assessment=told))}

    async def _recalled(self, case: Case, tell: Tell) -> Settled | None:
        if case.rounds:
            return None
        remembered = fingerprint(case, self._investigator.chat.name)
        found = await recall(remembered, case, investigator=self._investigator, store=self._store, clock=self._clock)
        if found is not None:
            await tell("the model concluded of the same findings before: that is used again")
        return found

    async def _ended(self, memo: Memo, case: Case, settled: Settled, tell: Tell) -> dict[str, Any]:
        await self._store.put_evidence(case.run, settled.evidence)
        told = settled.diagnosis.assessment
        if told is not None and told.outcome == "unavailable":
            await tell(f"the model gave no answer that counts, the checks' answer stands: {told.why or told.reason}")
        elif told is not None:
            agreement = {True: "it agrees with the checks", False: "it differs from the checks", None: "it cannot tell"}
            dropped = f"; {len(told.dropped)} claims dropped" if told.dropped else ""
            await tell(f"the model concluded: {agreement[told.agrees]}{dropped}", {"said": told.said, "calls": told.calls})
        diagnosis = settled.diagnosis if not case.rounds else _as_before(case.diagnosis, settled.diagnosis)
        return {
            "inquest": _document(memo),
            "diagnosis": cast("dict[str, Any]", to_document(diagnosis)),
            "advice": cast("dict[str, Any]", to_document(settled.advice)),
            "latest": diagnosis.outcome,
            "then": "propose" if diagnosis.outcome == "fault" else "conclude",
        }

    async def _case(self, state: Mapping[str, Any], row: RunRow, sight: Sight) -> Case:
        diagnosis = from_document(Diagnosis, cast(Json, state["diagnosis"]))
        view = self._view(row.id, sight, tuple(state.get("namespaces", ())))
        return Case(
            run=row.id,
            incident=row.incident,
            diagnosis=diagnosis,
            evidence=await self._store.evidence(row.id),
            view=view,
            rounds=tuple(from_document(Round, cast(Json, one)) for one in state.get("rounds", ())),
            remedies=await asyncio.to_thread(self._remedies, diagnosis, view) if _memo(state).inquiry is None else (),
        )

    def _view(self, run: str, sight: Sight, namespaces: tuple[str, ...]) -> View:
        known = self._views.get(run)
        if known is None or known.observed is not sight.observed:
            known = View(observed=sight.observed, series=sight.series, window=sight.window, namespaces=namespaces)
            self._views[run] = known
        return known

    def _remedies(self, diagnosis: Diagnosis, view: View) -> list[str]:
        told = []
        for cause in diagnosis.causes:
            for candidate in self._runbooks.candidates(cause, view.observed):
                does = "; ".join(f"{step.action.kind} {step.action.target}" for step in candidate.steps)
                told.append(f"{cause.finding.id}#{candidate.id}: {does or f'a person: {candidate.human}'}")
        return told


def advice_in(state: Mapping[str, Any]) -> Advice | None:
    document = state.get("advice")
    return from_document(Advice, cast(Json, document)) if document else None


def _as_before(before: Diagnosis, after: Diagnosis) -> Diagnosis:
    """Asked for another plan, the model's word on the cause is heard, and what it said the first time is not lost."""
    first, then = before.assessment, after.assessment
    if first is None or then is None or then.said:
        return after
    return replace(after, assessment=replace(then, said=first.said, inference=first.inference, disagreements=first.disagreements))


def _number(look: Evidence) -> int:
    """What is recalled brings ids of its own along; those of later looks come after them."""
    found = look.id.removeprefix("look-")
    return int(found) if found.isdecimal() else 0


def _memo(state: Mapping[str, Any]) -> Memo:
    document = state.get("inquest")
    return from_document(Memo, cast(Json, document)) if document else Memo()


def _document(memo: Memo) -> dict[str, Any]:
    return cast("dict[str, Any]", to_document(memo))
