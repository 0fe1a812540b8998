"""A program beside this one that is spoken with in lines, over its standard input and output. However much it writes without an
end of line, no more than is allowed for one is held. Knows nothing of what is said.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio

# For each of three: that it ends when nobody speaks to it any more, when it is asked to, and when it is killed.
GRACE_SECONDS = 2.0
LOOK_SECONDS = 0.01


class LineTooLong(ValueError):
    """What it writes is no line of the length that is allowed."""


class Program:
    def __init__(self, process: Process, most: int) -> None:
        self._process = process
        self._most = most

    async def lines(self) -> AsyncIterator[bytes]:
        """Until it closes its output. Raises LineTooLong."""
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # asyncio's own word for more than its limit
                raise LineTooLong(f"a line of more than {self._most // 1_000_000} MB") from None
            if not line:
                return
            yield line

    async def say(self, line: bytes) -> None:
        """Raises OSError where nobody listens any more."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def spoken_with(command: Sequence[str], environment: Mapping[str, str], *, most: int) -> AsyncIterator[Program]:
    """It and what it begins are ended with this. `most`: bytes of one line. Raises OSError where it cannot be begun."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env=environment, limit=most, start_new_session=True
    )
    try:
        yield Program(process, most)
    finally:
        await _to_its_end(asyncio.create_task(_end(process)))


async def _to_its_end(ending: "asyncio.Task[None]") -> None:
    """Whoever calls this off meanwhile: a program would be left behind. Called off it is, afterwards."""
    called_off: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as exc:
                called_off = exc
    if called_off is not None:
        raise called_off


async def _end(process: Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    draining = asyncio.create_task(_drained(process.stdout))  # one that cannot get rid of its words does not hear of its end
    try:
        if not await _is_over(process):
            for how in (signal.SIGTERM, signal.SIGKILL):
                _tell_all(process, how)
                if await _is_over(process):
                    break
        _tell_all(process, signal.SIGKILL)  # what it has begun may have outlived it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await draining
    finally:
        draining.cancel()


def _tell_all(process: Process, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)


async def _is_over(process: Process) -> bool:
    """Not by its `wait`, which waits for whoever inherited the pipes too."""
    until = asyncio.get_running_loop().time() + GRACE_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)
    return process.returncode is not None


async def _drained(output: asyncio.StreamReader) -> None:
    while await output.read(65_536):
        pass
