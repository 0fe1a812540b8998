"""A workshop on the fake world: the real store, graph and service around fake ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.bootstrap import Workshop
from agent.domain.incident import Incident
from agent.ports import RunStore
from agent.settings import Settings
from agent.store import Database, SqlAlertBook, SqlAlertList, SqlRunList, SqlSessionStore
from tests.fakes.agent_runs import opened
from tests.fakes.agent_world import Script, World, WorldReader


@asynccontextmanager
async def fake_shop(
    folder: Path, script: Script | None = None, *, settings: Settings | None = None, governed: bool = True
) -> AsyncIterator[Workshop]:
    path = folder / "world.json"
    world = World(path) if path.exists() and script is None else World.start(path, script)
    database = await Database.open(f"sqlite:///{folder / 'runs.sqlite'}")
    try:
        async with opened(folder, governed=governed) as (investigation, store, events):
            yield Workshop(
                settings or Settings(),
                investigation=investigation,
                store=store,
                events=events,
                reader=WorldReader(world),
                sessions=SqlSessionStore(database),
                listing=SqlRunList(database),
                book=SqlAlertBook(database, events),
                alert_list=SqlAlertList(database),
                database=database,
                governed=governed,
            )
    finally:
        await database.close()


async def crowd(store: RunStore) -> None:
    """Somebody else works on a run of this cluster: with `cluster_runs=1` no other run begins."""
    incident = Incident(id="inc-other", cluster="lab", opened_at=datetime.now(UTC), question="what else?")
    row, _ = await store.open(incident)
    assert await store.claim(row.id, "somebody else", lease_seconds=600)
