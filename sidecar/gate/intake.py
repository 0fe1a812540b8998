"""How many plans are judged within a minute. Each costs looks at the cluster, the engine's time and a record that is never
deleted, so whoever makes them up without end is told to wait; a large one counts as many, or the disk would be full before
anybody looked. In memory: a restart that forgets a minute harms nobody."""

import math
import threading
import time
from collections.abc import Callable

ORDINARY = 16_384  # bytes: four times what a plan of ten steps has


class Intake:
    """A bucket of as many plans as a minute may have, filled evenly."""

    def __init__(self, a_minute: int = 120, now: Callable[[], float] = time.monotonic) -> None:
        self._most = a_minute
        self._now = now
        self._lock = threading.Lock()
        self._left = float(a_minute)
        self._at = now()

    def wait(self, size: int = 0) -> int:
        """0 when one more plan of so many bytes may be judged, which is counted; else after how many seconds it may."""
        weight = min(1 + size // ORDINARY, self._most)
        with self._lock:
            at = self._now()
            self._left = min(self._most, self._left + (at - self._at) * self._most / 60)
            self._at = at
            if self._left < weight:
                return max(1, math.ceil((weight - self._left) * 60 / self._most))
            self._left -= weight
            return 0
