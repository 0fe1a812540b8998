"""Silences that are asked for in a conversation: each goes on in this process while people are asked, whoever listens.

What a process that ends leaves behind is the sidecar's to end: an approval that nobody uses is void, and a lease that nobody
settles takes its silence with it. Knows no session.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.bootstrap import Workshop
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.errors import Busy, LestradeError
from agent.stages.silence import Wish
from sidecar.contract import Json

AT_ONCE_SECONDS = 20.0  # an answer comes by then; who approves may take longer
MOST = 16  # that wait for people at the same time, in one process

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`ended`: what came of it, None while people are still asked. `told`: what was said meanwhile."""

    ended: tuple[list[Round], list[str]] | None
    told: tuple[str, ...]


@dataclass(slots=True)
class Silencings:
    shop: Workshop
    _running: set["asyncio.Task[tuple[list[Round], list[str]]]"] = field(default_factory=set)

    async def ask(self, report: Report, wish: Wish, *, seconds: float = AT_ONCE_SECONDS) -> Asked:
        """Raises Busy when too many wait already, and LestradeError where nothing can be asked for."""
        if len(self._running) >= MOST:
            raise Busy(f"{MOST} silences wait for people already; ask again when one of them was answered")
        told: list[str] = []

        async def tell(text: str, data: Mapping[str, Json] | None = None, /) -> None:
            told.append(text)
            await self.shop.events.append(report.run, "authorize", f"silence: {text}", data)

        task = asyncio.create_task(self.shop.silence(report, wish, tell=tell))
        self._running.add(task)
        task.add_done_callback(self._done)
        ended, _ = await asyncio.wait({task}, timeout=seconds)
        return Asked(ended=task.result() if ended else None, told=tuple(told))

    async def close(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[tuple[list[Round], list[str]]]") -> None:
        self._running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not isinstance(failure, LestradeError):
            logger.error("a silence was given up (%s)", type(failure).__name__)
