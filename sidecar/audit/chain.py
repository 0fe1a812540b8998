"""The chain of the journal, pure: every field of a record is under its mac, and the mac before it too.

HMAC-SHA256 (RFC 2104) over the RFC 8785 form of the record without `mac`. Whoever has no key can neither change a record
nor rebuild the chain; a cut tail shows against the head that was kept elsewhere. Knows no database.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidecar.contract import Json, MalformedMessage, Record, canonical

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Head:
    """The last record: 0 and "" before the first. `at` is when it was written, where that is known."""

    seq: int = 0
    mac: str = ""
    at: datetime = field(default=NEVER, compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record that is not as it was written, and why. `seq` is where it stands, or should stand."""

    seq: int
    reason: str


def seal(
    key: bytes, head: Head, *, at: datetime, kind: str, actor: str, plan: str = "", lease: str = "", body: Mapping[str, Json]
) -> Record:
    """The record that follows `head`."""
    open_record = Record(
        seq=head.seq + 1, at=at, kind=kind, actor=actor, plan=plan, lease=lease, body=dict(body), previous=head.mac, mac=""
    )
    return open_record.model_copy(update={"mac": mac_of(key, open_record.document())})


def mac_of(key: bytes, document: Mapping[str, Json]) -> str:
    """64 hex digits over every field but `mac`; raises MalformedMessage where a value has no canonical form."""
    covered: Json = {name: value for name, value in document.items() if name != "mac"}
    return hmac.new(key, canonical(covered), hashlib.sha256).hexdigest()


def check(key: bytes, documents: Iterable[Mapping[str, Json]], *, anchor: Head | None = None) -> Fault | None:
    """The first fault of a whole journal in the order of `seq`, None when there is none.

    `anchor` is a head that was seen earlier and kept outside: the journal must still hold it.
    """
    head = Head()
    anchored = anchor is None or anchor.seq == 0
    for document in documents:
        seq = document.get("seq")
        if seq != head.seq + 1:
            return Fault(head.seq + 1, f"missing: the next record found is {seq}")
        if document.get("previous") != head.mac:
            return Fault(head.seq + 1, "does not follow the record before it")
        try:
            expected = mac_of(key, document)
        except MalformedMessage:
            return Fault(head.seq + 1, "a field cannot be read")
        mac = document.get("mac")
        if not isinstance(mac, str) or not hmac.compare_digest(mac.encode(), expected.encode()):
            return Fault(head.seq + 1, "a field is not as it was written, or the key is another one")
        head = Head(head.seq + 1, expected)
        if anchor is not None and head.seq == anchor.seq:
            if head.mac != anchor.mac:
                return Fault(head.seq, "is another record than the anchor names: the journal was rebuilt")
            anchored = True
    if not anchored and anchor is not None:
        return Fault(head.seq + 1, f"missing: the journal ends at {head.seq}, but its anchor says {anchor.seq}")
    return None
