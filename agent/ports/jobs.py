"""Work that processes share: who brings a run to a process that has room for it. The run's claim decides who has it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

Work = Callable[[str], Awaitable[None]]


class Jobs(Protocol):
    async def offer(self) -> int:
        """Offer every run that waits and is not offered yet, and take back what died with its process. How many were offered.
        Raises StoreUnavailable."""
        ...

    async def work(self, one: Work, *, at_once: int) -> None:
        """Until cancelled: `one` for each offered run, so many at a time, what goes first first. Raises StoreUnavailable."""
        ...
