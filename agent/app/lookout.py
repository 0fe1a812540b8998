"""What is wrong in the cluster now, for whoever opens the page: one look at a time, kept for some seconds.

A look over a large cluster reads thousands of objects and takes seconds, so that nobody can set off more than one by loading a
page again and again: whoever asks meanwhile waits for the same one, for a moment, and is shown the last one until it has come.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.domain.scan import Scan
from agent.errors import LestradeError

logger = logging.getLogger(__name__)
KEPT = 20.0  # seconds that a look is shown without another
LONGEST = 120.0  # seconds of one look
PATIENCE = 4.0  # seconds that a page waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The latest look, None before the first one came; or why it failed. `age` in seconds; `is_looking`: another is under way."""

    scan: Scan | None = None
    trouble: str = ""
    age: float = 0.0
    is_looking: bool = False


class Lookout:
    def __init__(self, look: Callable[[], Awaitable[Scan]], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._elapsed = elapsed
        self._task: asyncio.Task[None] | None = None
        self._scan: Scan | None = None
        self._trouble = ""
        self._at = float("-inf")

    async def sight(self, *, patience: float = PATIENCE) -> Sight:
        """Never fails: why nothing can be seen is part of it."""
        if self._elapsed() - self._at >= KEPT and self._task is None:
            self._task = asyncio.create_task(self._looked())
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=patience)
        is_looking = self._task is not None
        return Sight(scan=self._scan, trouble=self._trouble, age=self._elapsed() - self._at, is_looking=is_looking)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _looked(self) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                self._scan, self._trouble = await self._look(), ""
        except TimeoutError:
            self._scan, self._trouble = None, f"the cluster was not looked over within {LONGEST:.0f} s"
        except LestradeError as exc:
            self._scan, self._trouble = None, str(exc)
        except Exception as exc:
            logger.exception("the look over the cluster broke")
            self._scan, self._trouble = None, f"this should not happen ({type(exc).__name__}); see the log of the agent"
        finally:
            self._at, self._task = self._elapsed(), None
