"""The journal's table: append inside the caller's transaction, one writer at a time, no gap in `seq`.

Knows no meaning of what is recorded, and opens no transaction of its own.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Text, bindparam, insert, select, update

from sidecar.audit.chain import NEVER, Body, Fault, Head, check, mac_of, seal
from sidecar.contract import Json
from sidecar.statements import Statement

metadata = MetaData()
# 64 bits: no journal gets there, but whoever reads may name a number that does not fit into 32. SQLite's own have 64.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

_records = Table(
    "journal",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("plan", Text, nullable=False, index=True),
    Column("lease", Text, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("mac", Text, nullable=False),
)
# One row, locked by whoever appends: what keeps two sidecars on one database from forking the chain.
_head = Table(
    "journal_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", _NUMBER, nullable=False),
    Column("mac", Text, nullable=False),
    Column("at", Text, nullable=False),
)
_APPEND = Statement(insert(_records))
_GO_ON = Statement(
    update(_head).where(_head.c.id == 1).values(seq=bindparam("new_seq"), mac=bindparam("new_mac"), at=bindparam("new_at"))
)
_last = select(_head.c.seq, _head.c.mac, _head.c.at).where(_head.c.id == 1)
_LAST, _LAST_ALONE = Statement(_last), Statement(_last.with_for_update())


class Journal:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def prepare(self, connection: Connection) -> None:
        """Make the tables; safe to repeat."""
        metadata.create_all(connection)
        if connection.execute(select(_head.c.id)).first() is None:
            connection.execute(insert(_head).values(id=1, seq=0, mac="", at=NEVER.isoformat()))

    def append(
        self,
        connection: Connection,
        head: Head,
        *,
        at: datetime,
        kind: str,
        actor: str,
        plan: str = "",
        lease: str = "",
        body: Body,
    ) -> Head:
        """Write the record after `head`, which the caller holds `alone`, and become the head; durable when the caller commits."""
        record = seal(self._key, head, at=at, kind=kind, actor=_plain(actor), plan=plan, lease=lease, body=body)
        after = record.head
        _APPEND.change(connection, {**record.fields, "body": record.body.decode()})
        _GO_ON.change(connection, {"new_seq": after.seq, "new_mac": after.mac, "new_at": after.at.isoformat()})
        return after

    def head(self, connection: Connection, *, alone: bool = False) -> Head:
        """`alone`: nobody else appends, or reads it so, until the caller's transaction ends."""
        seq, mac, at = (_LAST_ALONE if alone else _LAST).one(connection, {})
        return Head(seq, mac, datetime.fromisoformat(at))

    def check_end(self, connection: Connection, *, anchors: Iterable[tuple[str, Head]] = ()) -> Fault | None:
        """A quick look at the start: whether the last record and the anchors' are there, and written with this key."""
        head = self.head(connection)
        last = next(self.documents(connection, after=head.seq - 1), None) if head.seq else None
        if head.seq and (last is None or last["seq"] != head.seq or last["mac"] != head.mac):
            return Fault(head.seq, "is not the one that the head names")
        if last is not None and mac_of(self._key, last) != head.mac:
            return Fault(head.seq, "is not as it was written, or the key is another one")
        for name, anchor in anchors:
            if anchor.seq > head.seq:
                return Fault(head.seq + 1, f"is missing: the journal ends at record {head.seq}, but {name} says {anchor.seq}")
            kept = next(self.documents(connection, after=anchor.seq - 1, limit=1), None) if anchor.seq else None
            if anchor.seq and (kept is None or kept["mac"] != anchor.mac):
                return Fault(anchor.seq, f"is another one than {name} names: the journal was rebuilt")
        return None

    def documents(
        self, connection: Connection, *, after: int = 0, limit: int | None = None, about: str = ""
    ) -> Iterator[dict[str, Json]]:
        """Records as plain JSON in order; `about` is a plan's digest (or its beginning) or a lease's id."""
        query = select(_records).where(_records.c.seq > after).order_by(_records.c.seq)
        if about:
            query = query.where(_records.c.plan.startswith(about, autoescape=True) | (_records.c.lease == about))
        if limit is not None:
            query = query.limit(limit)
        for row in connection.execute(query.execution_options(yield_per=500)).mappings():
            yield {**row, "body": _body(row["body"])}

    def latest(
        self, connection: Connection, *, limit: int, before: int = 0, about: str = "", plans: Sequence[str] = ()
    ) -> list[dict[str, Json]]:
        """The newest first; `before`: only older ones than this record, 0 for all. `about` as in `documents`, and with it
        whatever is about one of `plans`, which are whole digests."""
        query = select(_records).order_by(_records.c.seq.desc()).limit(limit)
        if before > 0:
            query = query.where(_records.c.seq < before)
        if about:
            named = _records.c.plan.startswith(about, autoescape=True) | (_records.c.lease == about)
            query = query.where(named | _records.c.plan.in_(plans) if plans else named)
        return [{**row, "body": _body(row["body"])} for row in connection.execute(query).mappings()]

    def check(self, connection: Connection, *, anchors: Iterable[tuple[str, Head]] = ()) -> Fault | None:
        """The first record that is not as it was written, or that the head or an anchor names and is not there."""
        head = self.head(connection)
        return check(self._key, self.documents(connection), anchors=[*anchors, ("the head in the database", head)])


def _plain(text: str) -> str:
    """A text as every database keeps it; under the mac it must be what comes back."""
    return text.replace("\x00", "\\u0000")


def _body(text: str) -> Json:
    try:
        body: Json = json.loads(text)
    except ValueError:
        return text  # no longer JSON: the mac will not fit either
    return body
