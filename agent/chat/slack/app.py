"""The Slack app as one thing that the service starts: events in by HTTP or Socket Mode, questions answered, threads kept.

Imported only where Slack is configured. Knows no web framework: `heard` takes bytes and headers, and says what to answer.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from agent.chat.slack.announcer import Announcer
from agent.chat.slack.papers import attach
from agent.chat.slack.payload import envelope_of
from agent.chat.slack.ports import Access, Answers, Runs, SlackRefused, SlackUnavailable
from agent.chat.slack.questions import Questions
from agent.chat.slack.signature import objection
from agent.chat.slack.socket import listen
from agent.chat.slack.summaries import report_message, summary_message
from agent.chat.slack.web import Slack, client
from agent.delivery.paper import Paper, Undeliverable
from agent.domain.incident import Incident
from agent.store import SqlDeliveryBook, SqlSlackBook

log = structlog.get_logger("agent.slack")


class SlackApp:
    def __init__(
        self,
        access: Access,
        answers: Answers,
        runs: Runs,
        book: SqlSlackBook,
        marks: SqlDeliveryBook,
        channel_of: Callable[[Incident], str],
        *,
        pause: float = 1.0,
    ) -> None:
        """`pause`: seconds between two messages to one channel, and between two edits of one message."""
        self._access = access
        self._slack = Slack(client(access.bot_token, access.api_url), pause=pause)
        self._announcer = Announcer(
            book=book, marks=marks, runs=runs, slack=self._slack, access=access, channel_of=channel_of, look_seconds=pause
        )
        self._questions = Questions(
            book=book, slack=self._slack, answers=answers, access=access, run_of=book.run_of, edit_seconds=pause
        )

    @property
    def takes_http(self) -> bool:
        return bool(self._access.signing_secret)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._introduce())
            group.create_task(self._announcer.run())
            group.create_task(self._questions.run())
            if self._access.app_token:
                group.create_task(listen(self._access, self._take))

    async def heard(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """(status, answer) to a request that says to be Slack's: its signature is looked at before anything is parsed.

        401 not signed by Slack now, 400 not what Slack sends, 403 another workspace; 200 for whatever is kept, known already, or
        not for us. Raises StoreUnavailable, and Slack sends it again.
        """
        if not self._access.signing_secret:  # with an empty one anybody could sign
            return 401, {"error": "unsigned"}
        why = objection(
            self._access.signing_secret,
            timestamp=headers.get("x-slack-request-timestamp"),
            signature=headers.get("x-slack-signature"),
            body=body,
            now=time.time(),
        )
        if why:
            log.warning("a request that says to be Slack's is refused", why=why)
            return 401, {"error": why}
        envelope = envelope_of(body)
        if envelope is None:
            return 400, {"error": "malformed"}
        if envelope.type == "url_verification":
            return 200, {"challenge": envelope.challenge}
        verdict = await self._questions.take(envelope)
        return (403, {"error": "foreign"}) if verdict == "foreign" else (200, {})

    async def deliver(self, channel: str, paper: Paper, note: str) -> str:
        """A report or a summary in a channel; returns what was posted, for the next try. Raises Undeliverable."""
        try:
            ts = note
            if not ts:
                message = (
                    report_message(paper.report, public_url=self._access.public_url)
                    if paper.report is not None
                    else summary_message(paper)
                )
                ts = await self._slack.post(channel, message)
            return ts
        except SlackUnavailable as exc:
            raise Undeliverable(f"Slack: {exc}", again_in=exc.wait) from None
        except SlackRefused as exc:
            raise Undeliverable(f"Slack: {exc.code}", final=True) from None

    async def attach(self, channel: str, ts: str, paper: Paper) -> None:
        """The files of it. Raises Undeliverable."""
        try:
            if paper.report is not None:
                await attach(self._slack, channel, ts, paper.report)
            else:
                await self._slack.file(channel, ts, f"{paper.name}.md", paper.title, paper.form("md").encode())
        except SlackUnavailable as exc:
            raise Undeliverable(f"Slack: {exc}", again_in=exc.wait) from None
        except SlackRefused as exc:
            raise Undeliverable(f"Slack: {exc.code}", final=True) from None

    async def _take(self, payload: dict[str, object]) -> object:
        envelope = envelope_of(payload)
        return await self._questions.take(envelope) if envelope is not None else None

    async def _introduce(self) -> None:
        """Who we are, so that our own words are never taken for a question; until Slack says it."""
        pause = 1.0
        while True:
            try:
                team, bot = await self._slack.who_am_i()
            except (SlackUnavailable, SlackRefused) as exc:
                log.warning("Slack does not know the app yet", reason=str(exc))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 60.0)
                continue
            self._questions.bot = bot
            log.info("Slack knows the app", team=team, bot=bot)
            return
