"""What the service delivers by itself: reports to the places of the deliveries file, and a summary every week."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import httpx
import structlog

from agent.app.meters import Meters
from agent.bootstrap import Workshop
from agent.delivery.courier import Courier, Door, TwoSteps
from agent.delivery.folders import Files, GitFolder
from agent.delivery.hook import TIMEOUT, Hook, secret_in
from agent.delivery.orders import DAYS, Orders, Place, WhenSummary
from agent.delivery.paper import Paper
from agent.domain.report import Report
from agent.domain.summary import Summary
from agent.errors import InputError, StoreUnavailable
from agent.rendering import Format, render
from agent.rendering.machine import summary as facts_of
from agent.rendering.summary import summary_as_html, summary_as_json, summary_as_markdown, title_of
from agent.stages.summarise import MOST_RUNS, summarise
from agent.store import SqlDeliveryBook
from sidecar.contract import Json

if TYPE_CHECKING:
    from agent.chat.slack.app import SlackApp

log = structlog.get_logger("agent.delivery")
SUMMARY = "summary-"
WEEK = timedelta(days=7)
LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """A channel that reports and summaries are posted to; the message is kept before the files are tried."""

    slack: "SlackApp"
    channel: str

    async def begin(self, paper: Paper, note: str) -> str:
        return await self.slack.deliver(self.channel, paper, note)

    async def end(self, paper: Paper, note: str) -> None:
        await self.slack.attach(self.channel, note, paper)


@asynccontextmanager
async def delivering(
    shop: Workshop, orders: Orders, slack: "SlackApp | None", meters: Meters, *, look_seconds: float = 2.0
) -> AsyncIterator[None]:
    """Delivers for as long as it is open. Raises InputError for what cannot be delivered as it is set."""
    if orders.channels and slack is None:
        raise InputError("deliveries: channels are in Slack, but LESTRADE_SLACK_BOT_TOKEN_FILE is not set")
    if not orders.places:
        yield
        return
    book = SqlDeliveryBook(shop.database)
    async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as http:
        doors, stairs = _doors(orders, slack, http)
        for place in orders.places:
            for end in ("delivered", "later", "failed"):
                meters.deliveries.labels(place.name, end)  # there from the start: the first failure is an increase too
        courier = Courier(
            book=book,
            store=shop.store,
            events=shop.events,
            places=orders.places,
            doors=doors,
            stairs=stairs,
            paper_of=partial(paper_of, shop, book),
            count=lambda place, end: meters.deliveries.labels(place, end).inc(),
            look_seconds=look_seconds,
        )
        tasks = [asyncio.create_task(courier.run())]
        if orders.summary is not None:
            tasks.append(asyncio.create_task(_weekly(book, orders.summary)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _doors(
    orders: Orders, slack: "SlackApp | None", http: httpx.AsyncClient
) -> tuple[Mapping[str, Door], Mapping[str, TwoSteps]]:
    doors: dict[str, Door] = {}
    stairs: dict[str, TwoSteps] = {}
    for place in orders.places:
        if place.file is not None:
            doors[place.name] = Files(place.file.folder, place.file.formats)
        elif place.git is not None:
            doors[place.name] = GitFolder(place.git.folder)
        elif place.webhook is not None:
            secret_in(place.webhook.secret_file)  # said now, not at three in the morning
            doors[place.name] = Hook(place.webhook.url, place.webhook.secret_file, http)
        elif place.slack is not None:
            stairs[place.name] = _channel(place, slack)
    return doors, stairs


def _channel(place: Place, slack: "SlackApp | None") -> SlackChannel:
    if slack is None or place.slack is None:
        raise InputError(f"deliveries: place {place.name} is in Slack, but LESTRADE_SLACK_BOT_TOKEN_FILE is not set")
    return SlackChannel(slack, place.slack.channel)


async def paper_of(shop: Workshop, book: SqlDeliveryBook, name: str) -> Paper | None:
    """The same paper of the same name, whenever it is made."""
    if name.startswith(SUMMARY):
        return await _summary(shop, book, datetime.fromisoformat(name.removeprefix(SUMMARY)))
    report = await shop.report(name)
    return report_paper(report, shop.settings.public_url) if report is not None else None


def report_paper(report: Report, public_url: str) -> Paper:
    facts: dict[str, Json] = {
        "run": report.run,
        "outcome": report.outcome,
        "cluster": report.incident.cluster,
        **{name: value for name, value in facts_of(report).items() if name in ("cause", "resource", "confidence")},
        "alerts": list(dict.fromkeys(alert.name for alert in report.incident.alerts)),
        "question": report.incident.question,
        "seconds": round((report.ended_at - report.started_at).total_seconds(), 1),
    }
    return Paper(
        name=report.run,
        kind="report",
        title=report.headline,
        at=report.started_at,
        facts=facts,
        form=partial(render, report),
        report=report,
        url=f"{public_url.rstrip('/')}/runs/{report.run}" if public_url else "",
    )


async def _summary(shop: Workshop, book: SqlDeliveryBook, until: datetime) -> Paper:
    runs, more = await book.ended(until - WEEK, until, limit=MOST_RUNS)
    found = await summarise(
        runs, since=until - WEEK, until=until, cluster=shop.reader.name, store=shop.store, events=shop.events, left_out=more
    )
    return Paper(
        name=f"{SUMMARY}{until:%Y-%m-%dT%H}",
        kind="summary",
        title=title_of(found),
        at=until,
        facts={"cluster": found.cluster, "incidents": found.alerts, "outcome": "", "cause": ""},
        form=_forms(found),
    )


def _forms(found: Summary) -> Callable[[Format], str]:
    makers = {"md": summary_as_markdown, "html": summary_as_html, "json": summary_as_json}
    return lambda form: makers[form](found)


async def _weekly(book: SqlDeliveryBook, when: WhenSummary) -> None:
    while True:
        try:
            await order_summary(book, when)
        except StoreUnavailable:
            pass  # the courier says so
        except Exception as exc:  # noqa: BLE001  a task that dies would order no summary any more
            log.error("a summary could not be ordered", error=type(exc).__name__)
        await asyncio.sleep(LOOK_SECONDS)


async def order_summary(book: SqlDeliveryBook, when: WhenSummary) -> None:
    """The last summary that was due is ordered for its places, once; none for the time before there was an order."""
    due = last_due(when, book.now())
    if due >= await book.mark("weekly-summary"):
        for place in when.to:
            await book.add(f"{SUMMARY}{due:%Y-%m-%dT%H:%M:%S+00:00}", place)


def last_due(when: WhenSummary, now: datetime) -> datetime:
    today = now.replace(hour=when.hour, minute=0, second=0, microsecond=0)
    found = today - timedelta(days=(today.weekday() - DAYS.index(when.day)) % 7)
    return found if found <= now else found - WEEK
