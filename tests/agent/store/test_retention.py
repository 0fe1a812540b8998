"""What is old goes: whole runs with all that hangs on them, sooner what only the work needed, and nothing of an open run."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text

from agent.app.retention import prune
from agent.domain.evidence import Evidence
from agent.domain.incident import Alert
from agent.graph import checkpoints
from agent.ports.model import PaidCall
from agent.settings import Settings
from agent.stages.place import IntakeBounds, place
from agent.store import Database, Pruned, SqlAlertBook, SqlEventLog, SqlModelBook, SqlRetention, SqlRunStore, SqlSessionStore

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


class Time:
    def __init__(self) -> None:
        self.at = T0

    def __call__(self) -> datetime:
        return self.at


class House:
    """A store with a clock of its own; `rows` counts what lies in a table."""

    def __init__(self, database: Database, saver, clock: Time) -> None:
        self.database, self.saver, self.clock = database, saver, clock
        self.store, self.events = SqlRunStore(database), SqlEventLog(database)
        self.book, self.sessions = SqlAlertBook(database, self.events), SqlSessionStore(database)

    async def run(self, name: str, *, seen: str, ended: bool = True) -> str:
        """With an alert, an event, a piece of evidence (whose text is `seen`) and a checkpoint."""
        one = Alert(name=name, labels={"namespace": name}, fingerprint=name, starts_at=self.clock.at)
        decide = partial(place, group_key=name, silenced=frozenset(), bounds=IntakeBounds())
        run = (await self.book.take("lab", [one], name, decide)).run
        await self.store.put_evidence(run, [Evidence(id="ev-1", source="logs", about=None, text=seen)])
        blank = {"v": 1, "id": "1", "ts": "", "channel_values": {}, "channel_versions": {}, "versions_seen": {}}
        await self.saver.aput({"configurable": {"thread_id": run, "checkpoint_ns": ""}}, blank, {}, {})
        if ended:
            await self.store.finish(run, "diagnosed", "done", {"headline": "done"})
        return run

    async def prune(self, *, days: int = 90, raw: int = 30, only_count: bool = False) -> Pruned:
        at = self.clock.at
        keep = SqlRetention(self.database)
        return await keep.prune(before=at - days * DAY, raw_before=at - raw * DAY, only_count=only_count)

    async def rows(self, table: str) -> int:
        async with self.database.transaction() as connection:
            return (await connection.execute(text(f"select count(*) from {table}"))).scalar_one()


@pytest.fixture
async def house(url):
    clock = Time()
    database = await Database.open(url, now=clock)
    async with checkpoints(database.place, database.line.turn) as saver:
        yield House(database, saver, clock)
    await database.close()


async def test_an_old_run_goes_with_everything_and_a_younger_one_keeps_its_report(house):
    await house.run("old", seen="only the old one saw this")
    house.clock.at += 50 * DAY
    middle = await house.run("middle", seen="both saw this")
    house.clock.at += 45 * DAY
    await house.sessions.open(asked_by="kim", cluster="lab", title="today")
    young = await house.run("young", seen="both saw this")
    would = await house.prune(only_count=True)
    removed = await house.prune()
    again = await house.prune()

    assert removed == Pruned(runs=1, timelines=1, checkpoints=1, alerts=2, texts=1)
    assert would == removed
    assert again == Pruned()
    assert [row.id for row in await house.store.rows(limit=9)] == [young, middle]
    assert (await house.store.evidence(middle))[0].text == "both saw this"
    assert await house.store.report(middle) == {"headline": "done"}
    assert await house.events.told(middle) == []
    assert await house.events.told(young)
    assert (await house.rows("checkpoints"), await house.rows("evidence"), await house.rows("blobs")) == (1, 2, 1)
    assert await house.rows("chat_sessions") == 1


async def test_nothing_of_a_run_that_is_not_finished_goes_however_old(house):
    run = await house.run("slow", seen="seen", ended=False)
    noted = await house.store.put_blob("what a model was told")  # only the run's checkpoint names it
    house.clock.at += 400 * DAY
    removed = await house.prune()

    assert removed == Pruned()
    assert await house.store.blob(noted) == "what a model was told"
    assert [one.fingerprint for one in await house.book.of_run(run)] == ["slow"]
    assert await house.rows("checkpoints") == 1


async def test_a_text_that_an_open_run_put_again_stays_though_it_was_there_long_before(house):
    await house.store.put_blob("told twice")
    unused = await house.store.put_blob("told once")
    house.clock.at += 100 * DAY
    await house.run("open", seen="seen", ended=False)
    again = await house.store.put_blob("told twice")
    house.clock.at += 100 * DAY
    removed = await house.prune()

    assert removed.texts == 1
    assert await house.store.blob(again) == "told twice"
    assert await house.store.blob(unused) is None


async def test_what_models_cost_today_counts_though_its_run_is_removed_and_a_conversation_that_is_worked_on_stays(house):
    paid = PaidCall(run=await house.run("old", seen="seen"), request="a", reply="{}", tokens=700, cost=0.7)
    model = SqlModelBook(house.database)
    await model.enter(paid)
    talk = await house.sessions.open(asked_by="kim", cluster="lab", title="long")
    await house.sessions.begin(talk.id, "repair it")
    house.clock.at += timedelta(hours=2)
    hour = house.clock.at - timedelta(hours=1)
    removed = await SqlRetention(house.database).prune(before=hour, raw_before=hour)
    spent = await model.spent_since(T0 - DAY)
    worked_on = await house.sessions.load(talk.id)
    house.clock.at += 2 * DAY  # whoever worked on it has died
    later = await house.prune(days=1, raw=1)

    assert (removed.runs, removed.sessions, spent.tokens) == (1, 0, 700)
    assert worked_on
    assert later.sessions == 1
    assert await house.rows("model_calls") == 0


async def test_an_alert_whose_run_is_kept_no_longer_opens_another_and_leads_nowhere_meanwhile(house):
    run = await house.run("old", seen="seen")
    house.clock.at += timedelta(minutes=30)
    one = Alert(name="old", labels={"namespace": "old"}, fingerprint="old", starts_at=T0)
    decide = partial(place, group_key="old", silenced=frozenset(), bounds=IntakeBounds())
    settled = await house.book.take("lab", [one], "old", decide)
    house.clock.at += timedelta(minutes=50)
    hour = house.clock.at - timedelta(hours=1)
    await SqlRetention(house.database).prune(before=hour, raw_before=hour)
    (shown,) = await house.book.latest("lab", limit=9)
    again = await house.book.take("lab", [one], "old", decide)

    assert (settled.run, shown.run) == (run, "")
    assert again.is_new


async def test_an_alert_that_is_being_written_is_not_waited_for(house):
    if not house.database.is_shared:
        return  # one writes at a time
    for name in ("one", "two"):
        await house.run(name, seen=name)
    house.clock.at += 100 * DAY
    async with house.database.transaction() as connection:
        await connection.execute(text("select 1 from alerts where fingerprint = 'one' for update"))
        async with asyncio.timeout(5):
            removed = await house.prune()

    assert removed.alerts == 1
    assert (await house.prune()).alerts == 1


async def test_nothing_goes_where_everything_is_kept_for_ever(house):
    await house.run("old", seen="seen")
    house.clock.at += 1000 * DAY

    assert await SqlRetention(house.database).prune(before=None, raw_before=None) == Pruned()
    assert await house.rows("runs") == 1


async def test_more_than_one_portion_goes_in_one_call(house):
    for number in range(25):
        await house.sessions.open(asked_by=f"p{number}", cluster="lab", title="old")
    house.clock.at += 100 * DAY

    assert (await house.prune()).sessions == 25


async def test_a_file_of_which_much_is_free_becomes_smaller_and_keeps_what_is_kept(tmp_path):
    clock = Time()
    database = await Database.open(f"sqlite:///{tmp_path / 'agent.sqlite'}", now=clock)
    store = SqlRunStore(database)

    async def pages() -> int:
        return await database.perform(lambda one: int(one.exec_driver_sql("PRAGMA page_count").scalar()))

    await store.put_blob("what was seen long ago " * 500_000)
    before = await pages()
    clock.at += 100 * DAY
    young = await store.put_blob("what was seen today")
    await SqlRetention(database).prune(before=clock.at - 90 * DAY, raw_before=None)
    after, kept = await pages(), await store.blob(young)
    await database.close()

    assert kept == "what was seen today"
    assert before > 2500
    assert after < before / 2


@pytest.mark.parametrize(("settings", "left"), [({"keep_days": 10}, 0), ({"keep_days": 0, "keep_raw_days": 5}, 1)])
async def test_days_are_those_of_the_settings(house, settings, left):
    await house.run("old", seen="seen")
    house.clock.at += 11 * DAY
    removed = await prune(house.database, Settings(**settings))

    assert await house.rows("runs") == left
    assert (removed.runs, removed.timelines, removed.alerts) == (1 - left, left, 1)


def checkpoint(number: int, **values):
    versions = dict.fromkeys(values, f"{number:032}.0.1")
    return {
        "v": 1, "id": f"{number:04}", "ts": "", "channel_values": values, "channel_versions": versions, "versions_seen": {},
    }  # fmt: skip


async def test_of_a_run_the_latest_checkpoint_is_kept_whatever_the_database(house):
    place = {"configurable": {"thread_id": "run-1", "checkpoint_ns": ""}}
    before = place
    for number, step in enumerate(("a", "b", "c")):
        one = checkpoint(number, diagnosis={"step": step}, then="gather")
        before = await house.saver.aput(before, one, {}, one["channel_versions"])

    kept = await house.saver.aget_tuple(place)

    assert kept.checkpoint["channel_values"] == {"diagnosis": {"step": "c"}, "then": "gather"}
    assert await house.rows("checkpoints") == 1
    if house.database.is_shared:
        assert await house.rows("checkpoint_blobs") == 1


async def test_a_checkpoint_that_comes_late_takes_nothing_of_a_later_one_away(house):
    place = {"configurable": {"thread_id": "run-1", "checkpoint_ns": ""}}
    for number, step in ((2, "conclude"), (1, "gather")):
        one = checkpoint(number, then={"step": step})
        await house.saver.aput(place, one, {}, one["channel_versions"])

    kept = await house.saver.aget_tuple(place)

    assert kept.checkpoint["channel_values"] == {"then": {"step": "conclude"}}
