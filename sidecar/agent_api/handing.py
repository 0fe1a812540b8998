"""Hands a reading on to the agent, piece by piece, and ends it when the agent goes away, when its time is over, or when
somebody ends it. Knows nothing of what is read."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import anyio
import structlog
from fastapi import Response

from sidecar.errors import ClusterUnavailable
from sidecar.reading import MAX_WATCH_SECONDS, Reading

log = structlog.get_logger("sidecar.reading")
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Handed(Response):
    """`threads`: where the pieces are waited for, so that readers take no thread from plans and steps."""

    def __init__(self, reading: Reading, threads: anyio.CapacityLimiter) -> None:
        self.background = None
        self.status_code = reading.status
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reading.headers]
        self._reading = reading
        self._threads = threads

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Raises ClusterUnavailable when nothing was sent yet; later a break is a break of the connection."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_gone, receive)
                group.start_soon(self._until_over)
                failed = await self._pump(send)
                group.cancel_scope.cancel()
        finally:
            self._reading.end()
            self._reading.close()
        if failed is not None:
            raise failed

    async def _pump(self, send: _Send) -> ClusterUnavailable | None:
        pieces, piece = self._reading.pieces, b""
        started = self._reading.streamed
        if started:
            await self._start(send)
        try:
            while True:
                found = await anyio.to_thread.run_sync(_next, pieces, limiter=self._threads)
                if not started:  # an answer that cannot be had from the first is no answer, and not half of one
                    await self._start(send)
                    started = True
                if found is None:
                    break
                await send({"type": "http.response.body", "body": found, "more_body": True})
        except ClusterUnavailable as exc:
            if not started:
                return exc
            log.warning("a reading broke off", reason=str(exc))
            return None
        await send({"type": "http.response.body", "body": piece, "more_body": False})
        return None

    async def _start(self, send: _Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _until_gone(self, receive: _Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:  # also when the process ends: the thread that waits for a piece waits no longer
            self._reading.end()

    async def _until_over(self) -> None:
        if self._reading.streamed:
            await anyio.sleep(MAX_WATCH_SECONDS)
            self._reading.end()


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
