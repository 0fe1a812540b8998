"""The Loki HTTP API over the container logs of the world: a stream selector and line filters; the rest is refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.telemetry.promql.parsing import seconds, unquote
from lab.telemetry.series import Matcher
from lab.telemetry.serving import Form, Response, first
from lab.world.logbook import LogBook, Stream

STRING = r'"(?:[^"\\]|\\.)*"|`[^`]*`'
MATCHER = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*({STRING})\s*(,|$)")
FILTER = re.compile(rf"\s*(\|=|!=|\|~|!~)\s*({STRING})")
LIMIT, MAX_LIMIT = 100, 5000


class BadQuery(ValueError):
    """400; the text is Loki's, which answers in plain text."""


@dataclass(frozen=True)
class LogQuery:
    matchers: tuple[Matcher, ...]
    filters: tuple[tuple[str, str], ...]

    def accepts(self, line: str) -> bool:
        for operator, text in self.filters:
            found = text in line if operator in ("|=", "!=") else re.search(text, line) is not None
            if found != (operator in ("|=", "|~")):
                return False
        return True


def parse(text: str) -> LogQuery:
    """`{app="x", pod=~"y.*"} |= "error" !~ "debug"`. Raises BadQuery."""
    stripped = text.strip()
    if not stripped:
        raise BadQuery("parse error : syntax error: unexpected $end")
    if not stripped.startswith("{") or "}" not in stripped:
        raise BadQuery(
            f"parse error at line 1, col 1: syntax error: unexpected {'IDENTIFIER' if stripped[0].isalpha() else stripped[0]}"
        )
    end = _closing(stripped)
    matchers, rest = _matchers(stripped[1:end]), stripped[end + 1 :]
    if all(m.accepts({}) for m in matchers):
        raise BadQuery(
            "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. "
            'For instance, app=~".*" does not meet this requirement, but app=~".+" will'
        )
    filters = []
    while rest.strip():
        found = FILTER.match(rest)
        if found is None:
            column = len(stripped) - len(rest.lstrip()) + 1
            raise BadQuery(f"parse error at line 1, col {column}: syntax error: unexpected {rest.split()[0]}")
        filters.append((found[1], unquote(found[2])))
        if found[1] in ("|~", "!~"):
            _regex(filters[-1][1])
        rest = rest[found.end() :]
    return LogQuery(tuple(matchers), tuple(filters))


def _closing(text: str) -> int:
    quoted, index = "", 0
    for index, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted and text[index - 1] != "\\" else quoted
        elif letter in '"`':
            quoted = letter
        elif letter == "}":
            return index
    raise BadQuery("parse error : syntax error: unexpected $end, expecting }")


def _matchers(text: str) -> list[Matcher]:
    found: list[Matcher] = []
    position = 0
    while text[position:].strip():
        part = MATCHER.match(text, position)
        if part is None:
            raise BadQuery(
                f"parse error at line 1, col {position + 2}: syntax error: unexpected {text[position:].split(maxsplit=1)[0]}"
            )
        operator: Any = part[2]
        value = unquote(part[3])
        if operator in ("=~", "!~"):
            _regex(value)
        found.append(Matcher(part[1], operator, value))
        position = part.end()
    return found


def _regex(text: str) -> None:
    try:
        re.compile(text)
    except re.error as exc:
        raise BadQuery(f"parse error : error parsing regexp: {exc}") from exc


def stream_labels(stream: Stream) -> dict[str, str]:
    return {
        "namespace": stream.namespace,
        "pod": stream.pod,
        "container": stream.container,
        "app": stream.app,
        "node_name": stream.node,
        "job": f"{stream.namespace}/{stream.app}",
        "stream": "stdout",
    }


@dataclass
class Loki:
    logbook: LogBook
    now: Callable[[], float]

    def answer(self, path: str, form: Form) -> Response:
        try:
            match path.strip("/").split("/"):
                case ["ready"]:
                    return Response(200, "ready\n")
                case ["loki", "api", "v1", "query_range"]:
                    return self._range(form)
                case ["loki", "api", "v1", "query"]:
                    self._parsed(form)
                    return Response(
                        400,
                        "log queries are not supported as an instant query type, please change your query to a range query type",
                    )
                case ["loki", "api", "v1", "labels"]:
                    return good(sorted({k for s in self.logbook.streams() for k in stream_labels(s)}))
                case ["loki", "api", "v1", "label", name, "values"]:
                    return good(sorted({v for s in self.logbook.streams() for k, v in stream_labels(s).items() if k == name}))
                case ["loki", "api", "v1", "status", "buildinfo"]:
                    return Response(
                        200,
                        {
                            "version": "3.5.0",
                            "revision": "lab",
                            "branch": "HEAD",
                            "buildDate": "",
                            "buildUser": "",
                            "goVersion": "",
                        },
                    )
        except BadQuery as exc:
            return Response(400, str(exc))
        return Response(404, "404 page not found\n")

    def _parsed(self, form: Form) -> LogQuery:
        return parse(first(form, "query"))

    def _range(self, form: Form) -> Response:
        query = self._parsed(form)
        end = self._time(form, "end", self.now())
        since = first(form, "since")
        start = self._time(form, "start", end - (seconds(since) if since else 3600.0))
        limit = int(first(form, "limit", str(LIMIT)) or LIMIT)
        if limit > MAX_LIMIT:
            return Response(400, f"max entries limit per query exceeded, limit > max_entries_limit ({limit} > {MAX_LIMIT})")
        if end < start:
            return Response(400, "end timestamp must not be before or equal to start time")
        forward = first(form, "direction", "backward").lower() == "forward"
        entries: list[tuple[datetime, str, Stream]] = []
        for stream in self.logbook.streams():
            if all(m.accepts(stream_labels(stream)) for m in query.matchers):
                moments = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
                entries += [(at, line, stream) for at, line in self.logbook.between(stream, *moments) if query.accepts(line)]
        entries.sort(key=lambda e: e[0], reverse=not forward)
        streams: dict[Stream, list[list[str]]] = {}
        for at, line, stream in entries[:limit]:
            streams.setdefault(stream, []).append([str(int(at.timestamp() * 1e6) * 1000), line])
        result = [{"stream": stream_labels(s), "values": values} for s, values in streams.items()]
        return good({"resultType": "streams", "result": result, "stats": {}})

    def _time(self, form: Form, name: str, default: float) -> float:
        """Nanoseconds, seconds with a fraction, or RFC 3339."""
        text = first(form, name)
        if not text:
            return default
        try:
            number = float(text)
            return number / 1e9 if number > 1e12 else number
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError as exc:
            raise BadQuery(f'could not parse "{name}": cannot parse "{text}" to a valid timestamp') from exc


def good(data: Any) -> Response:
    return Response(200, {"status": "success", "data": data})
