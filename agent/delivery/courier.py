"""Sees to it that every paper reaches every place that asked for it: at least once, in order of age, with patience.

What was delivered is kept with the runs; what failed is tried again, after a restart too, and said in the run's own events.
Knows no place from within.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from agent.delivery.orders import Place
from agent.delivery.paper import Paper, Undeliverable
from agent.errors import StoreUnavailable
from agent.ports import EventLog, RunStore
from agent.store import SqlDeliveryBook
from agent.store.deliveries import Delivery

log = structlog.get_logger("agent.delivery")
LOOK_SECONDS = 2.0
CLAIM_SECONDS = 180.0  # longer than one delivery takes
MOST_TRIES = 12
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0  # doubled each time: twelve tries take some three hours
FRESH = timedelta(days=30)  # what ended before that is history, whatever was noted about it
GIVEN_UP = timedelta(days=7)  # after a restart, what was given up in that time is tried again


class Door(Protocol):
    """One place. The same paper may come twice."""

    async def deliver(self, paper: Paper) -> None:
        """Raises Undeliverable."""
        ...


class TwoSteps(Protocol):
    """A place where a paper is delivered in two steps: what the first came to is kept before the second is tried."""

    async def begin(self, paper: Paper, note: str) -> str:
        """`note`: what it came to before, then nothing is done again. Raises Undeliverable."""
        ...

    async def end(self, paper: Paper, note: str) -> None:
        """Raises Undeliverable."""
        ...


@dataclass(slots=True)
class Courier:
    """`paper_of` makes the paper of a name, None where there is none to deliver. `doors` and `stairs` by the place's name."""

    book: SqlDeliveryBook
    store: RunStore
    events: EventLog
    places: tuple[Place, ...]
    doors: Mapping[str, Door]
    stairs: Mapping[str, TwoSteps]
    paper_of: Callable[[str], Awaitable[Paper | None]]
    count: Callable[[str, str], None] = lambda place, end: None  # `end`: delivered, later, failed
    look_seconds: float = LOOK_SECONDS
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _begun: bool = False
    _since: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as exc:
                log.warning("deliveries wait", reason=str(exc))
            except Exception as exc:  # noqa: BLE001  a task that dies would deliver nothing any more
                log.error("the courier failed, it goes on", error=type(exc).__name__)
            await asyncio.sleep(self.look_seconds)

    async def look(self) -> None:
        """One round: what is new is noted, what is due is tried."""
        if not self._begun:
            await self.book.retry(self.book.now() - GIVEN_UP)
            self._begun = True
        for place in self.places:
            if place.name not in self._since:
                self._since[place.name] = await self.book.mark(f"place:{place.name}")
            since = max(self._since[place.name], self.book.now() - FRESH)
            for run in await self.book.undelivered(place.name, since):
                row = await self.store.row(run)
                wanted = row is not None and place.wants(row.incident)
                await self.book.add(run, place.name, state="due" if wanted else "unwanted")
        due = [delivery for delivery in await self.book.due() if delivery.place in self.doors or delivery.place in self.stairs]
        by_place: dict[str, list[Delivery]] = {}
        for delivery in due:
            by_place.setdefault(delivery.place, []).append(delivery)
        await asyncio.gather(*(self._all(deliveries) for deliveries in by_place.values()))  # one slow place delays no other

    async def _all(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            await self._one(delivery)

    async def _one(self, delivery: Delivery) -> None:
        claimed = await self.book.claim(delivery, self.owner, seconds=CLAIM_SECONDS)
        if claimed is None:
            return  # another process is at it
        try:
            paper = await self.paper_of(claimed.paper)
            if paper is None:
                await self.book.end(claimed, "unwanted")
                return
            await self._hand_over(paper, claimed)
        except Undeliverable as exc:
            await self._failed(claimed, exc)
            return
        except StoreUnavailable:
            raise
        except Exception as exc:  # noqa: BLE001  one place that breaks must not stop the others
            await self._failed(claimed, Undeliverable(f"this should not happen ({type(exc).__name__})"))
            return
        await self.book.end(claimed, "delivered")
        self.count(claimed.place, "delivered")
        await self._tell(claimed, f"report delivered to {claimed.place}")

    async def _hand_over(self, paper: Paper, claimed: Delivery) -> None:
        if claimed.place in self.doors:
            await self.doors[claimed.place].deliver(paper)
            return
        steps = self.stairs[claimed.place]
        note = await steps.begin(paper, claimed.note)
        if note != claimed.note:
            await self.book.keep_note(claimed, note)
        await steps.end(paper, note)

    async def _failed(self, claimed: Delivery, why: Undeliverable) -> None:
        last = why.final or claimed.tries >= MOST_TRIES
        pause = max(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (claimed.tries - 1)), min(why.again_in, LONGEST_PAUSE))
        log.warning(
            "not delivered", paper=claimed.paper, place=claimed.place, reason=str(why), tries=claimed.tries, given_up=last
        )
        await self.book.end(claimed, "failed" if last else "due", error=str(why), again_in=pause)
        self.count(claimed.place, "failed" if last else "later")
        end = "given up until the next start" if last else f"try {claimed.tries} of {MOST_TRIES}, again in {pause:.0f} s"
        if last or claimed.tries == 1:
            await self._tell(claimed, f"report not delivered to {claimed.place}: {why} ({end})")

    async def _tell(self, claimed: Delivery, text: str) -> None:
        if not claimed.paper.startswith("summary-"):
            await self.events.append(claimed.paper, "deliver", text, {"place": claimed.place})
