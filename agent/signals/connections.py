"""Connections that failed, as the callers' own logs tell it: to whom, on which port, and how. In the words of many languages'
runtimes and clients.

Pure text work. A log line is data: nothing in it is ever taken as an instruction.
"""

import re
from dataclasses import dataclass
from typing import Literal

from agent.signals.logs import Line, is_error, is_quiet, is_retry, time_of
from agent.signals.searching import LogIndex

ErrorKind = Literal["refused", "timeout", "dns", "tls", "auth", "reset"]

_AGAIN_WELL = re.compile(
    r"\b(?:re-?connected|connection (?:re-?)?established|connected to|successfully connected|is (?:back|reachable|healthy) again"
    r"|recovered|succeeded (?:on|after)|connection restored)\b",
    re.I,
)
_FAILURE: tuple[tuple[ErrorKind, re.Pattern[str]], ...] = (
    ("dns", re.compile(r"no such host|name or service not known|could(?: not|n't) resolve|getaddrinfo|nxdomain"
                       r"|unknownhostexception|temporary failure in name resolution|enotfound|could not translate host name"
                       r"|eai_again|eai_noname|name does not resolve|bad address|(?:failed|unable) to resolve"
                       r"|server misbehaving|host not found in upstream|lookup [^\n]{1,200}(?::53\b|: i/o timeout)", re.I)),
    ("refused", re.compile(r"connection refused|econnrefused|connect: refused|connection to \S{1,260} refused|actively refused"
                           r"|(?:couldn't|can't|cannot) connect to (?:server|remote host|mysql server|the docker daemon)"
                           r"|connection to node \S+ [^\n]{0,260}could not be established|unabletoconnect"
                           r"|no servers available for connection|communications link failure|failed to connect to remote host"
                           r"|delayed connect error: 111|can't reach database server", re.I)),
    ("timeout", re.compile(r"handshake (?:timeout|timed out)", re.I)),  # nobody was distrusted: nothing came back
    ("auth", re.compile(r"password authentication failed|access denied|authentication failed|unauthorized|\b401\b", re.I)),
    ("tls", re.compile(r"x509:|certificate (?:has expired|verify failed|signed by)"
                       r"|tls handshake|ssl(?:v3)? (?:alert|error)", re.I)),
    ("timeout", re.compile(r"i/o timeout|timed out|deadline[ _]?exceeded|etimedout|(?:connect|connection|read|request) ?timeout"
                           r"|timeout of \d+ ?ms exceeded|no route to host|ehostunreach|network is unreachable", re.I)),
    ("reset", re.compile(r"connection reset|econnreset|broken pipe|unexpected eof|socket hang up|disconnect/reset before headers"
                         r"|upstream prematurely closed|server closed the connection"
                         r"|\b[a-z]+ \"\w+://[^\"]{1,400}\": eof", re.I)),
)  # fmt: skip
# A line without a level may speak of its settings ("read timeout 30s"); these words only of a failure.
_UNMISTAKABLE = re.compile(
    r"connection refused|econn(?:refused|reset)|etimedout|enotfound|eai_again|no such host|i/o timeout|timed out"
    r"|deadline[ _]?exceeded|could(?: not|n't) resolve|bad address|no route to host|host not found in upstream"
    r"|(?:couldn't|can't|cannot) connect to|can't reach database server"
    r"|could not be established|unabletoconnect|no servers available|link failure"
    r"|timeout of \d+ ?ms exceeded|connection reset|\": eof|unknownhostexception|name or service not known",
    re.I,
)
_FAILURE_HINTS = (
    "no such host", "not known", "could not", "getaddrinfo", "nxdomain", "unknownhost", "name resolution", "enotfound", "refused",
    "authentication failed", "access denied", "unauthorized", "401", "x509", "certificate", "handshake", "ssl", "timeout",
    "eai_again", "eai_noname", "does not resolve", "bad address", "to resolve", "misbehaving", "lookup", "ehostunreach",
    "unreachable", "timed out", "deadline", "etimedout", "no route to host", "econnreset", "reset", "broken pipe", "eof",
    "couldn't", "can't connect",
    "can't reach", "cannot connect", "unabletoconnect", "no servers", "link failure", "to connect", "hang up",
    "closed", "connect error", "host not found",
)  # fmt: skip
_WELL_HINTS = ("connected", "established", "again", "recovered", "restored", "succeeded")
_HOST = r"[a-z0-9](?:[-a-z0-9.]{0,200}[a-z0-9])?"
_IP = r"\d{1,3}(?:\.\d{1,3}){3}"
# Where one client or server has words of its own for whom it meant: these are sure, an address too.
_SURE = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"\bupstream: \"?\w+://({_HOST})(?::(\d{{2,5}}))?",  # nginx; its `host:` is the client's
        rf"\bnot found in upstream \"({_HOST})(?::(\d{{2,5}}))?",
        rf"\bhost[=:] ?[\"']?({_HOST})[\"']?,? port[=:] ?[\"']?(\d{{2,5}})",  # Python, PHP, Go's pgx
        rf"\bserver on [\"']({_HOST})(?::(\d{{2,5}}))?[\"']",  # MySQL
        rf"\bon host \"({_HOST})\" [^\n]{{0,120}}?\bport (\d{{2,5}})",  # libpq, old
        rf"\bconnection to server at \"({_HOST})\".{{0,80}}?port (\d{{2,5}})",  # libpq
        rf"\bipv4:({_IP}):(\d{{2,5}})",  # gRPC in C
        rf"\bread tcp [^\n]{{1,60}}?->({_IP}):(\d{{2,5}})",  # Go
        rf"\bserver at `({_HOST})`:`(\d{{2,5}})",  # Prisma
        rf"\bconnect to ({_HOST}) port (\d{{2,5}})",  # curl, nc
        rf"\bremote host \(({_IP})()\)",  # wget
        rf"(?<![\w./:-])({_HOST})/{_IP}:(\d{{2,5}})",  # Java: name/address:port
        rf"\b(?:resolve host|getaddrinfo for)[: ]+[\"']?({_HOST})()",
    )
)
_TARGETS = (
    re.compile(rf"\b[a-z][a-z0-9+]{{1,15}}://(?:[^\s/@\"']{{1,200}}@)?({_HOST})(?::(\d{{2,5}}))?", re.I),
    re.compile(
        rf"\b(?:addr(?:ess)?|host|to|on|upstream|server|endpoint|target|broker|dial tcp)[ =:\"'\\]+({_HOST}):(\d{{2,5}})", re.I
    ),
    re.compile(
        rf"\b(?:lookup|host(?:name)?|resolve|enotfound|eai_again|bad address|unknownhostexception)[ =:\"']+({_HOST})"
        r"(?::(\d{2,5}))?",
        re.I,
    ),
    re.compile(rf"(?<![\w.:/-])({_HOST}):(\d{{2,5}})(?![\w.]|:\d)", re.I),
)
_NO_HOST = frozenset({"connection", "host", "server", "the", "name", "failed", "error", "and", "is", "not", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTrouble:
    """Failed connections to one target as the caller's own log tells them."""

    host: str
    port: int  # 0: not said
    kind: ErrorKind
    count: int
    first: Line
    last: Line


def failure_kind(line: str) -> ErrorKind | None:
    return next((kind for kind, pattern in _FAILURE if pattern.search(line)), None)


def target_of(line: str) -> tuple[str, int] | None:
    """The host name (rather than an address) and port that a line says it could not reach."""
    for pattern in _SURE:
        match = pattern.search(line)
        if match is not None and match[1].lower() not in _NO_HOST:
            return _with_port(match[1].lower().rstrip("."), int(match[2] or 0), line)
    best: tuple[str, int] | None = None
    for pattern in _TARGETS:
        for match in pattern.finditer(line):
            host, port = match[1].lower().rstrip("."), int(match[2] or 0)
            if re.fullmatch(r"[\d.:]+", host):
                best = best or (host, port)
            elif host not in _NO_HOST and not re.fullmatch(r"[\d:]+", host) and not host.endswith((".go", ".java", ".py", ".js")):
                return _with_port(host, port, line)
    return best


def _with_port(host: str, port: int, line: str) -> tuple[str, int]:
    """The port that stands with the name elsewhere in the line, where it does not here."""
    match = re.search(rf"(?<![\w.-]){re.escape(host)}:(\d{{2,5}})(?![\w.])", line, re.I) if not port else None
    return host, int(match[1]) if match is not None else port


def connection_troubles(log: str | LogIndex) -> list[ConnectionTrouble]:
    """Failed connections by (host, port), the most frequent first; `kind` is the one seen most for the target. Counts are
    of the lines looked at, which of a flood are the first and the last. What the log itself says is well again is left out."""
    index = LogIndex(log) if isinstance(log, str) else log
    found: dict[tuple[str, int], list[tuple[ErrorKind, str]]] = {}
    for line in index.lines_with(_FAILURE_HINTS, limit=240):
        kind = failure_kind(line[:1000]) if _tells_of_trouble(line) else None
        target = target_of(line[:1000]) if kind is not None else None
        if kind is not None and target is not None:
            found.setdefault(target, []).append((kind, line))
    troubles = []
    for (host, port), seen in found.items():
        kinds = [kind for kind, _ in seen]
        first, last = seen[0][1], seen[-1][1]
        if _is_well_again(index, host, last):
            continue
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


def _tells_of_trouble(line: str) -> bool:
    """An error by its level or words, a try that will be made again, or words that nobody writes of what goes well."""
    return is_error(line) or is_retry(line) or (not is_quiet(line) and _UNMISTAKABLE.search(line[:1000]) is not None)


def _is_well_again(index: LogIndex, host: str, last_failure: str) -> bool:
    """Whether a line behind the last failure says that the connection stands again."""
    name = host.partition(".")[0]
    said = [
        line
        for line in index.lines_with(_WELL_HINTS)
        if name in line.lower() and _AGAIN_WELL.search(line) is not None and not is_error(line)
    ]
    return bool(said) and index.text.rindex(said[-1]) > index.text.rindex(last_failure)
