"""Text of others made harmless for Slack: what is written is what is read, no more and no less. Pure.

Slack takes `&`, `<` and `>` as control characters in every text (mentions, links, dates begin with `<`); they are
escaped as Slack documents it. Characters that are not seen, or reorder what is seen, are written as escapes.
"""

import unicodedata
from collections.abc import Iterator

# Not seen although Unicode does not call them format characters: fillers, joiners, the braille blank, variation selectors.
_UNSEEN = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)))
) | frozenset(map(chr, range(0xE0100, 0xE01F0)))
_HIDING = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
MOST_MARKS = 2  # combining marks on one letter; more of them cover the neighbouring lines


def visible(text: str, *, lines: bool = False) -> str:
    """Everything unseen as `\\uXXXX`; line breaks too, unless `lines`. A tab becomes two spaces."""
    return "".join(_pieces(text, lines=lines))


def escaped(text: str) -> str:
    """Slack's three control characters as entities; everything else as it is."""
    return "".join(_ENTITIES.get(character, character) for character in text)


def fitted(text: str, limit: int, *, lines: bool = False) -> tuple[str, int]:
    """Harmless text of at most `limit` characters as Slack counts them, and how many characters of `text` are hidden.

    No entity and no escape is cut in half. With something hidden the text ends in "…".
    """
    pieces = [escaped(piece) for piece in _pieces(text, lines=lines)]
    if sum(len(piece) for piece in pieces) <= limit:
        return "".join(pieces), 0
    room, taken = limit - 1, 0
    while len(pieces[taken]) <= room:
        room -= len(pieces[taken])
        taken += 1
    return "".join(pieces[:taken]) + "…", len(text) - taken


def line(text: str, limit: int) -> str:
    """One harmless line; what is too long ends in "…"."""
    return fitted(text, limit)[0]


def _pieces(text: str, *, lines: bool) -> Iterator[str]:
    """One for each character of `text`."""
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character == "\t":
            yield "  "
        elif character == "\n" and lines:
            yield character
        elif category in _HIDING or character in _UNSEEN or marks > MOST_MARKS or (category == "Zs" and character != " "):
            yield _written(character)
        else:
            yield character


def _written(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
