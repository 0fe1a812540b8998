"""What one thing said in a conversation asks for. Types only."""

from dataclasses import dataclass
from typing import Literal

from agent.domain.objects import Ref

Shown = Literal["why", "evidence", "ruled-out", "not-seen", "plan", "report"]
Streams = Literal["logs", "events"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question for a run, whole by itself."""

    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskOfRelated:
    """A question about something that belongs to the subject and has to be looked up first ("its database"). `question` holds
    `{}` where its name goes."""

    word: str
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The remedy of the last diagnosis is to be proposed; `question` is set where something else was named to be repaired."""

    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hush:
    """The alerts of the last run are to be silenced for so many minutes."""

    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Something that the last run knows already."""

    what: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Logs or events of an object, as they are now. `subject` None: what was named, by `question`'s words."""

    what: Streams
    subject: Ref | None = None
    question: str = ""
    previous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """How it is now, after something was done or simply later. `question` asks for the health of the subject."""

    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """About the conversation itself: a greeting, help, thanks, or a command that is none of ours."""

    what: Literal["greeting", "help", "thanks", "command", "refrain", "nothing-yet", "nothing-to-repair", "no-choice"]


Meaning = Ask | AskOfRelated | Repair | Hush | Show | Read | Recheck | Talk
