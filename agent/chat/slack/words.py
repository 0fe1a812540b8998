"""Markdown of our own making as Block Kit: headings, lists, code and bold; whatever else it holds is text. Pure."""

import re
from collections.abc import Iterator

from agent.chat.slack import blocks as kit
from agent.chat.slack.blocks import Block, Message
from agent.chat.slack.text import notification

_FENCE = re.compile(r"^(`{3,})\w*$")
_STRESSED = re.compile(r"(?<!\\)\*\*(?P<bold>.+?)\*\*|(?<![\\*])\*(?P<italic>[^*\s](?:[^*]*[^*\s\\])?)\*(?!\*)")
_ESCAPED = re.compile(r"\\([\\`*_\[\]<>|#~!.()\-+{}])")
_RULE = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+$")
_MOST_CODE = 2400  # characters of one text, with what takes several
_LONGEST_LINE = 600
_ITEMS = 8


def told(text: str, *, hint: str = "") -> Message:
    """An answer that has no report of its own."""
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    blocks = list(blocks_of(text)) or [kit.rich(kit.section(kit.words(" ")))]
    last = [kit.context(hint)] if hint else []
    made = kit.within([], blocks, last)
    if len(made) < len(blocks) + len(last):
        made = kit.within([], blocks, [kit.context("Not all of it fits into a message."), *last])
    return Message(text=notification(_plain(first_line)) or "an answer", blocks=made)


def blocks_of(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = _FENCE.match(line)
        if fence:
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == fence[1]), len(lines))
            yield from (kit.rich(kit.preformatted(piece, _MOST_CODE)) for piece in _pieces(lines[at + 1 : end]))
            at = end + 1
            continue
        here = _kind(line)
        end = next((n for n in range(at, len(lines)) if _kind(lines[n]) != here), len(lines))
        yield from _made(here, lines[at:end])
        at = end


def _kind(line: str) -> str:
    if not line.strip():
        return "empty"
    if _FENCE.match(line):
        return "fence"
    return "item" if line.lstrip().startswith("- ") else "row" if line.startswith("|") else "text"


def _made(kind: str, lines: list[str]) -> Iterator[Block]:
    if kind == "item":
        for start in range(0, len(lines), _ITEMS):
            yield kit.rich(kit.bullets(*(kit.section(*_runs(line.lstrip()[2:])) for line in lines[start : start + _ITEMS])))
    elif kind == "row":
        rows = [[_plain(cell.strip()) for cell in _cells(line)] for line in lines if not _RULE.match(line)]
        widths = [max((len(row[n]) for row in rows if n < len(row)), default=0) for n in range(max(map(len, rows), default=0))]
        shown = ["  ".join(cell.ljust(min(width, 40)) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
        yield from (kit.rich(kit.preformatted(piece, _MOST_CODE)) for piece in _pieces(shown))
    elif kind == "text":
        for start in range(0, len(lines), _ITEMS):
            yield kit.rich(kit.section(*_paragraph(lines[start : start + _ITEMS])))


def _paragraph(lines: list[str]) -> Iterator[Block]:
    for number, line in enumerate(lines):
        if number:
            yield kit.line_break()
        if line.startswith("#"):
            yield kit.words(_plain(line.lstrip("# ")), bold=True, limit=_LONGEST_LINE)
        else:
            yield from _runs(line)


def _pieces(lines: list[str]) -> Iterator[str]:
    """Texts of a size that Slack takes each, broken at lines."""
    piece: list[str] = []
    for line in lines:
        if piece and sum(map(len, piece)) + len(piece) + len(line) > _MOST_CODE // 2:
            yield "\n".join(piece)
            piece = []
        piece.append(line)
    yield "\n".join(piece)


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))


def _runs(line: str) -> Iterator[Block]:
    at = 0
    for found in _STRESSED.finditer(line):
        if found.start() > at:
            yield kit.words(_plain(line[at : found.start()]), limit=_LONGEST_LINE)
        yield kit.words(
            _plain(found["bold"] or found["italic"]), bold=bool(found["bold"]), italic=bool(found["italic"]), limit=_LONGEST_LINE
        )
        at = found.end()
    if at < len(line) or not line:
        yield kit.words(_plain(line[at:]), limit=_LONGEST_LINE)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text).replace("**", "")
