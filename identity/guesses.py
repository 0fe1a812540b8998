"""Failed tries to log in, by address: after ten in a minute nothing more is taken from there for a while."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

TRIES, TRIES_WITHIN, MOST_ADDRESSES = 10, 60.0, 10_000


@dataclass(slots=True)
class Guesses:
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failed: dict[str, deque[float]] = field(default_factory=dict)

    def too_many(self, address: str) -> bool:
        with self._lock:
            return len(self._lately(address)) >= TRIES

    def failed(self, address: str) -> None:
        with self._lock:
            if len(self._failed) >= MOST_ADDRESSES:
                self._failed.clear()
            self._failed.setdefault(address, deque(maxlen=TRIES)).append(time.monotonic())

    def _lately(self, address: str) -> deque[float]:
        tries = self._failed.get(address, deque())
        while tries and time.monotonic() - tries[0] > TRIES_WITHIN:
            tries.popleft()
        return tries
