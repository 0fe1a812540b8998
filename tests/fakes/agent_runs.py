"""One run of the whole graph on the fake world, in this process or as a program that a test may kill.

`python -m tests.fakes.agent_runs FOLDER` starts or resumes the run that lies in FOLDER. The environment's DIE_AT says where the
process kills itself: "authorize" before that stage begins, "authorize!" after its work is done but before that is recorded.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.domain.document import from_document
from agent.domain.incident import Incident
from agent.domain.report import Report
from agent.graph import Bounds, Investigation, Means, checkpoints
from agent.ports import RunRow
from agent.ports.store import RunEvent
from agent.store import Database, SqlEventLog, SqlRunStore
from tests.fakes.agent_world import (
    Script,
    World,
    WorldClock,
    WorldGovernance,
    WorldMetrics,
    WorldReader,
    WorldReasoner,
    WorldRunbooks,
)

INCIDENT = Incident(
    id="inc-1",
    cluster="lab",
    opened_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    question="why does checkout restart?",
    asked_by="grace",
)


class Played:
    """What a finished run left behind."""

    def __init__(self, world: World, report: Report, events: list[RunEvent]) -> None:
        self.world = world
        self.report = report
        self.events = events

    @property
    def ends(self) -> list[str | None]:
        return [round_.end for round_ in self.report.rounds]


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    governed: bool = True,
    bounds: Bounds | None = None,
    wrap: Callable[[str], None] | None = None,
    url: str = "",
):
    """(investigation, store, events) on the world of the folder. `wrap` is called before and after each stage's work."""
    world = World(folder / "world.json")
    database = await Database.open(url or f"sqlite:///{folder / 'runs.sqlite'}")
    store, events = SqlRunStore(database), SqlEventLog(database, look_seconds=0.01)
    means = Means(
        reader=WorldReader(world),
        metrics=WorldMetrics(world),
        reasoner=WorldReasoner(world),
        runbooks=WorldRunbooks(world),
        governance=WorldGovernance(world) if governed else None,
        store=store,
        events=events,
        clock=WorldClock(world),
    )
    try:
        async with checkpoints(database.place) as saver:
            make = Interrupted if wrap else Investigation
            investigation = make(means, saver, bounds=bounds or Bounds(poll_seconds=5, approval_wait_seconds=0))
            if isinstance(investigation, Interrupted):
                investigation.wrap = wrap
            yield investigation, store, events
    finally:
        await database.close()


class Interrupted(Investigation):
    """Tells before ("stage") and after ("stage!") the work of every stage, so that something can go wrong there."""

    wrap: Callable[[str], None] | None = None

    def _node(self, name, work):
        async def bracketed(state, row, tell):
            if self.wrap:
                self.wrap(name)
            done = await work(state, row, tell)
            if self.wrap:
                self.wrap(f"{name}!")
            return done

        return super()._node(name, bracketed)


async def the_run(store: SqlRunStore) -> RunRow:
    rows = await store.rows(limit=1)
    return rows[0] if rows else (await store.open(INCIDENT))[0]


async def play(
    folder: Path, script: Script | None = None, *, governed: bool = True, bounds: Bounds | None = None, memory: str = "64Mi"
) -> Played:
    """From question to report."""
    world = World.start(folder / "world.json", script, memory=memory)
    async with opened(folder, governed=governed, bounds=bounds) as (investigation, store, events):
        await investigation.run(await the_run(store))
        return await played(world, store, events)


async def played(world: World, store: SqlRunStore, events: SqlEventLog) -> Played:
    row = (await store.rows(limit=1))[0]
    document = await store.report(row.id)
    assert document, f"{row.state} {row.outcome} {row.headline}"
    return Played(world, from_document(Report, dict(document)), [event async for event in events.follow(row.id)])


async def main(folder: Path) -> None:
    die_at = os.environ.get("DIE_AT", "")

    def die(place: str) -> None:
        if place == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async with opened(folder, wrap=die) as (investigation, store, _events):
        await investigation.run(await the_run(store))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
