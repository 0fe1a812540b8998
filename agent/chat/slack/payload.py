"""What Slack sends us: the few fields that are read, each checked. Pure; knows no Slack library.

https://docs.slack.dev/apis/events-api: an outer envelope with the event's id, workspace and app, and the event inside.
"""

from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.chat.slack.text import question_of
from agent.store.slack import Asked


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Event(_Read):
    """`app_mention`, or a `message` in a direct conversation; everything else is not for us."""

    type: str = Field(max_length=80)
    user: str = Field("", pattern=r"^[A-Z0-9]{0,32}$")
    text: str = Field("", max_length=100_000)
    ts: str = Field("", pattern=r"^[0-9.]{0,32}$")
    thread_ts: str = Field("", pattern=r"^[0-9.]{0,32}$")
    channel: str = Field("", pattern=r"^[A-Z0-9]{0,32}$")
    channel_type: str = Field("", max_length=20)
    subtype: str = Field("", max_length=80)
    bot_id: str | None = Field(None, max_length=80)
    team: str = Field("", max_length=40)
    user_team: str = Field("", max_length=40)
    source_team: str = Field("", max_length=40)


class Envelope(_Read):
    type: Literal["event_callback", "url_verification", "app_rate_limited"]
    team_id: str = Field("", max_length=40)
    event_id: str = Field("", max_length=80)
    challenge: str = Field("", max_length=1000)
    event: Event | None = None


def envelope_of(body: bytes | dict[str, object]) -> Envelope | None:
    """None for whatever Slack does not send."""
    try:
        return Envelope.model_validate(orjson.loads(body) if isinstance(body, bytes) else body)
    except (ValidationError, ValueError, RecursionError):
        return None


def asked_in(envelope: Envelope, *, bot: str) -> Asked | None:
    """The question in it; None where there is none for us: a bot's message, an edit, somebody's join, our own words."""
    event = envelope.event
    if event is None or not envelope.event_id or not (event.user and event.ts and event.channel):
        return None
    direct = event.type == "message" and event.channel_type == "im"
    if not (direct or event.type == "app_mention") or event.subtype or event.bot_id or event.user in (bot, "USLACKBOT"):
        return None
    return Asked(
        event=envelope.event_id,
        channel=event.channel,
        thread=event.thread_ts or event.ts,
        person=event.user,
        text=question_of(event.text, bot=bot),
    )


def workspaces_of(envelope: Envelope) -> set[str]:
    """The workspace that the event is of, and that of the person: in a channel that is shared they may differ."""
    event = envelope.event
    named = {envelope.team_id, *((event.team, event.user_team, event.source_team) if event else ())}
    return {team for team in named if team}
