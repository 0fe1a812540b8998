"""The stages as a graph whose state outlives the process; where to go next is the course's.

Node names are stable: a checkpoint names the next one. Every node may run again after a crash, and only ever one is at work.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from agent.course import Course
from agent.errors import ClusterUnreachable, LestradeError, RunGivenUp, StoreUnavailable
from agent.graph.keeping import kept_or_unavailable
from agent.ports import RunRow
from agent.ports.cluster import READING_FOR
from agent.ports.tracing import span
from agent.stages.telling import Tell
from agent.state import Bounds, Means, Progress, State, progress_of
from sidecar.contract import Json

GRAPH_VERSION = 1
NODES = ("intake", "gather", "diagnose", "propose", "authorize", "execute", "verify", "conclude")
OF_A_MODEL = ("investigate", "look")  # only where a model is asked; what breaks there costs its word and not the run
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # between two looks whether the cluster is back
MOST_DEATHS = 3  # of processes, in a row and at the same step: then it is the run that kills them
NO_STEP = -2  # before the first checkpoint, which is numbered -1
RECURSION_LIMIT = 600  # above what the counters below allow; langgraph's own default is 10,007

logger = logging.getLogger(__name__)


class Stage(Protocol):
    """What a stage comes to in any case: its part of the next state."""

    def __call__(self, state: State) -> Awaitable[State]: ...


class Node(Protocol):
    """A node as langgraph takes it; the parameter's name is part of that."""

    def __call__(self, state: State) -> Awaitable[Command[str]]: ...


class Investigation:
    """Runs, one at a time each, resumable. `run` returns when the run is finished."""

    def __init__(self, means: Means, checkpoints: BaseCheckpointSaver[str], *, bounds: Bounds | None = None) -> None:
        self._means = means
        self._bounds = bounds or Bounds()
        self._course = Course(means, self._bounds)
        self._rows: dict[str, RunRow] = {}
        self._deadly: dict[str, str] = {}  # runs that go no further than to their report, and why
        self._graph = self._compiled(checkpoints)

    @property
    def means(self) -> Means:
        """What runs work with, for whoever only looks."""
        return self._means

    async def progress(self, run: str) -> Progress:
        """How far an unfinished run is, as its last checkpoint has it. Raises StoreUnavailable."""
        config: RunnableConfig = {"configurable": {"thread_id": run}}
        with kept_or_unavailable(run):
            return progress_of((await self._graph.aget_state(config)).values)

    async def run(self, row: RunRow) -> None:
        """Start the run, or go on where its last checkpoint stands. Raises StoreUnavailable."""
        config: RunnableConfig = {"configurable": {"thread_id": row.id}, "recursion_limit": RECURSION_LIMIT}
        READING_FOR.set(row.incident.id)
        self._rows[row.id] = row  # what a run is about does not change while it goes on
        try:
            about = {"incident": row.incident.id, "cluster": row.incident.cluster}
            with span("run", row.id, **about) as noted, kept_or_unavailable(row.id):
                kept = await self._graph.aget_state(config)
                beginning: State | None = None
                # `next` leaves out a stage whose work is kept already and whose checkpoint is not: that is to go on too.
                coming = [task.name for task in kept.tasks]
                if not kept.values:
                    beginning = {"version": GRAPH_VERSION, "run": row.id, "rounds": [], "readings": 0, "replans": 0}
                elif kept.values.get("version") != GRAPH_VERSION or not coming or coming[0] not in (*NODES, *OF_A_MODEL):
                    # Resuming such a thread would silently do nothing, or something else.
                    await self._abandon(row, "its checkpoint is of another version of Lestrade")
                    return
                else:
                    await self._means.events.append(row.id, coming[0], "going on after a restart")
                if deadly := await self._is_deadly(row, kept.metadata, coming):
                    noted.note(given_up=True)
                    if coming == ["conclude"]:
                        await self._abandon(row, deadly)
                        return
                    self._deadly[row.id] = deadly
                await self._graph.ainvoke(beginning, config, durability="sync")
        finally:
            self._rows.pop(row.id, None)
            self._deadly.pop(row.id, None)
            self._course.forget(row.id)

    async def _is_deadly(self, row: RunRow, kept: Mapping[str, Any] | None, coming: Sequence[str]) -> str:
        """Why it is not tried once more, where so many processes died of the same step of it; "" otherwise. Waiting for people
        kills nobody: an approval is waited for, whatever befalls who waits."""
        if row.state != "running" or coming == ["authorize"]:
            return ""
        deaths = await self._means.store.deaths(row.id, (kept or {}).get("step", NO_STEP))
        if deaths < MOST_DEATHS:
            return ""
        where = f" at stage {coming[0]}" if coming else ""
        return (
            f"the process that worked on it died {deaths} times in a row{where} without a word, most likely for want of memory: "
            "it is not tried again"
        )

    def _compiled(self, checkpoints: BaseCheckpointSaver[str]) -> Any:
        builder, course = StateGraph(State), self._course
        stages = (
            course.intake,
            course.gather,
            course.diagnose,
            course.propose,
            course.authorize,
            course.execute,
            course.verify,
            course.conclude,
        )
        nodes = (*OF_A_MODEL, *NODES)
        for name, work in zip(nodes, (course.investigate, course.look, *stages), strict=True):
            builder.add_node(name, _then(name, self._node(name, work)), destinations=(*nodes, END))
        builder.add_edge(START, "intake")
        return builder.compile(checkpointer=checkpoints)

    def _node(self, name: str, work: Callable[[State, RunRow, Tell], Awaitable[State]]) -> Stage:

        async def node(state: State) -> State:
            row = self._rows.get(state["run"]) or await self._means.store.row(state["run"])
            if row is None:
                raise StoreUnavailable(f"run {state['run']} is not in the store")
            try:
                if (deadly := self._deadly.get(row.id)) and name != "conclude":
                    raise RunGivenUp(deadly)
                tell = self._tell(state["run"], name)
                with span("stage", name, run=row.id):
                    return await self._patiently(state["run"], name, lambda: work(state, row, tell))
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
            if name in OF_A_MODEL and row.id not in self._deadly:
                return self._course.without_model(state, failure)
            return {"failure": failure, "then": "conclude"}

        return node

    async def _patiently(self, run: str, stage: str, call: Callable[[], Awaitable[State]]) -> State:
        """A cluster that is away for a while ends no run: stages may be repeated, so the stage is."""
        clock, patience = self._means.clock, self._bounds.cluster_patience_seconds
        gone_at, pause = None, FIRST_PAUSE
        while True:
            try:
                return await call()
            except ClusterUnreachable:
                gone_at = gone_at or clock.now()
                left = patience - (clock.now() - gone_at).total_seconds()
                if left <= 0:
                    raise
                words = f"the cluster does not answer; it is waited for, {patience:.0f} s at most"
                await self._means.events.append(run, stage, words)
                await clock.sleep(min(pause, left))
                pause = min(pause * 2, LONGEST_PAUSE)

    def _tell(self, run: str, stage: str) -> Tell:
        async def tell(text: str, data: Mapping[str, Json] | None = None, /) -> None:
            await self._means.events.append(run, stage, text, data)

        return tell

    async def _abandon(self, row: RunRow, why: str) -> None:
        await self._means.events.append(row.id, "conclude", f"the run broke: {why}")
        await self._means.store.finish(row.id, "failed", f"The run broke: {why}", {})


def _then(name: str, stage: Stage) -> Node:
    """The stage as a node that says itself where to go next: an edge of its own would cost langgraph another step's work."""

    async def node(state: State) -> Command[str]:
        update = await stage(state)
        return Command(update=update, goto=END if name == "conclude" else update["then"])

    return node
