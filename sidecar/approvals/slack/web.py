"""Slack's Web API, as much of it as approvals need. Knows no approval; every failure comes out as one of two.

SlackUnavailable: ask again later. SlackRefused: Slack understood, and says no to this very request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from sidecar.approvals.slack.blocks import Block, plain
from sidecar.contract import Json

log = structlog.get_logger("sidecar.slack")
TIMEOUT_SECONDS = 10
LONGEST_WAIT_SECONDS = 15
# Not about the request but about the moment, or about the app's standing, which an operator may put right.
_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "accesslimited"}
    | {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope"}
    | {"team_access_not_granted"}
)


class SlackUnavailable(Exception):
    """Slack cannot be asked now; the text is Slack's error code or the kind of failure, never a secret.

    `wait`: for how many seconds Slack asked us to be quiet, 0 where it did not say.
    """

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class SlackRefused(Exception):
    """Slack says no; `code` is its error code, such as channel_not_found or message_not_found."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """What Slack says of an account; what it does not say counts against the account."""

    id: str
    team: str
    active: bool
    human: bool


class _ShortWaits(AsyncRateLimitErrorRetryHandler):
    """A 429 with a long pause is for the caller: nobody who clicked waits that long."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        return response is not None and response.status_code == 429 and _wait(response) <= LONGEST_WAIT_SECONDS

    async def prepare_for_next_attempt_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        state.next_attempt_requested = True
        await asyncio.sleep(_wait(response))  # the library's own would take any number for seconds
        state.increment_current_attempt()


def _wait(response: object) -> float:
    """`Retry-After` of an answer in seconds, at most an hour; one second where there is none that can be read."""
    headers = getattr(response, "headers", None) or {}
    found = next((value for name, value in headers.items() if str(name).lower() == "retry-after"), "")
    text = str(found[0] if isinstance(found, list) and found else found)
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else 1.0


def client(token: str, api_url: str) -> AsyncWebClient:
    """Waits once for as long as a 429 says; everything else is for the caller to try again."""
    made = AsyncWebClient(token=token, base_url=api_url, timeout=TIMEOUT_SECONDS, logger=quiet_logger())
    made.retry_handlers.append(_ShortWaits(max_retry_count=1))
    return made


class Slack:
    def __init__(self, web: AsyncWebClient) -> None:
        self._web = web

    async def post(self, channel: str, text: str, blocks: tuple[Block, ...]) -> str:
        """Returns Slack's name of the new message (its ts)."""
        answer = await _asked(
            lambda: self._web.chat_postMessage(
                channel=channel,
                text=text,
                blocks=list(blocks),
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

    async def update(self, channel: str, ts: str, text: str, blocks: tuple[Block, ...]) -> None:
        await _asked(
            lambda: self._web.chat_update(channel=channel, ts=ts, text=text, blocks=list(blocks), parse="none", link_names=False)
        )

    async def tell(self, channel: str, user: str, text: str) -> None:
        """A notice that only this person sees."""
        notice = plain(text, 2900)
        await _asked(
            lambda: self._web.chat_postEphemeral(
                channel=channel, user=user, text=str(notice["text"]), blocks=[{"type": "section", "text": notice}], parse="none"
            )
        )

    async def ask(self, trigger: str, view: Block) -> None:
        """Open a modal; `trigger` is good for three seconds."""
        await _asked(lambda: self._web.views_open(trigger_id=trigger, view=view))

    async def file(self, channel: str, thread: str, name: str, content: str) -> None:
        """A text file in the thread of a message."""
        await _asked(
            lambda: self._web.files_upload_v2(channel=channel, thread_ts=thread, filename=name, title=name, content=content)
        )

    async def user(self, user: str) -> SlackUser:
        answer = await _asked(lambda: self._web.users_info(user=user))
        found = answer.get("user")
        if not isinstance(found, dict) or found.get("id") != user:
            raise SlackUnavailable("no user in the answer")
        human = found.get("is_bot") is False and found.get("is_workflow_bot") is not True and user != "USLACKBOT"
        return SlackUser(id=user, team=str(found.get("team_id", "")), active=found.get("deleted") is False, human=human)

    async def who_am_i(self) -> tuple[str, str]:
        """Team id and bot user id of the token."""
        answer = await _asked(self._web.auth_test)
        return str(answer.get("team_id", "")), str(answer.get("user_id", ""))


async def _asked(call: Callable[[], Awaitable[AsyncSlackResponse]]) -> dict[str, Json]:
    try:
        answer = await call()
    except SlackApiError as exc:
        code = _code(exc)
        raise (
            SlackUnavailable(code, wait=_wait(exc.response)) if code in _LATER or code.startswith("http ") else SlackRefused(code)
        ) from None
    except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as exc:
        raise SlackUnavailable(type(exc).__name__) from None  # its text may hold what was sent
    return answer.data if isinstance(answer.data, dict) else {}


def _code(exc: SlackApiError) -> str:
    response = exc.response
    status = getattr(response, "status_code", 200)
    if status != 200:
        return f"http {status}"
    code = response.get("error") if hasattr(response, "get") else None
    return str(code or "unknown_error")[:80]


class _Quiet(logging.Handler):
    """The libraries' lines may hold payloads and addresses with tickets: only where and how bad goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("slack library", level_of_it=record.levelname, where=record.funcName)


def quiet_logger() -> logging.Logger:
    logger = logging.getLogger("sidecar.slack.library")
    if not logger.handlers:
        logger.addHandler(_Quiet())
        logger.propagate = False
        logger.setLevel(logging.ERROR)
    return logger
