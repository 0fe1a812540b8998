"""Looking through what is kept: runs by what they came to, alerts by what was done with them; both by what they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from agent.domain.alerting import Done, KnownAlert
from agent.ports.store import RunEvent, RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Empty means any. `namespace`: an alert's label, or the namespace of the object in the headline. `severity`: a label of an
    alert. `words`: text of id, headline, question or alerts, in any case. `before`: only runs older than this place."""

    state: Literal["", "open", "finished"] = ""
    outcome: str = ""
    namespace: str = ""
    severity: str = ""
    words: str = ""
    before: tuple[datetime, str] | None = None


class RunList(Protocol):
    async def find(self, wanted: Wanted, *, limit: int) -> Sequence[RunRow]:
        """Newest first. Raises StoreUnavailable."""
        ...

    async def latest(self, runs: Sequence[str]) -> Mapping[str, RunEvent]:
        """The last that each of these runs told of its own doings; alerts that came in meanwhile are none. Raises
        StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAlerts:
    """Empty means any. `namespace` and `severity`: labels. `done`: any of these was done with it. `words`: text of name, labels
    and reason, in any case. `before`: only those seen before this place (when it was seen last, fingerprint)."""

    state: Literal["", "firing", "resolved"] = ""
    done: tuple[Done, ...] = ()
    namespace: str = ""
    severity: str = ""
    words: str = ""
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlert:
    """`run_headline`: what its run says, "" while there is no run or no word."""

    alert: KnownAlert
    labels: Mapping[str, str]
    run_headline: str = ""


class AlertList(Protocol):
    async def find(self, cluster: str, wanted: WantedAlerts, *, limit: int) -> Sequence[ListedAlert]:
        """Seen last first. Raises StoreUnavailable."""
        ...
