"""A JSON file of one large mapping, member by member, so that 40 MB of text are never held as text and as objects at once.

Knows nothing of snapshots. Members whose value is a list come element by element; every other value comes whole.
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Protocol

import orjson

CHUNK = 1 << 20  # bytes
LINE = 1 << 18  # characters: no element on one line of its own is looked for beyond this
_SPACE = " \t\r\n"
_BEHIND_A_NUMBER = (",", "]", "}", ":", *_SPACE)


class NotJson(ValueError):
    """The text is no JSON, or no mapping; the message is one line."""


class TooLarge(ValueError):
    """More bytes than the caller allows; also what a small packed file may unpack to."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Members:
    """Iterate once. Yields (key, element) for every element of a list, (key, value) for anything else; `lists` holds the
    keys whose value was a list, empty ones too."""

    def __init__(self, file: Readable, *, at_most: int) -> None:
        self._file, self._left, self._at_most = file, at_most, at_most
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)
        self._text, self._at, self._ended = "", 0, False
        self.lists: set[str] = set()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        try:
            yield from self._members()
        except json.JSONDecodeError as exc:
            raise NotJson(exc.msg) from None
        except (UnicodeDecodeError, orjson.JSONDecodeError) as exc:
            raise NotJson(str(exc).splitlines()[0]) from None
        except RecursionError:
            raise NotJson("nested too deeply") from None

    def _members(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
        else:
            while True:
                key = self._value()
                if not isinstance(key, str):
                    raise NotJson("a key is no text")
                self._expect(":")
                if self._peek() == "[":
                    self.lists.add(key)
                    for element in self._elements():
                        yield key, element
                else:
                    yield key, self._value()
                if self._next_is_end("}"):
                    break
        if self._peek():
            raise NotJson("there is more behind its end")

    def _elements(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._next_is_end("]"):
                return

    def _next_is_end(self, end: str) -> bool:
        found = self._peek()
        self._at += 1
        if found not in (",", end) or not found:
            raise NotJson(f"',' or '{end}' expected" if found else "it ends in the middle")
        return found == end

    def _expect(self, wanted: str) -> None:
        if self._peek() != wanted:
            raise NotJson(f"'{wanted}' expected")
        self._at += 1

    def _peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _value(self) -> Any:
        self._peek()
        whole = self._whole_line()
        if whole is not None:
            return whole
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more(double=True):
                    raise NotJson("it ends in the middle, or is no JSON") from None
                continue
            is_number = not isinstance(value, dict | list | str)
            if is_number and self._text[end : end + 1] not in _BEHIND_A_NUMBER and self._more():
                continue  # it may go on, over a point or an e too
            self._at = end
            return value

    def _whole_line(self) -> dict[str, Any] | None:
        """The element that has the rest of the line to itself, as snapshots of ours have it: ten times as fast."""
        stop = self._text.find("\n", self._at, self._at + LINE)
        if stop < 0 or self._text[self._at] != "{":
            return None
        line = self._text[self._at : stop].rstrip(", \r\t")
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        self._at += len(line)
        return found if isinstance(found, dict) else None

    def _more(self, *, double: bool = False) -> bool:
        """Read on; what was used is dropped. `double`: at least as much again as is waiting, or a long value takes for ever."""
        if self._ended:
            return False
        self._text, self._at = self._text[self._at :], 0
        wanted = max(CHUNK, len(self._text)) if double else CHUNK
        raw = self._file.read(wanted)
        self._left -= len(raw)
        if self._left < 0:
            raise TooLarge(f"larger than {self._at_most // 1_000_000} MB")
        self._ended = not raw
        self._text += self._decode.decode(raw, final=self._ended)
        return True


def _no_constant(name: str) -> Any:
    raise NotJson(f"{name} is no JSON")
