"""`lestrade worker`: works on runs that other processes take in. Needs a database that processes share."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from agent.app.meters import Meters
from agent.app.retention import keep_no_longer
from agent.app.worker import worker_pages
from agent.app.workers import Workers
from agent.bootstrap import Workshop, workshop
from agent.cli.serve import bind
from agent.cli.terminal import console, run, settings_from
from agent.errors import InputError
from agent.ports.tracing import listening
from agent.settings import Settings
from agent.telemetry import heard, log_as_json, traces


def worker(*, config: Path | None) -> int:
    settings = settings_from(config)
    if not settings.database().startswith("postgresql"):
        raise InputError(
            "`lestrade worker` needs LESTRADE_DATABASE_URL=postgresql://user@host/database: with SQLite `serve` works alone"
        )
    if not settings.workers:
        raise InputError("LESTRADE_WORKERS is 0: this worker would do nothing")
    return run(_work(settings), interrupted="")


async def _work(settings: Settings) -> int:
    log_as_json(settings.log_level)
    bound = _bound(settings.worker_listen)
    try:
        with traces(settings):
            return await _until_told(settings, bound)
    finally:
        if bound is not None:
            bound.close()


def _bound(listen: str) -> socket.socket | None:
    """Raises InputError, which says that a second worker of one machine needs another port."""
    if not listen:
        return None
    try:
        return bind(listen)
    except InputError as exc:
        raise InputError(f"LESTRADE_WORKER_LISTEN: {exc}; each worker has its own, and an empty one needs none") from None


async def _until_told(settings: Settings, bound: socket.socket | None) -> int:
    meters = Meters()
    async with workshop(settings, unattended=True) as shop:
        with listening(meters.heard), listening(heard):
            working = asyncio.create_task(Workers(shop, meters).run())
            pruning = asyncio.create_task(keep_no_longer(shop.database, settings))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, working.cancel)
            where = f", health on http://{settings.worker_listen}" if bound else ""
            console().print(f"lestrade works on runs of {shop.reader.name}, {settings.workers} at a time{where}", markup=False)
            async with _shown(shop, meters, bound):
                with contextlib.suppress(asyncio.CancelledError):
                    await working
            pruning.cancel()
            await asyncio.gather(pruning, return_exceptions=True)
    return 0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not here: the worker's own end is what a signal asks for."""
        yield


@asynccontextmanager
async def _shown(shop: Workshop, meters: Meters, bound: socket.socket | None) -> AsyncIterator[None]:
    if bound is None:
        yield
        return
    pages = worker_pages(shop, meters)
    server = _Server(uvicorn.Config(pages, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
