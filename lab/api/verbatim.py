"""How strings are written in the `test` operations of a JSON Patch. Pure.

A real API server (evanphx/json-patch) compares the bytes of a string in the patch with those that its own encoder makes of the
live object, which are Go's: "a && b" is `"a \\u0026\\u0026 b"` there, and é is no escape. Written in another way an equal string
is another one, and the patch is refused. Seen on kube-apiserver v1.36.2.
"""

import json
import json.decoder
import json.scanner
from collections.abc import Iterator
from typing import Any

_SCANNER: Any = json.scanner  # both know more than their type stubs say
_DECODER: Any = json.decoder
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "&<>\u2028\u2029"}


class _Verbatim(str):
    """A string that knows how it was written."""

    __slots__ = ("raw",)
    raw: str


class _Decoder(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.parse_string = _parsed
        self.scan_once = _SCANNER.py_make_scanner(self)  # the one in C asks nobody about strings


def _parsed(text: str, begin: int, strict: bool = True) -> tuple[str, int]:
    value, end = _DECODER.scanstring(text, begin, strict)
    found = _Verbatim(value)
    found.raw = text[begin - 1 : end]
    return found, end


def is_as_written(patch: bytes) -> bool:
    """Whether each string that is tested stands there as Go's encoder writes it. The patch has been read before."""
    operations = _Decoder().decode(patch.decode())
    tested = (one.get("value") for one in operations if one.get("op") == "test")
    return all(found.raw == _go(found) for value in tested for found in _strings(value))


def _go(value: str) -> str:
    return json.dumps(str(value), ensure_ascii=False).translate(_ESCAPED)


def _strings(value: Any) -> Iterator[_Verbatim]:
    if isinstance(value, _Verbatim):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
