"""What is done in the process beside the service: work on runs, and tell the service what happens there. Takes no request.

It is told, a word a line: `wake`, `do RUN` and `stop RUN` for a run that somebody waits for, `end`.
It tells, a line of JSON each: `hello` (that it is there; it waits for `go` before it opens anything), `owner` (by what name it
claims runs), `told` (events were appended), `noted` (what agent.ports.tracing says of a run), `at_work`, `worked`, `did` (what
came of a `do`); and `alive`, every few seconds.
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

from agent.app.workers import Workers
from agent.bootstrap import Workshop
from agent.domain.document import acquaint
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Incident
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.errors import LestradeError
from agent.ports.tracing import Noted, listening
from agent.telemetry import heard
from sidecar.contract import Json

logger = logging.getLogger(__name__)
BEAT_SECONDS = 5.0
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
        await asyncio.to_thread(acquaint, Incident, Diagnosis, RankedCause, Evidence, Round, Report)
        told.tell(owner=shop.owner)
        shop.events.heard_by(told.appended)
        with listening(told.noted), listening(heard):
            workers = Workers(shop, told)
            hands = Hands(shop, workers, told)
            try:
                await _until_told(workers, hands, reader)
            finally:
                await hands.close()


async def _is_let_go(reader: asyncio.StreamReader) -> bool:
    """False where the service is gone, or ends."""
    with contextlib.suppress(ConnectionError):
        async for line in reader:
            if line.strip() in (b"go", b"end"):
                return line.strip() == b"go"
    return False


async def _until_told(workers: Workers, hands: Hands, reader: asyncio.StreamReader) -> None:
    """Raises what the workers end with by themselves."""
    working, hearing = asyncio.create_task(workers.run()), asyncio.create_task(_hear(workers, hands, reader))
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


async def _hear(workers: Workers, hands: Hands, reader: asyncio.StreamReader) -> None:
    """Until we are told to end, or nobody is there who would."""
    with contextlib.suppress(ConnectionError):
        async for line in reader:
            match line.decode(errors="replace").split():
                case ["end"]:
                    return
                case ["do", run]:
                    hands.begin(run)
                case ["stop", run]:
                    hands.stop(run)
                case _:
                    workers.wake()
