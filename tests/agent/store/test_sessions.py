"""Conversations in SQLite and in PostgreSQL: one open turn at a time, bounded, found again by name and by words."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent.domain.objects import Ref
from agent.domain.session import Reply, Thread
from agent.store import Database, SqlSessionStore, sessions

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)
THREAD = Thread(subject=Ref("Deployment", "shop", "checkout"), namespace="shop", run="run-1", faulty="run-1")
REPLY = Reply(text="it is *broken*", outcome="diagnosed", run="run-1", rows=(("a", "b"),))


class Time:
    """Later at each look."""

    def __init__(self) -> None:
        self.at = T0

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
async def store(url):
    opened = await Database.open(url, now=Time())
    yield SqlSessionStore(opened)
    await opened.close()


async def opened(store: SqlSessionStore, asked_by: str = "ada", title: str = "why?") -> str:
    return (await store.open(asked_by=asked_by, cluster="lab", title=title)).id


async def test_a_turn_and_what_it_came_to_are_kept(store):
    session = await opened(store)
    turn = await store.begin(session, "why?")
    await store.note(session, turn.number, meant="why is it so?", run="run-1")
    noted = await store.load(session)
    await store.end(session, turn.number, "answered", REPLY, THREAD)
    known = await store.load(session)

    assert (noted.turns[0].state, noted.turns[0].run, noted.turns[0].meant) == ("open", "run-1", "why is it so?")
    assert known.turns[0].reply == REPLY
    assert known.thread == THREAD
    assert await store.load("chat-of-nobody") is None


async def test_one_turn_is_open_at_a_time_whoever_asks_first(store):
    session = await opened(store)
    turns = await asyncio.gather(*(store.begin(session, f"question {number}") for number in range(6)))
    first = next(turn for turn in turns if turn is not None)
    await store.end(session, first.number, "answered", REPLY, THREAD)
    after = await store.begin(session, "and then?")

    assert sum(turn is not None for turn in turns) == 1
    assert after.number == first.number + 1


async def test_sessions_are_listed_for_their_owner_last_used_first(store):
    first, second = await opened(store, title="a" * 200), await opened(store)
    await opened(store, asked_by="eve")
    await store.begin(first, "again")

    listed = await store.listed(asked_by="ada", limit=10)

    assert [one.id for one in listed] == [first, second]
    assert len(listed[0].title) == sessions.LONGEST_TITLE


async def test_what_is_beyond_the_bounds_is_forgotten_oldest_first(store, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_TURNS", 3)
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 2)
    busy = await opened(store)
    await store.begin(busy, "still open")
    oldest, kept = await opened(store), await opened(store)
    for number in range(5):
        turn = await store.begin(kept, f"question {number}")
        await store.end(kept, turn.number, "answered", REPLY, THREAD)
    last = await opened(store)

    assert await store.load(oldest) is None
    assert await store.load(busy) is not None
    assert await store.load(last) is not None
    assert [turn.said for turn in (await store.load(kept)).turns] == ["question 2", "question 3", "question 4"]


async def test_a_turn_is_found_again_by_its_words_and_a_session_by_its_name(store):
    session = await opened(store)
    first = await store.begin(session, "why?")
    await store.end(session, first.number, "answered", REPLY, THREAD)
    await store.mark(session, first.number, "k1")
    alone = await store.marked("k1", asked_by="ada")
    second = await store.begin(session, "and now?")
    await store.end(session, second.number, "answered", REPLY, Thread())
    await store.name(session, "C1/17")

    assert (alone.session, alone.thread, alone.is_last) == (session, THREAD, True)
    assert (await store.marked("k1", asked_by="ada")).is_last is False
    assert await store.marked("k1", asked_by="eve") is None
    assert await store.named("C1/17", asked_by="ada") == session
    assert await store.named("C1/17", asked_by="eve") == ""


async def test_a_session_is_forgotten_with_its_turns(store):
    session = await opened(store)
    await store.begin(session, "why?")
    await store.forget(session)

    assert await store.load(session) is None
    assert await store.begin(session, "why?") is None
