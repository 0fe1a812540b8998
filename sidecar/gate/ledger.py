"""The sidecar's one database: a change of state and its record are one transaction, durable before anything is answered.

Knows no use case. Whatever goes wrong with the database comes out as JournalUnavailable, and nothing happens.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from sidecar.approvals import store as approvals
from sidecar.audit import Anchor, Fault, Head, Journal
from sidecar.contract import Json, Record
from sidecar.credentials import store as credentials
from sidecar.errors import JournalUnavailable
from sidecar.execution import store as execution
from sidecar.ports import Clock

log = structlog.get_logger("sidecar.journal")


@dataclass(slots=True)
class Transaction:
    """`now` is the sidecar's clock, never before the last record's time: what has expired stays expired."""

    connection: Connection
    now: datetime
    _journal: Journal
    head: Head | None = None

    def record(self, kind: str, *, actor: str, plan: str = "", lease: str = "", body: Mapping[str, Json] | None = None) -> Record:
        record = self._journal.append(
            self.connection, at=self.now, kind=kind, actor=actor, plan=plan, lease=lease, body=body or {}
        )
        self.head = Head(record.seq, record.mac)
        return record


class Ledger:
    def __init__(self, engine: Engine, *, journal: Journal, anchor: Anchor, clock: Clock) -> None:
        self._engine = engine
        self._journal = journal
        self._anchor = anchor
        self._clock = clock
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.RLock()
        self._publishing = threading.Lock()

    def open(self) -> None:
        """Make the tables, and look whether the end of the journal is where it was left.

        Raises JournalUnavailable when the database cannot be used, or records are missing at its end.
        """
        with self._guarded(), self._engine.execution_options(writes=True).begin() as connection:
            for tables in (approvals.metadata, credentials.metadata, execution.metadata):
                tables.create_all(connection)
            self._journal.prepare(connection)
            head = self._journal.head(connection)
            last = list(self._journal.documents(connection, after=head.seq - 1))
        if last:
            self._latest = datetime.fromisoformat(str(last[-1]["at"]))
        kept = self._anchor.kept()
        if kept is not None and kept.seq > head.seq:
            raise JournalUnavailable(
                f"the journal ends at record {head.seq}, but its anchor says {kept.seq}: records are missing; "
                "restore the database, or start with a new state folder"
            )
        if kept is None and head.seq > 0:  # a new anchor would hide that a tail may have been cut: the record says so for ever
            with self.write() as transaction:
                transaction.record("anchor-missing", actor="sidecar", body={"head": head.seq})

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction; an exception inside rolls everything back. At most one writer at a time."""
        with self._lock, self._guarded():
            with self._engine.execution_options(writes=True).begin() as connection:
                transaction = Transaction(connection, self.now(), self._journal)
                yield transaction
            self._latest = max(self._latest, transaction.now)
            if transaction.head is not None:
                self.committed(transaction.head)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._guarded(), self._engine.connect() as connection:
            yield connection

    def committed(self, head: Head) -> None:
        """Called after each commit that appended to the journal: the head goes outside before anything is answered."""
        with self._publishing:
            self._anchor.keep(head)
        log.info("journal head", seq=head.seq, mac=head.mac)

    def now(self) -> datetime:
        return max(self._clock.now(), self._latest)

    def documents(self, *, after: int = 0, limit: int | None = None, about: str = "") -> list[dict[str, Json]]:
        with self.read() as connection:
            return list(self._journal.documents(connection, after=after, limit=limit, about=about))

    def documents_of_incident(self, incident: str) -> list[dict[str, Json]]:
        """Records about every plan of one incident."""
        with self.read() as connection:
            plans = approvals.of_incident(connection, incident)
            found = [record for plan in plans for record in self._journal.documents(connection, about=plan)]
        return sorted(found, key=lambda record: int(str(record["seq"])))

    def head(self) -> Head:
        """Whether the database answers; raises JournalUnavailable."""
        with self.read() as connection:
            return self._journal.head(connection)

    def verify(self) -> tuple[Head, Fault | None]:
        """The head of the whole journal, and the first record that is not as it was written."""
        kept = self._anchor.kept()
        with self.read() as connection:
            head = self._journal.head(connection)
            fault = self._journal.check(connection, anchor=kept)
        if fault is None and kept is None and head.seq > 0:
            fault = Fault(head.seq + 1, "unknown: the anchor file is missing, so a cut tail could not be seen")
        return head, fault

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as exc:
            cause = str(getattr(exc, "orig", None) or type(exc).__name__).splitlines()[0]
            raise JournalUnavailable(f"the sidecar's database does not take or give records: {cause}") from exc


def engine_for(url: str) -> Engine:
    """SQLite: write-ahead log, every commit on disk before it returns. Raises JournalUnavailable for a bad URL."""
    try:
        engine = create_engine(url)
    except (SQLAlchemyError, ImportError) as exc:
        raise JournalUnavailable(f"the database URL cannot be used: {str(exc).splitlines()[0]}") from exc
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _: object) -> None:  # the driver's own connection
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would say it late, and never IMMEDIATE
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
