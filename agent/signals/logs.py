"""Reading log lines: their times and levels, and the errors among them.

Pure text work. A log line is data: nothing in it is ever taken as an instruction.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from agent.topology.fields import moment

_TIME = re.compile(r"(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?")
_ERROR = re.compile(
    r"\b(error|err|fatal|panic|critical|crit|severe|emerg|alert|exception|traceback|fail(?:ed|ure)?|refused|denied|"
    r"cannot|unable|not found|no such|giving up)\b|\"level\":\"(?:error|fatal|critical)\""
    r"|(?-i:\b[A-Z][A-Za-z]*[a-z](?:Error|Exception)\b)",  # ReplyError, UnknownHostException; not DNS' NOERROR
    re.I,
)
_KLOG = re.compile(r"[EF]\d{4} \d\d:")
_HINTS = (
    "err", "fatal", "panic", "crit", "severe", "emerg", "alert", "exception", "traceback", "fail", "refused", "denied", "cannot",
    "unable", "not found", "no such", "giving up",
)  # fmt: skip
# The level that a line gives itself; the first one that it names counts. klog: E0504 12:00:00. pino, bunyan: numbers.
_LEVEL = re.compile(
    r"(?P<loud>\b(?:ERROR|FATAL|PANIC|CRITICAL|SEVERE|EMERG)\b|\[(?:error|crit|alert|emerg|fatal)\]|^[EF]\d{4} \d\d:"
    r"|(?:level|lvl|severity)\"?[=:] ?\"?(?i:err|fatal|crit|panic|alert|emerg|[56]0\b))"
    r"|(?P<quiet>\b(?:INFO|DEBUG|TRACE|NOTICE)\b|\[(?:info|notice|debug)\]|^I\d{4} \d\d:"
    r"|(?:level|lvl|severity)\"?[=:] ?\"?(?i:info|debug|trace|notice|[123]0\b))"
)
# A field or a count that says there was none.
_NO_ERROR = re.compile(
    r"\b(?:no|0|zero|without(?: any)?) (?:errors?|failures?|failed)\b"
    r"|\b(?:[a-z_]*err(?:or)?s?|failed|failures?|exceptions?)(?:_?(?:count|rate|total))?\"?[=:] ?"
    r"\"?(?:null|nil|none|false|0|<nil>|\"\"|\")"
    r"(?=[\s,;}\]\"']|$)",
    re.I,
)
_RETRY = re.compile(
    r"\bretr(?:y|ies|ying|ied)\b|\battempt \d+|\bwill try again\b|\btrying again\b|\bbacking off\b|\breconnecting\b", re.I
)
_GIVES_UP = re.compile(
    r"giv(?:ing|es|en) up|gave up|retr(?:y|ies) (?:are |were )?(?:exhausted|exceeded|failed)"
    r"|(?:no more|max(?:imum)?|all|after) \w* ?retries|\bafter \d+ (?:attempts|tries|retries)\b",
    re.I,
)
_LONGEST = 20_000  # characters of a line that are looked at


@dataclass(frozen=True, slots=True)
class Line:
    """One log line, without its line end. `at` is the time it names, None if it names none."""

    text: str
    at: datetime | None


@lru_cache(maxsize=4096)
def time_of(line: str) -> datetime | None:
    """The first time that a line names; a time without a zone is taken as UTC."""
    match = _TIME.search(line[:120])
    if match is None:
        return None
    year, month, day, clock, fraction, zone = match.groups()
    return moment(f"{year}-{month}-{day}T{clock}.{(fraction or '0')[:6]}{zone or 'Z'}")


def lines(text: str) -> Iterator[Line]:
    for line in text.splitlines():
        if line.strip():
            yield Line(line, time_of(line))


def is_error(line: str) -> bool:
    """Whether a line speaks of an error: by the level that it gives itself, else by its words."""
    line = line[:_LONGEST]
    lowered = line.lower()
    if not any(word in lowered for word in _HINTS) and _KLOG.match(line) is None:
        return False
    level = _LEVEL.search(line[:200])
    if level is not None:
        return level["loud"] is not None
    return _ERROR.search(_NO_ERROR.sub(" ", line)) is not None


def is_quiet(line: str) -> bool:
    """Whether a line gives itself a level below a warning."""
    level = _LEVEL.search(line[:200])
    return level is not None and level["quiet"] is not None


def is_retry(line: str) -> bool:
    """Whether the writer says that it will try again, and has not given up: trouble that may be over with the next line."""
    return _RETRY.search(line) is not None and _GIVES_UP.search(line) is None


def error_lines(text: str, *, limit: int = 400) -> list[str]:
    """The lines that speak of an error, in order; of a flood the first and the last half of `limit`."""
    whole = text.splitlines()
    head: list[str] = []
    reached = len(whole)
    for number, line in enumerate(whole):
        if is_error(line):
            head.append(line)
            if len(head) * 2 >= limit:
                reached = number + 1
                break
    tail: list[str] = []
    for number in range(len(whole) - 1, reached - 1, -1):
        if is_error(whole[number]):
            tail.append(whole[number])
            if len(tail) * 2 >= limit:
                break
    return [*head, *reversed(tail)]


def first_error(text: str) -> Line | None:
    return next((Line(line, time_of(line)) for line in text.splitlines() if is_error(line)), None)


def last_words(text: str) -> Line | None:
    """The last error line: for a program that exits, usually why."""
    found = error_lines(text, limit=50)
    return Line(found[-1], time_of(found[-1])) if found else None


def last_dated(text: str) -> Line | None:
    """The last error line with a time of its own: in a log whose writer dates its lines, one that is surely the writer's."""
    for line in reversed(error_lines(text, limit=50)):
        if (at := time_of(line)) is not None:
            return Line(line, at)
    return None


def started_lately(last: Line, now: datetime, *, seconds: float = 300) -> bool:
    """Whether a line is recent; a line without a time counts as recent."""
    return last.at is None or (now - last.at.astimezone(UTC)).total_seconds() <= seconds
