"""Silences that somebody asked for, or that the agent proposes: each goes on while people are asked, whoever listens, and in
another process where this one ends.

What nobody goes on with is the sidecar's to end: an approval that nobody uses is void, and a lease that nobody settles takes
its silence with it. Knows no session.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from agent.bootstrap import Workshop
from agent.domain.document import from_document, to_document
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.errors import Busy, LestradeError, StoreUnavailable
from agent.ports import RunRow
from agent.rendering.silences import silence_lines
from agent.stages.silence import LEFT_TO_PEOPLE, Wish
from agent.store import AskedSilence, SqlSilenceBook
from sidecar.contract import Json, Plan

AT_ONCE_SECONDS = 20.0  # an answer comes by then; who approves may take longer
MOST = 16  # that wait for people at the same time, in one process
MOST_TAKEN = 8  # of them that nobody in this process asked for
MOST_PROPOSED = 50  # in one look
LOOK_SECONDS = 10.0  # between two looks for those that another process left, or that were proposed
CLAIM_SECONDS = 60.0  # one whose process went silent for so long is gone on with by another
_Ended = tuple[list[Round], list[str]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`ended`: what came of it, None while people are still asked. `told`: what was said meanwhile."""

    ended: _Ended | None
    told: tuple[str, ...]


@dataclass(slots=True)
class Silencings:
    shop: Workshop
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _running: set["asyncio.Task[_Ended]"] = field(default_factory=set)

    @property
    def _book(self) -> SqlSilenceBook:
        return SqlSilenceBook(self.shop.database, self.shop.reader.name)

    async def ask(self, report: Report, wish: Wish, *, seconds: float = AT_ONCE_SECONDS) -> Asked:
        """Raises Busy when too many wait already, and LestradeError where nothing can be asked for."""
        if len(self._running) >= MOST:
            raise Busy(f"{MOST} silences wait for people already; ask again when one of them was answered")
        told: list[str] = []
        asked = await self._book.add(report.run, to_document(wish), owner=self.owner, seconds=CLAIM_SECONDS)
        task = self._begin(asked, told)
        ended, _ = await asyncio.wait({task}, timeout=seconds)
        return Asked(ended=task.result() if ended else None, told=tuple(told))

    async def run(self) -> None:
        """What other processes left behind, and what was proposed. Until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as exc:
                logger.error("silences wait: %s", exc)
            except Exception:  # whatever it is: nothing that is asked for would be gone on with any more
                logger.exception("looking for silences broke")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        await self._propose()
        room = MOST_TAKEN - len(self._running)
        if room > 0 and self.shop.governed:
            for asked in await self._book.take(self.owner, seconds=CLAIM_SECONDS, most=room):
                self._begin(asked, [])

    async def _propose(self) -> None:
        """Once for each run that has ended: here, since whoever worked on it may be gone before it could."""
        shop = self.shop
        if shop.settings.propose_silence_minutes and shop.governed:
            for row in await self._book.unasked(LEFT_TO_PEOPLE, limit=MOST_PROPOSED):
                try:
                    wish = await proposed(shop, row)
                except ValueError:  # a report of another version: it is asked about all the same, or it would be for ever
                    wish = None
                await self._book.ask(row.id, to_document(wish) if wish is not None else None)

    async def close(self) -> None:
        """They are not over: whoever looks next goes on with them."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, asked: AskedSilence, told: list[str]) -> "asyncio.Task[_Ended]":
        task = asyncio.create_task(self._worked(asked, told))
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def _worked(self, asked: AskedSilence, told: list[str]) -> _Ended:
        work = asyncio.create_task(self._silenced(asked, told))
        beat = asyncio.create_task(self._hold(asked.id, work))
        try:
            ended = await self._until_ended(work)
            await self._book.end(asked.id)
            return ended
        except asyncio.CancelledError:
            with contextlib.suppress(StoreUnavailable):
                await self._book.hold(asked.id, self.owner, seconds=0)
            raise
        except StoreUnavailable:
            raise  # it is looked at again when the claim has run out
        except LestradeError as exc:
            await self._book.end(asked.id)
            await self.shop.events.append(asked.run, "authorize", f"silence: not silenced: {exc}")
            raise
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)

    async def _until_ended(self, work: "asyncio.Task[_Ended]") -> _Ended:
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()  # and over, before another may have it
            await asyncio.gather(work, return_exceptions=True)
        if work.cancelled():
            raise StoreUnavailable("another process goes on with this silence: what comes of it stands in the events of its run")
        failure = work.exception()
        if failure is not None and not isinstance(failure, LestradeError):
            logger.error("a silence broke", exc_info=failure)  # it would break again, whoever took it up
            raise LestradeError(f"asking for it broke ({type(failure).__name__}); see the log")
        return work.result()

    async def _silenced(self, asked: AskedSilence, told: list[str]) -> _Ended:
        report = await self.shop.report(asked.run)
        if report is None:
            return [], []  # kept no longer

        async def tell(text: str, data: Mapping[str, Json] | None = None, /) -> None:
            told.append(text)
            await self.shop.events.append(asked.run, "authorize", f"silence: {text}", data)

        async def keep(plans: Sequence[Plan]) -> None:
            await self._book.keep(asked.id, [cast(Json, plan.document()) for plan in plans])

        wish, begun = from_document(Wish, asked.wish), [from_document(Plan, plan) for plan in asked.plans]
        rounds, left = await self.shop.silence(report, wish, tell=tell, begun=begun, keep=keep)
        for line in silence_lines(rounds, left):
            await self.shop.events.append(asked.run, "authorize", f"silence: {line}")
        return rounds, left

    async def _hold(self, asked: str, work: "asyncio.Task[_Ended]") -> None:
        """Whoever stood still for so long that another took it up stops: people would be asked twice."""
        while True:
            await asyncio.sleep(CLAIM_SECONDS / 3)
            with contextlib.suppress(StoreUnavailable):
                if not await self._book.hold(asked, self.owner, seconds=CLAIM_SECONDS):
                    work.cancel()
                    return

    def _done(self, task: "asyncio.Task[_Ended]") -> None:
        self._running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not isinstance(failure, LestradeError):
            logger.error("a silence was given up (%s)", type(failure).__name__)


async def proposed(shop: Workshop, row: RunRow) -> Wish | None:
    """A silence of what goes on firing while people see to a known cause, for people to approve: where the settings want that,
    after a run that alerts opened. Raises StoreUnavailable."""
    minutes, incident = shop.settings.propose_silence_minutes, row.incident
    if not minutes or not shop.governed or incident.look_only or row.outcome not in LEFT_TO_PEOPLE:
        return None
    if not incident.group_key or all(alert.resolved for alert in incident.alerts):
        return None
    report = await shop.report(row.id)
    if report is None or report.diagnosis is None or not report.diagnosis.causes:
        return None
    return Wish(
        minutes=minutes, comment=f"known, and with people: {row.headline}"[:500], asked_by=incident.asked_by, proposed=True
    )
