"""A process beside this one, begun again whenever it dies, and ended with this one. Knows nothing of its work.

What is forked first, the keeper, only forks, waits, and forks again. It has one thread and was made before anything ran here, so
that a fork in it is safe at any time: in a process that serves it is not. A fork costs hundredths of a second where a new
interpreter would import for seconds, and what was imported before is in memory once.
"""

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import orjson

from agent.errors import LestradeError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before it is begun again; twice as long each time
LONG_ENOUGH = 60.0  # seconds of life after which a death is the first one again
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG (prctl(2))

Work = Callable[[socket.socket], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Apart:
    """`channel` is our end of a stream whose other end the work has; it ends when keeper and work are gone. `keeper`: its pid."""

    channel: socket.socket
    keeper: int


def fork_apart(work: Work) -> Apart:
    """To be called before there are threads, an event loop, connections or listening sockets. `work` returns when it is told to,
    or when its end of the stream says that we are gone; whatever else ends it is a death, which the stream tells as a line
    `{"died": how, "again_in": seconds}`."""
    ours, theirs = socket.socketpair()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    keeper = os.fork()
    if not keeper:
        ours.close()
        _only(lambda: _keep(work, theirs, parent))
    theirs.close()
    return Apart(ours, keeper)


def _keep(work: Work, channel: socket.socket, parent: int) -> None:
    _die_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for all at a terminal; who serves tells the others in order
        signal.signal(number, signal.SIG_IGN)
    pause, keeper = FIRST_PAUSE, os.getpid()
    while os.getppid() == parent:
        began = time.monotonic()
        worker = os.fork()
        if not worker:
            _die_with(keeper)
            _only(lambda: work(channel))
        _, status = os.waitpid(worker, 0)
        if status == 0:
            return
        pause = FIRST_PAUSE if time.monotonic() - began > LONG_ENOUGH else pause
        channel.setblocking(True)  # whoever is gone may have set it otherwise, for all that share it
        with contextlib.suppress(OSError):
            channel.sendall(b"\n" + orjson.dumps({"died": _how(status), "again_in": pause}) + b"\n")
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _only(work: Callable[[], None]) -> NoReturn:
    """That, and nothing of what the process that we come from had to do at its end."""
    code = 1
    try:
        work()
        code = 0
    except LestradeError as exc:
        logger.error("the process that works on runs ended: %s", exc)
    except Exception:
        logger.exception("the process that works on runs ended")
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Linux ends us with the process that forked us, however that ends; elsewhere the stream's end has to be enough."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we had said so
        os._exit(1)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"by signal {os.WTERMSIG(status)}"
    return f"with exit code {os.WEXITSTATUS(status)}"
