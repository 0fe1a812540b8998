"""Looking through the book of alerts, in SQLite and in PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from agent.domain.incident import Alert
from agent.ports.listing import WantedAlerts
from agent.stages.place import IntakeBounds, place
from agent.store import Database, SqlAlertBook, SqlAlertList, SqlEventLog

T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
async def database(url):
    at = [T0]
    opened = await Database.open(url, now=lambda: at[0])
    opened.tick = lambda: at.__setitem__(0, at[0] + timedelta(seconds=1))
    yield opened
    await opened.close()


async def test_alerts_are_found_by_what_they_say_and_what_was_done_and_paged_without_a_gap(database):
    book, alerts = SqlAlertBook(database, SqlEventLog(database)), SqlAlertList(database)
    decide = partial(place, group_key="g", silenced=frozenset({"f2"}), bounds=IntakeBounds())

    async def come(number: int, name: str = "Down", cluster: str = "lab", **labels: str) -> None:
        one = Alert(name=name, labels={"alertname": name, **labels}, fingerprint=f"f{number}", starts_at=T0)
        await book.take(cluster, [one, replace(one, fingerprint=f"g{number}")], "g", decide)
        database.tick()

    await come(1, namespace="shop", severity="Critical", pod="checkout-50%_a")
    await come(2, namespace="shop", severity="warning", note='"namespace":"bank"')
    await come(3, name="Watchdog", severity="none")
    await come(4, cluster="other", namespace="shop")

    async def found(**wanted: object) -> list[str]:
        return [row.alert.fingerprint for row in await alerts.find("lab", WantedAlerts(**wanted), limit=9)]

    assert await found() == ["f3", "g3", "f2", "g2", "f1", "g1"]
    assert await found(namespace="shop", severity="critical") == ["f1", "g1"]
    assert await found(namespace="bank") == []
    assert await found(done=("silenced",)) == ["f2"]
    assert await found(done=("ignored", "silenced"), state="firing") == ["f3", "g3", "f2"]
    assert await found(words="50%_A checkout") == ["f1", "g1"]
    assert await found(words="50_%") == []
    [one] = await alerts.find("lab", WantedAlerts(severity="critical"), limit=1)
    assert one.labels["pod"] == "checkout-50%_a"
    assert one.alert.run_state == "queued"

    seen, before = [], None
    while page := await alerts.find("lab", WantedAlerts(before=before), limit=1):
        seen.append(page[-1].alert.fingerprint)
        before = (page[-1].alert.last_seen, page[-1].alert.fingerprint)
    assert seen == await found()
