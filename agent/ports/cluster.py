"""Reading one cluster: live, through the sidecar's gateway, or from a snapshot file. There is no writing here."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.domain.objects import ContainerLog, Manifest, Ref
from agent.domain.testimony import UNTOLD, Testimony

BY_NATURE = "the dump holds none of this kind"  # why of a gap that says nothing about the cluster, only about the source


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that was asked for and could not be seen, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one reading saw. `now` is the cluster's time (the API server's Date header, or the snapshot's), aware UTC.
    `testimony` is what sources beside the cluster told of it."""

    now: datetime
    objects: tuple[Manifest, ...] = ()
    logs: tuple[ContainerLog, ...] = ()
    gaps: tuple[Gap, ...] = ()
    testimony: Testimony = UNTOLD


READING_FOR: ContextVar[str] = ContextVar("the incident that the cluster is read for", default="")


class ClusterReader(Protocol):
    """Every method degrades: what cannot be read comes back as a Gap. ClusterUnreachable only when nothing answers."""

    @property
    def name(self) -> str: ...

    async def namespaces(self) -> Observed: ...

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        """Everything diagnosis uses in these namespaces (none: in all of them), events included, and the cluster-scoped
        objects they use."""
        ...

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        """Logs of (pod, container, previous)."""
        ...

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        """PodMetrics of these namespaces (none: of all) and NodeMetrics, as of now; a cluster without a metrics API has gaps."""
        ...

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        """The object now, or None if it is not there. Raises ClusterUnreachable or ReadRefused."""
        ...

    async def now(self) -> datetime: ...
