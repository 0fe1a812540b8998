"""Text of others made harmless for Slack: what is written is what is read, no more and no less. Pure.

Slack takes `&`, `<` and `>` as control characters in every text (mentions, links, dates begin with `<`); they are
escaped as Slack documents it. Characters that are not seen, or reorder what is seen, are written as escapes.
"""

import functools
import unicodedata
from collections.abc import Iterator

# Not seen although Unicode does not call them format characters: fillers, joiners, the braille blank, variation selectors.
_UNSEEN = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
_HIDING = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_MARKS = ("Mn", "Me")
MOST_MARKS = 2  # combining marks on one letter; more of them cover the neighbouring lines


def visible(text: str, *, lines: bool = False) -> str:
    """Everything unseen as `\\uXXXX`; line breaks too, unless `lines`. A tab becomes two spaces."""
    if text.isascii() and (text.replace("\n", "").replace("\t", "").isprintable() if lines else text.isprintable()):
        return text.replace("\t", "  ")
    return "".join(_pieces(text, lines=lines))


def escaped(text: str) -> str:
    """Slack's three control characters as entities; everything else as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fitted(text: str, limit: int, *, lines: bool = False) -> tuple[str, int]:
    """Harmless text of at most `limit` characters as Slack counts them, and how many characters of `text` are hidden.

    No entity and no escape is cut in half. With something hidden the text ends in "…".
    """
    whole = escaped(visible(text, lines=lines))
    if len(whole) <= limit:
        return whole, 0
    shown: list[str] = []
    room = limit - 1
    for piece in map(escaped, _pieces(text, lines=lines)):
        if len(piece) > room:
            break
        room -= len(piece)
        shown.append(piece)
    return "".join(shown) + "…", len(text) - len(shown)


def line(text: str, limit: int) -> str:
    """One harmless line; what is too long ends in "…"."""
    return fitted(text, limit)[0]


def _pieces(text: str, *, lines: bool) -> Iterator[str]:
    """One for each character of `text`."""
    marks = 0
    for character in text:
        piece, is_mark = _piece(character)
        marks = marks + 1 if is_mark else 0
        if character == "\n" and lines:
            yield character
        elif marks > MOST_MARKS:
            yield _written(character)
        else:
            yield piece


@functools.lru_cache(maxsize=4096)
def _piece(character: str) -> tuple[str, bool]:
    """How one character is written, and whether it is a combining mark."""
    category = unicodedata.category(character)
    if character == "\t":
        return "  ", False
    if category in _HIDING or character in _UNSEEN or (category == "Zs" and character != " "):
        return _written(character), category in _MARKS
    return character, category in _MARKS


def _written(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
