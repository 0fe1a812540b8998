"""Time in the laboratory: real time, faster if wanted, and driven by hand when a test says so."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class LabClock:
    """`now()` is aware UTC. `speed` lab seconds pass per real second (0 stops it); `advance` adds more at once."""

    def __init__(self, *, start: datetime | None = None, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._base = start or datetime.now(UTC)
        self._speed = speed
        self._mark = time.monotonic()
        self._listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        with self._lock:
            return self._base + timedelta(seconds=(time.monotonic() - self._mark) * self._speed)

    @property
    def speed(self) -> float:
        return self._speed

    def set_speed(self, speed: float) -> None:
        with self._lock:
            self._settle(timedelta(0))
            self._speed = speed

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, then let the listeners (controllers) catch up before returning."""
        with self._lock:
            self._settle(timedelta(seconds=seconds))
        for listener in list(self._listeners):
            listener()

    def on_advance(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def _settle(self, extra: timedelta) -> None:
        real = time.monotonic()
        self._base += timedelta(seconds=(real - self._mark) * self._speed) + extra
        self._mark = real
