"""Connections of both listeners: how many at once, and how long one may take to say what it wants. Knows no route.

uvicorn waits without end for a request that never comes to its own, and for whoever never takes the answer. Every connection is
a file of the whole process, and one of those that reads may hold another to the API server: a neighbour with a thousand silent
ones would take the files from everybody, from the reaper too.
"""

import asyncio
import operator

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOK_SECONDS = 10.0  # so a request has ten to twenty seconds to arrive whole
STUCK_LOOKS = 6  # in a row at which not one byte more of an answer was taken: a minute
MOST_CONNECTIONS = 300  # of one listener


class Impatient(H11Protocol):
    """Closes a connection on which a whole request did not arrive in time, or whose answer nobody takes. One that waits for its
    answer may wait."""

    _late: tuple[object, object] | None = None  # what was awaited at the last look
    _unsent: int = 0  # bytes of an answer at the last look
    _stuck: int = 0  # looks since there were fewer
    _look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        if len(self.connections) >= MOST_CONNECTIONS:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_it)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _look_at_it(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._stuck = self._stuck + 1 if unsent and unsent == self._unsent else 0
        self._unsent = unsent
        if self._stuck >= STUCK_LOOKS:
            self.transport.abort()
            return
        request = (self.cycle, self.conn.their_state)
        awaited, late = self.conn.their_state in (h11.IDLE, h11.SEND_BODY), self._late
        if awaited and late is not None and all(map(operator.is_, late, request)):
            self.transport.abort()
            return
        self._late = request if awaited else None
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_it)
