"""Working on the runs that conversations open, and telling what happens in them. Knows no session."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Literal, Protocol

from agent.bootstrap import Workshop
from agent.chat.looking import Seen, Wanted, look
from agent.errors import Busy, LestradeError
from agent.ports import RunEvent, RunRow

AGAIN_SECONDS = 1.0
Ended = Literal["the work", "the events"]
MOST_REPAIRS = 16  # that wait for people at the same time, in one process

logger = logging.getLogger(__name__)


class Workplace(Protocol):
    """Where what conversations ask for is computed."""

    async def work(self, row: RunRow) -> bool:
        """One run to its end; False when another has it."""
        ...

    def stop(self, run: str) -> None:
        """The work on it ends, whoever began it."""
        ...

    async def look(self, wanted: Wanted) -> Seen:
        """What is read without a run. Raises LestradeError."""
        ...


class Here:
    """In this process."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    async def work(self, row: RunRow) -> bool:
        return await self._shop.work(row)

    def stop(self, run: str) -> None:
        self._shop.stop(run)

    async def look(self, wanted: Wanted) -> Seen:
        return await look(self._shop, wanted)


class Works:
    """`at_once`: questions worked on at the same time; repairs wait for people, and so are counted apart. `where`: in this
    process, unless it is told where."""

    def __init__(self, shop: Workshop, *, at_once: int, where: Workplace | None = None) -> None:
        self._shop = shop
        self._where = where or Here(shop)
        self._places = asyncio.Semaphore(at_once)
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._repairs: set[str] = set()

    def begin(self, row: RunRow) -> None:
        """Raises Busy when too many repairs wait already."""
        if row.id in self._running:
            return
        if not row.incident.look_only:
            if len(self._repairs) >= MOST_REPAIRS:
                raise Busy(
                    f"{MOST_REPAIRS} repairs are under way or wait for people; run {row.id} is taken up when one has ended"
                )
            self._repairs.add(row.id)
        task = asyncio.create_task(self._work(row))
        self._running[row.id] = task
        task.add_done_callback(lambda _: self._done(row.id))

    @property
    def unfinished(self) -> list[str]:
        """Runs that are worked on here."""
        return list(self._running)

    async def follow(self, row: RunRow) -> AsyncIterator[RunEvent]:
        """Every event of the run from its first, until it is finished. Raises the LestradeError that the work ended with.
        Whoever stops listening does not stop the work."""
        news: asyncio.Queue[RunEvent | Ended] = asyncio.Queue()
        work = self._running.get(row.id)
        pump = asyncio.create_task(self._pump(row.id, news))
        if work is not None:
            work.add_done_callback(lambda _: news.put_nowait("the work"))
        try:
            while True:
                match await news.get():
                    case "the work":
                        if work is not None and (failure := _failure(work)) is not None:
                            raise failure
                    case "the events":
                        await pump
                        return
                    case event:
                        yield event
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pump(self, run: str, news: "asyncio.Queue[RunEvent | Ended]") -> None:
        try:
            async for event in self._shop.events.follow(run):
                news.put_nowait(event)
        finally:
            news.put_nowait("the events")

    async def stop(self, run: str) -> None:
        """The work on a run ends where it is, also where others took it up while it waited for a place here; the run is left as
        it is."""
        self._where.stop(run)
        task = self._running.get(run)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Runs that are not finished are taken up again, here or elsewhere."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, row: RunRow) -> bool:
        if not row.incident.look_only:
            return await self._until_done(row)
        async with self._places:
            return await self._until_done(row)

    async def _until_done(self, row: RunRow) -> bool:
        """Another process may have the run, or all places of the cluster may be taken: somebody waits for it here, so it is
        tried for again. False when another has finished it."""
        while not await self._where.work(row):
            now = await self._shop.store.row(row.id)
            if now is None or now.state == "finished":
                return False
            await asyncio.sleep(AGAIN_SECONDS)
        return True

    def _done(self, run: str) -> None:
        task = self._running.pop(run)
        self._repairs.discard(run)
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("run %s: %s", run, exc if isinstance(exc, LestradeError) else type(exc).__name__)


async def repair_under_way(shop: Workshop, incident: str) -> RunRow | None:
    """The unfinished run that may act on this incident, whoever asked for it."""
    unfinished = await shop.store.unfinished()
    return next((row for row in unfinished if row.incident.id == incident and not row.incident.look_only), None)


def waits_for_people(event: RunEvent) -> bool:
    """A plan that nobody has to approve never waits."""
    return event.stage == "authorize" and ("expires_at" in event.data or event.text.startswith("waiting for approval"))


def _failure(work: "asyncio.Task[bool]") -> LestradeError | None:
    if not work.done() or work.cancelled():
        return None
    exc = work.exception()
    if exc is None or isinstance(exc, LestradeError):
        return exc
    return LestradeError(f"the run broke outside of its stages ({type(exc).__name__}); see the log")
