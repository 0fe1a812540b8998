"""One question over a connection that is kept open, with one deadline for the whole of it. Knows HTTP, and nothing of Rego.

Why not the client library: it takes a millisecond of its own for each question, and bounds each read instead of all of
them, so that a server that sends a byte now and then holds a question for ever.
"""

import http.client
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from sidecar.errors import PolicyUnavailable
from sidecar.policy.engine import Meanwhile, Patience
from sidecar.ports import nothing

_MOST_ANSWER = 4_194_304
_MOST_IDLE = 8


class Wire:
    """Safe to be used from several threads: each question has a connection to itself."""

    def __init__(self, host: str, port: int, *, tls: bool, token: str = "") -> None:
        self._host, self._port = host.strip("[]"), port
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
        self._tls = ssl.create_default_context(cafile=bundle) if tls else None
        self._patience = Patience()  # a name that is not resolved has no deadline of its own
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
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

    def _kept(self) -> "_Connection | None":
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _connected(self, until: float) -> "_Connection":
        plain = socket.create_connection((self._host, self._port), timeout=max(0.01, until - time.monotonic()))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            reached = self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls is not None else plain
        except BaseException:
            plain.close()
            raise
        return _Connection(self._host, self._port, reached, self._headers)

    def _exchange(self, connection: "_Connection", path: str, body: bytes, until: float, meanwhile: Callable[[], None]) -> bytes:
        try:
            answer = connection.exchange(path, body, until, meanwhile)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if connection.sock is not None and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return answer
        connection.close()
        return answer


class _Connection(http.client.HTTPConnection):
    """Connected from the beginning, and never again."""

    auto_open = 0

    def __init__(self, host: str, port: int, reached: socket.socket, headers: dict[str, str]) -> None:
        super().__init__(host, port)
        self._headers = headers
        self._timed = _Timed(reached)
        self.sock = self._timed  # all that http.client uses of one

    def exchange(self, path: str, body: bytes, until: float, meanwhile: Callable[[], None]) -> bytes:
        self._timed.deadline = until
        self.request("POST", path, body, self._headers)
        began = time.monotonic()
        meanwhile()
        self._timed.deadline += time.monotonic() - began
        response = self.getresponse()
        if response.status != 200:
            raise http.client.HTTPException(f"HTTP {response.status}")
        answer = response.read(_MOST_ANSWER + 1)
        if len(answer) > _MOST_ANSWER:
            raise http.client.HTTPException("the answer has no end")
        if not response.isclosed():
            response.close()
        return answer


class _Timed:
    """A socket of which every call ends with the deadline."""

    def __init__(self, reached: socket.socket) -> None:
        self.deadline = 0.0
        self._reached = reached

    def sendall(self, data: bytes) -> None:
        self._within()
        self._reached.sendall(data)

    def recv_into(self, buffer: "memoryview | bytearray") -> int:
        self._within()
        return self._reached.recv_into(buffer)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self))

    def close(self) -> None:
        self._reached.close()

    def _within(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._reached.settimeout(left)


class _Reading(io.RawIOBase):
    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        return self._timed.recv_into(buffer)


def _what(exc: Exception) -> str:
    """The kind of failure, never what a stranger's server wrote."""
    if isinstance(exc, TimeoutError):
        return "none in time"
    text = str(exc)
    return text if isinstance(exc, http.client.HTTPException) and type(exc) is http.client.HTTPException else type(exc).__name__
