"""What was said in Slack and what was delivered, in SQLite and in PostgreSQL: once, by one process at a time."""

from datetime import timedelta

import pytest

from agent.store import Database, SqlDeliveryBook, SqlEventLog, SqlRunStore, SqlSilenceBook, SqlSlackBook
from agent.store.slack import Asked
from tests.agent.store.test_store import T0, Time, incident

QUESTION = Asked(event="Ev1", channel="C0", thread="1.1", person="UADA", text="why?")


@pytest.fixture
def now():
    return Time()


@pytest.fixture
async def database(url, now):
    opened = await Database.open(url, now=now)
    yield opened
    await opened.close()


async def test_an_event_of_slack_is_taken_once_and_one_process_answers_it(database, now):
    book = SqlSlackBook(database)
    assert await book.take(QUESTION)
    assert not await book.take(QUESTION)

    assert (await book.claim_question("Ev1", "one", seconds=60)).text == "why?"
    assert await book.claim_question("Ev1", "two", seconds=60) is None
    assert await book.waiting() == []
    now.at += timedelta(seconds=61)  # its process is gone
    assert [asked.event for asked in await book.waiting()] == ["Ev1"]
    assert await book.claim_question("Ev1", "two", seconds=60)
    await book.keep_question("Ev1", reply="2.2", state="done")
    assert await book.claim_question("Ev1", "two", seconds=60) is None
    await book.forget(now.at + timedelta(seconds=1))
    assert await book.take(QUESTION)


async def test_a_thread_is_looked_at_again_when_something_happened_in_its_run(database):
    book, events = SqlSlackBook(database), SqlEventLog(database)
    row, _ = await SqlRunStore(database).open(incident())
    assert await book.new_runs(T0) == [row.id]
    await book.add(row.id, kind="thread", channel="C0", most_a_minute=10)
    assert await book.new_runs(T0) == []

    await events.append(row.id, "intake", "taken in")
    assert [found.run for found in await book.changed(T0 - timedelta(days=1))] == [row.id]
    assert await book.claim(row.id, "one", seconds=60)
    assert await book.claim(row.id, "two", seconds=60) is None
    await book.keep(row.id, "one", ts="1.1", shown="f", filed=False, seq=1)
    assert await book.changed(T0 - timedelta(days=1)) == []
    await events.append(row.id, "gather", "read 3 objects")
    assert [found.ts for found in await book.changed(T0 - timedelta(days=1))] == ["1.1"]


async def test_of_a_flood_the_first_have_threads_and_the_others_one_summary(database):
    book, store = SqlSlackBook(database), SqlRunStore(database)
    for number in range(5):
        row, _ = await store.open(incident(id=f"inc-{number}", group_key=f"g{number}"))
        await book.add(row.id, kind="thread", channel="C0", most_a_minute=2)

    kinds = [found.kind for found in await book.changed(T0 - timedelta(days=1))]
    summaries = [found for found in await book.changed(T0 - timedelta(days=1)) if found.kind == "summary"]
    assert kinds.count("summary") == 1
    assert len(await book.listed_in(summaries[0].run)) == 3


async def test_a_place_gets_what_ended_since_it_was_first_seen(database, now):
    book, store = SqlDeliveryBook(database), SqlRunStore(database)
    old, _ = await store.open(incident(group_key="old"))
    await store.finish(old.id, "healthy", "h", {})
    now.at += timedelta(minutes=1)
    since = await book.mark("tickets")
    now.at += timedelta(minutes=1)
    assert await book.mark("tickets") == since
    row, _ = await store.open(incident())
    await store.finish(row.id, "healthy", "h", {})
    assert await book.undelivered("tickets", since) == [row.id]
    await book.add(row.id, "tickets")
    assert await book.undelivered("tickets", since) == []


async def test_a_delivery_is_tried_by_one_process_until_it_is_done_or_given_up_and_then_again_after_a_restart(database, now):
    book = SqlDeliveryBook(database)
    await book.add("run-1", "tickets")
    await book.add("run-1", "tickets")
    due = (await book.due())[0]
    assert (await book.claim(due, "one", seconds=60)).tries == 1
    assert await book.claim(due, "two", seconds=60) is None
    await book.keep_note(due, "1.1")
    await book.end(due, "due", error="503", again_in=30)
    assert await book.due() == []
    now.at += timedelta(seconds=31)
    assert [found.note for found in await book.due()] == ["1.1"]
    assert (await book.claim(due, "two", seconds=60)).tries == 2
    await book.end(due, "failed", error="410")
    assert await book.due() == []
    await book.retry(now.at - timedelta(days=7))
    assert [found.tries for found in await book.due()] == [0]
    await book.claim(due, "two", seconds=60)
    await book.end(due, "delivered")
    await book.retry(now.at - timedelta(days=7))
    assert [found.state for found in await book.told("run-1")] == ["delivered"]


async def test_of_each_run_of_alerts_it_is_asked_once_what_is_to_be_silenced_and_not_when_it_is_long_over(database, now):
    book, store = SqlSilenceBook(database, "lab"), SqlRunStore(database)
    left, healthy, old = [(await store.open(incident(group_key=key)))[0] for key in ("left", "healthy", "old")]
    await store.finish(old.id, "denied", "h", {})
    now.at += timedelta(hours=2)
    await store.finish(healthy.id, "healthy", "h", {})
    assert await book.unasked({"denied"}, limit=9) == []
    await store.finish(left.id, "denied", "h", {})
    assert [row.id for row in await book.unasked({"denied"}, limit=9)] == [left.id]

    assert await book.ask(left.id, {"minutes": 60})
    assert not await book.ask(left.id, {"minutes": 60})  # another process was faster
    assert await book.unasked({"denied"}, limit=9) == []
    assert [(asked.run, asked.wish) for asked in await book.take("one", seconds=60, most=9)] == [(left.id, {"minutes": 60})]
    assert await book.ask(healthy.id, None)
    assert await book.take("one", seconds=60, most=9) == []
