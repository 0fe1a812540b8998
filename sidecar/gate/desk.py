"""What the use cases work with: one object, built once by `app`. Knows no use case."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sidecar.approvals import People
from sidecar.contract import Problem
from sidecar.credentials import Issuer
from sidecar.gate.ledger import Ledger
from sidecar.ports import Clock, Cluster, FactFinder, Judge


@dataclass(slots=True)
class Turns:
    """One at a time for each name; names that nobody waits for are forgotten."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: dict[str, tuple[threading.Lock, int]] = field(default_factory=dict)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        with self._lock:
            turn, waiting = self._turns.get(name, (threading.Lock(), 0))
            self._turns[name] = (turn, waiting + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, waiting = self._turns[name]
                if waiting == 1:
                    del self._turns[name]
                else:
                    self._turns[name] = (turn, waiting - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    ledger: Ledger
    cluster: Cluster
    judge: Judge
    facts: FactFinder
    people: People
    issuer: Issuer
    clock: Clock
    turns: Turns = field(default_factory=Turns)


def problem(status: int, code: str, detail: str, *, title: str = "", fix: str = "") -> Problem:
    """A refusal as a value; `code` is stable."""
    return Problem(title=title or code.replace("-", " "), status=status, detail=detail[:2000], code=code, fix=fix)
