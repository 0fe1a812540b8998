"""Reports reach every place that asked for them: whole, at least once, the same however often, and failures are said."""

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import yaml

from agent.app.deliveries import _weekly, delivering, last_due, order_summary, paper_of, report_paper
from agent.app.meters import Meters
from agent.delivery.courier import Courier
from agent.delivery.folders import Files, GitFolder, index
from agent.delivery.hook import Hook
from agent.delivery.orders import Orders, WhenSummary
from agent.delivery.paper import Undeliverable
from agent.domain.document import to_document
from agent.domain.incident import Alert
from agent.settings import Settings
from agent.store import SqlDeliveryBook
from tests.agent.slack.conftest import CHANNEL, until
from tests.agent.slack.reports import AT, incident, report
from tests.fakes.agent_shop import fake_shop
from tests.fakes.slack import words_of

SECRET = b"k" * 32


@pytest.fixture
async def shop(tmp_path):
    async with fake_shop(tmp_path / "shop", settings=Settings(public_url="https://lestrade.example")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def folder(tmp_path):
    (tmp_path / "shop").mkdir()


async def finished(shop, **over) -> str:
    row, _ = await shop.store.open(incident(group_key=f"g{len(await shop.store.rows(limit=100))}"))
    found = report(run=row.id, **over)
    await shop.store.finish(row.id, found.outcome, found.headline, to_document(found))
    return row.id


def orders(*places: dict) -> Orders:
    return Orders.model_validate({"places": list(places)})


async def told(shop, run: str) -> list[str]:
    return [event.text for event in await shop.events.told(run) if event.stage == "deliver"]


class Receiver:
    """A server that takes webhooks, as an httpx transport."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.statuses = list(statuses)
        self.headers = headers or {}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.statuses.pop(0) if self.statuses else 200, headers=self.headers)

    @asynccontextmanager
    async def hook(self, tmp_path, url: str = "https://tickets.example/hook?key=canary"):
        (tmp_path / "secret").write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
        async with httpx.AsyncClient(transport=httpx.MockTransport(self), follow_redirects=False) as http:
            yield Hook(url, tmp_path / "secret", http)


def courier(shop, found: Orders, door, **over) -> Courier:
    book = SqlDeliveryBook(shop.database)

    async def make(name: str):
        return await paper_of(shop, book, name)

    usual = {"doors": {found.places[0].name: door}, "stairs": {}}
    return Courier(book=book, store=shop.store, events=shop.events, places=found.places, paper_of=make, **{**usual, **over})


HOOK = {"name": "tickets", "webhook": {"url": "https://tickets.example/hook"}}


async def test_every_place_gets_the_report_of_a_run_that_ends_and_the_run_says_so(world, shop, tmp_path):
    world.runs.store, app = shop.store, world.app()
    found = orders(
        {"name": "archive", "file": {"folder": str(tmp_path / "a"), "formats": ["md", "html", "json"]}},
        {"name": "handbook", "git": {"folder": str(tmp_path / "g")}},
        {"name": "team", "slack": {"channel": "C0TEAM"}},
        {"name": "pay", "file": {"folder": str(tmp_path / "pay")}, "namespaces": ["pay-*"]},
    )
    before = await finished(shop)
    for place in found.places:
        await SqlDeliveryBook(shop.database).mark(f"place:{place.name}")
    meters = Meters()
    async with delivering(shop, found, app, meters, look_seconds=0.02):
        run = await finished(shop)
        await until(lambda: (tmp_path / "a" / f"{run}.json").exists())
        await until(lambda: [one for one in world.slack.files.values() if one.get("filename") == f"{run}.md"])
        for _ in range(100):
            said = await told(shop, run)
            if len(said) == 3:
                break
            await asyncio.sleep(0.02)
    assert sorted(said) == [f"report delivered to {name}" for name in ("archive", "handbook", "team")]
    assert json.loads((tmp_path / "a" / f"{run}.json").read_text())["run"] == run
    assert meters.registry.get_sample_value("lestrade_deliveries_total", {"place": "team", "end": "delivered"}) == 1
    posted = [message for message in world.slack.messages.values() if message["channel"] == "C0TEAM"]
    assert any("is killed for memory" in words_of(message) for message in posted)
    assert not (tmp_path / "a" / f"{before}.md").exists(), "history is not delivered"
    assert not (tmp_path / "pay").exists()
    assert CHANNEL != "C0TEAM"


async def test_a_git_folder_has_stable_names_front_matter_and_an_index(tmp_path):
    place = GitFolder(tmp_path)
    hostile = "Diagnosed: <b> | [x](http://evil.test)\n---\n# no"
    for run, headline in (("run-1", "Diagnosed: one"), ("run-2", hostile), ("run-1", "Diagnosed: one")):
        await place.deliver(report_paper(report(run=run, headline=headline), "https://lestrade.example"))

    path = tmp_path / "reports" / "2026" / "03" / "2026-03-01-run-1.md"
    _, front, body = path.read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts | {"date": None} == {
        "title": "Diagnosed: one",
        "date": None,
        "kind": "report",
        "run": "run-1",
        "outcome": "diagnosed",
        "cluster": "eu-1",
        "cause": "oom-killed",
        "resource": "Deployment shop/checkout",
        "confidence": 0.93,
        "alerts": ["KubePodCrashLooping"],
        "question": "",
        "seconds": 8.4,
    }
    assert body.strip().startswith("# Diagnosed: one")
    index = (tmp_path / "reports" / "index.md").read_text()
    assert index.count("run-1.md") == 1
    assert "(2026/03/2026-03-01-run-1.md)" in index
    assert "](http://evil" not in index.replace("\\]", "")
    assert sorted(found.name for found in tmp_path.rglob("*") if found.is_file()) == [
        "2026-03-01-run-1.md",
        "2026-03-01-run-2.md",
        "index.md",
    ], "nothing half written, no lock of ours"


async def test_whatever_breaks_an_order_of_a_summary_is_tried_again(monkeypatch):
    monkeypatch.setattr("agent.app.deliveries.LOOK_SECONDS", 0.01)
    ordered = asyncio.Event()

    class Book:
        tries = 0

        def now(self):
            self.tries += 1
            if self.tries == 1:
                raise RuntimeError("once")
            return AT

        async def mark(self, name):
            return AT - timedelta(days=30)

        async def add(self, paper, place):
            ordered.set()

    task = asyncio.create_task(_weekly(Book(), WhenSummary(to=("a",))))
    try:
        async with asyncio.timeout(5):
            await ordered.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_index_has_reports_of_storms_and_of_odd_words_and_reads_no_more_than_it_lists(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.delivery.folders.MOST_LISTED", 2)
    storm = replace(report(run="run-1", headline="Many ---"), incident=incident(alerts=tuple(alert_of(n) for n in range(200))))
    for made in (storm, report(run="run-2", headline="Two ---")):
        await GitFolder(tmp_path).deliver(report_paper(made, ""))
    reports = tmp_path / "reports"
    (reports / "2026" / "03" / "2026-02-28-old.md").write_text("---\ndate: 2026-03-09\ntitle: read after all\n---\n")
    shown = index(reports)

    assert ("run-1.md" in shown, "run-2.md" in shown, "read after all" in shown) == (True, True, False)
    assert "and 1 older ones" in shown


def alert_of(number: int) -> Alert:
    return Alert(name=f"TheAlertOfTeam{number}HasALongishNameToo", labels={})


async def test_a_webhook_is_signed_named_the_same_at_every_try_and_tried_again_later(shop, tmp_path):
    receiver = Receiver(503, 200)
    async with receiver.hook(tmp_path) as hook:
        one = courier(shop, orders(HOOK), hook)
        await one.look()
        run = await finished(shop)
        await one.look()
        assert await one.book.due() == [], "not at once"
        later = shop.database.now() + timedelta(seconds=6)
        shop.database.now = lambda: later
        await one.look()
        await one.look()
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == run
    mac = hmac.new(SECRET, f"{run}.{second.headers['webhook-timestamp']}.".encode() + second.content, hashlib.sha256).digest()
    assert second.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    document = json.loads(second.content)
    assert (document["delivery"], document["type"], document["url"]) == (
        1,
        "lestrade.report",
        f"https://lestrade.example/runs/{run}",
    )
    assert document["report"]["summary"]["cause"] == "oom-killed"
    said = await told(shop, run)
    assert said[0].startswith("report not delivered to tickets: tickets.example answered 503 (try 1 of 12, again in 5 s)")
    assert said[1] == "report delivered to tickets"
    assert "canary" not in "".join(said), "the address may hold a secret"


@pytest.mark.parametrize(
    ("status", "headers", "final", "again_in"),
    [
        (302, {"location": "https://evil.test/"}, True, 0),
        (307, {"location": "https://tickets.example/other"}, True, 0),
        (404, {}, True, 0),
        (429, {"retry-after": "77"}, False, 77),
        (503, {"retry-after": "soon"}, False, 0),
    ],
)
async def test_what_a_webhook_answers_is_final_or_not_and_no_redirect_is_followed(tmp_path, status, headers, final, again_in):
    receiver = Receiver(status, headers=headers)
    async with receiver.hook(tmp_path) as hook:
        with pytest.raises(Undeliverable) as failed:
            await hook.deliver(report_paper(report(), ""))
    assert (failed.value.final, failed.value.again_in) == (final, again_in)
    assert len(receiver.requests) == 1
    assert "canary" not in str(failed.value)


async def test_a_place_that_cannot_be_written_is_said_and_given_up_after_a_while_and_tried_after_a_restart(shop, tmp_path):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    found = orders({"name": "archive", "file": {"folder": str(tmp_path / "blocked")}})
    door = Files(tmp_path / "blocked", ("md",))
    one = courier(shop, found, door)
    await one.look()
    run = await finished(shop)
    real = shop.database.now
    for hours in range(14):
        shop.database.now = lambda hours=hours: real() + timedelta(hours=2 * hours)
        await one.look()
    assert (await one.book.told(run))[0].state == "failed"
    said = await told(shop, run)
    assert len(said) == 2, "the first failure and the end, not all of them"
    assert "given up until the next start" in said[1]

    (tmp_path / "blocked").unlink()
    await courier(shop, found, door).look()
    assert (tmp_path / "blocked" / f"{run}.md").exists()


async def test_two_couriers_deliver_each_report_once_and_one_slow_place_does_not_stop_another(shop, tmp_path):
    delivered: list[str] = []

    class Slow:
        async def deliver(self, paper) -> None:
            delivered.append(paper.name)
            await asyncio.sleep(0.05)

    found = orders({"name": "archive", "file": {"folder": str(tmp_path)}})
    first, second = courier(shop, found, Slow()), courier(shop, found, Slow())
    await first.look()
    await second.look()
    runs = [await finished(shop) for _ in range(4)]
    await asyncio.gather(first.look(), second.look())
    assert sorted(delivered) == sorted(runs)


async def test_a_weekly_summary_is_ordered_once_for_the_week_that_ended_and_delivered(shop, tmp_path):
    when = WhenSummary(day="monday", hour=8, to=("archive",))
    monday = AT.replace(day=2, hour=8, minute=0)  # 2026-03-02
    assert last_due(when, monday) == monday
    assert last_due(when, monday - timedelta(seconds=1)) == monday - timedelta(days=7)
    real = shop.database.now
    clock = {"now": real()}
    shop.database.now = lambda: clock["now"]
    book = SqlDeliveryBook(shop.database)
    await order_summary(book, when)
    assert await book.due() == [], "no summary of the time before there was an order"
    run = await finished(shop)
    clock["now"] += timedelta(days=7)
    for _ in range(3):
        await order_summary(book, when)
    assert len(await book.due()) == 1
    found = orders({"name": "archive", "file": {"folder": str(tmp_path / "a")}})
    await courier(shop, found, Files(tmp_path / "a", ("md", "json"))).look()
    names = sorted(path.name for path in (tmp_path / "a").glob("summary-*"))
    assert len(names) == 2
    text = (tmp_path / "a" / names[1]).read_text()
    assert "oom-killed" in text
    assert run in text
