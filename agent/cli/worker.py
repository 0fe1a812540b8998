"""`lestrade worker`: works on runs that other processes take in. Needs a database that processes share."""

import asyncio
import contextlib
import signal
from pathlib import Path

from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.bootstrap import workshop
from agent.cli.terminal import console, run, settings_from
from agent.errors import InputError
from agent.settings import Settings
from agent.telemetry import log_as_json, traces


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
    with traces(settings):
        return await _until_told(settings)


async def _until_told(settings: Settings) -> int:
    async with workshop(settings, unattended=True) as shop:
        working = asyncio.create_task(Workers(shop, Meters()).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        console().print(f"lestrade works on runs of {shop.reader.name}, {settings.workers} at a time", markup=False)
        with contextlib.suppress(asyncio.CancelledError):
            await working
    return 0
