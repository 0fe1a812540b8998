"""When a platform team lets things be changed: freezes between two moments, and windows of the week by the clock of a zone.
What rules compare is reckoned here once: epoch seconds, and minutes of the day. Knows no rule."""

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, field_validator, model_validator

from sidecar.contract import Json
from sidecar.policy.sections import Environment, Name, Strict

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Freeze(Strict):
    """No changes in these environments from `from` (included) until `until` (not)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    name: Name
    environments: Annotated[list[Environment], Field(min_length=1)]
    begins: AwareDatetime = Field(alias="from")
    until: AwareDatetime

    @field_validator("begins", "until", mode="before")
    @classmethod
    def _rfc3339(cls, value: object) -> object:
        return datetime.fromisoformat(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Freeze":
        if self.until <= self.begins:
            raise ValueError("a freeze ends after it begins")
        return self

    def document(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "environments": list(self.environments),
            "from": self.begins.isoformat(),
            "from_epoch": int(self.begins.timestamp()),
            "until": self.until.isoformat(),
            "until_epoch": int(self.until.timestamp()),
        }


Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]


class Window(Strict):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    days: Annotated[list[Weekday], Field(min_length=1)]
    opens: Clock = Field(alias="from")
    until: Clock
    zone: Name

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as exc:
            raise ValueError("is no IANA time zone that this machine knows") from exc
        return value

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> "Window":
        if _minutes(self.until) <= _minutes(self.opens):
            raise ValueError("a window closes after it opens, on the same day")
        return self

    def document(self) -> dict[str, Json]:
        return {
            "days": list(self.days),
            "from": self.opens,
            "from_minute": _minutes(self.opens),
            "until": self.until,
            "until_minute": _minutes(self.until),
            "zone": self.zone,
        }


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
