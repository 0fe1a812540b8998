"""What a process looks with: a live cluster, the sidecar's read gateway or a snapshot, and metrics, as the settings say.

Names adapters, as `bootstrap` does, and knows no store and no graph: a scan has to be there within a second.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import InputError
from agent.governance.patience import Patience, PatientReader
from agent.ports import ClusterReader, Metrics
from agent.settings import Settings
from agent.toolsets.kept_logs import ReaderWithKeptLogs
from agent.toolsets.kubernetes import connect, connect_gateway
from agent.toolsets.loki import LokiLogs
from agent.toolsets.snapshot import SnapshotCluster, open_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where to look: a snapshot file (or one already read), or a context of the kubeconfig; neither: what the settings say."""

    snapshot: Path | None = None
    opened: SnapshotCluster | None = None
    context: str = ""

    @property
    def is_still(self) -> bool:
        """Whether it is a moment and not a living cluster: nothing can be changed there."""
        return self.snapshot is not None or self.opened is not None


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def eyes(settings: Settings, source: Source, *, whole: bool = False) -> AsyncIterator[tuple[ClusterReader, Metrics | None]]:
    """Only the means to look: no store, no sidecar to ask. `whole`: objects as they are, but for secrets, and not only what
    diagnosis uses. Raises InputError. Nothing is read from the cluster yet."""
    async with AsyncExitStack() as stack:
        patience = Patience(clock=SystemClock(), seconds=settings.sidecar_patience_seconds)
        yield await open_eyes(settings, source, patience, stack, whole=whole)


async def open_eyes(
    settings: Settings, source: Source, patience: Patience, stack: AsyncExitStack, *, whole: bool = False
) -> tuple[ClusterReader, Metrics | None]:
    """For who has a stack of their own; `patience` is how long a sidecar that is read through may be silent."""
    if source.opened is not None or source.snapshot is not None:
        snapshot = source.opened or await open_snapshot(source.snapshot or Path())
        return snapshot, snapshot
    metrics = _prometheus(settings)
    if settings.sidecar_url and not settings.kubeconfig and not source.context:
        if not settings.cluster or settings.sidecar_token_file is None:
            raise InputError("reading through the sidecar needs LESTRADE_CLUSTER and LESTRADE_SIDECAR_TOKEN_FILE")
        gateway = connect_gateway(
            settings.sidecar_url, cluster=settings.cluster, token_file=settings.sidecar_token_file, whole=whole
        )
        stack.callback(gateway.close)
        return _with_loki(settings, PatientReader(gateway, patience), stack), metrics
    cluster = connect(
        kubeconfig=settings.kubeconfig, context=source.context or settings.context, name=settings.cluster, whole=whole
    )
    stack.callback(cluster.close)
    return _with_loki(settings, cluster, stack), metrics


def _with_loki(settings: Settings, reader: ClusterReader, stack: AsyncExitStack) -> ClusterReader:
    if not settings.loki_url:
        return reader
    loki = LokiLogs(settings.loki_url)
    stack.push_async_callback(loki.close)
    return ReaderWithKeptLogs(reader, loki)


def _prometheus(settings: Settings) -> Metrics | None:
    if not settings.prometheus_url:
        return None
    from agent.toolsets.prometheus import PrometheusMetrics  # noqa: PLC0415  a sixth of a second that only a URL needs

    return PrometheusMetrics(settings.prometheus_url)
