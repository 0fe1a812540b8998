"""The workers of one process: runs that are queued or were left unfinished, a bounded number at a time."""

import asyncio
import contextlib
import logging
import time
from functools import partial

from agent.app.meters import Meters
from agent.bootstrap import Workshop
from agent.errors import LestradeError, StoreUnavailable
from agent.ports import RunRow

LOOK_SECONDS = 5.0  # between two looks for runs that another process left behind

logger = logging.getLogger(__name__)


class Workers:
    """Bounded: at most `settings.workers` runs at a time. Unfinished runs are looked for at start and every few seconds."""

    def __init__(self, shop: Workshop, meters: Meters) -> None:
        self._shop = shop
        self._meters = meters
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[bool]] = {}

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_what_fits()
                except StoreUnavailable as exc:
                    logger.error("looking for runs: %s", exc)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # wait_for of 3.11 can swallow a cancellation
                        await self._wake.wait()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _start_what_fits(self) -> None:
        for row in await self._shop.store.unfinished():
            if len(self._busy) >= self._shop.settings.workers:
                return
            if row.id not in self._busy:
                task = asyncio.create_task(self._work(row))
                self._busy[row.id] = task
                task.add_done_callback(partial(self._done, row.id))

    async def _work(self, row: RunRow) -> bool:
        """True when the run is finished."""
        try:
            began = time.monotonic()
            with self._meters.working.track_inprogress():
                worked = await self._shop.work(row)
            finished = await self._shop.store.row(row.id) if worked else None
            if finished and finished.state == "finished":
                self._meters.seconds.observe(time.monotonic() - began)
                self._meters.runs.labels(finished.outcome).inc()
                return True
        except LestradeError as exc:
            logger.error("run %s: %s", row.id, exc)
        except Exception:
            logger.exception("run %s broke outside its stages", row.id)
        return False

    def _done(self, run: str, task: "asyncio.Task[bool]") -> None:
        """Room for another. A run that another process holds, or that could not go on, is looked at again after a while."""
        self._busy.pop(run, None)
        if not task.cancelled() and task.result():
            self.wake()
