"""An Alertmanager notification (webhook, payload version 4), from bytes to nouns. Nothing in the bytes is taken on trust."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from agent.domain.incident import Alert
from agent.errors import InputError
from agent.signals.masking import mask

# https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
VERSION = "4"
MOST_ALERTS = 10_000  # a storm that Alertmanager groups into one notification; the body is bounded too
Text = Annotated[str, Field(max_length=20_000)]
LONGEST_KEY = 500  # characters of a group's key that are kept as they are: databases bound what an index holds
ZERO = datetime.fromisoformat("0001-01-01T00:00:00+00:00")  # how Go writes "no time"


class _Alert(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"] = "firing"
    labels: dict[str, Text]
    annotations: dict[str, Text] = Field(default_factory=dict)
    starts_at: AwareDatetime | None = Field(None, alias="startsAt")
    ends_at: AwareDatetime | None = Field(None, alias="endsAt")
    fingerprint: Annotated[str, Field(max_length=64)] = ""


class _Notification(BaseModel):
    model_config = ConfigDict(extra="ignore")

    group_key: Annotated[str, Field(alias="groupKey", min_length=1, max_length=4096)]
    alerts: Annotated[list[_Alert], Field(min_length=1, max_length=MOST_ALERTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    group_key: str
    alerts: tuple[Alert, ...]

    @property
    def firing(self) -> bool:
        return any(not alert.resolved for alert in self.alerts)


def receive(raw: bytes) -> Notification:
    """Raises InputError, which says what is wrong and quotes nothing of what was sent."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InputError(f"the alert is not JSON: line {exc.lineno} column {exc.colno}: {exc.msg}") from None
    if not isinstance(document, Mapping):
        raise InputError("the alert is not a notification of Alertmanager: a JSON object is expected")
    if document.get("version") != VERSION:
        found = document.get("version")
        said = f"version {found}" if isinstance(found, str) and len(found) < 20 and found.isalnum() else "no known version"
        raise InputError(f"the alert is of {said}; Alertmanager's webhook payload version {VERSION} is expected")
    try:
        taken = _Notification.model_validate(document)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        # Of a label only that it is one: its name was sent to us, and nothing that was sent is quoted.
        place = ".".join(str(part) for part in fault["loc"][:3])
        raise InputError(f"the alert is not a notification of Alertmanager: {place}: {fault['msg']}") from None
    return Notification(group_key=_key(taken.group_key), alerts=tuple(_noun(alert) for alert in taken.alerts))


def fingerprint(labels: Mapping[str, str]) -> str:
    """For an alert that came without one: who sends it twice means the same alert by the same labels."""
    whole = orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(whole).hexdigest()[:16]


def _key(group: str) -> str:
    """A long one as its beginning and its digest: the same group has the same key."""
    if len(group) <= LONGEST_KEY:
        return group
    return f"{group[:LONGEST_KEY]}…{hashlib.sha256(group.encode()).hexdigest()}"


def _noun(alert: _Alert) -> Alert:
    resolved = alert.status == "resolved"
    return Alert(
        name=alert.labels.get("alertname", "unnamed alert"),
        labels=alert.labels,
        annotations={name: mask(text) for name, text in alert.annotations.items()},  # they quote what failed
        fingerprint=alert.fingerprint or fingerprint(alert.labels),
        starts_at=alert.starts_at if alert.starts_at and alert.starts_at != ZERO else None,
        ends_at=alert.ends_at if resolved and alert.ends_at and alert.ends_at != ZERO else None,
        resolved=resolved,
    )
