"""What the file of deliveries says: where reports go, which channel an incident's thread is in, when a summary is due.

    channels:                        # threads of incidents: the first that fits; else LESTRADE_SLACK_CHANNEL
      - {channel: C0PAYMENTS, namespaces: ["payments", "pay-*"], severities: [critical]}
    places:
      - {name: archive, file: {folder: /var/lib/lestrade/reports, formats: [md, html]}}
      - {name: handbook, git: {folder: /srv/handbook}}
      - {name: tickets, webhook: {url: "https://tickets.example/hook", secret_file: /etc/lestrade/hook}, severities: [critical]}
      - {name: team, slack: {channel: C0TEAM}, of: [questions]}
    summary: {day: monday, hour: 8, to: [archive, team]}          # UTC

Anything that is not understood is said with its place in the file, and nothing is half taken.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agent.domain.incident import Incident
from agent.errors import InputError

_CHANNEL = r"^[CGD][A-Z0-9]{2,20}$"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST_BYTES = 262_144


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fitting(_Entry):
    """Which incidents: everything that is given must fit one alert of it, `*` and `?` as in file names."""

    namespaces: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    labels: Mapping[str, str] = Field(default_factory=dict)

    def fits(self, incident: Incident) -> bool:
        """An alert must fit in all of it; a question has no labels and fits only where nothing is asked for."""
        if not (self.namespaces or self.severities or self.labels):
            return True
        return any(self._fits(alert.labels) for alert in incident.alerts)

    def _fits(self, labels: Mapping[str, str]) -> bool:
        return (
            (not self.namespaces or _one_of(labels.get("namespace", ""), self.namespaces))
            and (not self.severities or _one_of(labels.get("severity", ""), self.severities))
            and all(fnmatchcase(labels.get(name, ""), pattern) for name, pattern in self.labels.items())
        )


class Channel(Fitting):
    channel: Annotated[str, Field(pattern=_CHANNEL)]


class File(_Entry):
    folder: Path
    formats: Annotated[tuple[Literal["md", "html", "json"], ...], Field(min_length=1)] = ("md",)


class Git(_Entry):
    folder: Path


class Webhook(_Entry):
    url: str
    secret_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not ((parts.scheme == "https" and parts.hostname) or loopback):
            raise ValueError("an https URL is needed (http on loopback only)")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("without user and fragment; sign with secret_file instead")
        return url


class Slack(_Entry):
    channel: Annotated[str, Field(pattern=_CHANNEL)]


class Place(Fitting):
    """Exactly one of `file`, `git`, `webhook`, `slack`. `of`: reports of which runs."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    of: tuple[Literal["alerts", "questions"], ...] = ("alerts", "questions")
    file: File | None = None
    git: Git | None = None
    webhook: Webhook | None = None
    slack: Slack | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Place":
        kinds = [kind for kind in (self.file, self.git, self.webhook, self.slack) if kind is not None]
        if len(kinds) != 1:
            raise ValueError("exactly one of file, git, webhook, slack is needed")
        return self

    def wants(self, incident: Incident) -> bool:
        return ("alerts" if incident.alerts else "questions") in self.of and self.fits(incident)


class WhenSummary(_Entry):
    """Once a week, at an hour in UTC."""

    day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    hour: Annotated[int, Field(ge=0, le=23)] = 8
    to: Annotated[tuple[str, ...], Field(min_length=1)]


class Orders(_Entry):
    channels: tuple[Channel, ...] = ()
    places: tuple[Place, ...] = ()
    summary: WhenSummary | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> "Orders":
        names = [place.name for place in self.places]
        if len(set(names)) != len(names):
            raise ValueError("two places have the same name")
        missing = [name for name in (self.summary.to if self.summary else ()) if name not in names]
        if missing:
            raise ValueError(f"summary: no place is called {missing[0][:60]}")
        return self

    def channel_for(self, incident: Incident, default: str) -> str:
        """ "" for none."""
        return next((route.channel for route in self.channels if route.fits(incident)), default)


def read_orders(path: Path | None) -> Orders:
    """Without a file nothing is ordered. Raises InputError; relative folders and files are beside the file."""
    if path is None:
        return Orders()
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MOST_BYTES:
            raise InputError(f"deliveries {path}: longer than {MOST_BYTES} bytes")
        document = yaml.safe_load(text)
    except OSError as exc:
        raise InputError(f"deliveries {path}: {exc.strerror or exc}") from None
    except UnicodeDecodeError:
        raise InputError(f"deliveries {path}: not UTF-8") from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # a date such as 2026-13-01 is a ValueError
        mark = getattr(exc, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"deliveries {path}{where}: not YAML") from None
    if document is None:
        return Orders()
    try:
        return _anchored(Orders.model_validate(document), path.parent)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the file"
        said = re.sub(r"^Value error, ", "", fault["msg"])
        raise InputError(f"deliveries {path}: {where}: {said}") from None


def _anchored(orders: Orders, beside: Path) -> Orders:
    def at(path: Path) -> Path:
        return path if path.is_absolute() else beside / path

    places = []
    for place in orders.places:
        changes: dict[str, object] = {}
        if place.file is not None:
            changes["file"] = place.file.model_copy(update={"folder": at(place.file.folder)})
        if place.git is not None:
            changes["git"] = place.git.model_copy(update={"folder": at(place.git.folder)})
        if place.webhook is not None and place.webhook.secret_file is not None:
            changes["webhook"] = place.webhook.model_copy(update={"secret_file": at(place.webhook.secret_file)})
        places.append(place.model_copy(update=changes))
    return orders.model_copy(update={"places": tuple(places)})


def _one_of(word: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns)
