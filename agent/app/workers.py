"""The workers of one process: runs that are queued or were left unfinished, a bounded number at a time."""

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import Protocol

from agent.app.glances import GlancesHere
from agent.bootstrap import Workshop
from agent.chat.looking import Seen, Wanted
from agent.domain.scan import Scan
from agent.errors import LestradeError, StoreUnavailable
from agent.ports import RunRow
from agent.ports.jobs import Jobs

LOOK_SECONDS = 5.0  # between two looks for runs that another process left behind
SUSPECT_SECONDS = 120.0  # a run that processes died of has this long to do it again, with no other such run beside it

logger = logging.getLogger(__name__)


class Tally(Protocol):
    """What is counted of the work."""

    def at_work(self, runs: int) -> None:
        """So many are worked on now."""
        ...

    def worked(self, outcome: str, seconds: float) -> None:
        """One has ended."""
        ...


class Workers:
    """Bounded: at most `settings.workers` runs at a time, what goes first first. Runs that wait are looked for when somebody says
    that there are some, and every few seconds; where processes share them, the queue brings them instead.

    Of runs that a process has died of, one is begun at a time: those that were only beside the one that kills get through, and
    the deaths that follow are counted for that one.
    """

    def __init__(self, shop: Workshop, tally: Tally) -> None:
        self._shop = shop
        self._glances = GlancesHere(shop)
        self._tally = tally
        self._at_work = 0
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[bool]] = {}
        self._put_off: set[str] = set()  # runs whose last try broke or was not let: others go first, or nothing else is tried
        self._suspects: dict[str, float] = {}  # runs that a process has died of, and until when no other such run begins

    def wake(self) -> None:
        self._wake.set()

    async def work(self, row: RunRow) -> bool:
        """One run that somebody waits for, beside those that are counted here. False when another has it, or it has to wait
        because a process died of it."""
        if row.deaths and not self._may_begin(row.id):
            return False
        try:
            return await self._shop.work(row)
        finally:
            if row.deaths:
                self._suspects.pop(row.id, None)

    def stop(self, run: str) -> None:
        """Whoever began it: what somebody waits for may have been taken up from the queue."""
        self._shop.stop(run)

    async def look(self, wanted: Wanted) -> Seen:
        return await self._glances.look(wanted)

    async def scan(self) -> Scan:
        return await self._glances.scan()

    async def run(self) -> None:
        """Until cancelled."""
        jobs = self._shop.jobs
        if jobs is None:
            await self._run_alone()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_offering(jobs))
            if self._shop.settings.workers:
                group.create_task(self._run_shared(jobs))

    async def _run_alone(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_what_fits()
                except StoreUnavailable as exc:
                    logger.error("looking for runs: %s", exc)
                except Exception:  # whatever it is: a service that takes alerts and never works on them is the worst of all
                    logger.exception("looking for runs broke")
                await self._pause(LOOK_SECONDS)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _run_offering(self, jobs: Jobs) -> None:
        pause = min(LOOK_SECONDS, self._shop.settings.claim_seconds / 2)
        while True:
            self._wake.clear()
            try:
                await jobs.offer()
            except StoreUnavailable as exc:
                logger.error("offering runs: %s", exc)
            except Exception:
                logger.exception("offering runs broke")
            await self._pause(pause)

    async def _run_shared(self, jobs: Jobs) -> None:
        while True:
            try:
                await jobs.work(self._work_on, at_once=self._shop.settings.workers)
            except StoreUnavailable as exc:
                logger.error("%s", exc)
            except Exception:
                logger.exception("the queue of runs broke")
            await asyncio.sleep(LOOK_SECONDS)

    async def _work_on(self, run: str) -> None:
        if await self._work(run):
            self.wake()  # where a cluster has no more room, another may have waited for this one's place

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for of 3.11 can swallow a cancellation
                await self._wake.wait()

    async def _start_what_fits(self) -> None:
        shop = self._shop
        room = shop.settings.workers - len(self._busy)
        if room <= 0:
            return
        found = await shop.store.waiting(shop.reader.name, limit=room + len(self._busy) + len(self._put_off))
        self._put_off &= {run for run, _ in found}
        for run, _ in sorted(found, key=lambda one: one[0] in self._put_off):
            if len(self._busy) < shop.settings.workers and run not in self._busy:
                task = asyncio.create_task(self._work(run))
                self._busy[run] = task
                task.add_done_callback(partial(self._done, run))

    async def _work(self, run: str) -> bool:
        """True when the run is finished."""
        self._put_off.discard(run)
        try:
            row = await self._shop.store.row(run)
            if row is None or row.state == "finished":
                return False
            if row.deaths and not self._may_begin(run):
                return self._later(run)
            began = time.monotonic()
            self._count(1)
            try:
                worked = await self._shop.work(row)
            finally:
                self._count(-1)
                if row.deaths:
                    self._suspects.pop(run, None)
            finished = await self._shop.store.row(run) if worked else None
            if finished and finished.state == "finished":
                self._tally.worked(finished.outcome, time.monotonic() - began)
            return finished is not None and finished.state == "finished"
        except LestradeError as exc:
            logger.error("run %s: %s", run, exc)
        except Exception:
            logger.exception("run %s broke outside its stages", run)
        return self._later(run)

    def _later(self, run: str) -> bool:
        if self._shop.jobs is None:
            self._put_off.add(run)
        return False

    def _may_begin(self, suspect: str) -> bool:
        now = time.monotonic()
        if any(until > now for until in self._suspects.values()):
            return False
        self._suspects[suspect] = now + SUSPECT_SECONDS
        return True

    def _count(self, more: int) -> None:
        self._at_work += more
        self._tally.at_work(self._at_work)

    def _done(self, run: str, task: "asyncio.Task[bool]") -> None:
        """Room for another. A run that another process holds, or that could not go on, is looked at again after a while."""
        self._busy.pop(run, None)
        if not task.cancelled() and task.result():
            self.wake()
