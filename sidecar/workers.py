"""Threads for requests that are answered without the event loop. Knows no connection, no request and no route."""

import queue
import threading
from collections.abc import Callable

MOST_AT_ONCE = 40  # as many as the framework gives threads to


class Workers:
    """Threads for what waits for the engine and the disk, made as they are needed. None of them holds up the process's end."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._waiting = self._staying = 0

    def put(self, work: Callable[[], None]) -> None:
        """Raises RuntimeError where there is no thread for it, and none can be made."""
        with self._lock:
            if self._waiting > 0:
                self._waiting -= 1
            elif self._threads < self._most:
                threading.Thread(target=self._for_ever, name="straight", daemon=True).start()
                self._threads += 1
        self._work.put(work)

    def stays(self) -> bool:
        """Whether a thread may stay with what it did: not while work waits, and half of them never do. `went` tells its end."""
        with self._lock:
            free = self._work.empty() and self._staying < self._most // 2
            self._staying += free
            return free

    def went(self) -> None:
        with self._lock:
            self._staying -= 1

    def _for_ever(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._waiting += 1
