"""Runs, evidence and events in SQLite and in PostgreSQL: durable, joined by alert group, claimed by one process at a time."""

import asyncio
import hashlib
import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from agent.domain.evidence import Evidence
from agent.domain.incident import Alert, Incident
from agent.domain.objects import Ref
from agent.errors import InputError, StoreUnavailable
from agent.store import Database, SqlEventLog, SqlRunStore

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)


def incident(**changes: object) -> Incident:
    alert = Alert(name="Down", labels={"namespace": "shop"}, starts_at=T0)
    return Incident(**{"id": "inc-1", "cluster": "lab", "opened_at": T0, "alerts": (alert,), "group_key": "g", **changes})


class Time:
    def __init__(self) -> None:
        self.at = T0

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def now():
    return Time()


@pytest.fixture
async def database(url, now):
    opened = await Database.open(url, now=now)
    yield opened
    await opened.close()


@pytest.fixture
def store(database):
    return SqlRunStore(database)


async def test_a_run_comes_back_as_it_was_put(store):
    row, is_new = await store.open(incident())

    assert is_new
    assert (await store.row(row.id)).incident == incident()


async def test_an_unfinished_group_is_joined_and_a_finished_one_is_not(store):
    first, _ = await store.open(incident())
    joined, was_new = await store.open(incident(id="inc-2"))
    await store.finish(first.id, "repaired", "done", {"a": 1})
    third, is_new = await store.open(incident(id="inc-3"))

    assert (joined.id, was_new) == (first.id, False)
    assert is_new
    assert third.id != first.id


async def test_incidents_without_a_group_never_join(store):
    first, _ = await store.open(incident(group_key=""))
    second, is_new = await store.open(incident(group_key=""))

    assert is_new
    assert first.id != second.id


async def test_fifty_at_once_open_one_run(store):
    opened = await asyncio.gather(*(store.open(incident()) for _ in range(50)))

    assert len({row.id for row, _ in opened}) == 1
    assert sum(is_new for _, is_new in opened) == 1


def open_in_a_process(url: str, number: int) -> str:
    async def work() -> str:
        database = await Database.open(url)
        row, _ = await SqlRunStore(database).open(incident(id=f"inc-{number}"))
        await database.close()
        return row.id

    return asyncio.run(work())


def test_processes_on_one_database_open_one_run(url):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        opened = pool.starmap(open_in_a_process, [(url, number) for number in range(6)])

    assert len(set(opened)) == 1


async def test_a_claim_lapses_and_is_then_free_for_another(store, now):
    row, _ = await store.open(incident())
    assert await store.claim(row.id, "a", lease_seconds=60)

    now.at += timedelta(seconds=59)
    early = await store.claim(row.id, "b", lease_seconds=60)
    now.at += timedelta(seconds=2)
    late = await store.claim(row.id, "b", lease_seconds=60)
    lost = await store.claim(row.id, "a", lease_seconds=60)

    assert (early, late, lost) == (False, True, False)


async def test_of_many_claims_at_once_one_wins(store):
    row, _ = await store.open(incident())

    won = await asyncio.gather(*(store.claim(row.id, f"owner-{number}", lease_seconds=60) for number in range(20)))

    assert sum(won) == 1


async def test_only_the_owner_releases_and_a_finished_run_cannot_be_claimed(store):
    row, _ = await store.open(incident())
    await store.claim(row.id, "a", lease_seconds=60)
    await store.release(row.id, "b")
    held = await store.claim(row.id, "b", lease_seconds=60)
    await store.finish(row.id, "healthy", "nothing", {"x": 1})
    after = await store.claim(row.id, "b", lease_seconds=60)

    assert (held, after) == (False, False)
    assert await store.unfinished() == []


async def test_evidence_lies_by_its_hash_and_is_put_once(store):
    row, _ = await store.open(incident())
    pieces = [
        Evidence(id=f"ev-{n}", source="logs", about=Ref("Pod", "shop", "a"), text="same words", sha256=sha("same words"), at=T0)
        for n in (1, 2, 10)
    ]
    await store.put_evidence(row.id, pieces)
    await store.put_evidence(row.id, pieces)

    assert list(await store.evidence(row.id)) == pieces
    assert await store.blob(sha("same words")) == "same words"


async def test_blobs_are_addressed_by_their_content(store):
    digest = await store.put_blob("text ✓")

    assert digest == sha("text ✓")
    assert await store.blob(digest) == "text ✓"
    assert await store.blob("0" * 64) is None


async def test_events_are_numbered_and_the_same_line_twice_in_a_row_is_one(database, store):
    row, _ = await store.open(incident())
    events = SqlEventLog(database)
    told = [await events.append(row.id, "gather", text) for text in ("a", "a", "b", "a")]

    assert [event.seq for event in told] == [1, 1, 2, 3]


async def test_a_follower_sees_what_was_what_comes_and_the_end(database, store):
    row, _ = await store.open(incident())
    events = SqlEventLog(database, look_seconds=600)  # it is told, or the test waits for too long
    await events.append(row.id, "intake", "one")

    async def follow() -> list[str]:
        return [event.text async for event in events.follow(row.id)]

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    await store.finish(row.id, "healthy", "h", {})
    await events.append(row.id, "conclude", "two")

    assert await asyncio.wait_for(follower, 30) == ["one", "two"]


async def test_a_stream_is_taken_up_after_the_event_named(database, store):
    row, _ = await store.open(incident())
    events = SqlEventLog(database)
    for number in range(5):
        await events.append(row.id, "gather", str(number))
    await store.finish(row.id, "healthy", "h", {})

    assert [event.seq async for event in events.follow(row.id, after=3)] == [4, 5]


async def test_appends_from_many_tasks_leave_no_gap(database, store):
    row, _ = await store.open(incident())
    events = SqlEventLog(database)
    await asyncio.gather(*(events.append(row.id, "gather", f"line {number}") for number in range(40)))

    assert [event.seq for event in await events.told(row.id)] == list(range(1, 41))


async def test_a_file_that_is_no_database_is_store_unavailable_and_quotes_nothing(tmp_path):
    path = tmp_path / "runs.sqlite"
    path.write_text("not a database " * 100)

    with pytest.raises(StoreUnavailable) as caught:
        await Database.open(f"sqlite:///{path}")

    assert "not a database" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:hunter2@h/db",
        "postgresql+asyncpg://u:hunter2@h/db",
        "postgresql://u:hunter2@h",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
async def test_a_url_of_another_kind_is_wrong_input_and_its_password_is_not_told(url):
    with pytest.raises(InputError) as caught:
        await Database.open(url)

    assert "hunter2" not in str(caught.value)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("table", ["create table customers (id)", "create table runs (id, colour)"])
async def test_the_database_of_another_program_is_left_as_it_is(tmp_path, table):
    path = tmp_path / "theirs.sqlite"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(table)

    with pytest.raises(StoreUnavailable, match="another program"):
        await Database.open(f"sqlite:///{path}")

    with closing(sqlite3.connect(path)) as theirs:
        assert theirs.execute("select count(*) from sqlite_master").fetchone() == (1,)


async def test_a_death_is_counted_where_a_claim_lapsed_or_its_process_is_known_to_be_gone_and_not_where_it_was_given_back(
    store, now
):
    row, _ = await store.open(incident())

    async def deaths() -> int:
        return (await store.row(row.id)).deaths

    assert await store.claim(row.id, "first", lease_seconds=60)
    assert await store.claim(row.id, "first", lease_seconds=60)  # kept alive
    await store.release(row.id, "first")
    assert await store.claim(row.id, "second", lease_seconds=60)
    assert await deaths() == 0
    now.at += timedelta(seconds=61)
    assert await store.claim(row.id, "third", lease_seconds=60)
    assert await deaths() == 1
    await store.let_go("third")
    assert await deaths() == 2
    assert await store.claim(row.id, "fourth", lease_seconds=60)
    assert await deaths() == 2


async def test_deaths_count_in_a_row_only_at_the_same_step(store):
    row, _ = await store.open(incident())
    for owner in ("first", "second"):
        assert await store.claim(row.id, owner, lease_seconds=60)
        assert await store.deaths(row.id, 3) == (1 if owner == "second" else 0)
        await store.let_go(owner)

    assert await store.deaths(row.id, 3) == 2
    assert await store.deaths(row.id, 4) == 1  # it has got on since


async def test_what_nobody_died_of_goes_first_among_those_of_one_priority(store):
    deadly, _ = await store.open(incident(group_key="deadly"))
    other, _ = await store.open(incident(group_key="other"))
    assert await store.claim(deadly.id, "first", lease_seconds=60)
    await store.let_go("first")

    assert [run for run, _ in await store.waiting("lab", limit=9)] == [other.id, deadly.id]
