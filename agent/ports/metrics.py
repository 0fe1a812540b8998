"""Reading metrics; a snapshot answers range() from its matrix and refuses promql()."""

from datetime import datetime
from typing import Protocol

from agent.domain.incident import Window
from agent.domain.objects import Series


class Metrics(Protocol):
    async def range(self, promql: str, window: Window, step_seconds: int) -> tuple[Series, ...]:
        """A range query. Raises MetricsUnavailable, saying why."""
        ...

    async def instant(self, promql: str, at: datetime | None = None) -> tuple[Series, ...]:
        """An instant vector, one sample a series; empty when nothing matches. Raises MetricsUnavailable."""
        ...
