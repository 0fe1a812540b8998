"""What failing lines have in common that the others do not: one endpoint, one client, one tenant. Pure text work."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PAIR = re.compile(r"([A-Za-z_][\w.-]{0,30})\"?(?:=|: ?)\"?([^\s\",;{}\[\]]{1,80})")
_REQUEST = re.compile(r"\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/[^\s\"?]*)")
_PEER = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{4,39}) - ")
_ADDRESS_PORT = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3}):\d+$")
_NUMBERED = re.compile(r"/\d+(?=/|$)|/[0-9a-f-]{16,}(?=/|$)")
# What a line says of itself or of the outcome is no property of the request.
_NOT_OF_REQUESTS = re.compile(
    r"^(?:level|lvl|severity|msg|message|err|error|errors|cause|reason|status|status_?code|code|response_?code|ts|time|timestamp"
    r"|logger|caller|thread|pid|duration|elapsed|took|latency\w*|dur|ms|bytes|size|trace\w*|span\w*|request_?id|req_?id|id|line"
    r"|version|attempt\w*|retr\w+|https?|exception|at|file|function|result|outcome|ok|success)$",
    re.I,
)
_ENDPOINTS = ("endpoint", "path", "uri", "url", "route", "handler", "method", "rpc", "operation")
ENOUGH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """`share` of the failing lines that say what `name` was say `value`, of the others only `share_of_rest` do."""

    name: str
    value: str
    share: float
    share_of_rest: float

    @property
    def is_endpoint(self) -> bool:
        return self.name in _ENDPOINTS


def only_for(failing: Sequence[str], rest: Sequence[str], *, most: int = 2) -> tuple[Only, ...]:
    """Properties that set the failing lines apart, the sharpest first; () when the trouble hits all alike, or when the other
    lines do not tell of other values."""
    bad, good = _values(failing), _values(rest)
    found = []
    for name, values in bad.items():
        told, others = sum(values.values()), good.get(name, Counter())
        value, count = max(values.items(), key=lambda one: (one[1], one[0]))
        whole = sum(others.values())
        if told < ENOUGH or count < 0.9 * told or told < 0.5 * len(failing) or whole < ENOUGH:
            continue
        share_of_rest = others[value] / whole
        if share_of_rest <= 0.5 and len([one for one in others if one != value]) >= 2:
            found.append(Only(name=name, value=value, share=count / told, share_of_rest=share_of_rest))
    found.sort(key=lambda one: (round(one.share_of_rest - one.share, 2), not one.is_endpoint, one.name))
    by_value = {one.value: one for one in reversed(found)}  # the same said under two names counts once
    return tuple(one for one in found if by_value[one.value] is one)[:most]


def _values(lines: Sequence[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        for name, value in dict(_pairs(line[:1000])).items():
            found[name][value] += 1
    return found


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    for name, value in _PAIR.findall(line):
        lowered = name.lower()
        if _NOT_OF_REQUESTS.match(lowered) is None and not name.isdigit():
            plain = _ADDRESS_PORT.sub(r"\1", value.strip("'\"")).partition("?")[0]
            yield lowered, _NUMBERED.sub("/<n>", plain) if plain.startswith("/") else plain
    request = _REQUEST.search(line)
    if request is not None:
        yield "endpoint", _NUMBERED.sub("/<n>", request[1])
    peer = _PEER.match(line)
    if peer is not None:
        yield "client", peer[1]
