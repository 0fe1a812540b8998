"""The book of alerts in SQLite and in PostgreSQL: everything is kept, runs live as their alerts do."""

import asyncio
import secrets
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
import pytest
from sqlalchemy import event

from agent.domain.alerting import ChangeReach, Neighbourhood, Placement
from agent.domain.incident import Alert, Incident
from agent.errors import StoreUnavailable
from agent.stages.place import IntakeBounds, place
from agent.stages.receive import receive
from agent.store import Database, SqlAlertBook, SqlEventLog, SqlRunStore

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)


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
def events(database):
    return SqlEventLog(database)


@pytest.fixture
def book(database, events):
    return SqlAlertBook(database, events)


@pytest.fixture
def store(database):
    return SqlRunStore(database)


def alert(name: str = "Down", number: int = 1, severity: str = "warning", **changes: object) -> Alert:
    labels = {"namespace": f"team-{number}", "severity": severity}
    return Alert(**{"name": name, "labels": labels, "fingerprint": f"{name}-{number}", "starts_at": T0, **changes})


def resolved(one: Alert) -> Alert:
    return replace(one, resolved=True, ends_at=T0 + timedelta(minutes=5))


async def take(book, *alerts: Alert, group: str = "g", **bounds: object):
    decide = partial(place, group_key=group, silenced=frozenset(), bounds=IntakeBounds(**bounds))
    return await book.take("lab", alerts, group, decide)


async def texts(events, run: str) -> list[str]:
    return [event.text for event in await events.told(run)]


async def test_an_alert_opens_a_run_that_carries_it_and_repeats_are_counted(book, store, events, now):
    first = await take(book, alert())
    now.at += timedelta(minutes=1)
    again = await take(book, alert())
    (row,) = await book.of_run(first.run)

    assert (first.is_new, first.counts, again.is_new, again.counts) == (True, {"opened": 1}, False, {"again": 1})
    assert (row.times, row.first_seen, row.last_seen) == (2, T0, T0 + timedelta(minutes=1))
    assert (await store.row(first.run)).incident.alerts == (alert(),)
    assert await texts(events, first.run) == ["taken in: alert Down"]


async def test_what_is_joined_is_in_the_run_and_its_events_say_why(book, store, events):
    first = await take(book, alert())
    await take(book, alert("Slow"), group="another")
    run = await store.row(first.run)

    assert [one.name for one in run.incident.alerts] == ["Down", "Slow"]
    assert (await texts(events, first.run))[1] == "Slow joins: same namespace team-1"


async def test_a_run_whose_alerts_all_resolve_before_anybody_looks_is_closed(book, store, events):
    first = await take(book, alert(), alert("Slow"))
    await take(book, resolved(alert()))
    half = await store.row(first.run)
    await take(book, resolved(alert("Slow")))
    whole = await store.row(first.run)

    assert half.state == "queued"
    assert (whole.state, whole.outcome) == ("finished", "resolved")
    assert not await store.claim(first.run, "a", lease_seconds=60)


async def test_a_run_that_is_worked_on_is_told_of_it_and_goes_on(book, store, events):
    first = await take(book, alert())
    await store.claim(first.run, "a", lease_seconds=60)
    await take(book, resolved(alert()))
    row = await store.row(first.run)

    assert row.state == "running"
    assert row.incident.alerts[0].resolved
    assert (await texts(events, first.run))[-1] == "resolved: Down"


async def test_what_resolves_after_the_run_ended_is_noted_there_and_a_new_firing_opens_another(book, store, events):
    first = await take(book, alert())
    await store.finish(first.run, "repaired", "done", {})
    await take(book, resolved(alert()))
    second = await take(book, replace(alert(), starts_at=T0 + timedelta(hours=1)))

    assert (await texts(events, first.run))[-1] == "resolved after the run had ended: Down"
    assert second.is_new
    assert second.run != first.run


async def test_what_is_not_looked_into_is_in_the_book_with_the_reason(book, store):
    taken = await take(book, alert("Watchdog"), alert("Quota", severity="info"))
    rows = await book.latest("lab", limit=10)

    assert (taken.run, taken.counts) == ("", {"ignored": 2})
    assert all(row.why for row in rows)
    assert await store.rows(limit=5) == []


async def test_critical_runs_go_first_and_a_critical_alert_brings_its_run_forward(book, store, now):
    runs = []
    for number in range(3):
        now.at += timedelta(seconds=1)
        runs.append((await take(book, alert(number=number), group=str(number))).run)
    await take(book, alert("Gone", number=2, severity="critical"), group="other")
    waiting = await store.waiting("lab", limit=10)

    assert [run for run, _ in waiting] == [runs[2], runs[0], runs[1]]


async def test_beyond_the_bound_everything_goes_to_one_run_and_nothing_is_dropped(book, store):
    for number in range(6):
        await take(book, alert(number=number), group=str(number), queued=3)
    rows = await book.latest("lab", limit=100)

    assert len(await store.rows(limit=100)) == 4
    assert sorted(row.done for row in rows) == ["opened"] * 3 + ["overflow"] * 3
    assert all(row.run for row in rows)


async def test_a_thousand_alerts_in_one_notification_are_one_run_and_all_in_the_book(book, store, events):
    taken = await take(book, *(alert(f"A{number % 30}", number=number) for number in range(1200)))
    row = await store.row(taken.run)

    assert taken.counts == {"opened": 1200}
    assert len(await book.of_run(taken.run)) == 1200
    assert len(row.incident.alerts) == 200
    assert len(await texts(events, taken.run)) == 1


async def test_a_hundred_at_once_open_no_run_twice(book, store):
    taken = await asyncio.gather(*(take(book, alert(number=number % 10), group=str(number % 10)) for number in range(100)))

    assert len({one.run for one in taken}) == 10
    assert sum(one.is_new for one in taken) == 10
    assert sum(row.times for row in await book.latest("lab", limit=100)) == 100


async def test_one_that_cannot_be_kept_takes_no_other_with_it(book, store):
    def broken(*_):
        raise LookupError("a bug")

    together = await asyncio.gather(
        take(book, alert(number=1), group="1"),
        book.take("lab", [alert(number=2)], "2", broken),
        take(book, alert(number=3), group="3"),
        return_exceptions=True,
    )

    assert [isinstance(one, LookupError) for one in together] == [False, True, False]
    assert len(await store.rows(limit=10)) == 2


async def test_what_fires_again_right_after_it_ended_is_not_taken_for_what_fired_before(book, store):
    await take(book, alert())
    ended, again = await asyncio.gather(take(book, alert(resolved=True)), take(book, alert()))

    assert (ended.counts, again.is_new) == ({"resolved": 1}, True)
    assert [one.state for one in await book.latest("lab", limit=9)] == ["firing"]
    assert [row.id for row in await store.unfinished()] == [again.run]


class Silent:
    """A database that does not answer until it is told to; `tries` counts."""

    def __init__(self, database: Database) -> None:
        self.database, self.is_silent, self.tries = database, True, 0
        self.insert, self.now = database.insert, database.now

    async def perform(self, work, **how: bool):
        self.tries += 1
        if not self.is_silent:
            return await self.database.perform(work, **how)
        await asyncio.sleep(0)
        raise StoreUnavailable("nobody answers") from OSError("timed out")


async def test_of_many_that_wait_for_a_database_that_is_away_not_each_waits_for_all_before_it(database, events):
    silent = Silent(database)
    book = SqlAlertBook(silent, events)
    told = await asyncio.gather(*(take(book, alert(number=n), group=str(n)) for n in range(200)), return_exceptions=True)
    tries, silent.is_silent = silent.tries, False
    again = await take(book, alert(), group="1")

    assert {type(one) for one in told} == {StoreUnavailable}
    assert tries == 3  # together, and two alone
    assert again.is_new


async def test_clusters_that_share_a_database_have_runs_of_their_own(book, store):
    decide = partial(place, group_key="g", silenced=frozenset(), bounds=IntakeBounds())
    east = await book.take("east", [alert()], "g", decide)
    west = await book.take("west", [alert()], "g", decide)

    assert east.run != west.run
    assert [run for run, _ in await store.waiting("east", limit=9)] == [east.run]


async def test_no_more_runs_of_a_cluster_are_worked_on_than_may_be(book, store, now):
    runs = [(await take(book, alert(number=number), group=str(number))).run for number in range(4)]
    won = await asyncio.gather(*(store.claim(run, run, lease_seconds=60, most=2) for run in runs))
    now.at += timedelta(seconds=61)  # who holds them has died
    later = await store.claim(runs[3], "late", lease_seconds=60, most=2)

    assert sum(won) == 2
    assert later


async def test_of_two_runs_with_one_cause_the_second_is_told_the_first(store, book):
    first, second = [(await take(book, alert(number=number), group=str(number))).run for number in range(2)]

    assert await store.same_cause(first, "oom-killed Deployment shop/cart") == ""
    assert await store.same_cause(first, "oom-killed Deployment shop/cart") == ""
    assert await store.same_cause(second, "oom-killed Deployment shop/cart") == first
    await store.finish(first, "repaired", "done", {})
    assert await store.same_cause(second, "oom-killed Deployment shop/cart") == ""


async def test_nobody_closes_a_run_that_somebody_works_on(book, store):
    taken = await take(book, alert())
    await store.claim(taken.run, "a", lease_seconds=60)

    assert not await book.close_unasked(taken.run, "silenced", "Silenced")
    assert (await store.row(taken.run)).state == "running"


async def test_a_label_with_a_nul_is_kept_without_it(book):
    odd = Alert(name="Do\x00wn", labels={"a": "b\x00c"}, fingerprint="f\x001", starts_at=T0)
    taken = await take(book, odd)

    assert taken.run


async def test_of_a_rehearsal_nothing_stays(book, store, database):
    decide = partial(place, group_key="g", silenced=frozenset(), bounds=IntakeBounds())
    one = alert()
    await book.rehearse("lab", ((one,), (one, alert(number=2)), (replace(one, resolved=True),)), "g", decide)

    assert await book.latest("lab", limit=9) == []
    assert await store.rows(limit=9) == []
    assert (await take(book, one)).is_new


async def test_the_database_of_an_earlier_version_is_taken_over(tmp_path):
    path = tmp_path / "old.sqlite"
    columns = "id, incident, group_key, state, outcome, headline, report, owner, claimed_until, created_at, updated_at"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(f"create table runs ({columns.replace('id,', 'id varchar(80) primary key,', 1)})")
    database = await Database.open(f"sqlite:///{path}")
    row, _ = await SqlRunStore(database).open(Incident(id="inc-1", cluster="lab", opened_at=T0, question="?"))
    await database.close()

    assert row.priority == 0


async def test_the_key_of_a_group_may_be_longer_than_an_index_takes(book):
    key = secrets.token_hex(2048)  # nothing to compress
    told = {"version": "4", "groupKey": key, "alerts": [{"labels": {"alertname": "Down"}}]}
    first, again = receive(orjson.dumps(told)), receive(orjson.dumps(told))
    other = receive(orjson.dumps({**told, "groupKey": f"{key[:-1]}x"}))
    taken = await take(book, *first.alerts, group=first.group_key)

    assert taken.is_new
    assert first.group_key == again.group_key != other.group_key


async def test_an_alert_that_the_change_of_an_open_run_explains_joins_it_and_its_events_say_so(book, store, events):
    first = await take(book, alert(number=1), group="1")
    change = ChangeReach(
        what="ConfigMap shop/db, edit of data", at=T0 - timedelta(minutes=5), about=frozenset({"namespace team-2"})
    )
    await store.note_change(first.run, change)
    second = await take(book, alert(number=2), group="2")
    await store.note_change(first.run, None)
    third = await take(book, alert("Slow", number=3), group="3")

    assert (second.run, second.counts) == (first.run, {"joined": 1})
    why = "Down joins: same change as namespace team-2 suffers from: ConfigMap shop/db, edit of data"
    assert (await texts(events, first.run))[-1] == why
    assert third.is_new


async def test_a_run_that_nobody_began_goes_to_another_with_all_its_alerts_and_one_that_was_begun_does_not(book, store, events):
    first, second, third = [await take(book, alert(number=number), group=str(number)) for number in range(3)]

    def into_first(runs):
        assert first.run in [run.id for run in runs]
        return [Placement(**placement, alert=alert(number=1))]

    placement = {
        "done": "joined",
        "run": first.run,
        "why": "same change",
        "severity": "",
        "priority": 1,
        "place": Neighbourhood(),
    }
    assert await store.claim(third.run, "somebody", lease_seconds=60)
    later = alert("Slow", number=9)
    assert (await take(book, alert(number=1), later, group="1")).run == second.run
    assert await book.fold(second.run, "lab", into_first) == ""  # one came since: nobody looked whose it is
    await take(book, replace(later, resolved=True), group="1")

    assert await book.fold(second.run, "lab", into_first) == first.run
    assert await book.fold(third.run, "lab", into_first) == ""
    gone = await store.row(second.run)
    assert (gone.state, gone.outcome, gone.headline) == ("finished", "joined", f"Run {first.run} works on it: same change")
    assert {one.state for one in await book.of_run(first.run) if one.name != "Slow"} == {"firing"}
    assert len((await store.row(first.run)).incident.alerts) == 2
    assert "joins: same change" in (await texts(events, first.run))[-1]
    assert (await texts(events, second.run))[-1] == gone.headline


async def test_what_is_under_way_is_found_without_going_through_what_has_ended(tmp_path):
    database = await Database.open(f"sqlite:///{tmp_path / 'runs.sqlite'}")
    seen: list[tuple[str, object]] = []
    event.listen(database._writing[0], "before_cursor_execute", lambda *given: seen.append(given[2:4]))
    await take(SqlAlertBook(database, SqlEventLog(database)), alert())
    await database.close()
    looks = [(sql, given) for sql, given in seen if sql.startswith("SELECT runs.id, runs.state")]
    with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as plain:
        ways = [plain.execute(f"explain query plan {sql}", given).fetchone()[3] for sql, given in looks]

    assert ways == [
        "SEARCH runs USING INDEX runs_under_way (state=? AND cluster=?)",
        "SEARCH runs USING INDEX runs_by_alert (cluster=? AND last_alert_at>?)",
    ]
