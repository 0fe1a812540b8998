"""Runs, evidence and events, durable. State is plain JSON and ids; large text lies by content hash."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from agent.domain.alerting import ChangeReach
from agent.domain.evidence import Evidence
from agent.domain.incident import Incident
from sidecar.contract import Json

RunState = Literal["queued", "running", "finished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """`outcome` is "" until the run is finished; `headline` is its one-line result; `priority` 0 goes first. `deaths`: of
    processes that worked on it, since it last got on."""

    id: str
    incident: Incident
    state: RunState
    outcome: str
    headline: str
    created_at: datetime
    updated_at: datetime
    priority: int = 1
    deaths: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many runs of one priority nobody works on, and for how long the oldest of them."""

    priority: int
    runs: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One line of a run's life. `seq` counts from 1 within the run and resumes an SSE stream (Last-Event-ID)."""

    seq: int
    at: datetime
    stage: str
    text: str
    data: Mapping[str, Json]


class RunStore(Protocol):
    async def open(self, incident: Incident) -> tuple[RunRow, bool]:
        """A new queued run, or the unfinished one of the same alert group (then False). Durable before it returns."""
        ...

    async def claim(self, run: str, owner: str, *, lease_seconds: int, most: int = 0) -> bool:
        """Take the run for this process by compare-and-set; a claim that was not renewed lapses. `most`: no more runs of the
        same cluster are worked on at a time, by all processes (0: as many as there are). A run taken over from a process that
        went silent has seen a death."""
        ...

    async def release(self, run: str, owner: str) -> None: ...

    async def let_go(self, owner: str) -> int:
        """All that a process had claimed which is known to be gone, a death for each; how many."""
        ...

    async def deaths(self, run: str, step: int) -> int:
        """How often in a row the process that worked on it died, the run standing at this step (any number that grows as the run
        gets on). Asked when a run is gone on with: what it got beyond counts no more."""
        ...

    async def unfinished(self, cluster: str = "") -> Sequence[RunRow]:
        """Those of one cluster, or all; what goes first stands first."""
        ...

    async def waiting(self, cluster: str, *, limit: int) -> Sequence[tuple[str, int]]:
        """Unfinished runs that nobody has, with their priority; what goes first stands first, and of the same priority what no
        process died of."""
        ...

    async def queue(self) -> Sequence[Waiting]:
        """What waits just now, of all clusters, by priority."""
        ...

    async def same_cause(self, run: str, cause: str) -> str:
        """Say which cause this run will work on. Another open run of the same cluster that said so first, or ""."""
        ...

    async def note_change(self, run: str, change: ChangeReach | None) -> None:
        """Which change it has found behind what it works on: alerts that the same one explains join it."""
        ...

    async def finish(self, run: str, outcome: str, headline: str, report: Mapping[str, Json]) -> None:
        """Once: what a run has ended with stays, whoever comes later."""
        ...

    async def row(self, run: str) -> RunRow | None: ...

    async def rows(self, *, limit: int) -> Sequence[RunRow]: ...

    async def report(self, run: str) -> Mapping[str, Json] | None: ...

    async def put_evidence(self, run: str, evidence: Sequence[Evidence]) -> None: ...

    async def evidence(self, run: str) -> Sequence[Evidence]: ...

    async def put_blob(self, text: str) -> str:
        """Store by content; returns the SHA-256."""
        ...

    async def blob(self, sha256: str) -> str | None: ...


class EventLog(Protocol):
    async def append(self, run: str, stage: str, text: str, data: Mapping[str, Json] | None = None) -> RunEvent: ...

    async def told(self, run: str) -> Sequence[RunEvent]:
        """What there is now, without waiting for more."""
        ...

    def wake(self) -> None:
        """Followers look again: another process has appended."""
        ...

    def heard_by(self, listener: Callable[[], None]) -> None:
        """Who is told of every append of this process."""
        ...

    def follow(self, run: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        """All events after `after`, then new ones as they come, until the run is finished."""
        ...
