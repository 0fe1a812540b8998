"""The book of alerts: what came in and what was done with it. Runs are opened and joined here, in one transaction with it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from agent.domain.alerting import KnownAlert, OpenRun, Placement, Taken
from agent.domain.incident import Alert

# None for the runs: they are not looked up yet; None for the placements: they have to be.
Decide = Callable[[Sequence[Alert], Mapping[str, KnownAlert], Sequence[OpenRun] | None, datetime], Sequence[Placement] | None]


# The alerts of a run that waits, given the other open runs; none where they stay.
Fold = Callable[[Sequence[OpenRun]], Sequence[Placement]]


class AlertBook(Protocol):
    async def take(self, cluster: str, alerts: Sequence[Alert], group_key: str, decide: Decide) -> Taken:
        """Durable before it returns. `decide` is given the alerts (each fingerprint once), what is known of them by fingerprint,
        and every open run once it wants to know them; nobody else takes anything in between. Raises StoreUnavailable."""
        ...

    async def rehearse(self, cluster: str, notifications: Sequence[Sequence[Alert]], group_key: str, decide: Decide) -> None:
        """As if these had come, one after the other; nothing of it stays. Raises StoreUnavailable."""
        ...

    async def of_run(self, run: str) -> Sequence[KnownAlert]: ...

    async def latest(self, cluster: str, *, limit: int) -> Sequence[KnownAlert]:
        """Newest first."""
        ...

    async def close_unasked(self, run: str, outcome: str, headline: str) -> bool:
        """End a run that nobody began: False when somebody has."""
        ...

    async def fold(self, run: str, cluster: str, decide: Fold) -> str:
        """The alerts of a run that nobody began go to another one, which is told, and the run is closed. The other run, or ""."""
        ...


class Silences(Protocol):
    """What people have silenced, by fingerprint. Where that cannot be told, nothing counts as silenced."""

    def known(self) -> frozenset[str]:
        """As it was seen last; never waits."""
        ...

    async def look(self) -> frozenset[str]: ...
