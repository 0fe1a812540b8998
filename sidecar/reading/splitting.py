"""Takes a JSON answer apart as it comes, and puts it together again with each object cleared: one object in memory, not the
list. Pure; knows no Kubernetes but for the two names under which an answer holds its objects.
"""

import codecs
import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson

MOST_CHARACTERS = 8_388_608  # of one object; the API server takes 3 MB at the most
BLOCK = 65_536  # bytes that are handed on at once
LEFT_OUT: Any = object()
_LISTS = ("items", "rows")
_SPACE = " \t\r\n"
_NUMBER = "0123456789.eE+-"
_decode = json.JSONDecoder().raw_decode


class Unreadable(Exception):
    """The answer is no JSON, or has an object larger than any can be."""


def split(
    pieces: Iterator[bytes], *, member: Callable[[Any], Any], rest: Callable[[Any], Any], block: int = BLOCK
) -> Iterator[bytes]:
    """The same document: each member of its list goes through `member` (LEFT_OUT leaves it out), what is around the list, or a
    document without a list, through `rest`. Raises Unreadable."""
    blocks = _blocks(_parts(_Source(pieces), member, rest), block)
    try:
        yield from blocks
    except RecursionError as exc:
        raise Unreadable("nested too deep") from exc


def dumped(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:  # numbers beyond 64 bits, halves of surrogate pairs: allowed in JSON, and none of ours
        return json.dumps(document, separators=(",", ":")).encode()


def _blocks(parts: Iterator[bytes], size: int) -> Iterator[bytes]:
    held: list[bytes] = []
    length = 0
    for part in parts:
        held.append(part)
        length += len(part)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)


def _parts(source: "_Source", member: Callable[[Any], Any], rest: Callable[[Any], Any]) -> Iterator[bytes]:
    if source.peek() != "{":
        yield dumped(rest(source.value()))
        source.end()
        return
    source.take("{")
    around: dict[str, Any] = {}
    opened = False  # whether the head of the document has gone out
    while source.peek() != "}":
        key = source.value()
        source.take(":")
        if not isinstance(key, str):
            raise Unreadable("a key that is no text")
        if key in _LISTS and not opened and source.peek() == "[":
            head = dumped(rest(around))
            yield head[:-1] + (b"," if around else b"") + dumped(key) + b":["
            yield from _members(source, member)
            yield b"]"
            around, opened = {}, True
        else:
            around[key] = source.value()
        if source.peek() == ",":
            source.take(",")
    source.take("}")
    source.end()
    tail = dumped(rest(around))
    yield tail if not opened else (b"," if around else b"") + tail[1:]


def _members(source: "_Source", member: Callable[[Any], Any]) -> Iterator[bytes]:
    source.take("[")
    first = True
    while source.peek() != "]":
        shown = member(source.value())
        if shown is not LEFT_OUT:
            yield dumped(shown) if first else b"," + dumped(shown)
            first = False
        if source.peek() == ",":
            source.take(",")
    source.take("]")


class _Source:
    """Characters of the answer from where we are, and more of them when they are needed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more(1):
                raise Unreadable("it ends too early")

    def take(self, character: str) -> None:
        if self.peek() != character:
            raise Unreadable(f"no {character} where one belongs")
        self._at += 1

    def value(self) -> Any:
        """One whole value of any kind."""
        self.peek()
        while True:
            try:
                found, end = _decode(self._text, self._at)
            except ValueError as exc:
                if not self._more(len(self._text) - self._at):
                    raise Unreadable("it is no JSON") from exc
                continue
            if isinstance(found, int | float) and not self._text[end:].lstrip(_NUMBER) and self._more(1):
                continue  # the rest of the number may have come
            self._at = end
            return found

    def end(self) -> None:
        """Nothing but space is left."""
        while self._more(1):
            if self._text[self._at :].strip(_SPACE):
                raise Unreadable("something comes after its end")
            self._at = len(self._text)
        if self._text[self._at :].strip(_SPACE):
            raise Unreadable("something comes after its end")

    def _more(self, least: int) -> bool:
        """At least so many more characters, if there are any; False at the end."""
        if self._ended:
            return False
        left = self._text[self._at :]
        if len(left) > MOST_CHARACTERS:
            raise Unreadable("an object is larger than any can be")
        found: list[str] = []
        length = 0
        try:
            while length < least or not found:
                piece = next(self._pieces, None)
                text = self._decoder.decode(piece or b"", final=piece is None)
                if text:
                    found.append(text)
                    length += len(text)
                if piece is None:
                    self._ended = True
                    break
        except UnicodeDecodeError as exc:
            raise Unreadable("it is no UTF-8") from exc
        self._text, self._at = left + "".join(found), 0
        return bool(found)
