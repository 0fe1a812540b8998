"""One turn as it is worked on: what has been told so far, for any number of listeners, who may come late and leave early."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from agent.domain.evidence import Evidence
from agent.domain.session import Reply, Turn
from agent.errors import LestradeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The turn is kept; `session` is what the next one is said in."""

    session: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """Something that happened in the run; `seq` counts within the run. Without a run it is a step of the conversation."""

    stage: str
    text: str
    at: datetime | None = None
    run: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A piece of evidence, with text."""

    run: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The last thing told."""

    session: str
    turn: int
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The last thing told, where there is no answer. `error` is for people and holds no secret."""

    session: str
    turn: int
    error: LestradeError


Told = Opened | Stepped | Found | Answered | Failed


class Exchange:
    """Told to by the one who works on the turn; listened to by whoever asked. Nobody who leaves stops the work."""

    def __init__(self, session: str, turn: Turn) -> None:
        self.session = session
        self.turn = turn
        self.run = ""  # the run that works on it, as soon as there is one
        self.may_stop = True  # nothing that acts is stopped from here
        self.stopped_by: str | None = None
        self.shown: set[str] = set()  # ids of the evidence that was told
        self._told: list[Told] = []
        self._news = asyncio.Event()

    def tell(self, told: Told) -> None:
        self._told.append(told)
        self._news.set()
        self._news = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return bool(self._told) and isinstance(self._told[-1], Answered | Failed)

    async def listen(self) -> AsyncIterator[Told]:
        """From the beginning to the answer."""
        async for told in self.hear(None):
            if told is not None:
                yield told

    async def hear(self, quiet_seconds: float | None) -> AsyncIterator[Told | None]:
        """As `listen`, with a None whenever it was quiet for so long."""
        seen = 0
        while True:
            news = self._news
            while seen < len(self._told):
                told = self._told[seen]
                seen += 1
                yield told
                if isinstance(told, Answered | Failed):
                    return
            try:
                async with asyncio.timeout(quiet_seconds):
                    await news.wait()
            except TimeoutError:
                yield None

    async def answer(self) -> Reply:
        """Waits for the end. Raises the LestradeError that there was instead."""
        async for told in self.listen():
            if isinstance(told, Answered):
                return told.reply
            if isinstance(told, Failed):
                raise told.error
        raise AssertionError("an exchange ends with an answer or a failure")
