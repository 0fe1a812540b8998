"""`POST /slack/events`: bytes and headers to the Slack app, which looks at the signature before anything is parsed."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.bootstrap import Workshop
from agent.chat.conversation import Conversations
from agent.chat.slack.access import access_from
from agent.chat.slack.conversing import SlackConversations
from agent.chat.slack.runs import ShopRuns
from agent.domain.incident import Incident
from agent.errors import InputError
from agent.store import SqlDeliveryBook, SqlSlackBook

if TYPE_CHECKING:
    from agent.chat.slack.app import SlackApp

MOST_BYTES = 262_144  # Slack's events are far smaller


def add_slack(app: FastAPI) -> None:
    app.state.slack = None

    @app.post("/slack/events", include_in_schema=False)
    async def events(request: Request) -> Response:
        slack: SlackApp | None = request.app.state.slack
        if slack is None or not slack.takes_http:
            raise HTTPException(404, "Slack is not taken by HTTP here: LESTRADE_SLACK_SIGNING_SECRET_FILE is not set")
        status, answer = await slack.heard(await bounded(request, MOST_BYTES), request.headers)
        return JSONResponse(answer, status_code=status)


@asynccontextmanager
async def slack_open(
    app: FastAPI, conversations: Conversations, channel_of: Callable[[Incident, str], str], *, pause: float = 1.0
) -> AsyncIterator["SlackApp | None"]:
    """Listens and speaks for as long as it is open; None where Slack is not set. Raises InputError."""
    slack = app.state.slack = slack_of(app.state.shop, conversations, channel_of, pause=pause)
    task = asyncio.create_task(slack.run()) if slack is not None else None
    try:
        yield slack
    finally:
        app.state.slack = None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def slack_of(
    shop: Workshop, conversations: Conversations, channel_of: Callable[[Incident, str], str], *, pause: float
) -> "SlackApp | None":
    """`channel_of` takes the channel by default."""
    access = access_from(shop.settings)
    if access is None:
        return None
    try:
        library = importlib.import_module("agent.chat.slack.app")
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "slack_sdk":
            raise
        named = "setting LESTRADE_SLACK_BOT_TOKEN_FILE"
        raise InputError(f"{named} asks for Slack, whose library is not installed: install lestrade[slack]") from None
    opened: SlackApp = library.SlackApp(
        access,
        SlackConversations(shop, conversations),
        ShopRuns(shop),
        SqlSlackBook(shop.database),
        SqlDeliveryBook(shop.database),
        lambda incident: channel_of(incident, access.channel),
        pause=pause,
    )
    return opened
