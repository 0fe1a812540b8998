"""The end of the service, for answers that go on for as long as somebody listens: they end by themselves, and at once, where the
server would wait some seconds for them and then call them off. Knows no answer.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

import anyio

Item = TypeVar("Item")


class Closing:
    """`told` by whoever runs the server, before it waits for what is still answered."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    @property
    def is_told(self) -> bool:
        return self._told.is_set()

    def told(self) -> None:
        self._told.set()

    async def through(self, stream: AsyncIterator[Item]) -> AsyncIterator[Item]:
        """What it brings, until it or the service ends."""
        ending = asyncio.create_task(self._told.wait())
        try:
            while not self.is_told:
                coming = asyncio.create_task(_next(stream))
                try:
                    await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        with anyio.CancelScope(shield=True):  # a listener that left has us called off again and again
                            await asyncio.wait({coming})
                if coming.cancelled() or not (found := coming.result()):
                    return
                yield found[0]
        finally:
            ending.cancel()
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()


async def _next(stream: AsyncIterator[Item]) -> tuple[Item] | None:
    """A task cannot end with StopAsyncIteration."""
    try:
        return (await anext(stream),)
    except StopAsyncIteration:
        return None
