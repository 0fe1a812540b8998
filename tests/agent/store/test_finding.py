"""Looking through runs, on both databases: what fits is found, in order, page by page, and signs of SQL's own mean nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.domain.incident import Alert, Incident
from agent.ports.listing import Wanted
from agent.store import Database, SqlEventLog, SqlRunList, SqlRunStore

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = BEGAN

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
async def kept(url):
    """Four runs, each a minute after the other but the last two, which were opened at once."""
    clock = Clock()
    database = await Database.open(url, now=clock)
    store = SqlRunStore(database)
    ids = []
    for number, (namespace, severity, question) in enumerate(
        [("shop", "critical", ""), ("bank", "warning", ""), ("", "", "why is 50% of shop_a slow?"), ("shop-eu", "critical", "")]
    ):
        clock.at = BEGAN + timedelta(minutes=min(number, 2))
        labels = {"namespace": namespace, "severity": severity} if namespace else {}
        alerts = (Alert(name=f"Alert{number}", labels=labels),) if namespace else ()
        incident = Incident(
            id=f"inc-{number}", cluster="c", opened_at=clock.at, question=question, alerts=alerts, group_key=f"g{number}"
        )
        ids.append((await store.open(incident))[0].id)
    await store.finish(ids[1], "repaired", "Repaired: Deployment bank/ledger was scaled to 0", {})
    yield SqlRunList(database), ids
    await database.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [0, 1, 2, 3]),
        (Wanted(state="open"), [0, 2, 3]),
        (Wanted(state="finished"), [1]),
        (Wanted(outcome="repaired"), [1]),
        (Wanted(namespace="shop"), [0]),
        (Wanted(namespace="bank"), [1]),
        (Wanted(namespace="%"), []),
        (Wanted(severity="critical"), [0, 3]),
        (Wanted(severity='critical","'), []),
        (Wanted(words="LEDGER scaled"), [1]),
        (Wanted(words="50%"), [2]),
        (Wanted(words="shop_a"), [2]),
        (Wanted(words="' OR 1=1 --"), []),
        (Wanted(words="alert0 bank"), []),
    ],
)
async def test_what_fits_is_found(kept, wanted, found):
    listing, ids = kept

    rows = await listing.find(wanted, limit=50)

    assert {row.id for row in rows} == {ids[number] for number in found}


async def test_pages_hold_each_run_once_the_newest_first(kept):
    listing, ids = kept
    seen, before = [], None
    while rows := await listing.find(Wanted(before=before), limit=1):
        seen += [row.id for row in rows]
        before = (rows[-1].created_at, rows[-1].id)

    assert seen == [*sorted(ids[2:], reverse=True), ids[1], ids[0]]


async def test_what_runs_told_last_of_their_own_doings_is_known_and_not_which_alerts_came(url):
    database = await Database.open(url)
    store, events, listing = SqlRunStore(database), SqlEventLog(database), SqlRunList(database)
    runs = []
    for number in range(3):
        incident = Incident(id=f"inc-{number}", cluster="c", opened_at=BEGAN, question="why?")
        runs.append((await store.open(incident))[0].id)
        await events.append(runs[-1], "intake", "taken in")
    for stage, text in (("gather", "read"), ("authorize", "waiting for 1 approval"), ("intake", "Alert1 joins")):
        await events.append(runs[0], stage, text, {"stage": stage})
    await events.append(runs[1], "gather", "read 2 objects")

    found = await listing.latest(runs)
    assert {run: (event.stage, event.text, event.data) for run, event in found.items()} == {
        runs[0]: ("authorize", "waiting for 1 approval", {"stage": "authorize"}),
        runs[1]: ("gather", "read 2 objects", {}),
    }
    assert await listing.latest([]) == {}
    await database.close()
