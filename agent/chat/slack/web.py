"""Slack's Web API, as much of it as we use. Knows no report; every failure comes out as one of two (see ports)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from agent.chat.slack.blocks import Message
from agent.chat.slack.ports import SlackRefused, SlackUnavailable
from sidecar.contract import Json

log = structlog.get_logger("agent.slack")
TIMEOUT_SECONDS = 10
LONGEST_WAIT_SECONDS = 15.0  # a 429 with a longer pause is for the caller
PAUSE_SECONDS = 1.0  # between two messages to one channel: https://docs.slack.dev/apis/web-api/rate-limits
MOST_CHANNELS = 1000
# Not about the request but about the moment, or about the app's standing, which an operator may put right.
_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "accesslimited"}
    | {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}
    | {"team_access_not_granted"}
)


def client(token: str, api_url: str) -> AsyncWebClient:
    return AsyncWebClient(token=token, base_url=api_url, timeout=TIMEOUT_SECONDS, logger=quiet_logger(), retry_handlers=[])


class Slack:
    def __init__(self, web: AsyncWebClient, *, pause: float = PAUSE_SECONDS) -> None:
        self._web = web
        self._pause = pause
        self._next: dict[str, float] = {}
        self._quiet_until = 0.0

    async def post(self, channel: str, message: Message, *, thread: str = "") -> str:
        await self._turn(channel)
        answer = await self._asked(
            lambda: self._web.chat_postMessage(
                channel=channel,
                thread_ts=thread or None,
                text=message.text,
                blocks=list(message.blocks),
                mrkdwn=False,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        ts = answer.get("ts")
        if not isinstance(ts, str) or not ts:
            raise SlackUnavailable("no ts in the answer")
        return ts

    async def update(self, channel: str, ts: str, message: Message) -> None:
        await self._asked(
            lambda: self._web.chat_update(
                channel=channel, ts=ts, text=message.text, blocks=list(message.blocks), parse="none", link_names=False
            )
        )

    async def file(self, channel: str, thread: str, name: str, title: str, content: bytes) -> None:
        """files.getUploadURLExternal, the upload, files.completeUploadExternal."""
        await self._turn(channel)
        await self._asked(
            lambda: self._web.files_upload_v2(channel=channel, thread_ts=thread, filename=name, title=title, content=content)
        )

    async def who_am_i(self) -> tuple[str, str]:
        """Team id and bot user id of the token."""
        answer = await self._asked(self._web.auth_test)
        return str(answer.get("team_id", "")), str(answer.get("user_id", ""))

    async def _turn(self, channel: str) -> None:
        """Messages to one channel come a second apart."""
        now = time.monotonic()
        if len(self._next) > MOST_CHANNELS:
            self._next = {name: at for name, at in self._next.items() if at > now}
        at = max(now, self._next.get(channel, 0.0))
        self._next[channel] = at + self._pause
        await asyncio.sleep(at - now)

    async def _asked(self, call: Callable[[], Awaitable[AsyncSlackResponse]]) -> dict[str, Json]:
        """Waits once for as long as a 429 says; while Slack wants quiet, nothing is sent at all."""
        for attempt in (1, 2):
            quiet = self._quiet_until - time.monotonic()
            if quiet > LONGEST_WAIT_SECONDS:
                raise SlackUnavailable("ratelimited", wait=quiet)
            await asyncio.sleep(max(0.0, quiet))
            try:
                return await _answer(call)
            except SlackUnavailable as exc:
                if exc.wait:
                    self._quiet_until = max(self._quiet_until, time.monotonic() + exc.wait)
                if not exc.wait or exc.wait > LONGEST_WAIT_SECONDS or attempt == 2:
                    raise
        raise AssertionError("two attempts end one way or the other")


async def _answer(call: Callable[[], Awaitable[AsyncSlackResponse]]) -> dict[str, Json]:
    try:
        answer = await call()
    except SlackApiError as exc:
        code = _code(exc)
        if code == "http 429" or code in ("ratelimited", "rate_limited"):
            raise SlackUnavailable("ratelimited", wait=_wait(exc.response)) from None
        raise (SlackUnavailable(code) if code in _LATER or code.startswith("http ") else SlackRefused(code)) from None
    except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as exc:
        raise SlackUnavailable(type(exc).__name__) from None  # its text may hold what was sent
    return answer.data if isinstance(answer.data, dict) else {}


def _wait(response: object) -> float:
    """`Retry-After` of an answer in seconds, at most an hour; one second where there is none that can be read."""
    headers = getattr(response, "headers", None) or {}
    found = next((value for name, value in headers.items() if str(name).lower() == "retry-after"), "")
    text = str(found[0] if isinstance(found, list) and found else found)
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else 1.0


def _code(exc: SlackApiError) -> str:
    response = exc.response
    status = getattr(response, "status_code", 200)
    if status != 200:
        return f"http {status}"
    code = response.get("error") if hasattr(response, "get") else None
    return str(code or "unknown_error")[:80]


class _Quiet(logging.Handler):
    """The library's lines may hold payloads and addresses with tickets: only where and how bad goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("slack library", level_of_it=record.levelname, where=record.funcName)


def quiet_logger() -> logging.Logger:
    logger = logging.getLogger("agent.slack.library")
    if not logger.handlers:
        logger.addHandler(_Quiet())
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    return logger
