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
    """The record that follows `head`; raises MalformedMessage where `body` has no canonical form."""
    # Not validated: all of it is our own, and nothing that is no JSON gets past the mac.
    open_record = Record.model_construct(
        seq=head.seq + 1, at=at, kind=kind, actor=actor, plan=plan, lease=lease, body=dict(body), previous=head.mac, mac=""
    )
    return open_record.model_copy(update={"mac": mac_of(key, document_of(open_record))})


def document_of(record: Record) -> dict[str, Json]:
    """As `record.document()` says it; the body is plain JSON already, and large: it is not gone through again."""
    return {**record.model_dump(mode="json", by_alias=True, exclude={"body"}), "body": record.body}


def mac_of(key: bytes, document: Mapping[str, Json]) -> str:
    """64 hex digits over every field but `mac`; raises MalformedMessage where a value has no canonical form."""
    covered: Json = {name: value for name, value in document.items() if name != "mac"}
    return hmac.new(key, canonical(covered), hashlib.sha256).hexdigest()


def check(key: bytes, documents: Iterable[Mapping[str, Json]], *, anchors: Iterable[tuple[str, Head]] = ()) -> Fault | None:
    """The first fault of a whole journal in the order of `seq`, None when there is none.

    `anchors` are heads that were seen earlier and kept outside, each with the name of the place: the journal must still
    hold every one of them.
    """
    head = Head()
    kept: dict[int, list[tuple[str, str]]] = {}
    for name, anchor in anchors:
        if anchor.seq > 0:
            kept.setdefault(anchor.seq, []).append((name, anchor.mac))
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
        for name, mac_kept in kept.pop(head.seq, []):
            if head.mac != mac_kept:
                return Fault(head.seq, f"is another record than {name} names: the journal was rebuilt")
    if kept:
        seq = max(kept)
        return Fault(head.seq + 1, f"missing: the journal ends at {head.seq}, but {kept[seq][0][0]} says {seq}")
    return None
