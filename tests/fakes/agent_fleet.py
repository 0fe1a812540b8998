"""Many worlds at once: each incident has one of its own (see agent_world), so that many processes can work on many runs, and
what each run really did can be counted afterwards. `python -m tests.fakes.agent_fleet serve|worker FOLDER [PORT]` is one process
of it; its settings come from the environment.
"""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvicorn

from agent.app import create_app
from agent.app.apart import fork_apart
from agent.app.labour import labour
from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.bootstrap import Workshop
from agent.domain.objects import Ref
from agent.graph import Bounds, Investigation, Means, checkpoints
from agent.ports.cluster import READING_FOR
from agent.queue.jobs import ProcrastinateJobs
from agent.settings import Settings
from agent.store import Database, SqlAlertBook, SqlAlertList, SqlEventLog, SqlRunList, SqlRunStore, SqlSessionStore
from tests.fakes.agent_world import (
    Script,
    World,
    WorldGovernance,
    WorldMetrics,
    WorldReader,
    WorldReasoner,
    WorldRunbooks,
)

CLUSTER = "lab"  # as WorldReader says


class OfIncident:
    """One port, in the world of the incident that is worked on just now."""

    def __init__(self, port, folder: Path, script: Script) -> None:
        self._port, self._folder, self._script = port, folder, script

    def __getattr__(self, name):
        path = self._folder / f"{READING_FOR.get() or 'nobody'}.json"
        world = World(path) if path.exists() else World.start(path, self._script)
        return getattr(self._port(world), name)


class OwnCause(WorldReasoner):
    """The same fault in every world, of another object in each."""

    def diagnose(self, incident, observed, series):
        found = super().diagnose(incident, observed, series)
        causes = tuple(
            replace(cause, finding=replace(cause.finding, subject=Ref("Deployment", "shop", incident.id)))
            for cause in found.causes
        )
        return replace(found, causes=causes)


class HastyClock:
    """The real time; a pause is over at once."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@asynccontextmanager
async def fleet_shop(
    folder: Path, settings: Settings, *, script: Script | None = None, reasoner: type[WorldReasoner] = OwnCause
) -> AsyncIterator[Workshop]:
    """A workshop on the database that the settings name; shared work where that is PostgreSQL."""

    def of(port):
        return OfIncident(port, folder, script or Script(review=False))

    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database())
        stack.push_async_callback(database.close)
        store, events = SqlRunStore(database), SqlEventLog(database)
        reader = of(WorldReader)
        reader.name = CLUSTER
        means = Means(
            reader=reader,
            metrics=of(WorldMetrics),
            reasoner=of(reasoner),
            runbooks=of(WorldRunbooks),
            governance=of(WorldGovernance),
            store=store,
            events=events,
            clock=HastyClock(),
        )
        saver = await stack.enter_async_context(checkpoints(database.place, database.line.turn))
        bounds = Bounds(poll_seconds=0.01, approval_wait_seconds=0, cluster_patience_seconds=settings.cluster_patience_seconds)
        jobs = None
        if database.is_shared:
            opened = ProcrastinateJobs.opened(database, store, CLUSTER, silent_seconds=settings.claim_seconds)
            jobs = await stack.enter_async_context(opened)
        yield Workshop(
            settings,
            investigation=Investigation(means, saver, bounds=bounds),
            store=store,
            events=events,
            reader=reader,
            sessions=SqlSessionStore(database),
            listing=SqlRunList(database),
            book=SqlAlertBook(database, events),
            alert_list=SqlAlertList(database),
            database=database,
            jobs=jobs,
        )


async def work(folder: Path) -> None:
    async with fleet_shop(folder, Settings()) as shop:
        print("works", flush=True)
        await Workers(shop, Meters()).run()


def serve(folder: Path, port: int) -> None:
    gc.freeze()  # as agent.cli.serve does
    settings = Settings()
    open_shop = partial(fleet_shop, folder, settings)
    apart = fork_apart(partial(labour, open_shop)) if settings.workers else None
    app = create_app(open_shop, apart)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        asyncio.run(work(Path(sys.argv[2])))
