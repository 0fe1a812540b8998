"""One investigation by a model as it stands between two turns: plain data and ids, so that a checkpoint holds it.

Text lies in the store by content; `Texts` is what was fetched of it. Pure.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from agent.domain.objects import Ref
from agent.ports.model import Message, Reply, ToolCall, ToolSpec, Usage
from agent.reasoning.model.leash import Bill

LETTERS_PER_TOKEN = 3.5  # on the safe side of the usual 4
SHOWN = 6000  # characters of one look that go to the model; the rest it may ask for in slices
SHORTENED = 240  # characters of an older look once the history grows too long
KEPT_WHOLE = 4  # of the newest looks, whatever the history's length

Texts = Mapping[str, str]
"""SHA-256 -> text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One answer of a tool. `sha256` is of its whole text, masked; `size` its characters."""

    id: str
    source: str
    sha256: str
    size: int
    about: Ref | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the model was told in answer to one call. `look` is "" where it was refused."""

    call: str
    sha256: str
    look: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`reply` and `note` are blobs; `note` is what we said afterwards, where we said something."""

    reply: str
    results: tuple[Result, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """`asked` maps what was asked (name and arguments, hashed) to the look that answered it."""

    purpose: Literal["diagnosis", "replan"]
    fence: str
    system: str
    opening: str
    first_look: int = 1  # ids count on through the whole run
    proposal: str = ""  # blob: the last answer that had the form asked for
    names: str = ""  # blob: what is hidden behind aliases, where names are hidden
    fingerprint: str = ""
    turns: tuple[Turn, ...] = ()
    looks: tuple[Look, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)
    bill: Bill = field(default_factory=Bill)
    was_repaired: bool = False
    was_sent_back: bool = False
    was_squeezed: bool = False
    idle: int = 0  # turns in a row that asked nothing new
    shortfall: str = ""  # why it has to end now: one of agent.ports.model.REASONS, and in words
    why: str = ""

    @property
    def blobs(self) -> list[str]:
        """Everything that `messages` needs."""
        told = [self.system, self.opening]
        for turn in self.turns:
            told += [turn.reply, *(one.sha256 for one in turn.results), *([turn.note] if turn.note else [])]
        return list(dict.fromkeys(told))

    def with_turn(self, turn: Turn) -> "Inquiry":
        return replace(self, turns=(*self.turns, turn))

    def with_last(self, turn: Turn) -> "Inquiry":
        return replace(self, turns=(*self.turns[:-1], turn))


def messages(inquiry: Inquiry, texts: Texts, *, context_tokens: int, reserved: int = 0) -> list[Message]:
    """The conversation so far, short enough: where it would be too long, older looks are cut to their first words, with their ids
    kept, so that they can still be cited and asked for again. `reserved` are tokens that tools and the answer take."""
    plain = _told(inquiry, texts, frozenset())
    limit = max(context_tokens * 0.25, min(context_tokens * 0.7, context_tokens - reserved))
    if inquiry.was_squeezed:  # it was too much, whatever the settings say
        limit = min(limit, tokens(plain)) / 2
    if tokens(plain) <= limit:
        return plain
    results = [one for turn in inquiry.turns for one in turn.results if one.look]
    for count in range(1, len(results) - KEPT_WHOLE + 1):
        shortened = _told(inquiry, texts, frozenset(one.call for one in results[:count]))
        if tokens(shortened) <= limit:
            return shortened
    keep = 1 if inquiry.was_squeezed else KEPT_WHOLE
    return _told(inquiry, texts, frozenset(one.call for one in results[: max(0, len(results) - keep)]))


def tokens(told: Sequence[Message]) -> int:
    letters = sum(len(one.text) + sum(len(call.name) + len(call.arguments) for call in one.calls) + 16 for one in told)
    return int(letters / LETTERS_PER_TOKEN)


def _told(inquiry: Inquiry, texts: Texts, short: frozenset[str]) -> list[Message]:
    told = [Message(role="system", text=texts[inquiry.system]), Message(role="user", text=texts[inquiry.opening])]
    for turn in inquiry.turns:
        reply = read_reply(texts[turn.reply])
        told.append(Message(role="assistant", text=reply.text, calls=reply.calls, thought=reply.thought))
        for result in turn.results:
            words = texts[result.sha256]
            if result.call in short and len(words) > 2 * SHORTENED:
                words = f"{words[:SHORTENED]} ... (shortened; {result.look} can still be cited, and read again with `slice`)"
            told.append(Message(role="tool", text=words, answers=result.call))
        if turn.note:
            told.append(Message(role="user", text=texts[turn.note]))
    return told


def request_digest(model: str, told: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
    """The same conversation with the same tools is the same request: what answered it need not be paid for again."""
    document = {
        "model": model,
        "messages": [
            [one.role, one.text, [[call.id, call.name, call.arguments] for call in one.calls], one.answers] for one in told
        ],
        "tools": [[one.name, one.description, dict(one.parameters)] for one in tools],
    }
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def size_of(told: Sequence[Message], tools: Sequence[ToolSpec]) -> int:
    """Bytes that go out, near enough."""
    texts = [
        *(text for one in told for text in (one.text, *(f"{call.name}{call.arguments}{call.extra}" for call in one.calls))),
        *(f"{one.name}{one.description}{orjson.dumps(dict(one.parameters)).decode()}" for one in tools),
    ]
    return sum(len(text.encode(errors="replace")) + 32 for text in texts)


def call_digest(call: ToolCall) -> str:
    """The same question, however its JSON is written."""
    try:
        arguments = orjson.dumps(orjson.loads(call.arguments or "{}"), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        arguments = call.arguments.encode(errors="replace")
    return hashlib.sha256(call.name.encode(errors="replace") + b"\0" + arguments).hexdigest()


def write_reply(reply: Reply) -> str:
    document = {
        "text": reply.text,
        "calls": [[one.id, one.name, one.arguments, one.extra] for one in reply.calls],
        "usage": [reply.usage.prompt, reply.usage.completion],
        "thought": reply.thought,
    }
    return orjson.dumps(document).decode()


def read_reply(text: str) -> Reply:
    document = orjson.loads(text)
    prompt, completion = document["usage"]
    return Reply(
        text=document["text"],
        calls=tuple(
            ToolCall(id=id_, name=name, arguments=arguments, extra="".join(extra))
            for id_, name, arguments, *extra in document["calls"]
        ),
        usage=Usage(prompt=prompt, completion=completion),
        thought=document.get("thought", ""),
    )
