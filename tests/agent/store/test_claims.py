"""A run belongs to one process while it works on it, and its end is not taken for a loss."""

import asyncio

import pytest

from agent.bootstrap import Workshop
from agent.settings import Settings
from agent.store import Database, SqlAlertBook, SqlAlertList, SqlEventLog, SqlRunList, SqlRunStore, SqlSessionStore
from agent.toolsets.snapshot import SnapshotCluster


class Slow:
    """An investigation that does what it is given, then takes longer than a heartbeat to come back."""

    def __init__(self, work) -> None:
        self._work = work
        self.came_back = False

    async def run(self, row):
        await self._work(row)
        await asyncio.sleep(1.0)
        self.came_back = True


@pytest.fixture
async def shop(tmp_path):
    path = tmp_path / "snapshot.json"
    path.write_text('{"snapshot": 1, "cluster": {"name": "c"}, "now": "2026-01-01T00:00:00Z", "objects": []}')
    database = await Database.open(f"sqlite:///{tmp_path / 'agent.sqlite'}")

    def make(work):
        investigation = Slow(work)
        store, events = SqlRunStore(database), SqlEventLog(database)
        settings = Settings(claim_seconds=1)
        made = Workshop(
            settings,
            investigation=investigation,
            store=store,
            events=events,
            reader=SnapshotCluster.open(path),
            sessions=SqlSessionStore(database),
            listing=SqlRunList(database),
            book=SqlAlertBook(database, events),
            alert_list=SqlAlertList(database),
            database=database,
        )
        return made, investigation

    yield make
    await database.close()


async def test_a_run_that_finished_is_let_come_to_its_last_checkpoint(shop):
    async def finish(row):
        await workshop.store.finish(row.id, "healthy", "nothing is wrong", {})

    workshop, investigation = shop(finish)
    row, _ = await workshop.take(question="is it well?")

    assert await workshop.work(row)
    assert investigation.came_back


async def test_work_stops_when_another_process_has_taken_the_run(shop):
    async def lose(row):
        await workshop.store.release(row.id, workshop._owner)
        assert await workshop.store.claim(row.id, "another", lease_seconds=60)

    workshop, investigation = shop(lose)
    row, _ = await workshop.take(question="is it well?")

    with pytest.raises(asyncio.CancelledError):
        await workshop.work(row)
    assert not investigation.came_back
