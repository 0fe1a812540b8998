"""The sidecar's own clock: real time, for deadlines of approvals and leases."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def elapsed(self) -> float:
        """Seconds on a clock that nobody can set; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        ...
