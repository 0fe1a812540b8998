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
_MOST_CODE = 2400


def told(text: str, *, hint: str = "") -> Message:
    """An answer that has no report of its own."""
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    last = [kit.context(hint)] if hint else []
    made = kit.within([], blocks_of(text), last)
    return Message(text=notification(_plain(first_line)), blocks=made or (kit.rich(kit.section(kit.words(" "))),))


def blocks_of(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = _FENCE.match(line)
        if fence:
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == fence[1]), len(lines))
            yield kit.rich(kit.preformatted("\n".join(lines[at + 1 : end]), _MOST_CODE))
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
        yield kit.rich(kit.bullets(*(kit.section(*_runs(line.lstrip()[2:])) for line in lines[:30])))
    elif kind == "row":
        rows = [[_plain(cell.strip()) for cell in _cells(line)] for line in lines if not _RULE.match(line)]
        widths = [max((len(row[n]) for row in rows if n < len(row)), default=0) for n in range(max(map(len, rows), default=0))]
        shown = ["  ".join(cell.ljust(min(width, 40)) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
        yield kit.rich(kit.preformatted("\n".join(shown), _MOST_CODE))
    elif kind == "text":
        runs: list[Block] = []
        for number, line in enumerate(lines):
            heading = line.startswith("#")
            runs += [kit.line_break()] if number else []
            runs += [kit.words(_plain(line.lstrip("# ")), bold=True)] if heading else list(_runs(line))
        yield kit.rich(kit.section(*runs))


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))


def _runs(line: str) -> Iterator[Block]:
    at = 0
    for found in _STRESSED.finditer(line):
        if found.start() > at:
            yield kit.words(_plain(line[at : found.start()]))
        yield kit.words(_plain(found["bold"] or found["italic"]), bold=bool(found["bold"]), italic=bool(found["italic"]))
        at = found.end()
    if at < len(line) or not line:
        yield kit.words(_plain(line[at:]))


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text).replace("**", "")
