"""The sidecar's one database: a change of state and its record are one transaction, durable before anything is answered.

Knows no use case. Whatever goes wrong with the database comes out as JournalUnavailable, and nothing happens.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import FilteringBoundLogger as BoundLogger

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.approvals.slack import cards
from sidecar.audit import Anchor, Body, Fault, Head, Journal
from sidecar.contract import Json
from sidecar.credentials import store as credentials
from sidecar.errors import JournalUnavailable
from sidecar.execution import store as execution
from sidecar.gate import binding
from sidecar.gate.database import carried_over, lengthened
from sidecar.gate.hours import Hours
from sidecar.gate.kept import Kept
from sidecar.gate.refusals import RECORDED, Refusals
from sidecar.policy import store as policies
from sidecar.ports import Clock

log = structlog.get_logger("sidecar.journal")


@dataclass(slots=True)
class Transaction:
    """`now` is the sidecar's clock, never before the last record's time: what has expired stays expired.

    `head`: the last record, this transaction's own included; `appended`: whether there are any of these.
    """

    connection: Connection
    now: datetime
    head: Head
    _journal: Journal
    appended: bool = False

    def record(self, kind: str, *, actor: str, plan: str = "", lease: str = "", body: Body | None = None) -> None:
        self.head = self._journal.append(
            self.connection, self.head, at=self.now, kind=kind, actor=actor, plan=plan, lease=lease, body=body or {}
        )
        self.appended = True


class Ledger:
    def __init__(
        self, engine: Engine, *, journal: Journal, anchor: Anchor, clock: Clock, outside: Mapping[str, Anchor] | None = None
    ) -> None:
        """`anchor` is the ledger's own; `outside`: further ones, by the name of the place."""
        self._engine = engine
        self._connections = Kept(engine)
        self._journal = journal
        self._anchors = {"its anchor": anchor, **(outside or {})}
        self.hours = Hours(clock)
        self._lock = threading.RLock()
        self._publishing = threading.Lock()
        self.commits = 0
        self.on_close = ExitStack()  # what else ends with it
        self.refusals = Refusals(self)
        self._settling_fails = False
        self.failures = 0  # times that the database did not take or give something

    def open(self) -> None:
        """Make the tables, and look whether the end of the journal is where it was left.

        Raises JournalUnavailable when the database cannot be used, records are missing at its end, or the key is not theirs.
        """
        with self._guarded(), self._connections.one(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":  # two that start at once would both make the tables
                connection.execute(text("SELECT pg_advisory_xact_lock(5073171)"))
            for tables in (
                approvals.metadata,
                switch.metadata,
                cards.metadata,
                credentials.metadata,
                execution.metadata,
                binding.metadata,
                policies.metadata,
            ):
                tables.create_all(connection)
            self._journal.prepare(connection)
            head = self._journal.head(connection)
            end = self._journal.check_end(connection, anchors=self._kept())
        if end is not None:
            raise JournalUnavailable(
                f"record {end.seq} {end.reason}; restore the database, and give every sidecar on it the same audit_key_file"
            )
        self.hours.not_before(head.at)
        if (
            self._anchors["its anchor"].kept() is None and head.seq > 0
        ):  # a new anchor would hide that a tail may have been cut: the record says so for ever
            with self.write() as transaction:
                transaction.record("anchor-missing", actor="sidecar", body={"head": head.seq})

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction; an exception inside rolls everything back. At most one writer at a time, over all processes."""
        with self._lock, self._guarded():
            with self._connections.one(writes=True) as connection, connection.begin():
                head = self._journal.head(connection, alone=True)
                transaction = Transaction(connection, max(self.now(), head.at), head, self._journal)
                yield transaction
            self.commits += 1
            self.hours.not_before(transaction.now)
            if transaction.appended:
                self.committed(transaction.head)
                written = RECORDED.get()
                if written is not None:
                    written.append(transaction.head.seq)

    def one(self, kind: str, *, actor: str, plan: str = "", lease: str = "", body: Mapping[str, Json]) -> None:
        """One record, of something that changed nothing here. Raises JournalUnavailable."""
        with self.write() as transaction:
            transaction.record(kind, actor=actor, plan=plan, lease=lease, body=body)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._guarded(), self._connections.one() as connection:
            yield connection

    def committed(self, head: Head) -> None:
        """Called after each commit that appended to the journal: the head goes outside before anything is answered."""
        with self._publishing:
            for anchor in self._anchors.values():
                anchor.keep(head)
        self._told.info("journal head", seq=head.seq, mac=head.mac)

    @cached_property
    def _told(self) -> BoundLogger:
        """Put together once: a line leaves with every record, before its answer."""
        made: BoundLogger = log.bind()
        return made

    def now(self) -> datetime:
        return self.hours.now()

    def documents(self, *, after: int = 0, limit: int | None = None, about: str = "") -> list[dict[str, Json]]:
        with self.read() as connection:
            return list(self._journal.documents(connection, after=after, limit=limit, about=about))

    def latest(self, *, limit: int, before: int = 0, about: str = "") -> list[dict[str, Json]]:
        """The newest first; `about` is an incident, a plan's digest (or its beginning) or a lease's id, "" for all."""
        with self.read() as connection:
            plans = approvals.of_incident(connection, about) if about else ()
            return self._journal.latest(connection, limit=limit, before=before, about=about, plans=plans)

    def documents_of_incident(self, incident: str) -> list[dict[str, Json]]:
        """Records about every plan of one incident."""
        with self.read() as connection:
            plans = approvals.of_incident(connection, incident)
            found = [record for plan in plans for record in self._journal.documents(connection, about=plan)]
        return sorted(found, key=lambda record: int(str(record["seq"])))

    def cluster(self) -> str:
        """The name of the cluster that the database belongs to, "" before a sidecar's first start."""
        with self.read() as connection:
            known = binding.bound_to(connection)
        return known[1] if known is not None else ""

    def head(self) -> Head:
        """Whether the database answers; raises JournalUnavailable."""
        with self.read() as connection:
            return self._journal.head(connection)

    def verify(self, anchors: Sequence[tuple[str, Head]] = ()) -> tuple[Head, Fault | None]:
        """The head of the whole journal, and the first record that is not as it was written, or that one of its anchors or
        of `anchors` (each with the name of the place) names and that is not there."""
        kept = self._kept()
        with self.read() as connection:
            head = self._journal.head(connection)
            fault = self._journal.check(connection, anchors=[*kept, *anchors])
        if fault is None and head.seq > 0 and not kept and not anchors:
            fault = Fault(head.seq + 1, "unknown: there is no anchor, so a cut tail could not be seen")
        return head, fault

    def _kept(self) -> list[tuple[str, Head]]:
        heads = [(name, anchor.kept()) for name, anchor in self._anchors.items()]
        return [(name, head) for name, head in heads if head is not None]

    def settle(self) -> None:
        """See sidecar.gate.checkpoints."""
        try:
            for anchor in self._anchors.values():
                anchor.settle()
        except JournalUnavailable as exc:
            if not self._settling_fails:  # it is tried once a second, and may last
                log.warning("anchor not on the disk, will be tried again", reason=str(exc))
            self._settling_fails = True
        else:
            self._settling_fails = False

    def lengthen(self) -> None:
        """See sidecar.gate.checkpoints."""
        lengthened(self._engine)

    def carry_over(self) -> bool:
        """See sidecar.gate.checkpoints; False where it could not be done now. Nobody who reads or writes waits for it."""
        return carried_over(self._engine)

    def close(self) -> None:
        self.refusals.flush(now=True)
        for anchor in self._anchors.values():
            anchor.close()
        self._connections.close()
        self._engine.dispose()
        self.on_close.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as exc:
            cause = (str(getattr(exc, "orig", None) or "").splitlines() or [type(exc).__name__])[0]
            self.failures += 1
            log.warning("database", error=type(exc).__name__, cause=cause[:300])
            if self._engine.dialect.name != "sqlite":
                cause = type(exc).__name__  # where the server is, is not for everybody who asks
            raise JournalUnavailable(f"the sidecar's database does not take or give records: {cause}") from exc
