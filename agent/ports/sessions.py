"""Conversations, durable. At most one turn of a session is open at a time, and the store decides which."""

from collections.abc import Sequence
from typing import Protocol

from agent.domain.session import Marked, Reply, Session, Thread, Turn, TurnState


class SessionStore(Protocol):
    """Every method raises StoreUnavailable when the database cannot."""

    async def open(self, *, asked_by: str, cluster: str, title: str) -> Session:
        """A new session. Beyond the bound the session that was longest without a word is forgotten."""
        ...

    async def load(self, session: str) -> Session | None:
        """With its turns."""
        ...

    async def listed(self, *, asked_by: str, limit: int) -> Sequence[Session]:
        """Last used first, without turns."""
        ...

    async def begin(self, session: str, said: str) -> Turn | None:
        """An open turn, or None where there is one already. Beyond the bound the oldest turns are forgotten."""
        ...

    async def note(self, session: str, number: int, *, meant: str, run: str) -> None:
        """What the turn was taken for, and the run that works on it."""
        ...

    async def end(self, session: str, number: int, state: TurnState, reply: Reply, thread: Thread) -> None: ...

    async def forget(self, session: str) -> None: ...

    async def named(self, key: str, *, asked_by: str) -> str:
        """The session that was given this name, or ""."""
        ...

    async def name(self, session: str, key: str) -> None:
        """A name of somebody else's for a session, such as that of a thread elsewhere."""
        ...

    async def mark(self, session: str, number: int, key: str) -> None:
        """Remember a turn by the words that led to it and its answer."""
        ...

    async def marked(self, key: str, *, asked_by: str) -> Marked | None: ...
