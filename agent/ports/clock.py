"""Time and waiting, so that tests never sleep. Deadlines on the cluster use the cluster's own clock (see Observed.now)."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...
