"""Who writes next to a database that one may write to at a time. Knows no database.

SQLite itself lets whoever has to wait look again and again, with pauses of up to a tenth of a second between two looks
(sqlite3_busy_timeout), and whoever comes just then goes first: in a line the next begins when the one before has ended, and what
somebody waits for goes first. The line of one process, and a lock file where several write.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

LOOK_SECONDS = 0.001  # between two looks whether another process has ended
PATIENCE = 5.0  # seconds; then the database itself has to say who may: a process that was stopped in between gives nothing back
_DOOR, _ROOM = 0, 1  # bytes of the file


class Doorway:
    """For processes that write to the same file. Whoever waits for the room stands in the door, so that the one inside comes back
    behind them. What is held ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        """Where no file can be made, nobody is held up: `path` is beside the database, which says what is wrong there."""
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def enter(self) -> None:
        if self._file is None:
            return
        until = time.monotonic() + PATIENCE
        try:
            for place in (_DOOR, _ROOM):
                while not self._take(place):
                    if time.monotonic() >= until:
                        break
                    await asyncio.sleep(LOOK_SECONDS)  # another process wakes nobody here
        finally:
            self._give(_DOOR)

    def leave(self) -> None:
        self._give(_ROOM)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, place: int) -> bool:
        assert self._file is not None
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: nobody is held up
        return True

    def _give(self, place: int) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


class Line:
    """For the tasks of one event loop; with a doorway, behind those of other processes."""

    def __init__(self, doorway: Doorway | None = None) -> None:
        self._doorway = doorway
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, first: bool = False) -> AsyncIterator[None]:
        """`first`: before all that wait without it. Whoever comes again has to wait for those who waited meanwhile, so that
        nobody waits for ever."""
        await self._wait(self._urgent if first else self._others)
        try:
            if self._doorway is None:
                yield
                return
            await self._doorway.enter()
            try:
                yield
            finally:
                self._doorway.leave()
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
