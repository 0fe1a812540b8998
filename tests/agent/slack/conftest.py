"""The agent's Slack app on a Slack of loopback, with a store of its own, and somebody who answers as the test says."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable

import pytest

from agent.chat.slack.app import SlackApp
from agent.chat.slack.ports import Access, Said, Step
from agent.domain.document import from_document
from agent.domain.report import Report
from agent.errors import LestradeError
from agent.store import Database, SqlDeliveryBook, SqlEventLog, SqlRunStore, SqlSlackBook
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, SECRET, FakeSlack

CHANNEL = "C0INCIDENTS"


class Answering:
    """Says what the test says; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []  # text, person, run, reply
        self.steps: tuple[str, ...] = ("intake: question", "gather: read 12 objects")
        self.said = Said(text="**All** is well.", suggestions=("is it fixed now?",))
        self.raises: LestradeError | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def turn(self, asked, *, run: str) -> AsyncIterator[Step | Said]:
        self.asked.append((asked.text, asked.person, run, asked.reply))
        if self.raises is not None:
            raised, self.raises = self.raises, None
            raise raised
        for step in self.steps:
            yield Step(text=step)
        await self.go.wait()
        yield self.said


class StoredRuns:
    def __init__(self, database: Database) -> None:
        self.store = SqlRunStore(database)
        self.events = SqlEventLog(database)

    async def row(self, run: str):
        return await self.store.row(run)

    async def told(self, run: str):
        return await self.events.told(run)

    async def report(self, run: str):
        document = await self.store.report(run)
        return from_document(Report, dict(document)) if document else None


class World:
    def __init__(self, slack: FakeSlack, database: Database, answers: Answering) -> None:
        self.slack, self.database, self.answers = slack, database, answers
        self.runs = StoredRuns(database)
        self.book = SqlSlackBook(database)
        self.tasks: list[asyncio.Task[None]] = []

    def app(self, **over) -> SlackApp:
        """Another process of the agent."""
        access = Access(
            **{
                "bot_token": BOT_TOKEN,
                "signing_secret": SECRET,
                "app_token": "",
                "channel": CHANNEL,
                "public_url": "https://lestrade.example",
                "approvals_url": "https://approvals.example",
                "api_url": self.slack.api_url,
                **over,
            }
        )
        made = SlackApp(
            access, self.answers, self.runs, self.book, SqlDeliveryBook(self.database), lambda _: access.channel, pause=0.02
        )
        self.tasks.append(asyncio.create_task(made.run()))
        return made

    async def switched_on(self) -> None:
        """What is opened from now on gets a thread."""
        await SqlDeliveryBook(self.database).mark("slack-threads")

    async def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()


@pytest.fixture(scope="session")
def one_slack():
    slack = FakeSlack().start()
    yield slack
    slack.end()


@pytest.fixture
async def world(one_slack, tmp_path):
    slack = one_slack
    for kept in (slack.calls, slack.messages, slack.files, slack.acknowledged, slack.refusing):
        kept.clear()
    slack.down, slack.too_many, slack.retry_after = False, 0, "1"
    database = await Database.open(f"sqlite:///{tmp_path / 'runs.sqlite'}")
    found = World(slack, database, Answering())
    try:
        yield found
    finally:
        await found.kill()
        await database.close()


async def until(look: Callable[[], object], what: str = "it happens"):
    for _ in range(500):
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"never: {what}")


__all__ = ["APP_TOKEN", "CHANNEL", "until"]
