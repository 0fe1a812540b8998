"""The order of the stages, and what is kept between them. The only user of langgraph.

State is plain JSON and ids. Node names are stable: a checkpoint names the next one. Every node may run again after a crash:
what must not happen twice is asked of the sidecar by digest, lease and step, and the plan is in the state before it is sent.

Back edges, each counted: diagnose -> gather (the reasoner wants to see more), verify -> diagnose (it did not help),
authorize -> propose (denied, with or without a fix), authorize/execute -> gather (the target is not what the plan said).
"""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypedDict, cast

# Only plain JSON comes back out of a checkpoint; langgraph reads this when it is imported.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from agent.domain.document import from_document, to_document
from agent.domain.finding import Diagnosis
from agent.domain.outcome import Round
from agent.errors import LestradeError, StoreUnavailable
from agent.ports import Clock, ClusterReader, EventLog, Governance, Metrics, Reasoner, Runbooks, RunRow, RunStore
from agent.stages.authorize import authorize
from agent.stages.conclude import conclude
from agent.stages.diagnose import diagnose, remembering
from agent.stages.execute import execute
from agent.stages.gather import Limits, Sight, gather
from agent.stages.intake import intake
from agent.stages.propose import NoPlan, propose
from agent.stages.telling import Tell, verdict, what
from agent.stages.verify import verify
from sidecar.contract import Json, Plan

GRAPH_VERSION = 1
NODES = ("intake", "gather", "diagnose", "propose", "authorize", "execute", "verify", "conclude")
RECURSION_LIMIT = 150  # above what the counters below allow; langgraph's own default is 10,007

logger = logging.getLogger(__name__)


class State(TypedDict, total=False):
    """What a run knows between two stages. `then` is the node to go to; documents are those of agent.domain."""

    version: int
    run: str
    namespaces: list[str]
    readings: int
    replans: int
    diagnosis: dict[str, Any] | None
    latest: str
    rounds: list[dict[str, Any]]
    performed_at: str
    humans: list[str]
    page: str
    suggestion: dict[str, Any]
    gaps: list[str]
    failure: str
    then: str


class Stage(Protocol):
    """A node as langgraph takes it; the parameter's name is part of that."""

    def __call__(self, state: State) -> Awaitable[State]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How often a back edge may be taken in one run, and how patient a run is."""

    readings: int = 3
    rounds: int = 5
    replans: int = 4
    poll_seconds: float = 2.0
    approval_wait_seconds: int = 20
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a run works with. `governance` None: nothing may be changed, diagnosis only."""

    reader: ClusterReader
    metrics: Metrics | None
    reasoner: Reasoner
    runbooks: Runbooks
    governance: Governance | None
    store: RunStore
    events: EventLog
    clock: Clock


class Investigation:
    """Runs, one at a time each, resumable. `run` returns when the run is finished."""

    def __init__(self, means: Means, checkpoints: BaseCheckpointSaver[str], *, bounds: Bounds | None = None) -> None:
        self._means = means
        self._bounds = bounds or Bounds()
        self._sights: dict[str, Sight] = {}
        self._graph = self._compiled(checkpoints)

    async def run(self, row: RunRow) -> None:
        """Start the run, or go on where its last checkpoint stands. Raises StoreUnavailable."""
        config: RunnableConfig = {"configurable": {"thread_id": row.id}, "recursion_limit": RECURSION_LIMIT}
        try:
            kept = await self._graph.aget_state(config)
            beginning: State | None = None
            if not kept.values:
                beginning = {"version": GRAPH_VERSION, "run": row.id, "rounds": [], "readings": 0, "replans": 0}
            elif kept.values.get("version") != GRAPH_VERSION or not kept.next or kept.next[0] not in NODES:
                # Resuming such a thread would silently do nothing, or something else.
                await self._abandon(row, "its checkpoint is of another version of Lestrade")
                return
            else:
                await self._means.events.append(row.id, kept.next[0], "going on after a restart")
            await self._graph.ainvoke(beginning, config, durability="sync")
        finally:
            self._sights.pop(row.id, None)

    def _compiled(self, checkpoints: BaseCheckpointSaver[str]) -> Any:
        builder = StateGraph(State)
        stages = (
            self._intake,
            self._gather,
            self._diagnose,
            self._propose,
            self._authorize,
            self._execute,
            self._verify,
            self._conclude,
        )
        for name, work in zip(NODES, stages, strict=True):
            builder.add_node(name, self._node(name, work))
        builder.add_edge(START, "intake")
        for name in NODES[:-1]:
            builder.add_conditional_edges(name, _then, list(NODES))
        builder.add_edge("conclude", END)
        return builder.compile(checkpointer=checkpoints)

    def _node(self, name: str, work: Callable[[State, RunRow, Tell], Awaitable[State]]) -> Stage:

        async def node(state: State) -> State:
            row = await self._means.store.row(state["run"])
            if row is None:
                raise StoreUnavailable(f"run {state['run']} is not in the store")
            try:
                return await work(state, row, self._tell(state["run"], name))
            except StoreUnavailable:
                raise  # what cannot be recorded is not gone on with; the run stays unfinished and is taken up again
            except LestradeError as exc:
                failure = str(exc)
            except Exception as exc:
                logger.exception("stage %s of %s broke", name, state["run"])
                failure = f"stage {name} broke ({type(exc).__name__}); see the log"
            if name == "conclude":
                await self._abandon(row, failure)
                return {"then": "conclude"}
            await self._means.events.append(state["run"], name, failure)
            return {"failure": failure, "then": "conclude"}

        return node

    def _tell(self, run: str, stage: str) -> Tell:
        async def tell(text: str, data: Mapping[str, Json] | None = None, /) -> None:
            await self._means.events.append(run, stage, text, data)

        return tell

    async def _abandon(self, row: RunRow, why: str) -> None:
        await self._means.events.append(row.id, "conclude", f"the run broke: {why}")
        await self._means.store.finish(row.id, "failed", f"The run broke: {why}", {})

    async def _sight(self, state: State) -> Sight:
        """What was read last; read again where it was dropped, after a restart or because the cluster was changed."""
        found = self._sights.get(state["run"])
        if found is None:
            means = self._means
            found = await gather(state["namespaces"], reader=means.reader, metrics=means.metrics, limits=self._bounds.limits)
            self._sights[state["run"]] = found
        return found

    # The stages, each between its part of the state and its part of the next. -----------------------------------------

    async def _intake(self, state: State, row: RunRow, tell: Tell) -> State:
        await tell(what(row.incident))
        scope = await intake(row.incident, reader=self._means.reader, reasoner=self._means.reasoner)
        return {
            "namespaces": list(scope.namespaces),
            "gaps": [f"{gap.what}: {gap.why}" for gap in scope.gaps],
            "then": "gather",
        }

    async def _gather(self, state: State, row: RunRow, tell: Tell) -> State:
        self._sights.pop(row.id, None)
        sight = await self._sight(state)
        seen = sight.observed
        await tell(
            f"read {len(seen.objects)} objects, {len(seen.logs)} logs, {len(sight.series)} metric series"
            + (f"; {len(seen.gaps)} could not be seen" if seen.gaps else ""),
            {"namespaces": list(state["namespaces"]), "gaps": [f"{gap.what}: {gap.why}" for gap in seen.gaps]},
        )
        return {"readings": state.get("readings", 0) + 1, "then": "diagnose"}

    async def _diagnose(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        sight = await self._sight(state)
        known = await means.store.evidence(row.id)
        found, fresh = await diagnose(row.incident, sight, known, reasoner=means.reasoner)
        if any(entry["undo"] for entry in state["rounds"]):
            found = remembering(found, _diagnosis(state))
        await means.store.put_evidence(row.id, fresh)
        more = [name for name in (want.removeprefix("ns:") for want in found.wants) if name not in state["namespaces"]]
        if more and state.get("readings", 0) < self._bounds.readings:
            await tell(f"has to see more: {', '.join(more)}")
            return {"namespaces": [*state["namespaces"], *more], "then": "gather"}
        await tell(found.statement, {"outcome": found.outcome, "causes": [cause.finding.id for cause in found.causes]})
        update: State = {"latest": found.outcome}
        # Once something was done, a cluster without fault is the news; the report is about the diagnosis that was acted on.
        if found.outcome == "fault" or not any(entry["lease"] for entry in state["rounds"]):
            update["diagnosis"] = cast("dict[str, Any]", to_document(found))
        return {**update, "then": "propose" if found.outcome == "fault" else "conclude"}

    async def _propose(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        rounds = _rounds(state)
        if len(rounds) >= self._bounds.rounds + self._bounds.replans:
            return {"then": "conclude"}
        if rounds and rounds[-1].end is None:  # a crash after the plan was stored: that plan stands
            return {"then": "authorize"}
        found = from_document(Diagnosis, cast(Json, state["diagnosis"]))
        evidence = await means.store.evidence(row.id)
        sight = await self._sight(state)
        proposal = propose(row.incident, found, sight.observed, rounds, runbooks=means.runbooks, evidence=evidence)
        if isinstance(proposal, NoPlan):
            await tell("no remedy is left that a machine may perform" if rounds else "no remedy that a machine may perform")
            return {"humans": list(proposal.humans), "page": proposal.page or state.get("page", ""), "then": "conclude"}
        plan, page = proposal.round.plan, proposal.page or state.get("page", "")
        words = "; ".join(f"{step.action.kind} {step.action.target}" for step in plan.steps)
        if means.governance is None:
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

    async def _authorize(self, state: State, row: RunRow, tell: Tell) -> State:
        means, bounds = self._means, self._bounds
        assert means.governance is not None
        judged = await authorize(
            _rounds(state)[-1],
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

    async def _execute(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        assert means.governance is not None
        done = await execute(_rounds(state)[-1], governance=means.governance, tell=tell)
        self._sights.pop(row.id, None)
        update = _with_round(state, done)
        match done.end:
            case None:
                return {**update, "performed_at": (await means.reader.now()).isoformat(), "then": "verify"}
            case "target-changed" | "void":
                return {**update, **self._again(state)}
            case "unavailable":
                return {**update, "then": "conclude"}
            case _:
                return {**update, "then": "diagnose" if self._may_go_on(state) else "conclude"}

    async def _verify(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        assert means.governance is not None
        round_ = _rounds(state)[-1]
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
        self._sights.pop(row.id, None)
        update = _with_round(state, ended)
        causes = (state.get("diagnosis") or {}).get("causes", [])
        more_to_do = (ended.end == "helped" and len(causes) > 1) or ended.end == "did-not-help"
        return {**update, "then": "diagnose" if more_to_do and self._may_go_on(state) else "conclude"}

    async def _conclude(self, state: State, row: RunRow, tell: Tell) -> State:
        means = self._means
        report = await conclude(
            row,
            _diagnosis(state),
            _rounds(state),
            latest=state.get("latest", ""),
            humans=state.get("humans", []),
            suggestion=from_document(Plan, cast(Json, state["suggestion"])) if state.get("suggestion") else None,
            page=state.get("page", ""),
            gaps=state.get("gaps", []),
            failure=state.get("failure", ""),
            namespaces=state.get("namespaces", []),
            reader=means.reader,
            metrics=means.metrics,
            metrics_minutes=self._bounds.limits.metrics_minutes,
            governance=means.governance,
            store=means.store,
            clock=means.clock,
        )
        await tell(report.headline, {"outcome": report.outcome})
        body = cast("dict[str, Json]", to_document(report))
        await means.store.finish(row.id, report.outcome, report.headline, body)
        return {"rounds": [cast("dict[str, Any]", to_document(entry)) for entry in report.rounds], "then": "conclude"}

    def _again(self, state: State) -> State:
        replans = state.get("replans", 0) + 1
        return {"replans": replans, "readings": 0, "then": "gather" if replans <= self._bounds.replans else "conclude"}

    def _may_go_on(self, state: State) -> bool:
        return sum(entry["lease"] is not None for entry in state["rounds"]) < self._bounds.rounds


@asynccontextmanager
async def checkpoints(path: Path) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """The saver on the file that also holds the runs. Raises StoreUnavailable."""
    try:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            await saver.conn.execute("PRAGMA busy_timeout=10000")
            await saver.setup()
            yield saver
    except aiosqlite.Error as exc:
        raise StoreUnavailable(f"checkpoints cannot be kept in {path}: {exc}") from exc


def _then(state: State) -> str:
    return state["then"]


def _diagnosis(state: State) -> Diagnosis | None:
    document = state.get("diagnosis")
    return from_document(Diagnosis, cast(Json, document)) if document else None


def _rounds(state: State) -> list[Round]:
    return [from_document(Round, cast(Json, entry)) for entry in state.get("rounds", [])]


def _with_round(state: State, latest: Round) -> State:
    return {"rounds": [*state["rounds"][:-1], cast("dict[str, Any]", to_document(latest))]}
