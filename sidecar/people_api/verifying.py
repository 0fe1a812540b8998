"""Verifying the whole journal from a page: one at a time, and what came of it is shown for some seconds to whoever asks again.

It reads every record ever written: without a bound a key held down would keep every thread and the database busy with it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.audit import Fault, Head

KEPT = 30.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """`seq`: records up to this one were looked at; `fault`: the first that is not as it was written, "" if all are."""

    seq: int
    fault: str
    age: float


class Verifying:
    """`verify`: the head of the journal, and its first fault; may raise JournalUnavailable."""

    def __init__(self, verify: Callable[[], tuple[Head, Fault | None]], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._verify = verify
        self._elapsed = elapsed
        self._turn = threading.Lock()
        self._last: tuple[float, int, str] | None = None

    def result(self) -> Verified | None:
        """None while somebody else is having it verified for the first time, or anew."""
        found = self._fresh()
        if found is not None or not self._turn.acquire(blocking=False):
            return found
        try:
            head, fault = self._verify()
            self._last = (self._elapsed(), head.seq, f"record {fault.seq} {fault.reason}" if fault is not None else "")
        finally:
            self._turn.release()
        return self._fresh()

    def _fresh(self) -> Verified | None:
        last = self._last
        age = self._elapsed() - last[0] if last is not None else KEPT
        return Verified(seq=last[1], fault=last[2], age=age) if last is not None and age < KEPT else None
