"""Text of others made harmless for Slack: what is written is what is read, no more and no less. Pure.

Slack takes `&`, `<` and `>` as control characters in every text (mentions, links, dates begin with `<`); they are
escaped as Slack documents it. Characters that are not seen, or reorder what is seen, are written as escapes.
"""

from collections.abc import Iterator

from sidecar import visible as unseen
from sidecar.visible import pieces, written


def visible(text: str, *, lines: bool = False) -> str:
    """Everything unseen as `\\uXXXX`; line breaks too, unless `lines`. A tab becomes two spaces."""
    if text.isascii() and (text.replace("\n", "").replace("\t", "").isprintable() if lines else text.isprintable()):
        return text.replace("\t", "  ")
    return "".join(_pieces(text, lines=lines))


def readable(text: str) -> str:
    """Everything unseen or mistakable written out; line breaks and tabs stay, and Slack's own characters too."""
    return unseen.escaped(text)


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
    for piece in pieces(text):
        yield "  " if piece == "\t" else written(piece) if piece == "\n" and not lines else piece
