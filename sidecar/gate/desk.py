"""What the use cases work with: one object, built once by `app`. Knows no use case."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sidecar.approvals import People
from sidecar.contract import Answer, Problem
from sidecar.credentials import Issuer
from sidecar.execution import Recent
from sidecar.gate.halt import Halt
from sidecar.gate.intake import Intake
from sidecar.gate.ledger import Ledger
from sidecar.gate.tallies import Tallies
from sidecar.ports import Clock, Cluster, FactFinder, Judge, NoAlertmanager, Silencer
from sidecar.reading import Runs, Streams


class Elsewhere(Protocol):
    """Turns that other processes keep to as well."""

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Raises JournalUnavailable when the turn cannot be had."""
        ...

    def assure(self) -> None:
        """Raises JournalUnavailable when a turn of this thread was lost."""
        ...


@dataclass(slots=True)
class Turns:
    """One at a time for each name; names that nobody waits for are forgotten."""

    elsewhere: Elsewhere | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: dict[str, tuple[threading.Lock, int]] = field(default_factory=dict)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        with self._lock:
            turn, waiting = self._turns.get(name, (threading.Lock(), 0))
            self._turns[name] = (turn, waiting + 1)
        try:
            with turn, self.elsewhere.alone(name) if self.elsewhere is not None else nullcontext():
                yield
        finally:
            with self._lock:
                turn, waiting = self._turns[name]
                if waiting == 1:
                    del self._turns[name]
                else:
                    self._turns[name] = (turn, waiting - 1)

    def assure(self) -> None:
        """Before each write to the cluster; raises JournalUnavailable when somebody else may have the turn by now."""
        if self.elsewhere is not None:
            self.elsewhere.assure()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLimits:
    """How many approvals people are asked for: waiting at once, within a minute, within an hour for one incident or namespace."""

    waiting: int = 20
    a_minute: int = 10
    an_hour: int = 30


class Accounts(Protocol):
    """What a channel knows of the accounts that answered through it, besides what the people file says of the people."""

    def standing(self, answers: Sequence[Answer]) -> dict[str, Literal["active", "gone", "unknown"]]:
        """By person; who answered through another channel is not in it."""
        ...


class NoAccounts:
    def standing(self, answers: Sequence[Answer]) -> dict[str, Literal["active", "gone", "unknown"]]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    ledger: Ledger
    cluster: Cluster
    judge: Judge
    facts: FactFinder
    people: People
    issuer: Issuer
    clock: Clock
    silencer: Silencer = field(default_factory=NoAlertmanager)
    turns: Turns = field(default_factory=Turns)
    limits: CardLimits = CardLimits()
    accounts: Accounts = field(default_factory=NoAccounts)
    runs: Runs = field(default_factory=Runs)
    streams: Streams = field(default_factory=Streams)
    recent: Recent = field(default_factory=Recent)
    intake: Intake = field(default_factory=Intake)
    halt: Halt = field(default_factory=Halt)
    tallies: Tallies = field(default_factory=Tallies)


def problem(status: int, code: str, detail: str, *, title: str = "", fix: str = "") -> Problem:
    """A refusal as a value; `code` is stable."""
    return Problem(title=title or code.replace("-", " "), status=status, detail=detail[:2000], code=code, fix=fix)
