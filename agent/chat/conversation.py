"""Conversations: sessions that are kept, one turn at a time, follow-ups that know what came before.

    conversations = Conversations(shop)
    exchange = await conversations.begin("why is checkout failing?", asked_by="ada")
    async for told in exchange.listen(): ...        # Opened, Stepped..., Found..., then Answered or Failed

A turn goes on whoever listens. What the process could not finish is carried on by the next one that looks at the session.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agent.bootstrap import Workshop
from agent.chat.answering import Answering, Outcome
from agent.chat.exchange import Answered, Exchange, Failed, Opened
from agent.chat.following import thread_after
from agent.chat.references import meaning_of
from agent.chat.silencing import Silencings
from agent.chat.working import Here, Workplace, Works
from agent.domain.session import Marked, Reply, Session, Thread, Turn, TurnState
from agent.errors import Busy, InputError, LestradeError, NotThere, StoreUnavailable
from agent.signals.masking import safe

LONGEST = 2000  # characters of what is said at once
MOST_AT_ONCE = 200  # turns that are worked on or wait, in one process
LOST_AFTER = timedelta(seconds=60)  # a turn without a run takes seconds

logger = logging.getLogger(__name__)


class Conversations:
    """All of one process. `at_once`: questions worked on at the same time; `where`, if not in this process."""

    def __init__(self, shop: Workshop, *, at_once: int = 4, where: Workplace | None = None) -> None:
        self._shop = shop
        where = where or Here(shop)
        self._works = Works(shop, at_once=at_once, where=where)
        self._answering = Answering(shop, self._works, self._keep, where.look)
        self._live: dict[str, Exchange] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(
        self,
        said: str,
        *,
        session: str = "",
        key: str = "",
        run: str = "",
        thread: Thread | None = None,
        asked_by: str = "",
        owner: str = "",
    ) -> Exchange:
        """A turn of the session; of the one that is named `key`, where no session is given; else of a new one, which is then
        named so, and may begin with what `run` found, or with a thread. `owner` has the session, where that is not who asks.

        Raises InputError for words that cannot be used, NotThere for a session that is nobody's or somebody else's, Busy while
        a turn is being answered.
        """
        words = said_safely(said)
        if len(self._live) >= MOST_AT_ONCE:
            raise Busy(f"{MOST_AT_ONCE} questions are being answered or wait for their turn; ask again in a while")
        owner = owner or asked_by
        name = session or (await self._shop.sessions.named(key, asked_by=owner) if key else "")
        if name:
            known = await self.session(name, asked_by=owner)
        else:
            first = thread or await self._thread_of(run)
            known = replace(await self._opened(words, owner, key), thread=first)
        turn = await self._shop.sessions.begin(known.id, words)
        if turn is None:
            raise Busy(f"session {known.id} is still being answered: wait for it, or stop it")
        exchange = Exchange(known.id, turn)
        meant = meaning_of(words, known.thread)
        self._start(exchange, known.thread, self._answering.answer(meant, known.thread, exchange, asked_by=asked_by))
        return exchange

    async def session(self, session: str, *, asked_by: str = "") -> Session:
        """With its turns; one that was left unfinished by a process that is gone is carried on. Raises NotThere."""
        known = await self._shop.sessions.load(session)
        if known is None or known.asked_by != asked_by:
            raise NotThere(f"there is no session {session[:80]!r} of yours")
        last = known.turns[-1] if known.turns else None
        if last is not None and last.state == "open" and session not in self._live:
            await self._carry_on(known, last)
            known = await self._shop.sessions.load(session) or known
        return known

    async def sessions(self, *, asked_by: str = "", limit: int = 50) -> Sequence[Session]:
        return await self._shop.sessions.listed(asked_by=asked_by, limit=limit)

    def live(self, session: str) -> Exchange | None:
        """The turn that is being answered in this process."""
        return self._live.get(session)

    async def stop(self, session: str, *, asked_by: str = "", by: str = "") -> bool:
        """End the answer that is being worked out; False where there is none. Raises NotThere, and Busy for what acts: that is
        refused where it is approved, or stopped at the sidecar."""
        await self.session(session, asked_by=asked_by)
        exchange, task = self._live.get(session), self._tasks.get(session)
        if exchange is None or task is None or exchange.is_over:
            return False
        if not exchange.may_stop:
            run = f"run {exchange.run}" if exchange.run else "the run that is being opened"
            raise Busy(f"{run} may act, and is not stopped from here: refuse its plan, or stop the sidecar")
        exchange.stopped_by = by or asked_by or "the person who asked"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return True

    async def forget(self, session: str, *, asked_by: str = "") -> None:
        """Raises NotThere, and Busy while a turn is being answered. Runs and their reports stay."""
        known = await self.session(session, asked_by=asked_by)
        if session in self._live or (known.turns and known.turns[-1].state == "open"):
            raise Busy(f"session {session} is still being answered: stop it first")
        await self._shop.sessions.forget(session)

    async def mark(self, exchange: Exchange, key: str) -> None:
        """The words so far, by which `marked` finds the turn again. To be called once it is answered."""
        await self._shop.sessions.mark(exchange.session, exchange.turn.number, key)

    async def marked(self, key: str, *, asked_by: str = "") -> Marked | None:
        return await self._shop.sessions.marked(key, asked_by=asked_by)

    @property
    def silencings(self) -> Silencings:
        return self._answering.silencings

    @property
    def unfinished(self) -> list[str]:
        """Runs that this process works on, also for turns that were answered, because their plans wait for people."""
        return self._works.unfinished

    async def close(self) -> None:
        """What is not finished stays open, and is carried on by whoever looks next."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._works.close()
        await self.silencings.close()

    # One turn -------------------------------------------------------------------------------------------------------------

    async def _opened(self, words: str, owner: str, key: str) -> Session:
        made = await self._shop.sessions.open(asked_by=owner, cluster=self._shop.reader.name, title=words)
        if key:
            await self._shop.sessions.name(made.id, key)
        return made

    async def _thread_of(self, run: str) -> Thread:
        report = await self._shop.report(run) if run else None
        if run and report is None:
            raise NotThere(f"there is no finished run {run[:80]!r} to speak about")
        return thread_after(report, Thread()) if report is not None else Thread()

    def _start(self, exchange: Exchange, thread: Thread, work: Coroutine[None, None, Outcome]) -> None:
        self._live[exchange.session] = exchange
        exchange.tell(Opened(session=exchange.session, turn=exchange.turn.number))
        task = asyncio.create_task(self._turn(exchange, thread, work))
        self._tasks[exchange.session] = task
        task.add_done_callback(lambda _: self._over(exchange))

    async def _turn(self, exchange: Exchange, thread: Thread, work: Coroutine[None, None, Outcome]) -> None:
        """Whatever happens, the turn ends, unless the process does."""
        try:
            outcome = await work
            await self._end(exchange, "answered", outcome.reply, outcome.thread)
        except asyncio.CancelledError:
            if exchange.stopped_by is None:
                raise
            await self._stopped(exchange, thread)
        except LestradeError as exc:
            await self._failed(exchange, thread, exc)
        except Exception as exc:
            logger.exception("a turn of session %s broke", exchange.session)
            broke = LestradeError(f"this should not happen ({type(exc).__name__}); see the log of the agent")
            await self._failed(exchange, thread, broke)

    async def _end(self, exchange: Exchange, state: TurnState, reply: Reply, thread: Thread) -> None:
        await self._shop.sessions.end(exchange.session, exchange.turn.number, state, reply, thread)
        exchange.tell(Answered(session=exchange.session, turn=exchange.turn.number, reply=reply))

    async def _failed(self, exchange: Exchange, thread: Thread, error: LestradeError) -> None:
        reply = Reply(text=str(error), outcome="failed", run=exchange.run)
        with contextlib.suppress(StoreUnavailable):  # then that is what is told
            await self._shop.sessions.end(exchange.session, exchange.turn.number, "failed", reply, thread)
        exchange.tell(Failed(session=exchange.session, turn=exchange.turn.number, error=error))

    async def _stopped(self, exchange: Exchange, thread: Thread) -> None:
        """A run that only looks is over with it; what it has seen so far stays in its events."""
        words = f"Stopped by {exchange.stopped_by}"
        try:
            if exchange.run:
                row = await self._shop.store.row(exchange.run)
                if row is not None and row.state != "finished":
                    await self._shop.events.append(exchange.run, "conclude", words)
                    await self._shop.store.finish(exchange.run, "stopped", words, {})  # first: then nobody takes it up any more
                await self._works.stop(exchange.run)
            reply = Reply(text=f"{words}.", outcome="stopped", run=exchange.run)
            await self._end(exchange, "stopped", reply, thread)
        except StoreUnavailable as exc:
            await self._failed(exchange, thread, exc)

    def _over(self, exchange: Exchange) -> None:
        if self._live.get(exchange.session) is exchange:
            del self._live[exchange.session], self._tasks[exchange.session]

    async def _keep(self, exchange: Exchange, meant: str) -> None:
        said = exchange.turn.said
        question = meant if meant != said else ""
        await self._shop.sessions.note(exchange.session, exchange.turn.number, meant=question, run=exchange.run)

    async def _carry_on(self, known: Session, turn: Turn) -> None:
        """The process that answered this turn is gone, or is another one."""
        exchange = Exchange(known.id, turn)
        row = await self._shop.store.row(turn.run) if turn.run else None
        if row is not None:
            self._start(exchange, known.thread, self._answering.carry_on(row, known.thread, exchange))
            if row.state == "finished":
                await asyncio.gather(self._tasks[known.id], return_exceptions=True)
        elif datetime.now(UTC) - turn.at > LOST_AFTER:
            await self._failed(exchange, known.thread, LestradeError("the process that answered this was ended; ask again"))


def said_safely(said: str) -> str:
    """One line without secrets. Raises InputError."""
    words = " ".join(said.split())
    if not words:
        raise InputError("nothing was asked: the message is empty")
    if len(words) > LONGEST:
        raise InputError(f"the message is longer than {LONGEST} characters")
    return safe(words, limit=LONGEST)
