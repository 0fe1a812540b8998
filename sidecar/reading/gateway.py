"""Hands a permitted read on to the API server, as it comes, with the values of Secrets and other credentials taken out."""

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from sidecar.errors import ClusterUnavailable
from sidecar.ports import Cluster
from sidecar.ports.cluster import ApiStream
from sidecar.reading.permitted import MAX_WATCH_SECONDS, Forbidden, Permitted, permit
from sidecar.reading.redaction import Redaction
from sidecar.reading.rules import ReadingRules
from sidecar.reading.runs import Runs
from sidecar.reading.shapes import Mask
from sidecar.reading.splitting import LEFT_OUT, MOST_CHARACTERS, Unreadable, dumped, split
from sidecar.reading.streams import Place, Streams

SILENCE_SECONDS = 20.0  # of an answer that has an end
STREAM_SILENCE_SECONDS = MAX_WATCH_SECONDS + 30.0
MOST_REFUSAL = 65_536  # bytes of an answer that is a refusal in plain text
_LOG_BLOCK = 262_144  # of a line without an end; containers' own lines are put together from parts of 16 KiB
_CHANGES = ("ADDED", "MODIFIED", "DELETED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer on its way: `headers` are those that a client of the API server needs. The pieces must be read to their end
    or `close` called; `end` may be called from any thread, and makes whoever reads the pieces stop at once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Iterator[bytes]
    streamed: bool
    end: Callable[[], None]
    close: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    cluster: Cluster
    rules: Callable[[], ReadingRules] = ReadingRules
    runs: Runs = field(default_factory=Runs)
    streams: Streams = field(default_factory=Streams)
    mask: Mask = field(default_factory=Mask)

    def open(self, path: str, query: list[tuple[str, str]], accept: str, *, run: str = "") -> Reading | Forbidden:
        """Raises ClusterUnavailable."""
        opened = self._open(path, query, accept, run)
        if isinstance(opened, Forbidden):
            self.runs.refuse(opened.code)
        return opened

    def _open(self, path: str, query: list[tuple[str, str]], accept: str, run: str) -> Reading | Forbidden:
        rules = self.rules()
        permitted = permit(path, query, accept, rules)
        if isinstance(permitted, Forbidden):
            return permitted
        spent = self.runs.begin(run)
        if spent:
            return Forbidden(spent, status=429, code="read-budget-spent")
        place = self.streams.take(run) if permitted.streamed else Place(run)
        if isinstance(place, str):
            return Forbidden(place, status=429, code="too-many-streams")
        try:
            return self._opened(permitted, rules, place)
        except BaseException:
            self.streams.leave(place)
            raise

    def _opened(self, permitted: Permitted, rules: ReadingRules, place: Place) -> Reading | Forbidden:
        silence = STREAM_SILENCE_SECONDS if permitted.streamed else SILENCE_SECONDS
        stream = self.cluster.stream(permitted.call, silence=silence)
        place.opened(stream.cut)
        pieces = _shown(stream, permitted, rules, self.mask)
        if isinstance(pieces, Forbidden):
            stream.close()
            self.streams.leave(place)
            return pieces
        handed = self._handed(pieces, place, rules if permitted.streamed else None)

        def close() -> None:
            handed.close()
            stream.close()
            self.streams.leave(place)

        return Reading(
            status=stream.answer.status,
            headers=stream.answer.headers,
            pieces=handed,
            streamed=permitted.streamed,
            end=place.end,
            close=close,
        )

    def _handed(self, pieces: Iterator[bytes], place: Place, rules: ReadingRules | None) -> Generator[bytes, None, None]:
        """Counted, and ended when the place is. `rules`: those that a stream was opened under; under others it has to be asked
        for anew."""
        try:
            for piece in pieces:
                if place.ended or (rules is not None and self.rules() != rules):
                    return
                self.runs.add_bytes(place.run, len(piece))
                yield piece
        except ClusterUnavailable:
            if not place.ended:
                raise
        except Unreadable as exc:
            if not place.ended:
                raise ClusterUnavailable(f"an answer that cannot be read is not shown: {exc}") from exc


def _shown(stream: ApiStream, permitted: Permitted, rules: ReadingRules, mask: Mask) -> Iterator[bytes] | Forbidden:
    kind = dict(stream.answer.headers).get("content-type", "").partition(";")[0].strip().lower()
    if permitted.form == "plain":
        return stream.pieces
    if kind != "application/json":
        if permitted.form == "log":
            return _log(stream.pieces, mask)
        if stream.answer.status >= 400 or stream.answer.status == 204:
            return _refusal(stream.pieces, mask)
        return Forbidden("objects are shown as JSON only")
    clear = Redaction(mask, permitted.resource).clear
    mine = None if rules.everywhere or permitted.namespace else _Namespaces(rules, permitted.resource)
    if permitted.form == "objects" and permitted.streamed and stream.answer.status == 200:
        return _events(stream.pieces, clear, mine)

    def member(item: Any) -> Any:
        return LEFT_OUT if mine is not None and not mine.shown(item) else clear(item)

    return split(stream.pieces, member=member, rest=clear)


@dataclass(frozen=True, slots=True)
class _Namespaces:
    """Leaves out what belongs to a namespace that may not be read."""

    rules: ReadingRules
    resource: str

    def shown(self, item: Any) -> bool:
        """An item of a list, a row of a table, the object of an event."""
        found = item.get("object", item) if isinstance(item, dict) else {}
        metadata = found.get("metadata") if isinstance(found, dict) else None
        if not isinstance(metadata, dict):
            return False
        namespace = metadata.get("name" if self.resource == "namespaces" else "namespace")
        return not namespace or self.rules.shows_namespace(str(namespace))


def _events(pieces: Iterator[bytes], clear: Callable[[Any], Any], mine: _Namespaces | None) -> Iterator[bytes]:
    """Watch events, one a line."""
    for line in _lines(pieces):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise Unreadable("an event is no JSON") from exc
        kind = event.get("type") if isinstance(event, dict) else None
        if kind not in (*_CHANGES, "BOOKMARK", "ERROR"):
            raise Unreadable("a line of a watch is no event")  # a list, say: whose items nobody has looked at
        if mine is not None and kind in _CHANGES:
            rows = event["object"].get("rows") if isinstance(event.get("object"), dict) else None
            if isinstance(rows, list):
                event["object"]["rows"] = [row for row in rows if mine.shown(row)]
                if not event["object"]["rows"]:
                    continue
            elif not mine.shown(event):
                continue
        yield dumped(clear(event)) + b"\n"


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > MOST_CHARACTERS:
            raise Unreadable("an event is larger than any can be")
    if rest.strip():
        yield rest


def _log(pieces: Iterator[bytes], mask: Mask) -> Iterator[bytes]:
    """Whole lines as they come, credentials taken out. A line without an end is handed on when it has grown long."""
    rest = b""
    within = False  # a private key that goes on
    for piece in pieces:
        rest += piece
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) < _LOG_BLOCK:
            continue
        block, rest = (rest[:cut], rest[cut:]) if cut else (rest, b"")
        shown, within = _cleared(block, mask, within)
        yield shown
    if rest:
        yield _cleared(rest, mask, within)[0]


def _cleared(block: bytes, mask: Mask, within: bool) -> tuple[bytes, bool]:
    # Whatever a program wrote: bytes that are no text come out as they were.
    text = block.decode("utf-8", "surrogateescape")
    begin, end = text.rfind("-----BEGIN "), text.rfind("-----END ")
    if within:
        head, found, tail = text.partition("-----END ")
        if not found:
            return b"", True
        text = f"{mask.mark(head)}\n{found}{tail}"
    goes_on = "PRIVATE KEY" in text[begin : begin + 48] and begin > end if begin >= 0 else False
    return mask.text(text).encode("utf-8", "surrogateescape"), goes_on


def _refusal(pieces: Iterator[bytes], mask: Mask) -> Iterator[bytes]:
    """The API server's own words where they are no JSON: an unknown path, throttling."""
    text = b""
    for piece in pieces:
        text += piece
        if len(text) > MOST_REFUSAL:
            raise Unreadable("a refusal that is too long")
    yield mask.text(text.decode("utf-8", "replace")).encode()
