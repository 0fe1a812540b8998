"""What each run of the agent has read, and how much more it may: in memory, since a count that a restart forgets harms
nobody. A run's name is the agent's own word, so the number of runs has a bound too, and what names no run shares one budget.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_RUNS = 1000  # new ones within an hour
HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBudget:
    """Of one run within an hour. `read_bytes`: as handed to the reader."""

    requests: int = 20_000
    read_bytes: int = 4_294_967_296


@dataclass(slots=True)
class Spent:
    """Within the hour that began at `since`, and since the run was first seen."""

    since: float
    requests: int = 0
    read_bytes: int = 0
    all_requests: int = 0
    all_bytes: int = 0


@dataclass(slots=True)
class Totals:
    """Of all runs since the process began; `refused` by code."""

    requests: int = 0
    read_bytes: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Runs:
    def __init__(self, budget: ReadBudget | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget or ReadBudget()
        self.totals = Totals()
        self._now = now
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Spent] = OrderedDict()

    def begin(self, run: str) -> str:
        """Count a request; why it may not be made, "" when it may."""
        with self._lock:
            spent = self._runs.get(run)
            now = self._now()
            if spent is None:
                self._forget(now)
                if len(self._runs) >= MOST_RUNS:
                    return f"more than {MOST_RUNS} runs read within an hour"
                spent = self._runs[run] = Spent(since=now)
            if now - spent.since >= HOUR:
                spent.since, spent.requests, spent.read_bytes = now, 0, 0
            if spent.requests >= self.budget.requests:
                return f"this run has made {spent.requests} requests within the hour, which is all it may"
            if spent.read_bytes >= self.budget.read_bytes:
                return f"this run has read {spent.read_bytes} bytes within the hour, which is all it may"
            spent.requests += 1
            spent.all_requests += 1
            self.totals.requests += 1
            return ""

    def add_bytes(self, run: str, number: int) -> None:
        with self._lock:
            self.totals.read_bytes += number
            spent = self._runs.get(run)
            if spent is not None:
                spent.read_bytes += number
                spent.all_bytes += number

    def refuse(self, code: str) -> None:
        with self._lock:
            self.totals.refused[code] = self.totals.refused.get(code, 0) + 1

    def of(self, run: str) -> tuple[int, int]:
        """Requests and bytes since the run was first seen."""
        with self._lock:
            spent = self._runs.get(run)
            return (spent.all_requests, spent.all_bytes) if spent is not None else (0, 0)

    def __len__(self) -> int:
        return len(self._runs)

    def _forget(self, now: float) -> None:
        """Those that have begun no request within the hour, when there are many."""
        if len(self._runs) >= MOST_RUNS:
            for name in [name for name, spent in self._runs.items() if now - spent.since >= HOUR]:
                del self._runs[name]
