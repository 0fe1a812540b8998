"""Requests that are answered without the long way through the framework: whoever puts a plan waits for every millisecond.

Only what is plain goes straight: one whole request of a known first line in one piece, with each header once and none that
changes how it is read, to which a way has an answer. Everything else (another path, a wrong token, half a request, a plan that
is refused or fails) is handed to the ordinary protocol as it came, which says what is wrong as it always does: a request that
went straight in vain is made again there, and every call of the agent's side is safe to repeat. Knows no route.
"""

import asyncio
import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import lru_cache, partial
from http import HTTPStatus
from typing import ClassVar

import h11
import structlog

from sidecar.connections import Impatient
from sidecar.workers import Workers

log = structlog.get_logger("sidecar.http")
Headers = Mapping[bytes, bytes]  # names in lower case
Work = Callable[[], bytes | None]  # a whole answer; None: the ordinary way has to say it
Way = Callable[[Headers, bytes], Work | None]  # of headers and body; it waits for nothing, and is asked from any thread
Ways = Mapping[bytes, Way]  # by the first line of the request

MOST_HEAD = 8_192
STAYS_MILLISECONDS = 20  # a thread with the connection that it just answered
_MOST_READ = 65_536  # at once by such a thread
_PEER_LEFT = getattr(select, "POLLRDHUP", 0)  # beside POLLHUP and POLLERR, which every poll tells
_NAME, _VALUE = re.compile(rb"[A-Za-z0-9-]+"), re.compile(rb"[\x20-\x7e]*")  # each passes over a text once, whoever wrote it
_READ_OTHERWISE = (b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer", b"content-encoding")


def plain_request(data: bytes) -> tuple[bytes, dict[bytes, bytes], bytes] | None:
    """First line, headers and body of one whole request of RFC 9112; None where anything about it is out of the ordinary."""
    end = data.find(b"\r\n\r\n", 0, MOST_HEAD)
    if end < 0:
        return None
    line, *lines = data[:end].split(b"\r\n")
    headers: dict[bytes, bytes] = {}
    for one in lines:
        name, colon, value = one.partition(b":")
        value = value.strip(b" \t")
        if not colon or _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            return None
        headers[name.lower()] = value
    length = headers.get(b"content-length", b"")
    plain = (
        len(headers) == len(lines)
        and b"host" in headers
        and headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        and not any(name in headers for name in _READ_OTHERWISE)
        and length.isdigit()
        and len(length) < 9
        and len(data) == end + 4 + int(length)
    )
    return (line, headers, data[end + 4 :]) if plain else None


def ok(body: bytes, *, timing: str) -> bytes:
    """A whole answer of JSON. `timing`: as a Server-Timing header has it."""
    return whole(HTTPStatus.OK, body, media_type="application/json", more=f"server-timing: {timing}\r\n")


def whole(status: HTTPStatus, body: bytes, *, media_type: str, more: str = "") -> bytes:
    """A whole answer. `more`: further headers, each with its end."""
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n"
        f"{more}date: {_date(int(time.time()))}\r\n\r\n"
    )
    return head.encode("ascii") + body


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def protocol_of(ways: Ways) -> type[Impatient]:
    """The protocol of a listener whose requests go straight where `ways` has one for them."""
    return type("Bound", (Straight,), {"ways": ways, "workers": Workers()}) if ways else Impatient


class Straight(Impatient):
    """The protocol of a listener some of whose requests go straight. The thread that has the answer sends it itself, and stays
    for a moment: a request that follows at once it reads as well. For none of this the event loop is woken, which does not read
    meanwhile. `_lock`: for what that thread and the loop share."""

    ways: ClassVar[Ways]
    workers: ClassVar[Workers]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        self._lock = threading.Lock()
        self._under_way = False
        self._ending = False
        self._own: socket.socket | None = None  # the connection, as that thread has it
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        with self._lock:
            if self._own is not None:
                self._own.close()
                self._own = None

    def data_received(self, data: bytes) -> None:
        work = self._work_for(data) if self._between_requests() else None
        if work is not None:
            self._go_straight(work, data)
        else:
            super().data_received(data)

    def shutdown(self) -> None:
        with self._lock:
            self._ending = True
            if self._under_way:
                return
        super().shutdown()

    def _work_for(self, data: bytes) -> Work | None:
        request = plain_request(data)
        if request is None:
            return None
        line, headers, body = request
        try:
            way = self.ways.get(line)
            return way(headers, body) if way is not None else None
        except BaseException as exc:  # noqa: BLE001  as below
            log.debug("asked the ordinary way", error=type(exc).__name__)
            return None

    def _between_requests(self) -> bool:
        """Whether nothing that came before is still to be read or answered by the ordinary way, which also waits for whoever
        does not take what was answered."""
        conn = self.conn
        idle = conn.their_state is h11.IDLE and conn.our_state is h11.IDLE and not conn.trailing_data[0]
        return idle and not self.flow.write_paused

    def _go_straight(self, work: Work, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._late = None  # it has just been heard of
        if self._own is None and self.transport.get_extra_info("sslcontext") is None:
            with contextlib.suppress(OSError):  # no more files: then the loop sends it
                self._own = self.transport.get_extra_info("socket").dup()
                self._own.setblocking(False)
        self._under_way = True
        self.transport.pause_reading()
        try:
            self.workers.put(partial(self._worked, work, data))
        except RuntimeError:
            self._under_way = False
            self.transport.resume_reading()
            super().data_received(data)

    def _worked(self, work: Work, data: bytes) -> None:
        """In a thread of its own: this request, and those that follow at once."""
        if self.transport.is_closing():  # while it waited for a thread
            return
        if self._peer_left():
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.transport.abort)
            return
        following: tuple[Work, bytes] | None = work, data
        while following is not None:
            following = self._next() if self._answered(*following) else None

    def _answered(self, work: Work, data: bytes) -> bool:
        """False where the loop has to go on."""
        try:
            answer = work()
        except BaseException as exc:  # noqa: BLE001  a panic of a library too: the ordinary way meets it again, and says it
            log.debug("asked again the ordinary way", error=type(exc).__name__)
            answer = None
        with self._lock:
            rest = self._sent(answer) if answer is not None else None
            if rest == b"":
                self._under_way = False
                return True
        with contextlib.suppress(RuntimeError):  # the listener ended meanwhile
            self.loop.call_soon_threadsafe(self._came, rest, data)
        return False

    def _next(self) -> tuple[Work, bytes] | None:
        """The request that follows, where it comes at once and goes straight too; otherwise the loop reads on."""
        data = self._read_on()
        work = self._work_for(data)
        with self._lock:
            if work is not None and not self._ending and self._own is not None:
                self._under_way, self._late = True, None
                return work, data
        with contextlib.suppress(RuntimeError):  # the listener ended meanwhile
            self.loop.call_soon_threadsafe(self._handed_back, data)
        return None

    def _read_on(self) -> bytes:
        """What comes within a moment, nothing where other connections wait for a thread. Also nothing for the connection's end,
        or when something is wrong with it: the loop finds that out."""
        if not self.workers.stays():
            return b""
        came = self._polled(select.POLLIN, STAYS_MILLISECONDS)
        self.workers.went()
        with self._lock:  # so that it is this connection's still: its number may be another one's by now
            if self._own is None or not came:
                return b""
            try:
                return self._own.recv(_MOST_READ)
            except OSError:
                return b""

    def _peer_left(self) -> bool:
        """Whether nobody is there any more for an answer: the loop, which does not read meanwhile, would not know."""
        return self._polled(_PEER_LEFT, 0)

    def _polled(self, events: int, milliseconds: int) -> bool:
        own = self._own
        waiting = select.poll()
        try:
            waiting.register(own.fileno() if own is not None else -1, events)
            return bool(waiting.poll(milliseconds))
        except (OSError, ValueError):
            return False

    def _handed_back(self, data: bytes) -> None:
        """On the loop: the thread went, having read this."""
        if not self.transport.is_closing():
            self.transport.resume_reading()
            if data:
                self.data_received(data)

    def _sent(self, answer: bytes) -> bytes:
        """What of it could not be sent from here. With `_lock`."""
        if self._own is None or self._ending:
            return answer
        try:
            return answer if self.transport.get_write_buffer_size() else answer[self._own.send(answer) :]
        except (OSError, RuntimeError):
            return answer  # the loop finds out what is wrong with the connection

    def _came(self, answer: bytes | None, data: bytes) -> None:
        """On the loop. None: the ordinary way has to say it."""
        with self._lock:
            self._under_way = False
        if self.transport.is_closing():
            return
        self.transport.resume_reading()
        if answer is None:
            super().data_received(data)
        else:
            self.transport.write(answer)
        if self._ending:
            super().shutdown()

    def _look_at_it(self) -> None:
        with self._lock:  # a thread that stays may take the next request at any moment
            if not self._under_way:
                super()._look_at_it()
            elif self._peer_left():
                self.transport.abort()
            else:  # what is awaited now is the sidecar's answer: the time of the next request has not begun
                self._late = None
                super()._look_at_it()
                self._late = None
