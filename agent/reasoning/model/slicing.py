"""A long text shown in part: its head, its tail, what holds a word, what lies between two times. Nothing of it is lost."""

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from agent.ports.toolset import Arguments, schema_of

MOST_LINES = 200
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


class Slice(Arguments):
    evidence: str = Field(description="id of a look, such as look-3", max_length=64)
    search: str = Field(
        "", description="only lines that hold this, and one line around them; case does not count", max_length=200
    )
    head: int = Field(0, description="the first so many lines", ge=0, le=MOST_LINES)
    tail: int = Field(0, description="the last so many lines", ge=0, le=MOST_LINES)
    since: str = Field("", description="lines stamped at or after this time, such as 2026-01-31T10:00:00", max_length=32)
    until: str = Field("", description="lines stamped at or before this time", max_length=32)


SLICE_SCHEMA = schema_of(Slice)


def sliced(text: str, wanted: Slice) -> str:
    """The lines wanted, numbered as they stand in the text; says how many there were."""
    lines = list(enumerate(text.splitlines(), start=1))
    if wanted.since or wanted.until:
        lines = list(_between(lines, wanted.since.replace(" ", "T"), wanted.until.replace(" ", "T")))
    if wanted.search:
        lines = list(_around(lines, wanted.search.lower()))
    found = len(lines)
    if wanted.head:
        lines = lines[: wanted.head]
    elif wanted.tail:
        lines = lines[-wanted.tail :]
    lines = lines[:MOST_LINES]
    shown = "\n".join(f"{number}: {line}" for number, line in lines)
    return f"{len(lines)} of {found} lines that fit, of {len(text.splitlines())}\n{shown}"


def _between(lines: Sequence[tuple[int, str]], since: str, until: str) -> Iterator[tuple[int, str]]:
    """A line without a time belongs to the one before it."""
    inside = not since
    for number, line in lines:
        stamp = _STAMP.search(line)
        if stamp is not None:
            at = stamp[0].replace(" ", "T")
            inside = (not since or at >= since[:19]) and (not until or at <= until[:19])
        if inside:
            yield number, line


def _around(lines: Sequence[tuple[int, str]], word: str) -> Iterator[tuple[int, str]]:
    hits = {place for place, (_, line) in enumerate(lines) if word in line.lower()}
    yield from (one for place, one in enumerate(lines) if {place - 1, place, place + 1} & hits)
