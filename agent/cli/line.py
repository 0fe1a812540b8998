"""A line to whoever answers: a conversation in this process, or one of a service elsewhere. What is told is the same.

The one who types stays in the main thread, where an interrupt reaches them; what answers has a thread of its own.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol, TypeVar

from agent.bootstrap import Source, Workshop, workshop
from agent.chat.conversation import Conversations
from agent.chat.exchange import Exchange, Failed, Stepped, Told
from agent.cli.person import person
from agent.cli.terminal import OneLine
from agent.domain.report import Report
from agent.domain.session import Session
from agent.errors import InputError, LestradeError
from agent.settings import Settings

T = TypeVar("T")
CLOSING_SECONDS = 10.0


class Line(Protocol):
    """Every method raises LestradeError."""

    session: str  # the one that is spoken in, "" before the first word

    def ask(self, words: str) -> Iterator[Told]:
        """To Answered; raises what there was instead."""
        ...

    def resume(self, session: str) -> tuple[Session, Iterator[Told]]:
        """Speak in that session ("last": the one that was used last); what is told of a turn that is not answered yet."""
        ...

    def stop(self) -> bool:
        """End the answer that is worked on. Raises Busy for what may act."""
        ...

    def follow(self, run: str, after: int) -> Iterator[Stepped]:
        """What happens in a run after so many events, until it is finished."""
        ...

    def report(self, run: str) -> Report | None: ...

    def sessions(self) -> list[Session]: ...

    def close(self) -> list[str]:
        """Runs that this leaves unfinished."""
        ...


class LocalLine:
    """A workshop of one's own, on a snapshot or a cluster."""

    def __init__(self, settings: Settings, source: Source) -> None:
        self.session = ""
        self._who = person()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._ready: Future[tuple[Workshop, Conversations]] = Future()
        self._thread = threading.Thread(target=self._run, args=(settings, source), name="answers", daemon=True)
        OneLine.install()
        self._thread.start()
        self._shop, self._conversations = self._ready.result()

    def ask(self, words: str) -> Iterator[Told]:
        exchange = self._do(self._conversations.begin(words, session=self.session, asked_by=self._who))
        self.session = exchange.session
        yield from self._heard(exchange)

    def resume(self, session: str) -> tuple[Session, Iterator[Told]]:
        known = self._do(self._conversations.session(chosen(session, self.sessions), asked_by=self._who))
        self.session = known.id
        live = self._conversations.live(known.id)
        return known, self._heard(live) if live is not None else iter(())

    def stop(self) -> bool:
        return bool(self.session) and self._do(self._conversations.stop(self.session, asked_by=self._who))

    def follow(self, run: str, after: int) -> Iterator[Stepped]:
        yield from self._drawn(self._steps(run, after))

    def report(self, run: str) -> Report | None:
        return self._do(self._shop.report(run))

    def sessions(self) -> list[Session]:
        return list(self._do(self._conversations.sessions(asked_by=self._who)))

    def close(self) -> list[str]:
        left = self._conversations.unfinished
        with suppress(RuntimeError):  # its loop may have ended by itself
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(CLOSING_SECONDS)
        return left

    # Between the two threads ------------------------------------------------------------------------------------------------

    def _run(self, settings: Settings, source: Source) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(settings, source))
        finally:
            self._loop.close()

    async def _serve(self, settings: Settings, source: Source) -> None:
        try:
            async with workshop(settings, source) as shop:
                await shop.reader.now()  # says at once that nothing answers
                conversations = Conversations(shop, at_once=settings.chat_workers)
                self._ready.set_result((shop, conversations))
                try:
                    await self._end.wait()
                finally:
                    await conversations.close()
        except BaseException as exc:  # noqa: BLE001  it is raised again where somebody waits for it
            if not self._ready.done():
                self._ready.set_exception(exc)

    def _do(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _heard(self, exchange: Exchange) -> Iterator[Told]:
        for told in self._drawn(exchange.listen()):
            if isinstance(told, Failed):
                raise told.error
            yield told

    def _drawn(self, source: AsyncIterator[T]) -> Iterator[T]:
        """One by one as they come; whoever stops drawing stops listening, and nothing else."""
        drawn: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue()

        async def pump() -> None:
            try:
                async for one in source:
                    drawn.put((one, None))
                drawn.put((None, None))
            except LestradeError as exc:
                drawn.put((None, exc))

        pumping = asyncio.run_coroutine_threadsafe(pump(), self._loop)
        try:
            while True:
                one, exc = drawn.get()
                if exc is not None:
                    raise exc
                if one is None:
                    return
                yield one
        finally:
            pumping.cancel()

    async def _steps(self, run: str, seen: int) -> AsyncIterator[Stepped]:
        async for event in self._shop.events.follow(run, after=seen):
            yield Stepped(stage=event.stage, text=event.text, at=event.at, run=run, seq=event.seq)


def chosen(session: str, sessions: Callable[[], list[Session]]) -> str:
    """Its id; "last" is the one that was used last. Raises InputError where there is none."""
    if session != "last":
        return session
    found = sessions()
    if not found:
        raise InputError("there is no session yet that could be gone on with")
    return found[0].id
