"""Opens the Slack channel: a route for the people's listener, Socket Mode, and the announcer in a thread of its own.

Imported only where Slack is configured (slack-bolt takes a while to import). Knows no use case.
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Sequence
from typing import Literal, Protocol

import structlog
from fastapi import FastAPI
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from sidecar.approvals.slack.announcer import Announcer
from sidecar.approvals.slack.bolt import make_app
from sidecar.approvals.slack.clicks import Clicks
from sidecar.approvals.slack.http import Turned, interactions
from sidecar.approvals.slack.ports import VIA, Access, Approvals
from sidecar.approvals.slack.web import Slack, SlackRefused, SlackUnavailable, client, quiet_logger
from sidecar.contract import Answer

log = structlog.get_logger("sidecar.slack")
PATH = "/slack/interactions"
CONFIRM_SECONDS = 5
CONNECT_SECONDS = 30  # a ticket for a WebSocket is good for about as long


class _Connection(Protocol):
    """What we use of the library's handler, with types."""

    async def connect_async(self) -> None: ...

    async def close_async(self) -> None: ...


class SlackChannel:
    def __init__(self, approvals: Approvals, access: Access) -> None:
        self._access = access
        self._approvals = approvals
        self._web = client(access.bot_token, access.api_url)
        self._slack = Slack(self._web)
        self._turned = Turned(approvals)
        self._announcer = Announcer(approvals, self._slack, access)
        clicks = Clicks(approvals, self._slack, access, wake=self.wake)
        self._app: AsyncApp = make_app(access, clicks, self._web, turned_away=self._turned.away)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake: asyncio.Event | None = None

    def install(self, people: FastAPI) -> None:
        """Requests of Slack come to the people's listener; with Socket Mode only, there is no such door."""
        if self._access.signing_secret:
            handle = interactions(self._app, self._access.signing_secret, self._turned)
            people.add_route(PATH, handle, methods=["POST"], include_in_schema=False)

    def wake(self) -> None:
        """From any thread: something changed."""
        self._announcer.stir()
        loop, awake = self._loop, self._awake
        if loop is not None and awake is not None:
            with contextlib.suppress(RuntimeError):  # it ended meanwhile
                loop.call_soon_threadsafe(awake.set)

    def standing(self, answers: Sequence[Answer]) -> dict[str, Literal["active", "gone", "unknown"]]:
        """Of everybody who said yes here, whether Slack still knows them as an active human; for other threads."""
        people = sorted({given.person for given in answers if given.via == VIA and given.verdict == "approve"})
        loop = self._loop
        if not people:
            return {}
        if loop is None:
            return dict.fromkeys(people, "unknown")
        looking = asyncio.run_coroutine_threadsafe(self._stand(people), loop)
        try:
            return looking.result(CONFIRM_SECONDS)
        except (TimeoutError, concurrent.futures.CancelledError):
            looking.cancel()
            return dict.fromkeys(people, "unknown")

    async def _stand(self, people: list[str]) -> dict[str, Literal["active", "gone", "unknown"]]:
        found: dict[str, Literal["active", "gone", "unknown"]] = {}
        for person in people:
            found[person] = "gone"
            for account in await asyncio.to_thread(self._approvals.accounts_of, person):
                try:
                    user = await self._slack.user(account)
                except SlackUnavailable:
                    found[person] = "unknown"
                except SlackRefused:  # no such account any more
                    continue
                else:
                    if user.active and user.human:
                        found[person] = "active"
                        break
        return found

    def run(self, ended: threading.Event) -> None:
        """The thread: until `ended` is set."""
        asyncio.run(self._run(ended))

    async def _run(self, ended: threading.Event) -> None:
        self._loop, self._awake = asyncio.get_running_loop(), asyncio.Event()
        work = [asyncio.create_task(self._announcer.run(self._awake)), asyncio.create_task(self._introduce())]
        if self._access.app_token:
            work.append(asyncio.create_task(self._listen()))
        try:
            await asyncio.to_thread(ended.wait)
        finally:
            self._loop = None
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _introduce(self) -> None:
        """Say in the log whether the token is good for the workspace that the settings name."""
        try:
            team, bot = await self._slack.who_am_i()
        except (SlackUnavailable, SlackRefused) as exc:
            log.warning("Slack does not know the app yet", reason=str(exc))
            return
        if team != self._access.team:
            log.error("the bot token is of another workspace than the settings say", token=team, settings=self._access.team)
        else:
            log.info("Slack knows the app", team=team, bot=bot)

    async def _listen(self) -> None:
        """Socket Mode: the library keeps the connection, this sees to it that there is one in the beginning."""
        while True:
            handler: _Connection = AsyncSocketModeHandler(
                self._app, self._access.app_token, logger=quiet_logger(), web_client=client("", self._access.api_url)
            )
            try:
                await asyncio.wait_for(handler.connect_async(), CONNECT_SECONDS)
                log.info("listening to Slack by Socket Mode")
                await asyncio.Event().wait()
            except TimeoutError:
                log.warning("no connection for Socket Mode yet, trying again")
            finally:
                with contextlib.suppress(Exception):
                    await handler.close_async()


def open_channel(approvals: Approvals, access: Access) -> SlackChannel:
    return SlackChannel(approvals, access)
