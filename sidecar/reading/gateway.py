"""Hands a permitted read on to the API server, as it comes, with the values of Secrets taken out."""

import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.errors import ClusterUnavailable
from sidecar.ports import Cluster
from sidecar.reading.permitted import MAX_WATCH_SECONDS, Forbidden, Permitted, permit
from sidecar.reading.redaction import redacted

MAX_SECRETS = 33_554_432  # bytes of a Secrets answer that is read as a whole

MOST_STREAMS = 24  # watches and followed logs at once: each keeps a thread, and steps need some too
_streams = threading.BoundedSemaphore(MOST_STREAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer on its way: `headers` are those that a client of the API server needs."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Iterator[bytes]


def open_reading(path: str, query: list[tuple[str, str]], accept: str, *, cluster: Cluster) -> Reading | Forbidden:
    """Raises ClusterUnavailable. The pieces must be read to their end or closed."""
    permitted = permit(path, query, accept)
    if isinstance(permitted, Forbidden):
        return permitted
    if not permitted.streamed:
        return _opened(permitted, cluster)
    if not _streams.acquire(blocking=False):
        return Forbidden(f"{MOST_STREAMS} watches are open already: end one, or list instead", status=429)
    try:
        reading = _opened(permitted, cluster)
    except BaseException:
        _streams.release()
        raise
    # When it is dropped, not when it ends: a stream whose reader went away may never have begun.
    if isinstance(reading, Reading):
        weakref.finalize(reading.pieces, _streams.release)
    else:
        _streams.release()
    return reading


def _opened(permitted: Permitted, cluster: Cluster) -> Reading | Forbidden:
    answer, pieces = cluster.stream(permitted.call)
    headers = answer.headers
    if permitted.secret:
        if not dict(headers).get("content-type", "").startswith("application/json"):
            for _ in pieces:  # read to the end, show nothing
                pass
            return Forbidden("Secrets are shown as JSON only")
        pieces = _lines(pieces) if permitted.streamed else _whole(pieces)
    if permitted.streamed:
        pieces = _until(pieces, time.monotonic() + MAX_WATCH_SECONDS)
    return Reading(status=answer.status, headers=headers, pieces=pieces)


def _whole(pieces: Iterator[bytes]) -> Iterator[bytes]:
    content = b""
    for piece in pieces:
        content += piece
        if len(content) > MAX_SECRETS:
            raise ClusterUnavailable("too many Secrets at once: use limit")
    clean = redacted(content)
    if clean is None:
        raise ClusterUnavailable("an answer about Secrets cannot be read, so it is not shown")
    yield clean


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Watch events, one a line; one that cannot be read ends the stream."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                clean = redacted(line)
                if clean is None:
                    return
                yield clean + b"\n"


def _until(pieces: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """Logs that are followed end too. `pieces` is a generator: it is closed with us."""
    for piece in pieces:
        yield piece
        if time.monotonic() >= deadline:
            break
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
