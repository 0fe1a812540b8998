"""The body of an answer, in pieces that are counted: no server decides how much memory a run takes, or how long it listens.

Of a refusal what is too long is left out, so that its beginning can be read; of an answer it is an error.
"""

from collections.abc import AsyncIterable, AsyncIterator

import httpx

from agent.reasoning.model.answer import TooMuch

MOST_BYTES = 48_000_000  # of one answer: 400,000 letters in pieces of a few, each with its wrapping
MOST_WHOLE = 8_000_000  # of one that comes whole, or of one line
MOST_OF_REFUSAL = 100_000


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes], *, most: int, is_answer: bool) -> None:
        self._stream = stream
        self._most = most
        self._is_answer = is_answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > self._most:
                if self._is_answer:
                    raise TooMuch(f"more than {self._most // 1_000_000} MB")
                return
            yield chunk

    async def aclose(self) -> None:
        if isinstance(self._stream, httpx.AsyncByteStream):
            await self._stream.aclose()


async def bound(response: httpx.Response) -> None:
    """An event hook of httpx, called before anything of the body is read. Packed bodies would be counted by what comes over the
    wire, and grow afterwards: they are not asked for and not taken. Raises TooMuch."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        raise TooMuch("packed, though it was asked not to")
    is_answer = response.is_success
    is_stream = "event-stream" in response.headers.get("Content-Type", "")
    most = MOST_OF_REFUSAL if not is_answer else MOST_BYTES if is_stream else MOST_WHOLE
    response.stream = _Counted(stream, most=most, is_answer=is_answer)


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines without their ends. Only bytes end a line: text has more line ends than server-sent events have. Raises TooMuch."""
    kept: list[bytes] = []
    size = 0
    async for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for one in whole:
            yield (b"".join(kept) + one).rstrip(b"\r")
            kept, size = [], 0
        kept.append(rest)
        size += len(rest)
        if size > MOST_WHOLE:
            raise TooMuch(f"a line of more than {MOST_WHOLE // 1_000_000} MB")
    if size:
        yield b"".join(kept).rstrip(b"\r")
