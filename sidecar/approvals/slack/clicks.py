"""What people do with a card: who it was is found out anew at each click, and the gate decides. Knows no Slack library.

A click counts only if it comes from our app, workspace and channel, from the very card that was posted for the plan, by an
active human account that belongs to a person of the people file. Everything else is refused and recorded. The payload
names neither the person nor the plan's content: only the account, the digest and the policy revision that were shown.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import structlog
from pydantic import ValidationError

from sidecar.approvals.people import Person
from sidecar.approvals.slack import cards
from sidecar.approvals.slack.blocks import Block
from sidecar.approvals.slack.card import card
from sidecar.approvals.slack.modal import Question, question_from, why
from sidecar.approvals.slack.payload import Place, User, click_of, reason_in, submission_of, value_of
from sidecar.approvals.slack.ports import Access, Approvals, Asked, Verdict
from sidecar.approvals.slack.text import visible
from sidecar.approvals.slack.web import SlackRefused, SlackUnavailable, SlackUser
from sidecar.contract import Json, Problem
from sidecar.errors import JournalUnavailable

log = structlog.get_logger("sidecar.slack")
_SLACK_HOSTS = ("slack.com", "slack-gov.com")


class Speaks(Protocol):
    """The part of Slack's Web API that clicks need; raises SlackUnavailable and SlackRefused."""

    async def tell(self, channel: str, user: str, text: str) -> None: ...

    async def ask(self, trigger: str, view: Block) -> None: ...

    async def user(self, user: str) -> SlackUser: ...


class Refused(Exception):
    """`code` is stable and goes into the record, `said` is told to the person."""

    def __init__(self, *, code: str, said: str) -> None:
        super().__init__(code)
        self.code = code
        self.said = said


class Clicks:
    def __init__(self, approvals: Approvals, slack: Speaks, access: Access, *, wake: Callable[[], None]) -> None:
        self._approvals = approvals
        self._slack = slack
        self._access = access
        self._wake = wake

    def foreign(self, body: dict[str, Json]) -> str:
        """Why this request is not for us, "" when it is: another workspace, another app, or an answer to be sent elsewhere."""
        team = body.get("team")
        if not isinstance(team, dict) or team.get("id") != self._access.team:
            return "slack-other-workspace"
        if body.get("api_app_id") != self._access.app_id:
            return "slack-other-app"
        answers = [body.get("response_url"), *_urls(body.get("response_urls"))]
        if any(answer and not self._is_slack(answer) for answer in answers):
            return "slack-response-url"
        return ""

    async def approve(self, body: dict[str, Json]) -> None:
        click = click_of(body)
        if click is not None:
            plan, revision = value_of(click)
            await self._answer(click.user, click.container, plan, revision, "approve", "")

    async def ask_why(self, body: dict[str, Json]) -> None:
        """Deny was clicked: who may not answer is told so at once, the others are asked for the reason."""
        click = click_of(body)
        if click is None:
            return
        plan, revision = value_of(click)
        where = click.container
        try:
            asked = await self._card_of(where, plan)
            await self._person(click.user)
            question = Question(plan=plan, revision=revision, channel=where.channel_id, ts=where.message_ts)
            await self._slack.ask(click.trigger_id, why(asked.view, question))
        except Refused as refused:
            await self._refuse(click.user.id, where.channel_id, plan, "deny", refused)
        except (SlackUnavailable, SlackRefused) as exc:
            # A replayed click ends here: its trigger is used or older than three seconds.
            notice = Refused(code="slack-no-dialogue", said="Slack did not open the dialogue. Nothing was said; click again.")
            await self._refuse(click.user.id, where.channel_id, plan, "deny", notice, why=str(exc))
        except JournalUnavailable as exc:
            await self._cannot(click.user.id, where.channel_id, exc)

    async def deny(self, body: dict[str, Json]) -> None:
        submission = submission_of(body)
        question = question_from(submission.view.private_metadata) if submission is not None else None
        if submission is None or question is None:
            await asyncio.to_thread(self._approvals.refused, "slack-malformed", actor="slack")
            return
        try:
            where = Place(message_ts=question.ts, channel_id=question.channel)
        except ValidationError:
            await asyncio.to_thread(self._approvals.refused, "slack-malformed", actor="slack")
            return
        await self._answer(submission.user, where, question.plan, question.revision, "deny", reason_in(body))

    async def show(self, body: dict[str, Json]) -> None:
        """Give a plan of a summary a card of its own."""
        click = click_of(body)
        if click is None:
            return
        plan = click.actions[0].value
        try:
            await self._person(click.user)
            await asyncio.to_thread(self._unfold, click.container, plan)
        except Refused as refused:
            await self._refuse(click.user.id, click.container.channel_id, plan, "show", refused)
        except JournalUnavailable as exc:
            await self._cannot(click.user.id, click.container.channel_id, exc)

    async def _answer(self, user: User, where: Place, plan: str, revision: str, verdict: Verdict, reason: str) -> None:
        try:
            asked = await self._card_of(where, plan)
            if verdict == "approve" and card(asked).file:
                raise Refused(code="not-shown-whole", said="This card does not show everything: approve on the approvals page.")
            person = await self._person(user)
            came = await asyncio.to_thread(
                self._approvals.answer, plan, person=person, verdict=verdict, revision=revision, reason=visible(reason)[:500]
            )
        except Refused as refused:
            await self._refuse(user.id, where.channel_id, plan, verdict, refused)
            return
        except JournalUnavailable as exc:
            await self._cannot(user.id, where.channel_id, exc)
            return
        if isinstance(came, Problem):  # it is on record already
            await self._tell(where.channel_id, user.id, f"Not taken ({came.code}): {came.detail}")
        self._wake()

    async def _card_of(self, where: Place, plan: str) -> Asked:
        """The plan that is asked about there. Raises Refused unless that message is the card of this plan."""
        asked = await asyncio.to_thread(self._approvals.asked, plan) if _is_digest(plan) else None
        row = await asyncio.to_thread(self._row, plan)
        if asked is None or row is None or row.kind != "card" or (row.channel, row.ts) != (where.channel_id, where.message_ts):
            raise Refused(
                code="slack-not-the-card", said="This is not the card that was posted for this plan: use the newest one."
            )
        return asked

    async def _person(self, user: User) -> Person:
        """Whose click it is, as Slack and the people file have it now. Raises Refused."""
        if user.team_id and user.team_id != self._access.team:
            raise Refused(code="slack-other-workspace", said="People of another workspace cannot answer.")
        try:
            found = await self._slack.user(user.id)
        except (SlackUnavailable, SlackRefused) as exc:
            said = "Nothing was done: Slack does not say now whether your account is active. Try again, or use another channel."
            raise Refused(code="slack-unknown-user", said=said) from exc
        if not found.human:
            raise Refused(code="bot", said="A bot never answers.")
        if not found.active:
            raise Refused(code="slack-deactivated", said="This account is deactivated.")
        if found.team and found.team != self._access.team:
            raise Refused(code="slack-other-workspace", said="People of another workspace cannot answer.")
        person = self._approvals.person_of(user.id)
        if person is None:
            said = f"You are not among the people who may answer. An operator adds slack_user = {user.id} to the people file."
            raise Refused(code="not-known", said=said)
        if person.bot:
            raise Refused(code="bot", said="A bot never answers.")
        return person

    def _row(self, plan: str) -> cards.Row | None:
        with self._approvals.read() as connection:
            return cards.get(connection, plan)

    def _unfold(self, where: Place, plan: str) -> None:
        with self._approvals.write() as writing:
            row = cards.get(writing.connection, plan)
            listed = cards.get(writing.connection, row.summary) if row is not None else None
            if row is None or listed is None or (listed.channel, listed.ts) != (where.channel_id, where.message_ts):
                raise Refused(code="slack-not-the-card", said="This is not the summary that lists this plan.")
            if cards.unfold(writing.connection, plan):
                cards.reopen(writing.connection, row.summary)
        self._wake()

    async def _refuse(self, user: str, channel: str, plan: str, verdict: str, refused: Refused, why: str = "") -> None:
        log.warning("answer refused", code=refused.code, user=user, plan=plan[:12])
        body: dict[str, Json] = {"verdict": verdict, "channel": channel, **({"why": why} if why else {})}
        known = plan if _is_digest(plan) else ""
        try:
            await asyncio.to_thread(self._approvals.refused, refused.code, actor=f"slack:{user}", plan=known, body=body)
        except JournalUnavailable as exc:
            log.error("a refusal is not on record", reason=str(exc))
        await self._tell(channel, user, refused.said)

    async def _cannot(self, user: str, channel: str, exc: JournalUnavailable) -> None:
        log.error("no answer taken", reason=str(exc))
        await self._tell(channel, user, "Nothing was done: the record cannot be written just now. Try again.")

    async def _tell(self, channel: str, user: str, text: str) -> None:
        """Only this person sees it, and only in a channel of ours."""
        if channel not in self._access.channels.values():
            return
        try:
            await self._slack.tell(channel, user, text)
        except (SlackUnavailable, SlackRefused) as exc:
            log.warning("not told", reason=str(exc))

    def _is_slack(self, url: Json) -> bool:
        parts = urlsplit(url) if isinstance(url, str) else None
        host = (parts.hostname or "") if parts is not None else ""
        return (
            parts is not None
            and parts.scheme == "https"
            and (host in _SLACK_HOSTS or host.endswith(tuple(f".{known}" for known in _SLACK_HOSTS)))
        )


def _is_digest(plan: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", plan) is not None


def _urls(listed: Json) -> list[Json]:
    return (
        [entry.get("response_url") if isinstance(entry, dict) else entry for entry in listed] if isinstance(listed, list) else []
    )
