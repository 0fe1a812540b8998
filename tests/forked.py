"""The project's own programs as processes of their own, without the two to three seconds of processor time that importing their
libraries takes each: they are forked from a process that has imported everything and does nothing else (multiprocessing's fork
server). What such a process does, and how it dies, is its own, as with `python -m`.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.imported"])


class Forked:
    """What is used here of subprocess.Popen, for `[sys.executable, "-m", MODULE, ...]`. Standard input is empty, or a file."""

    def __init__(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str],
        stdout: "IO[Any] | int | None" = None,
        stderr: "IO[Any] | int | None" = None,
        stdin: "IO[Any] | int | None" = None,
        text: bool = False,
        start_new_session: bool = False,
    ) -> None:
        python, dash_m, module, *rest = map(str, arguments)
        assert (python, dash_m) == (sys.executable, "-m")
        assert stdin in (None, subprocess.DEVNULL) or not isinstance(stdin, int)
        self.args = arguments
        given_to = os.open(os.devnull, os.O_RDONLY) if stdin is None or isinstance(stdin, int) else os.dup(stdin.fileno())
        into = Connection(given_to, writable=False)
        self.stdout, out = _reader(stdout, text)
        self.stderr, err = (None, out) if stderr == subprocess.STDOUT else _reader(stderr, text)
        path = [str(ROOT), *env.get("PYTHONPATH", "").split(os.pathsep)]
        given = (module, rest, dict(env), os.fspath(cwd), path, into, out, err, start_new_session)
        # A daemon to multiprocessing alone: it goes with the tests, and may start programs of its own.
        self._process = _context.Process(target=_run, args=given, daemon=True)
        environment = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = str(ROOT)  # for the fork server, should this be its start
        try:
            self._process.start()
        finally:
            os.environ.pop("PYTHONPATH") if environment is None else os.environ.update(PYTHONPATH=environment)
        for end in {into, out, err} - {None}:
            end.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(list(map(str, self.args)), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def run(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str],
    timeout: float,
    input: str = "",
) -> "subprocess.CompletedProcess[str]":
    """As subprocess.run with captured text."""
    with tempfile.TemporaryFile() as given:
        given.write(input.encode())
        given.seek(0)
        process = Forked(arguments, env=env, cwd=cwd, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said: dict[Any, bytes] = {process.stdout: b"", process.stderr: b""}
    open_ends, deadline = set(said), time.monotonic() + timeout
    while open_ends:
        ready = wait(list(open_ends), max(0.0, deadline - time.monotonic()))
        if not ready:
            process.kill()
            raise subprocess.TimeoutExpired(list(map(str, arguments)), timeout)
        for end in ready:
            some = os.read(end.fileno(), 65_536)
            said[end] += some
            if not some:
                end.close()
                open_ends.remove(end)
    texts = [text.decode() for text in said.values()]
    return subprocess.CompletedProcess(arguments, process.wait(10), *texts)


def _reader(wanted: "IO[Any] | int | None", text: bool) -> "tuple[IO[Any] | None, Connection | None]":
    """Our end, and the end that goes to the process."""
    if wanted is None:
        return None, None
    if isinstance(wanted, int):
        if wanted == subprocess.DEVNULL:
            return None, Connection(os.open(os.devnull, os.O_WRONLY), readable=False)
        ours, theirs = os.pipe()
        return os.fdopen(ours, "r" if text else "rb"), Connection(theirs, readable=False)
    return None, Connection(os.dup(wanted.fileno()), readable=False)


def _run(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    path: Sequence[str],
    into: Connection,
    out: "Connection | None",
    err: "Connection | None",
    new_session: bool,
) -> None:
    for end, number in ((into, 0), (out, 1), (err, 2)):
        if end is not None:
            os.dup2(end.fileno(), number)
    for end in {into, out, err} - {None}:
        end.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    if new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.path[:] = [*(one for one in path if one), *(one for one in sys.path if one not in path)]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
