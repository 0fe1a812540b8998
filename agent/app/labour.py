"""What is done in the process beside the service: work on runs, and tell the service what happens there. Takes no request.

It is told, a word a line: `wake`, `do RUN` and `stop RUN` for a run that somebody waits for, `see NUMBER WANTED` (JSON; null: the
whole cluster) and `leave NUMBER` for what is read without one, `end`.
It tells, a line of JSON each: `hello` (that it is there; it waits for `go` before it opens anything), `owner` (by what name it
claims runs), `told` (events were appended), `noted` (what agent.ports.tracing says of a run), `at_work`, `worked`, `did` (what
came of a `do`), `saw`; and `alive`, every few seconds.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import orjson

from agent.app.glances import Glances
from agent.app.workers import Workers
from agent.bootstrap import Workshop
from agent.chat.looking import Seen, Wanted
from agent.domain.document import acquaint, from_document, to_document
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Incident
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.domain.scan import Scan
from agent.errors import LestradeError
from agent.ports.tracing import Noted, listening
from agent.telemetry import heard
from sidecar.contract import Json

logger = logging.getLogger(__name__)
BEAT_SECONDS = 5.0
MOST_BYTES = 8_388_608  # of a line to the service
MOST_WORDS = 4_000  # characters of an error
NICER = 5  # an alert is taken in before a run goes on where both want the same core; but a run may be writing, and is waited for


class Told:
    """The Tally of workers whose service is another process, and what else that one wants to know."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def tell(self, **words: Json) -> None:
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps(words) + b"\n")

    def at_work(self, runs: int) -> None:
        self.tell(at_work=runs)

    def worked(self, outcome: str, seconds: float) -> None:
        self.tell(worked=outcome, seconds=seconds)

    def noted(self, noted: Noted) -> None:
        attributes: dict[str, Json] = dict(noted.attributes)
        self.tell(noted=noted.kind, name=noted.name, attributes=attributes, failed=noted.failed, seconds=noted.seconds)

    def appended(self) -> None:
        self.tell(told=True)


class Hands:
    """Runs that the service asks for by name. How many at a time is its business: it knows who waits. Each that is begun is told
    of when it ends, however it does: somebody waits for that."""

    def __init__(self, shop: Workshop, workers: Workers, told: Told) -> None:
        self._shop = shop
        self._workers = workers
        self._told = told
        self._busy: dict[str, asyncio.Task[bool]] = {}

    def begin(self, run: str) -> None:
        if run not in self._busy:
            task = self._busy[run] = asyncio.create_task(self._work(run))
            task.add_done_callback(partial(self._ended, run))  # one that is called off before its first step gets no further

    def stop(self, run: str) -> None:
        """Asked for by name or not: one that waited for its place may have been taken up from the queue."""
        if task := self._busy.get(run):
            task.cancel()
        self._workers.stop(run)

    async def close(self) -> None:
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, run: str) -> bool:
        row = await self._shop.store.row(run)
        return row is not None and row.state != "finished" and await self._workers.work(row)

    def _ended(self, run: str, task: "asyncio.Task[bool]") -> None:
        del self._busy[run]
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not isinstance(failure, LestradeError):
            logger.error("run %s broke outside its stages", run, exc_info=failure)
            failure = LestradeError(f"the run broke outside of its stages ({type(failure).__name__}); see the log")
        worked = failure is None and not task.cancelled() and task.result()
        kind, words = (type(failure).__name__, _sendable(str(failure))) if failure is not None else ("", "")
        self._told.tell(did=run, worked=worked, kind=kind, error=words)


class Watch:
    """What the service has read without a run, each told of when it ends, unless nobody wants it any more."""

    def __init__(self, glances: Glances, told: Told) -> None:
        self._glances = glances
        self._told = told
        self._busy: dict[str, asyncio.Task[Json]] = {}

    def begin(self, number: str, wanted: str) -> None:
        task = self._busy[number] = asyncio.create_task(self._seen(wanted))
        task.add_done_callback(partial(self._ended, number))

    def leave(self, number: str) -> None:
        if task := self._busy.get(number):
            task.cancel()

    async def close(self) -> None:
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _seen(self, wanted: str) -> Json:
        asked = orjson.loads(wanted)
        seen = await (self._glances.scan() if asked is None else self._glances.look(from_document(Wanted, asked)))
        document = await asyncio.to_thread(to_document, seen)
        if len(orjson.dumps(document)) > MOST_BYTES // 2:
            raise LestradeError("more was found than can be shown: ask about one namespace")
        return document

    def _ended(self, number: str, task: "asyncio.Task[Json]") -> None:
        del self._busy[number]
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None and not isinstance(failure, LestradeError):
            logger.error("reading the cluster broke", exc_info=failure)
            failure = LestradeError(f"this should not happen ({type(failure).__name__}); see the log of the agent")
        kind, words = (type(failure).__name__, _sendable(str(failure))) if failure is not None else ("", "")
        self._told.tell(saw=int(number), what=None if failure is not None else task.result(), kind=kind, error=words)


def _sendable(words: str) -> str:
    """A line that is too long is not heard, and whoever waits for it waits for ever; nor is one that is no UTF-8 written."""
    return words[:MOST_WORDS].encode(errors="replace").decode()


def labour(open_shop: Callable[[], AbstractAsyncContextManager[Workshop]], channel: socket.socket) -> None:
    """The work of a process apart (agent.app.apart)."""
    os.nice(NICER)
    asyncio.run(_labour(open_shop, channel))


async def _labour(open_shop: Callable[[], AbstractAsyncContextManager[Workshop]], channel: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel)
    told = Told(writer)
    writer.write(b"\n")  # one that died may have left half a line
    told.tell(hello=os.getpid())
    if not await _is_let_go(reader):
        return
    beating = asyncio.create_task(_beat(told))
    try:
        await _work(open_shop, told, reader)
    finally:
        beating.cancel()


async def _beat(told: Told) -> None:
    while True:
        told.tell(alive=True)
        await asyncio.sleep(BEAT_SECONDS)


async def _work(open_shop: Callable[[], AbstractAsyncContextManager[Workshop]], told: Told, reader: asyncio.StreamReader) -> None:
    async with open_shop() as shop:
        await asyncio.to_thread(acquaint, Incident, Diagnosis, RankedCause, Evidence, Round, Report, Wanted, Seen, Scan)
        told.tell(owner=shop.owner)
        shop.events.heard_by(told.appended)
        with listening(told.noted), listening(heard):
            workers = Workers(shop, told)
            hands, watch = Hands(shop, workers, told), Watch(workers, told)
            try:
                await _until_told(workers, hands, watch, reader)
            finally:
                await watch.close()
                await hands.close()


async def _is_let_go(reader: asyncio.StreamReader) -> bool:
    """False where the service is gone, or ends."""
    with contextlib.suppress(ConnectionError):
        async for line in reader:
            if line.strip() in (b"go", b"end"):
                return line.strip() == b"go"
    return False


async def _until_told(workers: Workers, hands: Hands, watch: Watch, reader: asyncio.StreamReader) -> None:
    """Raises what the workers end with by themselves."""
    working, hearing = asyncio.create_task(workers.run()), asyncio.create_task(_hear(workers, hands, watch, reader))
    try:
        await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (hearing, working):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
    if not working.cancelled():
        working.result()


async def _hear(workers: Workers, hands: Hands, watch: Watch, reader: asyncio.StreamReader) -> None:
    """Until we are told to end, or nobody is there who would."""
    with contextlib.suppress(ConnectionError):
        async for line in reader:
            match line.decode(errors="replace").strip().split(" ", 2):
                case ["end"]:
                    return
                case ["do", run]:
                    hands.begin(run)
                case ["stop", run]:
                    hands.stop(run)
                case ["see", number, wanted]:
                    watch.begin(number, wanted)
                case ["leave", number]:
                    watch.leave(number)
                case _:
                    workers.wake()
