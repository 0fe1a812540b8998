"""What each stage takes of a run's state, what it leaves there, and where the run goes next. Knows nothing of langgraph.

Back edges, each counted: diagnose -> gather (the reasoner wants to see more), verify -> diagnose (it did not help, or not
everything), authorize -> propose (denied, with or without a fix), authorize/execute -> gather (the target is not what the
plan said).
"""

from datetime import datetime
from typing import Any, cast

from agent.domain.document import from_document, to_document
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.outcome import Round
from agent.errors import ClusterUnreachable, ReadRefused
from agent.inquest import Inquest, advice_in
from agent.ports import RunRow
from agent.sights import Sights
from agent.stages.ask import ask
from agent.stages.authorize import authorize
from agent.stages.conclude import conclude
from agent.stages.diagnose import diagnose, heeding, remembering
from agent.stages.execute import execute
from agent.stages.intake import intake
from agent.stages.propose import NoPlan, propose
from agent.stages.relate import reach
from agent.stages.returning import until_when
from agent.stages.telling import Tell, verdict, what
from agent.stages.verify import verify
from agent.state import Bounds, Means, State, diagnosis_in, rounds_in
from sidecar.contract import Json, Plan


class Course:
    """The stages of runs that one process works on, by name."""

    def __init__(self, means: Means, bounds: Bounds) -> None:
        self._means = means
        self._bounds = bounds
        self._sights = Sights(means, bounds)
        self._inquest = _inquest(means)

    def forget(self, run: str) -> None:
        """What was read for a run is not kept beyond it."""
        self._sights.drop(run)
        if self._inquest is not None:
            self._inquest.forget(run)

    # The stages, each between its part of the state and its part of the next. -----------------------------------------

    async def intake(self, state: State, row: RunRow, tell: Tell) -> State:
        await tell(what(row.incident))
        scope = await intake(row.incident, reader=self._means.reader, reasoner=self._means.reasoner)
        return {
            "namespaces": list(scope.namespaces),
            "gaps": [f"{gap.what}: {gap.why}" for gap in scope.gaps],
            "then": "gather",
        }

    async def gather(self, state: State, row: RunRow, tell: Tell) -> State:
        self._sights.drop(row.id)
        sight = await self._sights.of(state)
        seen = sight.observed
        await tell(
            f"read {len(seen.objects)} objects, {len(seen.logs)} logs, {len(sight.series)} metric series"
            + (f"; {len(seen.gaps)} could not be seen" if seen.gaps else ""),
            {"namespaces": list(state["namespaces"]), "gaps": [f"{gap.what}: {gap.why}" for gap in seen.gaps]},
        )
        return {"readings": state.get("readings", 0) + 1, "then": "diagnose"}

    async def diagnose(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        known = await means.store.evidence(row.id)
        found, fresh = await self._sights.diagnosed(state, row, known, tell)
        if not self._unread(state, found) and await self._sights.consulted(state, row, found, tell):
            found, fresh = await diagnose(row.incident, await self._sights.of(state), known, reasoner=means.reasoner)
        if any(entry["undo"] for entry in state["rounds"]):
            found = remembering(found, diagnosis_in(state))
        if (earlier := diagnosis_in(state)) is not None:
            found = heeding(found, earlier, acted=any(entry["lease"] for entry in state["rounds"]))
        await means.store.put_evidence(row.id, fresh)
        more = self._unread(state, found)
        if more:
            await tell(f"has to see more: {', '.join(more)}")
            return {"namespaces": [*state["namespaces"], *more], "then": "gather"}
        asked = await ask(row.incident, found, await self._sights.of(state), (*known, *fresh), runbooks=means.runbooks)
        await means.store.put_evidence(row.id, asked.fresh)
        await tell(found.statement, {"outcome": found.outcome, "causes": [cause.finding.id for cause in found.causes]})
        if row.incident.group_key and not state["rounds"]:  # later the newest change is our own
            await means.store.note_change(row.id, reach(found))
        update: State = {"latest": found.outcome}
        if asked.page and not state["rounds"]:
            update |= {"page": asked.page, "humans": [asked.look]}
        # Once something was done, a cluster without fault is the news; the report is about the diagnosis that was acted on.
        if found.outcome == "fault" or not any(entry["lease"] for entry in state["rounds"]):
            update["diagnosis"] = cast("dict[str, Any]", to_document(found))
        if "diagnosis" in update and self._inquest is not None and self._inquest.is_wanted(state, found.outcome):
            return {**update, "then": "investigate"}
        return {**update, "then": "propose" if found.outcome == "fault" else "conclude"}

    def _unread(self, state: State, found: Diagnosis) -> list[str]:
        """Namespaces that the diagnosis still wants to see, as long as it may."""
        more = [name for name in (want.removeprefix("ns:") for want in found.wants) if name not in state["namespaces"]]
        return more if state.get("readings", 0) < self._bounds.readings else []

    async def investigate(self, state: State, row: RunRow, tell: Tell) -> State:
        if self._inquest is None:  # begun by a process that had a model; this one has none
            return {"then": "propose" if state.get("latest") == "fault" else "conclude"}
        return cast(State, await self._inquest.investigate(state, row, await self._sights.of(state), tell))

    async def look(self, state: State, row: RunRow, tell: Tell) -> State:
        if self._inquest is None:
            return {"then": "investigate"}
        return cast(State, await self._inquest.look(state, row, await self._sights.of(state), tell))

    def without_model(self, state: State, why: str) -> State:
        """The run goes on with what the checks found."""
        update = cast(State, self._inquest.broken(state, why)) if self._inquest is not None else State()
        return {**update, "then": "propose" if state.get("latest") == "fault" else "conclude"}

    async def propose(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        rounds = rounds_in(state)
        if len(rounds) >= self._bounds.rounds + self._bounds.replans:
            return {"then": "conclude"}
        if rounds and rounds[-1].end is None:  # a crash after the plan was stored: that plan stands
            return {"then": "authorize"}
        found = from_document(Diagnosis, cast(Json, state["diagnosis"]))
        may_act = means.governance is not None and not row.incident.look_only
        first = await means.store.same_cause(row.id, found.causes[0].finding.id) if may_act and not rounds else ""
        if first:
            await tell(f"run {first} works on the same cause: nothing is proposed twice", {"run": first})
            return {"same_as": first, "then": "conclude"}
        evidence = await means.store.evidence(row.id)
        sight = await self._sights.of(state)
        advice = advice_in(state)
        proposal = propose(row.incident, found, sight.observed, rounds, runbooks=means.runbooks, evidence=evidence, advice=advice)
        if isinstance(proposal, NoPlan):
            if self._inquest is not None and self._inquest.is_wanted(state, "fault"):
                return {"humans": list(proposal.humans), "then": "investigate"}
            await tell("no remedy is left that a machine may perform" if rounds else "no remedy that a machine may perform")
            return {"humans": list(proposal.humans), "page": proposal.page or state.get("page", ""), "then": "conclude"}
        plan, page = proposal.round.plan, proposal.page or state.get("page", "")
        words = "; ".join(f"{step.action.kind} {step.action.target}" for step in plan.steps)
        if means.governance is None or row.incident.look_only:
            return {"suggestion": plan.document(), "page": page, "then": "conclude"}
        await tell(
            f"plan {plan.attempt}: {words}",
            {"plan": plan.digest, "attempt": plan.attempt, "steps": [step.why for step in plan.steps]},
        )
        return {
            "rounds": [*state["rounds"], cast("dict[str, Any]", to_document(proposal.round))],
            "page": page,
            "then": "authorize",
        }

    async def authorize(self, state: State, row: RunRow, tell: Tell) -> State:
        means, bounds = self._means, self._bounds
        assert means.governance is not None
        judged = await authorize(
            rounds_in(state)[-1],
            governance=means.governance,
            clock=means.clock,
            wait_seconds=bounds.approval_wait_seconds,
            tell=tell,
        )
        await tell(verdict(judged), {"plan": judged.plan.digest, "end": judged.end})
        update = _with_round(state, judged)
        match judged.end:
            case None:
                return {**update, "then": "execute"}
            case "denied" | "failed":
                return {**update, "then": "propose"}
            case "target-changed" | "void":
                return {**update, **self._again(state)}
            case _:
                return {**update, "then": "conclude"}

    async def execute(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        assert means.governance is not None
        done = await execute(rounds_in(state)[-1], governance=means.governance, tell=tell)
        self._sights.drop(row.id)
        update = _with_round(state, done)
        match done.end:
            case None:
                return {**update, "performed_at": (await self._now()).isoformat(), "then": "verify"}
            case "target-changed" | "void":
                return {**update, **self._again(state)}
            case "unavailable":
                return {**update, "then": "conclude"}
            case _:
                return {**update, "then": "diagnose" if self._may_go_on(state) else "conclude"}

    async def verify(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        assert means.governance is not None
        round_ = rounds_in(state)[-1]
        await tell("looking whether it helps: " + "; ".join(check.description for check in round_.plan.verification))
        ended = await verify(
            round_,
            datetime.fromisoformat(state["performed_at"]),
            reader=means.reader,
            metrics=means.metrics,
            runbooks=means.runbooks,
            governance=means.governance,
            clock=means.clock,
            pause_seconds=self._bounds.poll_seconds,
            tell=tell,
        )
        self._sights.drop(row.id)
        update = _with_round(state, ended)
        update["back_by"] = until_when(ended, await self._now()).isoformat() if ended.undo else ""
        causes = (state.get("diagnosis") or {}).get("causes", [])
        if ended.end == "helped":
            done = [cause for cause in causes if _is_of(ended, cause)]
            # What was seen before the repair says nothing of the cluster after it.
            update = {**update, "mended": [*state.get("mended", []), *done], "latest": ""}
        more_to_do = (ended.end == "helped" and len(causes) > 1) or ended.end == "did-not-help"
        return {**update, "then": "diagnose" if more_to_do and self._may_go_on(state) else "conclude"}

    async def conclude(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        report = await conclude(
            row,
            diagnosis_in(state),
            rounds_in(state),
            latest=state.get("latest", ""),
            mended=[from_document(RankedCause, cast(Json, entry)) for entry in state.get("mended", [])],
            humans=state.get("humans", []),
            suggestion=from_document(Plan, cast(Json, state["suggestion"])) if state.get("suggestion") else None,
            page=state.get("page", ""),
            gaps=state.get("gaps", []),
            failure=state.get("failure", ""),
            same_as=state.get("same_as", ""),
            namespaces=state.get("namespaces", []),
            reader=means.reader,
            metrics=means.metrics,
            metrics_minutes=self._bounds.limits.metrics_minutes,
            governance=None if row.incident.look_only else means.governance,
            store=means.store,
            clock=means.clock,
        )
        await tell(report.headline, {"outcome": report.outcome})
        body = cast("dict[str, Json]", to_document(report))
        await means.store.finish(row.id, report.outcome, report.headline, body)
        return {"rounds": [cast("dict[str, Any]", to_document(entry)) for entry in report.rounds], "then": "conclude"}

    async def _now(self) -> datetime:
        """The cluster's time, or ours: that something was performed must not be forgotten because nothing answers now."""
        try:
            return await self._means.reader.now()
        except (ClusterUnreachable, ReadRefused):
            return self._means.clock.now()

    def _again(self, state: State) -> State:
        replans = state.get("replans", 0) + 1
        return {"replans": replans, "readings": 0, "then": "gather" if replans <= self._bounds.replans else "conclude"}

    def _may_go_on(self, state: State) -> bool:
        return sum(entry["lease"] is not None for entry in state["rounds"]) < self._bounds.rounds


def _is_of(round_: Round, cause: dict[str, Any]) -> bool:
    """Whether the round was about this cause: remedies are named `<finding>#<candidate>`."""
    return round_.remedy.startswith(f"{from_document(RankedCause, cast(Json, cause)).finding.id}#")


def _with_round(state: State, latest: Round) -> State:
    return {"rounds": [*state["rounds"][:-1], cast("dict[str, Any]", to_document(latest))]}


def _inquest(means: Means) -> Inquest | None:
    if means.investigator is None:
        return None
    return Inquest(means.investigator, store=means.store, runbooks=means.runbooks, clock=means.clock)
