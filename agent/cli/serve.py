"""`lestrade serve`: the service on one address."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from agent.app import create_app
from agent.app.apart import Apart, fork_apart
from agent.app.closing import Closing
from agent.app.labour import labour
from agent.bootstrap import Workshop, workshop
from agent.cli.terminal import console, run, settings_from
from agent.errors import InputError, LestradeError
from agent.settings import Settings
from agent.telemetry import log_as_json


def serve(*, listen: str, config: Path | None) -> int:
    settings = settings_from(config)
    log_as_json(settings.log_level)
    # What was imported stays as long as the process: the search for garbage would go through all of it again and again, up to
    # some tenths of a second each time, and alerts would wait for that. Nor does it then copy what is shared with a fork.
    gc.freeze()
    # Runs compute, and what conversations ask for too: not in the process that takes alerts in.
    apart = fork_apart(partial(labour, partial(workshop, settings, unattended=True)))
    return run(_serve(settings, listen or settings.listen, apart), interrupted="")


async def _serve(settings: Settings, listen: str, apart: Apart) -> int:
    try:
        bound = bind(listen)
    except InputError as exc:
        raise InputError(f"{exc} (another address: --listen, LESTRADE_LISTEN)") from None
    failed: list[LestradeError] = []

    @contextlib.asynccontextmanager
    async def shop() -> AsyncIterator[Workshop]:
        try:
            async with workshop(settings, unattended=True) as opened:
                gc.freeze()
                yield opened
        except LestradeError as exc:
            failed.append(exc)
            raise

    logging.getLogger("uvicorn.error").addFilter(
        lambda record: is_news(record) and not (failed and "Traceback" in record.getMessage())
    )
    app = create_app(shop, apart)
    server = Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=3), app.state.closing)
    console().print(f"lestrade listens on http://{bound.getsockname()[0]}:{bound.getsockname()[1]}", markup=False)
    try:
        await server.serve(sockets=[bound])
    except SystemExit:
        if not failed:
            raise
    if failed:
        raise failed[0]
    return 0


def is_news(record: logging.LogRecord) -> bool:
    """An answer that goes on for as long as somebody listens is called off when the service ends: that is no error."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, closing: Closing) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn waits for what is still answered before the application hears of the end."""
        self._closing.told()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM asks for an orderly end. uvicorn would end in order and then kill itself by the same signal, so that whoever
        asked for it reads an exit code of 143, which is that of a process that did not get so far."""
        if sig == signal.SIGTERM:
            self.should_exit = True
        else:
            super().handle_exit(sig, frame)


def bind(listen: str) -> socket.socket:
    """host:port; raises InputError when it is none, or is taken."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise InputError(f"listen address {listen!r}: expected host:port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), int(port)))
    except OSError as exc:
        bound.close()
        raise InputError(f"cannot listen on {listen}: {exc.strerror or exc}") from None
    return bound
