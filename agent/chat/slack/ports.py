"""What the parts of the Slack app need of Slack, of the runs and of whoever answers, and how they are set. No Slack library."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.chat.slack.blocks import Message
from agent.domain.report import Report
from agent.ports import RunEvent, RunRow
from agent.store.slack import Asked


class SlackUnavailable(Exception):
    """Slack cannot be asked now; the text is Slack's error code or the kind of failure, never a secret.

    `wait`: for how many seconds Slack asked us to be quiet, 0 where it did not say.
    """

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class SlackRefused(Exception):
    """Slack says no; `code` is its error code, such as channel_not_found or message_not_found."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`teams` and `people`: who may ask; empty: whoever is in the workspace. `channel` "": no threads of alerts by default.
    `public_url` and `approvals_url`: roots of the agent's and the sidecar's pages as browsers reach them, "" for no links."""

    bot_token: str = field(repr=False)
    signing_secret: str = field(default="", repr=False)
    app_token: str = field(default="", repr=False)
    teams: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    channel: str = ""
    threads_a_minute: int = 10
    public_url: str = ""
    approvals_url: str = ""
    api_url: str = "https://slack.com/api/"


class Speaks(Protocol):
    """The part of Slack's Web API that we use; every method raises SlackUnavailable and SlackRefused."""

    async def post(self, channel: str, message: Message, *, thread: str = "") -> str:
        """Slack's name of the new message (its ts)."""
        ...

    async def update(self, channel: str, ts: str, message: Message) -> None: ...

    async def file(self, channel: str, thread: str, name: str, title: str, content: bytes) -> None: ...


class Runs(Protocol):
    """The part of the workshop that threads show; raises StoreUnavailable."""

    async def row(self, run: str) -> RunRow | None: ...

    async def told(self, run: str) -> Sequence[RunEvent]: ...

    async def report(self, run: str) -> Report | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened while an answer is worked out."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer. `text` is Markdown, whole by itself; `report` is there where a run of its own led to it. `suggestions` can be
    said next."""

    text: str
    report: Report | None = None
    run: str = ""
    suggestions: tuple[str, ...] = ()


class Answers(Protocol):
    def turn(self, asked: Asked, *, run: str) -> AsyncIterator[Step | Said]:
        """Steps as they happen, then one Said. The thread is the conversation: follow-ups know what came before; `run` is the
        incident that the thread is about, "" for none. A question that was begun before (it has a `reply`) is gone on with.
        Raises LestradeError; Busy while the question before is being answered."""
        ...
