"""Who writes next to a database that one may write to at a time. Knows no database.

SQLite itself lets whoever has to wait look again and again, with pauses of up to a tenth of a second between two looks
(sqlite3_busy_timeout): in a line the next begins when the one before has ended, and what somebody waits for goes first.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """For the tasks of one event loop."""

    def __init__(self) -> None:
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, first: bool = False) -> AsyncIterator[None]:
        """`first`: before all that wait without it. Whoever comes again has to wait for those who waited meanwhile, so that
        nobody waits for ever."""
        await self._wait(self._urgent if first else self._others)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, queue: "deque[asyncio.Future[None]]") -> None:
        if not self._taken:
            self._taken = True
            return
        place = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._next()  # it was our turn already
            raise

    def _next(self) -> None:
        for queue in (self._urgent, self._others):
            while queue:
                place = queue.popleft()
                if not place.done():
                    place.set_result(None)  # handed over: nobody comes in between
                    return
        self._taken = False
