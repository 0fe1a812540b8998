"""The chain of the journal, pure: every field of a record is under its mac, and the mac before it too.

HMAC-SHA256 (RFC 2104) over the RFC 8785 form of the record without `mac`. Whoever has no key can neither change a record
nor rebuild the chain; a cut tail shows against the head that was kept elsewhere. Knows no database.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from sidecar.contract import Json, MalformedMessage, canonical

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


@dataclass(frozen=True, slots=True)
class Written:
    """A part of a record's body that was written down beforehand: its canonical form (for the mac), and as it is kept."""

    form: bytes
    text: bytes


def written(value: Json, *, form: bytes = b"") -> Written:
    """`form`: the canonical form, where it is known. Raises MalformedMessage where `value` has none."""
    try:
        return Written(form or canonical(value), orjson.dumps(value))
    except orjson.JSONEncodeError as exc:  # nested deeper than it goes
        raise MalformedMessage(f"not to be written down: {exc}") from exc


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
Body = Mapping[str, Json | Written]  # of a record to be: its parts by name, each as a value or written already


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A record as it is kept: every field but the body, and the JSON text of the body."""

    fields: dict[str, Json]
    body: bytes
    head: Head

    def document(self) -> dict[str, Json]:
        """As the contract's Record has it."""
        return {**self.fields, "body": orjson.loads(self.body)}


def seal(key: bytes, head: Head, *, at: datetime, kind: str, actor: str, plan: str = "", lease: str = "", body: Body) -> Sealed:
    """The record that follows `head`; raises MalformedMessage where `body` has no canonical form."""
    fields: dict[str, Json] = {
        "seq": head.seq + 1,
        "at": at.isoformat().replace("+00:00", "Z"),
        "kind": kind,
        "actor": actor,
        "plan": plan,
        "lease": lease,
        "previous": head.mac,
    }
    text, form = _texts(body)
    try:
        covered = orjson.dumps({**fields, "body": orjson.Fragment(form)}, option=_SORTED)
    except orjson.JSONEncodeError as exc:
        raise MalformedMessage(f"no canonical form: {exc}") from exc
    mac = _mac(key, covered)
    return Sealed(fields={**fields, "mac": mac}, body=text, head=Head(head.seq + 1, mac, at))


def _texts(body: Body) -> tuple[bytes, bytes]:
    """The body as it is kept, and its canonical form: an object of canonical members, sorted, is canonical itself. orjson
    sorts by code point, the RFC by UTF-16 unit, which is the same for names in ASCII."""
    parts = {name: part if isinstance(part, Written) else written(part) for name, part in body.items()}
    if not "".join(parts).isascii():
        whole = {name: orjson.loads(part.text) for name, part in parts.items()}
        return orjson.dumps(whole), canonical(whole)
    text = orjson.dumps({name: orjson.Fragment(part.text) for name, part in parts.items()})
    return text, orjson.dumps({name: orjson.Fragment(part.form) for name, part in parts.items()}, option=_SORTED)


def mac_of(key: bytes, document: Mapping[str, Json]) -> str:
    """64 hex digits over every field but `mac`; raises MalformedMessage where a value has no canonical form."""
    return _mac(key, canonical({name: value for name, value in document.items() if name != "mac"}))


def _mac(key: bytes, covered: bytes) -> str:
    return hmac.digest(key, covered, "sha256").hex()


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
