"""Jobs over PostgreSQL by procrastinate, its only user. A job holds a run's id and nothing else; losing one loses nothing,
because what waits without a job is offered again. Needs the extra `postgresql`: import this file only where that is asked for.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import procrastinate
import psycopg
from procrastinate import exceptions
from procrastinate.jobs import Status
from psycopg_pool import PoolTimeout

from agent.errors import StoreUnavailable
from agent.ports.jobs import Work
from agent.ports.store import RunStore
from agent.store.database import Database

TASK = "lestrade.run"
MOST_OFFERED = 200  # runs at a time: the rest follows when these are gone
FIRST = 10  # procrastinate's highest priority here; ours counts the other way
GRACE = 0.5  # seconds that running work gets when the process stops: it is taken up again from its checkpoint

logger = logging.getLogger(__name__)


class ProcrastinateJobs:
    """The Jobs port for the runs of one cluster. `silent_seconds`: a process that was silent for so long is taken for dead."""

    def __init__(self, app: procrastinate.App, store: RunStore, cluster: str, *, silent_seconds: float) -> None:
        self._app = app
        self._store = store
        self._cluster = cluster
        self._queue = f"runs of {cluster}"
        self._silent_seconds = silent_seconds
        self._one: Work | None = None
        self._task = app.task(name=TASK, queue=self._queue)(self._perform)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, database: Database, store: RunStore, cluster: str, *, silent_seconds: float
    ) -> AsyncIterator["ProcrastinateJobs"]:
        """In the database that holds the runs. Raises StoreUnavailable."""
        connector = procrastinate.PsycopgConnector(
            conninfo=database.place, min_size=1, max_size=4, timeout=10, kwargs={"connect_timeout": 5}
        )
        app = procrastinate.App(connector=connector)
        async with contextlib.AsyncExitStack() as stack:
            with _told():
                await stack.enter_async_context(app.open_async())
                async with database.making():
                    if not await app.check_connection_async():  # says whether its tables are there
                        await app.schema_manager.apply_schema_async()
            yield cls(app, store, cluster, silent_seconds=silent_seconds)

    async def offer(self) -> int:
        with _told():
            await self._take_back()
            waiting = await self._store.waiting(self._cluster, limit=MOST_OFFERED)
            if not waiting:
                return 0
            todo = await self._app.job_manager.list_jobs_async(queue=self._queue, status=Status.TODO.value)
            offered = {job.queueing_lock for job in todo}
            missing = [(run, priority) for run, priority in waiting if run not in offered]
            for run, priority in missing:
                with contextlib.suppress(exceptions.AlreadyEnqueued):  # another process was faster
                    await self._task.configure(queueing_lock=run, priority=FIRST - priority).defer_async(run=run)
            return len(missing)

    async def work(self, one: Work, *, at_once: int) -> None:
        self._one = one
        with _told():
            await self._app.run_worker_async(
                queues=[self._queue],
                concurrency=at_once,
                install_signal_handlers=False,
                delete_jobs="always",
                shutdown_graceful_timeout=GRACE,
                update_heartbeat_interval=min(10.0, self._silent_seconds / 3),
                stalled_worker_timeout=self._silent_seconds,
            )
        raise StoreUnavailable("the queue of runs stopped: PostgreSQL does not answer")

    async def _perform(self, run: str) -> None:
        assert self._one is not None
        try:
            await self._one(run)
        except Exception:  # the run is kept and offered again; a failed job would say nothing more
            logger.exception("run %s could not be worked on", run)

    async def _take_back(self) -> None:
        """Jobs whose process was killed: offered again, or given up where somebody has offered the run already."""
        jobs = self._app.job_manager
        for job in await jobs.get_stalled_jobs(queue=self._queue, seconds_since_heartbeat=self._silent_seconds):
            logger.warning("the process that worked on run %s is gone; it is offered again", job.queueing_lock)
            try:
                await jobs.retry_job(job)
            except (exceptions.AlreadyEnqueued, exceptions.ConnectorException):
                with contextlib.suppress(exceptions.ConnectorException):  # another process took it back
                    await jobs.finish_job(job, Status.ABORTED, delete_job=True)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (exceptions.ConnectorException, psycopg.Error, PoolTimeout, OSError) as exc:
        cause = exc.__cause__ or exc
        words = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise StoreUnavailable(f"the queue of runs does not answer: {words}") from exc
