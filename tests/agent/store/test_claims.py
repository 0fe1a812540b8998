"""A run belongs to one process while it works on it, and its end is not taken for a loss."""

import asyncio

import pytest

from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.bootstrap import Workshop
from agent.chat.conversation import Conversations
from agent.settings import Settings
from agent.store import Database, SqlAlertBook, SqlAlertList, SqlEventLog, SqlRunList, SqlRunStore, SqlSessionStore
from agent.toolsets.snapshot import SnapshotCluster


class Slow:
    """An investigation that does what it is given, then takes longer than a heartbeat to come back."""

    def __init__(self, work, seconds) -> None:
        self._work = work
        self._seconds = seconds
        self.came_back = False

    async def run(self, row):
        await self._work(row)
        await asyncio.sleep(self._seconds)
        self.came_back = True


@pytest.fixture
async def shop(tmp_path):
    path = tmp_path / "snapshot.json"
    path.write_text('{"snapshot": 1, "cluster": {"name": "c"}, "now": "2026-01-01T00:00:00Z", "objects": []}')
    database = await Database.open(f"sqlite:///{tmp_path / 'agent.sqlite'}")

    def make(work, seconds=60.0):
        investigation = Slow(work, seconds)
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

    workshop, investigation = shop(finish, seconds=1.0)
    row, _ = await workshop.take(question="is it well?")

    assert await workshop.work(row)
    assert investigation.came_back


async def test_work_stops_when_another_process_has_taken_the_run(shop):
    async def lose(row):
        await workshop.store.release(row.id, workshop._owner)
        assert await workshop.store.claim(row.id, "another", lease_seconds=60)

    workshop, investigation = shop(lose)
    row, _ = await workshop.take(question="is it well?")

    assert not await workshop.work(row)
    assert not investigation.came_back


async def test_work_stops_when_another_process_says_that_nobody_wants_it_any_more(shop):
    async def called_off(row):
        await workshop.store.finish(row.id, "stopped", "Stopped by ada", {})

    workshop, investigation = shop(called_off)
    row, _ = await workshop.take(question="is it well?")

    assert not await workshop.work(row)
    assert not investigation.came_back


async def test_work_that_is_stopped_while_its_run_is_being_claimed_is_not_begun(shop):
    begun = []

    async def begin(row):
        begun.append(row.id)

    workshop, _ = shop(begin)
    row, _ = await workshop.take(question="is it well?")
    claim = workshop.store.claim

    async def claimed(run, *about, **more):
        held = await claim(run, *about, **more)
        await workshop.store.finish(run, "stopped", "Stopped by ada", {})
        workshop.stop(run)
        return held

    workshop.store.claim = claimed

    assert not await asyncio.wait_for(workshop.work(row), 30)
    assert not begun
    assert not workshop._called_off


async def test_a_question_that_waits_for_its_place_and_is_worked_on_from_the_queue_ends_with_its_stop(shop):
    begun = asyncio.Event()

    async def for_long(_):
        begun.set()
        await asyncio.sleep(600)

    workshop, _ = shop(for_long)
    workers = Workers(workshop, Meters())
    conversations = Conversations(workshop, at_once=0, where=workers)
    exchange = await conversations.begin("is it well?", asked_by="ada")
    async with asyncio.timeout(30):
        while not exchange.run:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    working = asyncio.create_task(workers.run())
    await asyncio.wait_for(begun.wait(), 30)
    mine = workshop._working[exchange.run]

    assert await conversations.stop(exchange.session, asked_by="ada")
    await asyncio.wait_for(asyncio.wait({mine}), 30)
    row = await workshop.store.row(exchange.run)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await conversations.close()

    assert mine.cancelled()
    assert row.outcome == "stopped"


async def test_a_run_that_is_being_opened_when_its_question_is_stopped_is_closed_too(shop):
    workshop, _ = shop(None)
    opening, go = asyncio.Event(), asyncio.Event()
    opened = workshop.take

    async def take(**about):
        opening.set()
        await go.wait()
        return await opened(**about)

    workshop.take = take
    conversations = Conversations(workshop)
    exchange = await conversations.begin("is it well?", asked_by="ada")
    await asyncio.wait_for(opening.wait(), 30)
    stopping = asyncio.create_task(conversations.stop(exchange.session, asked_by="ada"))
    async with asyncio.timeout(30):
        while exchange.stopped_by is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    go.set()

    assert await stopping
    assert [row.outcome for row in await workshop.store.rows(limit=9)] == ["stopped"]
    await conversations.close()


async def test_what_a_run_has_ended_with_stays(shop):
    workshop, _ = shop(None)
    row, _ = await workshop.take(question="is it well?")
    await workshop.store.finish(row.id, "stopped", "Stopped by ada", {})
    await workshop.store.finish(row.id, "healthy", "nothing is wrong", {})

    assert (await workshop.store.row(row.id)).outcome == "stopped"
