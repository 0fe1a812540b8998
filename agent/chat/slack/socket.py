"""Socket Mode: events over a WebSocket that we open, so that nothing has to be reachable from outside.

The library keeps the connection and makes a new one when Slack wants it; this sees to it that there is one in the beginning. An
event is acknowledged when it is kept; what is not acknowledged, Slack sends again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from agent.chat.slack.ports import Access
from agent.chat.slack.web import client, quiet_logger
from agent.errors import StoreUnavailable

log = structlog.get_logger("agent.slack")
CONNECT_SECONDS = 30  # a ticket for a WebSocket is good for about as long
AGAIN_SECONDS = 5.0

Take = Callable[[dict[str, object]], Awaitable[object]]


class _Connection(Protocol):
    """What we use of the library's client, with types."""

    async def connect(self) -> None: ...

    async def close(self) -> None: ...


async def listen(access: Access, take: Take) -> None:
    """Until cancelled. `take` keeps an event; raises StoreUnavailable."""

    async def heard(link: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        try:
            if request.type == "events_api":
                await take(request.payload)
        except StoreUnavailable as exc:
            log.error("an event of Slack is not taken, it will come again", reason=str(exc))
            return
        await link.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    while True:
        link = SocketModeClient(access.app_token, logger=quiet_logger(), web_client=client("", access.api_url))
        link.socket_mode_request_listeners.append(heard)
        connection: _Connection = link  # the library's own has no types
        try:
            await asyncio.wait_for(connection.connect(), CONNECT_SECONDS)
            log.info("listening to Slack by Socket Mode")
            await asyncio.Event().wait()
        except TimeoutError:
            log.warning("no connection for Socket Mode yet, trying again")
        except Exception as exc:  # noqa: BLE001  the library's own; whoever asks must not be left without an ear
            log.error("Socket Mode broke, trying again", error=type(exc).__name__)
            await asyncio.sleep(AGAIN_SECONDS)
        finally:
            with contextlib.suppress(Exception):
                await connection.close()
