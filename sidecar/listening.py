"""The sockets that the sidecar listens on, and the servers behind them, until the process is asked to end. Knows no route."""

import contextlib
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from sidecar.errors import SettingsError
from sidecar.secret_files import certificate_from
from sidecar.settings import host_and_port
from sidecar.straight import Ways, protocol_of

log = structlog.get_logger("sidecar")
_TICKS = 100  # of a tenth of a second, between two looks at a certificate
LINGER_SECONDS = 5  # for requests under way when the process is asked to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One side, and the socket that it is bound to already. `address`: how to reach it; `ways`: what goes straight there."""

    app: FastAPI
    socket: socket.socket
    address: str
    certificate: Path | None = None
    key: Path | None = None
    ways: Ways = field(default_factory=dict)


@contextlib.contextmanager
def bound(
    app: FastAPI,
    path: Path | None,
    address: str,
    tls: tuple[Path | None, Path | None] = (None, None),
    *,
    ways: Ways | None = None,
    group: bool = False,
) -> Iterator[Listener]:
    """A listening socket (`group`: one that the group of its folder may open too); raises SettingsError when it cannot be had."""
    if path is not None:
        listening, said = _unix(path, group), f"unix://{path.absolute()}"
    else:
        host, port = host_and_port(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Said to be TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an acknowledgement.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as exc:
            listening.close()
            raise SettingsError(f"cannot listen on {address}: {exc.strerror}; choose another address") from exc
        scheme = "https" if tls[0] else "http"
        said = f"{scheme}://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    listening.listen(128)  # from here on a caller waits instead of being turned away
    try:
        yield Listener(app=app, socket=listening, address=said, certificate=tls[0], key=tls[1], ways=ways or {})
    finally:
        listening.close()
        if path is not None:
            path.unlink(missing_ok=True)


def _unix(path: Path, group: bool) -> socket.socket:
    """A socket that only this user (and the group, if wanted) may open. A stale one of a process that was killed is taken
    over; a live one is not."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise SettingsError(f"cannot listen on {path}: another process does already")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        if group:  # the process's own group may be another than the folder's
            os.chown(path, -1, path.parent.stat().st_gid)
            path.chmod(0o660)
    except OSError as exc:
        listening.close()
        raise SettingsError(f"cannot listen on {path}: {exc.strerror or exc}") from exc
    return listening


class _Server(uvicorn.Server):
    """Leaves signals to us: there are two servers in this process. A certificate that is replaced is shown to whoever comes
    next; one that is not whole changes nothing, and is looked at again."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        super().__init__(config)
        self._files = (listener.certificate, listener.key)
        self._shown = self._refused = _state_of(*self._files)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS == 0:
            self._look_at_certificate()
        return await super().on_tick(counter)

    def _look_at_certificate(self) -> None:
        found = _state_of(*self._files)
        certificate, key = self._files
        if found == self._shown or certificate is None or key is None or self.config.ssl is None:
            return
        try:
            fresh = certificate_from(certificate, key)
        except SettingsError as exc:
            if found != self._refused:
                log.warning("the last good certificate stays", reason=str(exc))
            self._refused = found
            return
        self._shown = found
        # Never read into the context that is shown: of a certificate and a key that are being replaced, the half that was
        # read would stay there. Whoever comes next is handed over to the new one, whole.
        self.config.ssl.sni_callback = _handed_to(fresh)
        log.info("a certificate was replaced", file=str(certificate))


def _handed_to(fresh: ssl.SSLContext) -> Callable[[ssl.SSLObject, str, ssl.SSLContext], None]:
    """To be asked at the beginning of each handshake, whether a name was called or not."""

    def hand_over(reached: ssl.SSLObject, name: str, shown: ssl.SSLContext) -> None:
        reached.context = fresh

    return hand_over


def _state_of(*files: Path | None) -> list[tuple[int, int, int]]:
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            if file is not None:
                stat = file.stat()
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


def run(listeners: list[Listener]) -> None:
    """Each side in a thread and a loop of its own: however busy the agent keeps its side, people are heard."""
    servers = [
        _Server(
            uvicorn.Config(
                listener.app,
                http=protocol_of(listener.ways),
                ws="none",
                log_config=None,
                access_log=False,
                date_header=False,  # the edge sets it, or hands on the cluster's
                server_header=False,
                proxy_headers=False,  # where somebody comes from is what the socket says: a header would hide who guesses
                timeout_graceful_shutdown=LINGER_SECONDS,
                lifespan="off",
                ssl_certfile=listener.certificate,
                ssl_keyfile=listener.key,
            ),
            listener,
        )
        for listener in listeners
    ]

    failures: list[Exception] = []

    def end(*_: object) -> None:
        for server in servers:
            server.should_exit = True

    def work(server: _Server, listener: Listener) -> None:
        try:
            server.run(sockets=[listener.socket])
        except Exception as exc:  # noqa: BLE001  it is said below, in the thread that the process ends with
            failures.append(exc)
        finally:
            end()  # one side alone is no sidecar

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    threads = [threading.Thread(target=work, args=pair) for pair in zip(servers, listeners, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:  # not an orderly end, and whoever watches the process has to see that
        raise failures[0]
