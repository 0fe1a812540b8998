"""Looks of the last two seconds, for judging a plan that may be allowed: nobody acts on them, and nobody is shown them.

A plan that is allowed by them is looked at anew before rights are lent (the lease judges it again), and every write carries
uid, resourceVersion and tests of what is there. Whoever says no by them, or asks people, looks anew first. Knows no plan.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sidecar.ports import ApiAnswer

SECONDS = 2.0
_MOST = 512
Question = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Recent:
    """Safe to be used from several threads. A write of the sidecar's own makes it forget, looks that are under way too."""

    now: Callable[[], float] = time.monotonic
    _kept: dict[Question, tuple[float, float, ApiAnswer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writes: int = 0

    def of(self, question: Question) -> ApiAnswer | None:
        """Its date is the API server's, and what has passed since."""
        with self._lock:
            kept = self._kept.get(question)
        if kept is None:
            return None
        asked, came, answer = kept
        now = self.now()
        if now - asked > SECONDS:
            return None
        if answer.date is None:
            return answer
        date = answer.date + timedelta(seconds=now - came)
        return ApiAnswer(status=answer.status, body=answer.body, date=date, headers=answer.headers, drawn=answer.drawn)

    def asking(self) -> tuple[int, float]:
        """Before a look goes out: to be handed to `keep` with its answer, whose age counts from here."""
        with self._lock:
            return self._writes, self.now()

    def keep(self, question: Question, answer: ApiAnswer, asked: tuple[int, float]) -> None:
        """Only what was found; what was not there may be there at any moment."""
        writes, at = asked
        if answer.status != 200:
            return
        with self._lock:
            if writes != self._writes:
                return
            came = self.now()
            self._kept.pop(question, None)
            self._kept[question] = at, came, answer
            while len(self._kept) > _MOST or came - next(iter(self._kept.values()))[1] > SECONDS:
                del self._kept[next(iter(self._kept))]  # what came first stands first, and what came now is no older

    def forget(self) -> None:
        with self._lock:
            self._writes += 1
            self._kept.clear()
