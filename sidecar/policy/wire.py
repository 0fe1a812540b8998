"""One question over a connection that is kept open, with one deadline for the whole of it. Knows HTTP, and nothing of Rego.

Why not the client library: it takes a millisecond of its own for each question, and bounds each read instead of all of
them, so that a server that sends a byte now and then holds a question for ever.
"""

import http.client
import io
import os
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from sidecar.errors import PolicyUnavailable, SettingsError
from sidecar.policy.engine import Meanwhile, Patience
from sidecar.ports import nothing
from sidecar.secret_files import Secret

_MOST_ANSWER = 4_194_304
_MOST_IDLE = 8


class Wire:
    """Safe to be used from several threads: each question has a connection to itself."""

    def __init__(self, host: str, port: int, *, tls: bool, token: Secret | None = None) -> None:
        self._host, self._port = host.strip("[]"), port
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
        self._tls = ssl.create_default_context(cafile=bundle) if tls else None
        self._patience = Patience()  # a name that is not resolved has no deadline of its own
        self._token = token
        self._plain = f"Host: {host}:{port}\r\nContent-Type: application/json\r\nAccept-Encoding: identity\r\n"
        self._head()
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def post(self, path: str, body: bytes, *, until: float, meanwhile: Callable[[], None] = nothing) -> bytes:
        """The whole body of a 200. `until`: on the monotonic clock. `meanwhile` is called when the question has gone out, and
        its time is added to `until`. Raises PolicyUnavailable for anything else, and when time is up."""
        kept = self._kept()
        beside = Meanwhile(meanwhile)
        if kept is not None:
            try:
                return self._exchange(kept, path, body, until, beside)
            except (ConnectionError, http.client.BadStatusLine):
                until += beside.seconds  # closed since the last question, as a server may; asking changes nothing there
            except (OSError, http.client.HTTPException, ValueError) as exc:
                raise PolicyUnavailable(f"no verdict from the OPA server: {_what(exc)}") from exc
        try:
            made = self._patience.run(lambda: self._connected(until), until=until)
            return self._exchange(made, path, body, until, beside)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise PolicyUnavailable(f"no verdict from the OPA server: {_what(exc)}") from exc

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _head(self) -> str:
        """Of every request, but for its path and length. Raises SettingsError for a token that would be more than a header."""
        token = self._token() if self._token is not None else ""
        if not (token.isascii() and token.isprintable()):
            raise SettingsError("the token for the OPA server is not one line of plain characters")
        return f"{self._plain}Authorization: Bearer {token}\r\n" if token else self._plain

    def _kept(self) -> "_Connection | None":
        while True:
            with self._lock:
                if not self._idle:
                    return None
                kept = self._idle.pop()
            if kept.silent():
                return kept
            kept.close()  # its end came, or an answer that nobody asked for: the next question would be given that

    def _connected(self, until: float) -> "_Connection":
        plain = socket.create_connection((self._host, self._port), timeout=max(0.01, until - time.monotonic()))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            reached = self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls is not None else plain
        except BaseException:
            plain.close()
            raise
        return _Connection(reached)

    def _exchange(self, connection: "_Connection", path: str, body: bytes, until: float, meanwhile: Callable[[], None]) -> bytes:
        try:
            answer = connection.exchange(path, self._head(), body, until, meanwhile)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if connection.kept and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer


class _Connection:
    """Connected from the beginning, and never again. `kept`: whether another question may be put over it."""

    def __init__(self, reached: socket.socket) -> None:
        self._timed = _Timed(reached)
        self.kept = True

    def exchange(self, path: str, head: str, body: bytes, until: float, meanwhile: Callable[[], None]) -> bytes:
        self._timed.deadline = until
        self._timed.sendall(f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body)
        began = time.monotonic()
        meanwhile()
        self._timed.deadline += time.monotonic() - began
        received = self._timed.recv()
        length = _plain_length(received)
        if length is None:
            return self._read_by_the_library(received)
        end = received.index(_END) + len(_END) + length
        if len(received) < end:
            received += self._timed.exactly(end - len(received))
        self.kept = len(received) == end
        return received[end - length : end]

    def silent(self) -> bool:
        """Whether nothing came since the last answer."""
        return self._timed.silent()

    def close(self) -> None:
        self._timed.close()

    def _read_by_the_library(self, received: bytes) -> bytes:
        """Whatever is not as OPA nearly always has it: in chunks, in pieces, no 200, no HTTP."""
        reader: Any = _Replayed(received, self._timed)  # all that the library uses of a socket
        response = http.client.HTTPResponse(reader, method="POST")
        try:
            response.begin()
            self.kept = not response.will_close
            if response.status != 200:
                raise http.client.HTTPException(f"HTTP {response.status}")
            answer = response.read(_MOST_ANSWER + 1)
            if len(answer) > _MOST_ANSWER:
                raise http.client.HTTPException("the answer has no end")
            if response.length:  # what the library gives of an answer that broke off is its beginning
                raise http.client.IncompleteRead(answer, response.length)
            return answer
        finally:
            response.close()


def _plain_length(received: bytes) -> int | None:
    """How long the body is of an answer that is a 200, has its head whole and says its length, and nothing that would change
    how it is read; None for every other."""
    end = received.find(_END)
    if end < 0 or not received.startswith(b"HTTP/1.1 200 OK\r\n"):
        return None
    lines = received[:end].lower().split(b"\r\n")[1:]
    lengths = [line[len(_LENGTH) :].strip() for line in lines if line.startswith(_LENGTH)]
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 7 or any(map(_READ_OTHERWISE.match, lines)):
        return None
    return int(lengths[0]) if int(lengths[0]) <= _MOST_ANSWER else None


_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_READ_OTHERWISE = re.compile(rb"[ \t]|(?:transfer-encoding|content-encoding|connection|trailer|content-length[ \t])")


class _Timed:
    """A socket of which every call ends with the deadline."""

    def __init__(self, reached: socket.socket) -> None:
        self.deadline = 0.0
        self._reached = reached

    def sendall(self, data: bytes) -> None:
        self._within()
        self._reached.sendall(data)

    def recv(self) -> bytes:
        self._within()
        return self._reached.recv(65_536)

    def exactly(self, count: int) -> bytes:
        """So many bytes; raises ConnectionError where there are no more."""
        pieces = bytearray()
        while len(pieces) < count:
            self._within()
            piece = self._reached.recv(count - len(pieces))
            if not piece:
                raise http.client.IncompleteRead(bytes(pieces), count - len(pieces))
            pieces += piece
        return bytes(pieces)

    def recv_into(self, buffer: "memoryview | bytearray") -> int:
        self._within()
        return self._reached.recv_into(buffer)

    def silent(self) -> bool:
        look = select.poll()
        look.register(self._reached, select.POLLIN)
        return not look.poll(0)

    def close(self) -> None:
        self._reached.close()

    def _within(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._reached.settimeout(left)


class _Replayed:
    """What came already, and what is still to come, as one file."""

    def __init__(self, received: bytes, timed: _Timed) -> None:
        self._received, self._timed = received, timed

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._received, self._timed))


class _Reading(io.RawIOBase):
    def __init__(self, received: bytes, timed: _Timed) -> None:
        self._received, self._timed = received, timed
        self._ended = not received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._ended:
            return 0
        if self._received:
            piece, self._received = self._received[: len(buffer)], self._received[len(buffer) :]
            buffer[: len(piece)] = piece
            return len(piece)
        return self._timed.recv_into(buffer)


def _what(exc: Exception) -> str:
    """The kind of failure, never what a stranger's server wrote."""
    if isinstance(exc, TimeoutError):
        return "none in time"
    text = str(exc)
    return text if isinstance(exc, http.client.HTTPException) and type(exc) is http.client.HTTPException else type(exc).__name__
