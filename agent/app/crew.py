"""The workers of a service, in a process of their own: an investigation computes, and Python lets one thread compute at a time,
so that alerts would wait for it. Seen from the service they are as those in it (agent.app.workers).

Runs and their events travel through the database, as between any two processes; the stream between the two says only that there
is something to look for, and what is to be counted.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
from typing import Literal, cast

import orjson

from agent import errors
from agent.app.apart import Apart
from agent.app.labour import MOST_BYTES
from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.bootstrap import Workshop
from agent.chat.looking import Seen, Wanted
from agent.domain.document import from_document, to_document
from agent.domain.scan import Scan
from agent.errors import LestradeError, StoreUnavailable
from agent.ports import RunRow
from agent.ports.tracing import Kind, Noted
from sidecar.contract import Json

END_SECONDS = 5.0  # for what is under way to be put down, when the service ends
OFTEN = 60.0  # seconds: of two deaths within them, a run may be the reason
LOOK_SECONDS, MOST_SILENT = 5.0, 24  # looks in a row at which nothing was heard of it: it says every few seconds that it lives

logger = logging.getLogger(__name__)
State = Literal["starting", "working", "died", "gone"]


class Crew:
    """`state`: "died" until it was begun again; "gone" where nothing begins it again: then runs are worked on in this process."""

    def __init__(self, apart: Apart, shop: Workshop, meters: Meters) -> None:
        self._apart = apart
        self._shop = shop
        self._meters = meters
        self._here = Workers(shop, meters)
        self._writer: asyncio.StreamWriter | None = None
        self._owner = ""
        self._worker = self._silent = 0  # its pid, where there is one, and the looks since it said something
        self._died_at = float("-inf")
        self.state: State = "starting"
        self._there = asyncio.Event()  # whether it takes work, or nobody ever will
        self._awaited: dict[str, asyncio.Future[bool]] = {}  # runs that it was asked to do, until it says what came of them
        self._seeing: dict[int, asyncio.Future[Json]] = {}  # what it was asked to look at, until it says what it saw
        self._glances = itertools.count()

    def wake(self) -> None:
        self._say(b"wake")
        self._here.wake()

    async def work(self, row: RunRow) -> bool:
        """One run that somebody waits for, done there: a question over a large cluster computes for seconds. False when another
        has it, or the process died of this run or another: then it may be asked for again. Raises what the work ended with."""
        await self._is_there()
        if self.state == "gone":
            return await self._here.work(row)
        if row.id in self._awaited:
            return False
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited[row.id] = ended
        self._say(f"do {row.id}".encode())
        try:
            await asyncio.wait({ended})
        except asyncio.CancelledError:
            self._say(f"stop {row.id}".encode())
            done, _ = await asyncio.wait({ended}, timeout=END_SECONDS)
            for one in done:
                one.exception()  # nobody is left who would hear of it
            raise
        finally:
            del self._awaited[row.id]
        return ended.result()

    def stop(self, run: str) -> None:
        """There and here, whoever began it."""
        self._say(f"stop {run}".encode())
        self._here.stop(run)

    async def look(self, wanted: Wanted) -> Seen:
        """Raises LestradeError, as `scan` does, also where the process died meanwhile: what it died of is not done here."""
        await self._is_there()
        if self.state == "gone":
            return await self._here.look(wanted)
        return await asyncio.to_thread(from_document, Seen, await self._see(to_document(wanted)))

    async def scan(self) -> Scan:
        await self._is_there()
        if self.state == "gone":
            return await self._here.scan()
        return await asyncio.to_thread(from_document, Scan, await self._see(None))

    async def _is_there(self) -> None:
        """It may have died again before we go on, and the next one does not heed what was said before its `go`."""
        while not self._there.is_set():
            await self._there.wait()

    async def _see(self, wanted: Json) -> Json:
        number = next(self._glances)
        seen: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._seeing[number] = seen
        self._say(b"see %d %s" % (number, orjson.dumps(wanted)))
        try:
            return await seen
        finally:
            del self._seeing[number]
            if seen.cancelled():
                self._say(b"leave %d" % number)

    async def run(self) -> None:
        """Until cancelled."""
        reader, self._writer = await asyncio.open_connection(sock=self._apart.channel, limit=MOST_BYTES)
        watching = asyncio.create_task(self._watch())
        try:
            while line := await _line(reader):
                self._silent = 0
                await self._hear(line)
            watching.cancel()
            logger.error("the process that works on runs is gone, and nobody begins it again: they are worked on in this one")
            self.state = "gone"
            self._there.set()
            self._none_awaited()
            self._meters.at_work(0)
            await self._let_go()
            await self._here.run()
        finally:
            watching.cancel()
            await self._end(reader)

    async def _watch(self) -> None:
        """One that stands still would hold up all runs for ever, and nobody would see it: it is ended, and begun again. Looks are
        counted and not seconds: where the whole machine stood still, so did we."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._silent += 1
            if self._worker and self._silent >= MOST_SILENT:
                logger.error("nothing is heard of the process that works on runs: it is ended")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._worker, signal.SIGKILL)
                self._worker = 0

    async def _hear(self, line: bytes) -> None:
        match _read(line):
            case {"hello": int(worker)}:
                self._worker = worker
                self._say(b"go")
            case {"owner": str(owner)}:
                self._owner, self.state = owner, "working"
                self._there.set()
            case {"told": _}:
                self._shop.events.wake()
            case {
                "noted": str(kind),
                "name": str(name),
                "attributes": dict(about),
                "failed": str(failed),
                "seconds": float(took),
            }:
                attributes = {key: value for key, value in about.items() if isinstance(value, str | int | float)}
                self._meters.heard(Noted(kind=cast(Kind, kind), name=name, attributes=attributes, failed=failed, seconds=took))
            case {"at_work": int(runs)}:
                self._meters.at_work(runs)
            case {"worked": str(outcome), "seconds": float(seconds)}:
                self._meters.worked(outcome, seconds)
            case {"did": str(run), "worked": bool(worked), "kind": str(kind), "error": str(words)}:
                self._did(run, worked, _failure(kind, words) if kind else None)
            case {"saw": int(number), "what": what, "kind": str(kind), "error": str(words)}:
                self._saw(number, what, _failure(kind, words) if kind else None)
            case {"died": str(how), "again_in": float(pause)}:
                await self._died(how, pause)

    async def _died(self, how: str, pause: float) -> None:
        """What it had claimed is free for the next one at once: it is known to be gone. But not where it died a moment ago too:
        then one of its runs may be what kills it, and others shall have their turn until the claims lapse."""
        logger.error("the process that works on runs died %s; it is begun again in %.1f s", how, pause)
        self.state, self._worker = "died", 0
        self._there.clear()
        self._none_awaited()
        self._meters.deaths.inc()
        self._meters.at_work(0)
        now = asyncio.get_running_loop().time()
        if now - self._died_at > OFTEN:
            await self._let_go()
        self._died_at, self._owner = now, ""

    def _did(self, run: str, worked: bool, failure: LestradeError | None) -> None:
        ended = self._awaited.get(run)
        if ended is None or ended.done():
            return
        if failure is not None:
            ended.set_exception(failure)
        else:
            ended.set_result(worked)

    def _saw(self, number: int, what: Json, failure: LestradeError | None) -> None:
        seen = self._seeing.get(number)
        if seen is None or seen.done():
            return
        if failure is not None:
            seen.set_exception(failure)
        else:
            seen.set_result(what)

    def _none_awaited(self) -> None:
        for number in list(self._seeing):
            self._saw(number, None, LestradeError("the process that reads the cluster ended meanwhile; ask again in a moment"))
        for run in list(self._awaited):
            self._did(run, False, None)

    async def _let_go(self) -> None:
        if not self._owner:
            return
        try:
            await self._shop.store.let_go(self._owner)
        except StoreUnavailable as exc:
            logger.error("what it worked on waits until its claims lapse: %s", exc)

    def _say(self, word: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(word + b"\n")

    async def _end(self, reader: asyncio.StreamReader) -> None:
        """In order, if that takes no longer than is allowed for it."""
        self._say(b"end")
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(END_SECONDS):
                while await reader.read(65_536):
                    pass
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._apart.keeper, signal.SIGKILL)  # it has ended, or takes with it what has not
        if self._writer is not None:
            self._writer.close()
        with contextlib.suppress(ChildProcessError):
            await asyncio.to_thread(os.waitpid, self._apart.keeper, 0)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """b"" when nobody is there any more."""
    try:
        return await reader.readline()
    except ValueError:  # longer than MOST_BYTES: what was told is nothing, and who told it still works
        return b"\n"
    except ConnectionError:  # gone with words of ours that it had not read
        return b""


def _failure(kind: str, words: str) -> LestradeError:
    """What went wrong there, as what it was: who asks is answered by its kind."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, LestradeError) and found.__init__ is LestradeError.__init__:
        return found(words)
    return LestradeError(words)


def _read(line: bytes) -> Json:
    """Half a line, of one that was killed, is nothing."""
    try:
        return cast(Json, orjson.loads(line))
    except orjson.JSONDecodeError:
        return None
