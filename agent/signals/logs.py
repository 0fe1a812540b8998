"""Reading logs: line times and levels, templates by masking, the first error, and connection attempts that failed.

Pure text work. A log line is data: nothing in it is ever taken as an instruction.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from agent.topology.fields import moment

ErrorKind = Literal["refused", "timeout", "dns", "tls", "auth", "reset"]

_TIME = re.compile(r"(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?")
_ERROR = re.compile(
    r"\b(error|err|fatal|panic|critical|crit|severe|emerg|alert|exception|traceback|fail(?:ed|ure)?|refused|denied|"
    r"cannot|unable|not found|no such|giving up)\b|\"level\":\"(?:error|fatal|critical)\"",
    re.I,
)
_HINTS = (
    "err", "fatal", "panic", "crit", "severe", "emerg", "alert", "exception", "traceback", "fail", "refused", "denied", "cannot",
    "unable", "not found", "no such", "giving up",
)  # fmt: skip
_QUIET = re.compile(r"level\"?[=:]\"?(info|debug|trace)\b|\b(INFO|DEBUG|TRACE)\b|\[(info|notice|debug)\]")
_MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "<id>"),
    (_TIME, "<time>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<addr>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,}\b", re.I), "<id>"),
    (re.compile(r"\d+"), "<n>"),
)
_FAILURE: tuple[tuple[ErrorKind, re.Pattern[str]], ...] = (
    ("dns", re.compile(r"no such host|name or service not known|could not resolve|getaddrinfo|nxdomain|unknownhostexception|"
                       r"temporary failure in name resolution|enotfound|could not translate host name", re.I)),
    ("refused", re.compile(r"connection refused|econnrefused|connect: refused", re.I)),
    ("auth", re.compile(r"password authentication failed|access denied|authentication failed|unauthorized|\b401\b", re.I)),
    ("tls", re.compile(r"x509:|certificate (?:has expired|verify failed|signed by)"
                       r"|tls handshake|ssl(?:v3)? (?:alert|error)", re.I)),
    ("timeout", re.compile(r"i/o timeout|timed out|context deadline exceeded|etimedout|connect timeout|no route to host", re.I)),
    ("reset", re.compile(r"connection reset|econnreset|broken pipe|unexpected eof", re.I)),
)  # fmt: skip
_HOST = r"[a-z0-9](?:[-a-z0-9.]{0,200}[a-z0-9])?"
_TARGETS = (
    re.compile(rf"\b[a-z][a-z0-9+]{{1,15}}://(?:[^\s/@\"']{{1,200}}@)?({_HOST})(?::(\d{{2,5}}))?", re.I),
    re.compile(rf"\b(?:lookup|host(?:name)?|resolve)[ =:\"']+({_HOST})()", re.I),
    re.compile(
        rf"\b(?:addr(?:ess)?|host|to|upstream|server|endpoint|target|broker|dial tcp)[ =:\"'\\]+({_HOST}):(\d{{2,5}})", re.I
    ),
    re.compile(r"\bconnection to server at \"([^\"]+)\".{0,80}?port (\d+)", re.I),
    re.compile(rf"(?<![\w.:/-])({_HOST}):(\d{{2,5}})(?![\w.]|:\d)", re.I),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One log line, without its line end. `at` is the time it names, None if it names none."""

    text: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTrouble:
    """Failed connections to one target as the caller's own log tells them."""

    host: str
    port: int  # 0: not said
    kind: ErrorKind
    count: int
    first: Line
    last: Line


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


def template(line: str) -> str:
    """The line with times, ids, addresses and numbers masked, so that equal events look equal."""
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line


def is_error(line: str) -> bool:
    lowered = line.lower()
    return any(word in lowered for word in _HINTS) and _ERROR.search(line) is not None and _QUIET.search(line[:160]) is None


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


def flood(text: str, *, at_least: int = 3) -> list[tuple[str, int, Line]]:
    """(template, count, first line) of error templates, most frequent first."""
    seen: dict[str, tuple[int, Line]] = {}
    for line in error_lines(text):
        key = template(line)
        count, first = seen.get(key, (0, Line(line, time_of(line))))
        seen[key] = (count + 1, first)
    return sorted(((key, count, first) for key, (count, first) in seen.items() if count >= at_least), key=lambda one: -one[1])


def failure_kind(line: str) -> ErrorKind | None:
    return next((kind for kind, pattern in _FAILURE if pattern.search(line)), None)


def target_of(line: str) -> tuple[str, int] | None:
    """The host name (rather than an address) and port that a line says it could not reach."""
    best: tuple[str, int] | None = None
    for pattern in _TARGETS:
        for match in pattern.finditer(line):
            host, port = match[1].lower().rstrip("."), int(match[2] or 0)
            if re.fullmatch(r"[\d.:]+", host):
                best = best or (host, port)
            elif not re.fullmatch(r"[\d:]+", host) and not host.endswith((".go", ".java", ".py", ".js")):
                return host, port
    return best


def connection_troubles(text: str) -> list[ConnectionTrouble]:
    """Failed connections by (host, port), the most frequent first; `kind` is the one seen most for the target. Counts are
    of the lines looked at, which of a flood are the first and the last."""
    found: dict[tuple[str, int], list[tuple[ErrorKind, str]]] = {}
    for line in error_lines(text):
        kind = failure_kind(line[:1000])
        target = target_of(line[:1000]) if kind is not None else None
        if kind is not None and target is not None:
            found.setdefault(target, []).append((kind, line))
    troubles = []
    for (host, port), seen in found.items():
        kinds = [kind for kind, _ in seen]
        first, last = seen[0][1], seen[-1][1]
        troubles.append(
            ConnectionTrouble(
                host=host,
                port=port,
                kind=max(dict.fromkeys(kinds), key=kinds.count),
                count=len(seen),
                first=Line(first, time_of(first)),
                last=Line(last, time_of(last)),
            )
        )
    return sorted(troubles, key=lambda one: (-one.count, one.host, one.port))


def started_lately(last: Line, now: datetime, *, seconds: float = 300) -> bool:
    """Whether a line is recent; a line without a time counts as recent."""
    return last.at is None or (now - last.at.astimezone(UTC)).total_seconds() <= seconds
