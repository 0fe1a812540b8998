"""How messages become bytes and back: RFC 8785 canonical JSON out, I-JSON (RFC 7493) and nothing looser in."""

import hashlib
import json
import marshal
import math
import re
from typing import Any, NoReturn, Self

import orjson
import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypeAliasType

# A named alias: pydantic cannot resolve a recursive one that has no name of its own.
Json = TypeAliasType("Json", "bool | int | float | str | list[Json] | dict[str, Json] | None")

MAX_BYTES = 1_048_576
MAX_DEPTH = 64
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
MAX_SAFE_INTEGER = 2**53 - 1  # RFC 7493 section 2.2: what every JSON reader agrees on


class MalformedMessage(ValueError):
    """The bytes are not a message of this contract; the text says where and why, and quotes nothing that was sent."""


class Message(BaseModel):
    """What every message of the contract is: frozen, strict, closed to unknown fields."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parse and validate; raises MalformedMessage for anything that is not exactly this message."""
        document, text = _read(raw)
        try:
            return cls.model_validate_json(text or orjson.dumps(document))
        except ValidationError as exc:
            raise MalformedMessage(_first_faults(exc)) from None

    def document(self) -> dict[str, Json]:
        """Plain JSON types, defaults included."""
        plain: dict[str, Json] = self.model_dump(mode="json", by_alias=True)
        return plain

    def canonical(self) -> bytes:
        return canonical(self.document())


def canonical(document: Json) -> bytes:
    """RFC 8785 bytes of a JSON value; raises MalformedMessage for what JSON cannot say alike everywhere."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        text = b""  # a lone surrogate, a key that is no text, a large integer: what follows says so in its own words
    if text and (isinstance(document, str) or _as_the_rfc_has_it(text, document)):
        return text
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as exc:
        raise MalformedMessage(f"no canonical form: {exc}") from exc


# Marshal's oldest form has a float as "f", one byte for the length, and the digits.
_FLOAT = re.compile(rb"f[\x01-\x18]")


def _as_the_rfc_has_it(text: bytes, document: Json) -> bool:
    """What orjson writes is RFC 8785, in a twentieth of the time, for everything but floats (their digits, and NaN as null),
    keys beyond ASCII, which it sorts by code point, the RFC by UTF-16 unit, and what is no JSON (a date as text). Marshal says
    so of the whole document in a third of the time of reading it back; two bytes elsewhere may look like a float."""
    try:
        plain = _FLOAT.search(marshal.dumps(document, 0)) is None
    except ValueError:  # neither text, number, list nor mapping; or a class of one's own made of these
        return False
    return plain and (text.isascii() or _keys_are_ascii(document))


def _outside_strings(text: bytes) -> bytes:
    """Of JSON: all but its strings. Of what is no JSON, it holds up to the first backslash outside of a string, where every
    parser stops."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(text.split(b'"')[::2])  # every quote left begins or ends a string


def _keys_are_ascii(document: Json) -> bool:
    stack: list[Json] = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if not "".join(value).isascii():
                return False
            stack.extend(value.values())
        elif isinstance(value, list | tuple):  # both are written as a list
            stack.extend(value)
    return True


def digest(document: Json) -> str:
    """SHA-256 over the canonical form, 64 lower-case hex digits."""
    return hashlib.sha256(canonical(document)).hexdigest()


def parse(raw: bytes) -> Json:
    """Bytes to plain JSON. 6.0 becomes 6, so that both spellings of a number carry one digest.

    Raises MalformedMessage on: more than MAX_BYTES, deeper than MAX_DEPTH, not UTF-8, duplicate keys, NaN, infinities,
    negative zero, integers beyond 2^53-1, lone surrogates, NUL.
    """
    return _read(raw)[0]


def _read(raw: bytes) -> tuple[Json, bytes]:
    """What `parse` gives, and its JSON text where that is known."""
    if len(raw) > MAX_BYTES:
        raise MalformedMessage(f"message of {len(raw)} bytes, at most {MAX_BYTES} are taken")
    outside = _outside_strings(raw)
    _check_depth(outside)
    return _read_plainly(raw, outside) or (_read_strictly(raw), b"")


_SHAPE = b"[]{}: \n\t\r"  # passed over, since the search takes long for each; it can only find more without them, not less
_ODD_NUMBER = re.compile(rb"[-.]|[0-9][eE]|[0-9]{16}")


def _read_plainly(raw: bytes, outside: bytes) -> tuple[Json, bytes] | None:
    """What holds neither escapes nor numbers but whole ones, is the same again when it is read and written by orjson, but for
    the blanks: unless a key came twice, which makes it shorter. None for everything else: it is read strictly. `outside`: what
    stands outside of its strings."""
    if b"\\" in raw or _ODD_NUMBER.search(outside.translate(None, _SHAPE)) is not None:
        return None
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    text = orjson.dumps(document)
    return (document, text) if len(text) + sum(map(outside.count, _BLANKS)) == len(raw) else None


_BLANKS = (b" ", b"\n", b"\t", b"\r")


def _read_strictly(raw: bytes) -> Json:
    try:
        document: Json = _STRICT.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise MalformedMessage(f"not UTF-8 at byte {exc.start}") from None
    except json.JSONDecodeError as exc:
        raise MalformedMessage(f"not JSON at line {exc.lineno} column {exc.colno}: {exc.msg}") from None
    except RecursionError:
        raise MalformedMessage(f"nested deeper than {MAX_DEPTH}") from None
    if b"\\u" in raw:  # no other way in: what stands there as it is is valid UTF-8, and JSON takes no bare control character
        _check_text(document)
    return document


def _check_depth(outside: bytes) -> None:
    """Refuse deep nesting before the parser meets it. `outside`: what stands outside of strings."""
    if outside.count(b"[") + outside.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in outside.translate(None, _NO_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedMessage(f"nested deeper than {MAX_DEPTH}")
        else:
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        raise MalformedMessage("an object holds the same key twice")
    return seen


def _no_constant(name: str) -> NoReturn:
    raise MalformedMessage(f"{name} is not a JSON number")


def _number(text: str) -> int | float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedMessage("a number is out of range")
    if value == 0 and text.startswith("-"):
        raise MalformedMessage("negative zero is not taken")
    return _integer(str(int(value))) if value.is_integer() else value


def _integer(text: str) -> int:
    if text == "-0":
        raise MalformedMessage("negative zero is not taken")
    if len(text) > 17 or abs(int(text)) > MAX_SAFE_INTEGER:
        raise MalformedMessage("an integer is beyond 2^53-1")
    return int(text)


# Kept: to make one takes as long as to read a plan.
_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_number, parse_int=_integer)


def _check_text(document: Json) -> None:
    """JSON can escape half of a surrogate pair (no UTF-8, no canonical form), and NUL, which PostgreSQL and C end a text at."""
    stack: list[Json] = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            _encodable(value)
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend(value.values())
            for key in value:
                _encodable(key)


def _encodable(text: str) -> None:
    if "\x00" in text:
        raise MalformedMessage("a text holds a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedMessage("a text holds a lone surrogate") from None


def _first_faults(exc: ValidationError) -> str:
    faults = [
        f"{'.'.join(str(part) for part in error['loc']) or 'message'}: {error['msg']}"
        for error in exc.errors(include_input=False, include_url=False)
    ]
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return "; ".join(faults[:3]) + more
