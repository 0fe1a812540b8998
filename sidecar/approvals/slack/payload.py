"""What Slack sends when somebody clicks or fills in a dialogue: the few fields that are read, each checked. Pure."""

import re

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.approvals.slack.modal import MOST_REASON
from sidecar.contract import Json

log = structlog.get_logger("sidecar.slack")
_VALUE = re.compile(r"([0-9a-f]{64}):(.{1,80})", re.DOTALL)


class Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Named(Read):
    id: str = Field(pattern=r"^[A-Z0-9]{1,32}$")


class User(Named):
    team_id: str = ""


class Action(Read):
    value: str = Field("", max_length=2000)


class Place(Read):
    message_ts: str = Field(pattern=r"^[0-9.]{1,32}$")
    channel_id: str = Field(pattern=r"^[A-Z0-9]{1,32}$")


class Click(Read):
    user: User
    container: Place
    actions: tuple[Action, ...] = Field(min_length=1, max_length=1)
    trigger_id: str = Field("", max_length=200)


class Entry(Read):
    value: str | None = Field(None, max_length=3000)


class State(Read):
    values: dict[str, dict[str, Entry]]


class View(Read):
    private_metadata: str = Field(max_length=3000)
    state: State


class Submission(Read):
    user: User
    view: View


def click_of(body: dict[str, Json]) -> Click | None:
    try:
        return Click.model_validate(body)
    except ValidationError as exc:
        log.warning("malformed click", faults=exc.error_count())
        return None


def submission_of(body: dict[str, Json]) -> Submission | None:
    try:
        return Submission.model_validate(body)
    except ValidationError as exc:
        log.warning("malformed submission", faults=exc.error_count())
        return None


def reason_in(body: dict[str, Json]) -> str:
    """What was written into the dialogue, "" for nothing."""
    submission = submission_of(body)
    fields = [field for block in submission.view.state.values.values() for field in block.values()] if submission else []
    return " ".join((fields[0].value or "").split())[:MOST_REASON] if fields else ""


def value_of(click: Click) -> tuple[str, str]:
    """Digest and revision of a button; two empty texts for anything else."""
    found = _VALUE.fullmatch(click.actions[0].value)
    return (found[1], found[2]) if found else ("", "")
