"""From settings to a workshop that takes incidents and works on runs. Beside `eyes` the only place that names adapters."""

import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agent.counsel import investigator
from agent.errors import InputError
from agent.eyes import Source, SystemClock, open_eyes
from agent.governance import Patience, PatientGovernance, SidecarClient
from agent.governance.client import read_token
from agent.graph import Bounds, Investigation, Means, checkpoints
from agent.pages import PageRunbooks
from agent.ports import (
    Governance,
    RunStore,
    Silences,
)
from agent.ports.jobs import Jobs
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import (
    load_library,
    own_causes,
)
from agent.settings import Settings
from agent.stages.gather import Limits
from agent.store import Database, SqlAlertBook, SqlAlertList, SqlEventLog, SqlRunList, SqlRunStore, SqlSessionStore
from agent.store.model_book import SqlModelBook
from agent.telemetry import WatchedGovernance, traces, watched
from agent.toolsets.alertmanager import AlertmanagerSilences
from agent.witnesses import witnesses
from agent.workshop import Workshop

__all__ = ["PageRunbooks", "Source", "Workshop", "workshop"]


@asynccontextmanager
async def workshop(settings: Settings, source: Source | None = None, *, unattended: bool = False) -> AsyncIterator[Workshop]:
    """Raises InputError, StoreUnavailable. Nothing is read from the cluster yet. `unattended`: nobody waits at a terminal, so a
    cluster that is away is waited for, and work is shared where the database is."""
    where = source or Source()
    async with AsyncExitStack() as stack:
        stack.enter_context(traces(settings))
        library = load_library(settings.runbooks)
        reasoner = OfflineReasoner(own_causes(library))
        clock = SystemClock()
        patience = Patience(clock=clock, seconds=settings.sidecar_patience_seconds)
        reader, metrics = watched(*await open_eyes(settings, where, patience, stack))
        database = await Database.open(settings.database())
        stack.push_async_callback(database.close)
        store, events = SqlRunStore(database), SqlEventLog(database)
        means = Means(
            reader=reader,
            metrics=metrics,
            reasoner=reasoner,
            runbooks=PageRunbooks(library, reasoner),
            governance=None if where.is_still else _governance(settings, patience, stack),
            store=store,
            events=events,
            clock=clock,
            investigator=await investigator(settings, reader, metrics, library, SqlModelBook(database), stack),
            witnesses=() if where.is_still else witnesses(settings, reader, stack, causes=library.pages),
        )
        saver = await stack.enter_async_context(checkpoints(database.place, database.line.turn))
        investigation = Investigation(means, saver, bounds=_bounds(settings, unattended=unattended))
        yield Workshop(
            settings,
            investigation=investigation,
            store=store,
            events=events,
            reader=reader,
            sessions=SqlSessionStore(database),
            listing=SqlRunList(database),
            book=SqlAlertBook(database, events),
            alert_list=SqlAlertList(database),
            database=database,
            silences=_silences(settings, stack),
            jobs=await _jobs(settings, database, store, reader.name, stack) if unattended and database.is_shared else None,
            governed=means.governance is not None,
            governance=means.governance,
        )


def _silences(settings: Settings, stack: AsyncExitStack) -> Silences | None:
    if not settings.alertmanager_url:
        return None
    found = AlertmanagerSilences(settings.alertmanager_url)
    stack.push_async_callback(found.close)
    return found


async def _jobs(settings: Settings, database: Database, store: RunStore, cluster: str, stack: AsyncExitStack) -> Jobs:
    try:
        library = importlib.import_module("agent.queue.jobs")
    except ImportError:
        raise InputError("LESTRADE_DATABASE_URL: PostgreSQL needs more libraries: install lestrade[postgresql]") from None
    opened = library.ProcrastinateJobs.opened(database, store, cluster, silent_seconds=settings.claim_seconds)
    jobs: Jobs = await stack.enter_async_context(opened)
    return jobs


def _governance(settings: Settings, patience: Patience, stack: AsyncExitStack) -> Governance | None:
    if not settings.sidecar_url:
        return None
    client = SidecarClient.connect(settings.sidecar_url, token=read_token(settings.sidecar_token_file))
    stack.push_async_callback(client.close)
    return WatchedGovernance(PatientGovernance(client, patience))


def _bounds(settings: Settings, *, unattended: bool) -> Bounds:
    return Bounds(
        readings=settings.max_readings,
        rounds=settings.max_rounds,
        replans=settings.max_replans,
        poll_seconds=settings.poll_seconds,
        approval_wait_seconds=settings.approval_wait_seconds,
        cluster_patience_seconds=settings.cluster_patience_seconds if unattended else 0.0,
        limits=Limits(
            log_tail=settings.log_tail, log_streams=settings.log_streams, metrics_minutes=settings.metrics_window_minutes
        ),
    )
