"""Looks of the last two seconds, for judging a plan that may be allowed: nobody acts on them, and nobody is shown them.

A plan that is allowed by them is looked at anew before rights are lent (the lease judges it again), and every write carries
uid, resourceVersion and tests of what is there. Whoever says no by them, or asks people, looks anew first. Knows no plan.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from sidecar.ports import ApiAnswer

SECONDS = 2.0
_MOST = 512
Question = tuple[str, tuple[tuple[str, str], ...]]


class _Kept(NamedTuple):
    """`asked`, `came`: when, by our own clock; `ahead`: how many seconds the API server's is ahead of that, if it said."""

    asked: float
    came: float
    ahead: float | None
    answer: ApiAnswer


@dataclass(slots=True)
class Recent:
    """Safe to be used from several threads. A write of the sidecar's own makes it forget, looks that are under way too."""

    now: Callable[[], float] = time.monotonic
    _kept: dict[Question, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writes: int = 0

    def of(self, questions: Iterable[Question]) -> tuple[dict[Question, ApiAnswer], datetime | None]:
        """What is kept of these, and how late it is by the API server's clock: the latest of their dates, and what has passed
        since."""
        found: dict[Question, ApiAnswer] = {}
        late: float | None = None
        with self._lock:
            now = self.now()
            for question in questions:
                kept = self._kept.get(question)
                if kept is not None and now - kept.asked <= SECONDS:
                    found[question] = kept.answer
                    if kept.ahead is not None and (late is None or kept.ahead > late):
                        late = kept.ahead
        return found, datetime.fromtimestamp(late + now, UTC) if late is not None else None

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
            ahead = answer.date.timestamp() - came if answer.date is not None else None
            self._kept[question] = _Kept(at, came, ahead, answer)
            while len(self._kept) > _MOST or came - next(iter(self._kept.values())).came > SECONDS:
                del self._kept[next(iter(self._kept))]  # what came first stands first, and what came now is no older

    def forget(self) -> None:
        with self._lock:
            self._writes += 1
            self._kept.clear()
