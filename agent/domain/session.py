"""A conversation: what was said, what it was taken for, what was answered, and what a follow-up may refer to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.domain.objects import Ref
from agent.domain.question import Intent

TurnState = Literal["open", "answered", "failed", "stopped"]
OPENING = "chat"  # what a session's id begins with


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCause:
    """One cause as a reader wants it. `evidence` are ids; `confidence` is 0 to 1."""

    cause: str
    subject: str
    statement: str
    confidence: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a turn came to. `text` is Markdown, whole by itself; the other fields say the same for programs.

    `outcome` is that of a run (agent.domain.outcome), or: waiting (a plan waits for people), shown (something already known, or
    read just now), told (about the conversation itself). `meant` is the question as it was understood, where it was a
    follow-up. `run` names the run that it rests on. `choices` and `suggestions` can be said next.
    """

    text: str
    outcome: str
    run: str = ""
    meant: str = ""
    statement: str = ""
    causes: tuple[NamedCause, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing said and its answer. `number` counts from 1; `said` is masked of secrets; `reply` is None until the answer."""

    number: int
    at: datetime
    said: str
    state: TurnState
    meant: str = ""
    run: str = ""
    reply: Reply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What the conversation is about just now, for "it", "there", "fix it". All of it comes from the last answers.

    `subject` is what was asked about, `suspects` are the subjects of the causes that were named. `question` is the last one
    for a run, in full. `run` is the last run, `faulty` the last one that named a cause, `repair` the last that was to act.
    """

    subject: Ref | None = None
    suspects: tuple[Ref, ...] = ()
    namespace: str = ""
    question: str = ""
    intent: Intent = "why"
    choices: tuple[str, ...] = ()
    run: str = ""
    faulty: str = ""
    repair: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`title` is the first thing that was said. `turns` are the last ones, oldest first; a list of sessions leaves them out."""

    id: str
    asked_by: str
    cluster: str
    title: str
    created_at: datetime
    updated_at: datetime
    thread: Thread = Thread()
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A turn that was found again: its session, what was spoken of then, and whether nothing was said since."""

    session: str
    thread: Thread
    is_last: bool
