"""A language model that talks and calls tools, whoever serves it; and the book that is kept of what it was asked.

`ModelUnavailable.reason` is one of REASONS, so that a report can say why there is no answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from sidecar.contract import Json

Role = Literal["system", "user", "assistant", "tool"]
REASONS = (
    "no-key",
    "wrong-key",
    "forbidden",
    "no-such-model",
    "rate-limited",
    "server-error",
    "refused",  # any other 4xx
    "timeout",
    "unreachable",
    "no-answer",  # an answer that is none: HTML, no choices, broken JSON
    "cut-off",
    "context-overflow",
    "unusable",  # the answer is not in the form asked for, after it was sent back once
    "loop",
    "budget",
)
Progress = Callable[[str], Awaitable[None]]
"""Told a line while the answer comes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """`arguments` is the model's text, not yet read: it may be anything. `extra` is JSON text that the server wants to see again
    with the call, or ""."""

    id: str
    name: str
    arguments: str
    extra: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`calls` of an assistant's message, `answers` (the call's id) of a tool's. `thought`: see Reply."""

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""
    thought: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """`parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the server counted them; estimated from the length where it did not say."""

    prompt: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`thought` is what the model thought aloud apart from its text: nothing is read out of it, and some servers want it back."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage
    thought: str = ""


class ChatModel(Protocol):
    @property
    def name(self) -> str: ...

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, most_tokens: int, progress: Progress | None = None
    ) -> Reply:
        """The next message. Raises ModelUnavailable, whatever went wrong; its text holds no key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCall:
    """One answer that was paid for. `request` is the SHA-256 of what was sent, `reply` the answer as JSON text."""

    run: str
    request: str
    reply: str
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    tokens: int = 0
    cost: float = 0.0


class ModelBook(Protocol):
    """What was asked of models, durable: an answer that came in is never paid for twice, and a day's sum is known. Every
    method raises StoreUnavailable."""

    async def paid(self, run: str, request: str) -> str | None:
        """The answer to this request in this run, if it came in before."""
        ...

    async def enter(self, call: PaidCall) -> None:
        """What the run had reserved is free again, in the same moment."""
        ...

    async def spent_since(self, since: datetime) -> Spent:
        """Paid, not reserved."""
        ...

    async def reserve(self, run: str, wanted: Spent, *, most: Spent, since: datetime, until: datetime) -> bool:
        """Take `wanted` for one answer of the run, unless what was paid since then and what others have reserved leaves less of
        `most`. No two can take the same. It lapses at `until`, should nobody give it back."""
        ...

    async def give_back(self, run: str) -> None: ...

    async def concluded(self, fingerprint: str, since: datetime) -> str | None:
        """What was concluded of the same findings not before `since`, as JSON text."""
        ...

    async def conclude(self, fingerprint: str, text: str) -> None: ...
