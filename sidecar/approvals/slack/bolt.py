"""Where slack-bolt's events become our clicks, over HTTP and Socket Mode alike. Knows no approval."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from sidecar.approvals.slack.card import APPROVE, DENY, PAGE, SHOW
from sidecar.approvals.slack.clicks import Clicks
from sidecar.approvals.slack.modal import FIELD, WHY
from sidecar.approvals.slack.payload import reason_in
from sidecar.approvals.slack.ports import Access
from sidecar.approvals.slack.web import quiet_logger
from sidecar.contract import Problem

log = structlog.get_logger("sidecar.slack")
Body = dict[str, Any]  # raw JSON of Slack's; `clicks` reads it


def make_app(access: Access, clicks: Clicks, web: AsyncWebClient, *, turned_away: Callable[[str], Awaitable[None]]) -> AsyncApp:
    """`turned_away` puts a refusal on record. The signature is checked twice: at the door over raw bytes, and here."""

    async def authorize(**_: object) -> AuthorizeResult:
        # One workspace, one token: nothing to ask Slack for before a click is looked at.
        return AuthorizeResult(enterprise_id=None, team_id=access.team, bot_token=access.bot_token)

    app = AsyncApp(
        name="lestrade-approvals",
        logger=quiet_logger(),
        # Without HTTP nobody knows the secret, so that nothing unsigned is ever taken.
        signing_secret=access.signing_secret or secrets.token_hex(32),
        client=AsyncWebClient(base_url=web.base_url, timeout=web.timeout, logger=quiet_logger()),
        authorize=authorize,
        ssl_check_enabled=False,  # would answer before the signature is checked
        url_verification_enabled=False,
        ignoring_self_events_enabled=False,
        attaching_function_token_enabled=False,
        attaching_conversation_kwargs_enabled=False,
    )

    @app.middleware
    async def only_ours(body: Body, next: Callable[[], Awaitable[BoltResponse]]) -> BoltResponse:
        code = clicks.foreign(body)
        if code:
            await turned_away(code)
            return problem_response(403, code, "this request is not for this sidecar")
        return await next()

    @app.error
    async def failed(error: Exception) -> BoltResponse:
        log.error("a fault of the sidecar's own", at="slack", error=type(error).__name__)
        return BoltResponse(status=200, body="")

    _listen(app, clicks)
    return app


def _listen(app: AsyncApp, clicks: Clicks) -> None:
    @app.action(APPROVE)
    async def approve(ack: AsyncAck, body: Body) -> None:
        await ack()
        await clicks.approve(body)

    @app.action(DENY)
    async def deny(ack: AsyncAck, body: Body) -> None:
        await ack()
        await clicks.ask_why(body)

    @app.view(WHY)
    async def said_why(ack: AsyncAck, body: Body) -> None:
        if not reason_in(body):
            await ack(response_action="errors", errors={FIELD: "Say in a few words why not."})
            return
        await ack()
        await clicks.deny(body)

    @app.action(SHOW)
    async def show(ack: AsyncAck, body: Body) -> None:
        await ack()
        await clicks.show(body)

    @app.action(PAGE)
    async def page(ack: AsyncAck) -> None:
        await ack()  # a link; the browser has it


def problem_response(status: int, code: str, detail: str) -> BoltResponse:
    said = Problem(title=code.replace("-", " "), status=status, detail=detail, code=code)
    return BoltResponse(status=status, body=json.dumps(said.document()), headers={"content-type": ["application/problem+json"]})
