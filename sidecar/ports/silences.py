"""Alertmanager as the sidecar uses it: which alerts fire that a silence would cover, and the silences that it made itself.

Knows no HTTP, no plan and no rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from sidecar.contract import Matcher
from sidecar.errors import AlertmanagerRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringAlert:
    """`labels` are whatever a rule or a program put there. `silenced`: by somebody's silence, already."""

    labels: Mapping[str, str]
    silenced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSilence:
    """Every matcher is an equality. `comment` ends with `marker`, by which the silence is known again."""

    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    comment: str
    marker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    id: str
    state: Literal["pending", "active", "expired"]
    ends_at: str

    @property
    def stands(self) -> bool:
        return self.state != "expired"


class Alerts(Protocol):
    """Raises AlertmanagerUnavailable when there is no answer, or none that can be read."""

    @property
    def absent(self) -> str:
        """Why no alert can be silenced here at all, and what to do about it; "" where an Alertmanager is configured."""
        ...

    def firing(self, matchers: tuple[Matcher, ...]) -> tuple[FiringAlert, ...]:
        """The alerts that fire now and have all of these labels, the silenced ones too."""
        ...


class Silencer(Alerts, Protocol):
    def made(self, marker: str, identifier: str = "") -> Silence | None:
        """The silence of one's own by its id, or, where that is not known, by the end of its comment; None for none."""
        ...

    def make(self, wanted: NewSilence) -> str:
        """The id of the new silence. Raises AlertmanagerRefused when Alertmanager does not take it."""
        ...

    def expire(self, identifier: str) -> None:
        """It is over when this returns; one that was over before is no error."""
        ...


class NoAlertmanager:
    """Implements Silencer where none is configured: nothing fires, and nothing can be made."""

    absent = "no Alertmanager is configured: set LESTRADE_SIDECAR_ALERTMANAGER_URL for the sidecar"

    def firing(self, matchers: tuple[Matcher, ...]) -> tuple[FiringAlert, ...]:
        return ()

    def made(self, marker: str, identifier: str = "") -> Silence | None:
        return None

    def make(self, wanted: NewSilence) -> str:
        raise AlertmanagerRefused(self.absent)

    def expire(self, identifier: str) -> None:
        return
