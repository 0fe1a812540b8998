"""A urllib3 pool that speaks HTTP over a Unix socket, for the sidecar's read gateway. Knows no Kubernetes."""

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Timeout


class _SocketConnection(HTTPConnection):
    """One connection to the socket at `path`; the host name is only for the Host header."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__("localhost", **options)
        self._path = path

    def __str__(self) -> str:
        """As urllib3's errors name it."""
        return f"socket {self._path}"

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wait = Timeout.resolve_default_timeout(self.timeout)
        connection.settimeout(wait)
        try:
            connection.connect(self._path)
        except OSError as exc:
            connection.close()
            raise urllib3.exceptions.NewConnectionError(self, f"nothing answers: {exc.strerror}") from exc
        return connection


class _SocketPool(HTTPConnectionPool):
    def __init__(self, path: str, **options: Any) -> None:
        super().__init__("localhost", **options)
        self._path = path

    def _new_conn(self) -> HTTPConnection:
        timeout = self.timeout.connect_timeout if isinstance(self.timeout, Timeout) else self.timeout
        return _SocketConnection(self._path, timeout=timeout)


class SocketPoolManager(urllib3.PoolManager):
    """Sends every request to one Unix socket, whatever the URL's host."""

    def __init__(self, path: str, *, maxsize: int = 8) -> None:
        super().__init__()
        self._pool = _SocketPool(path, maxsize=maxsize, block=True, retries=False)  # we repeat ourselves, where it is safe

    def connection_from_host(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def clear(self) -> None:
        self._pool.close()
        super().clear()
