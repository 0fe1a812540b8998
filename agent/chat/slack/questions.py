"""Questions from Slack: kept before Slack is told so, answered in their thread, in one message that is edited as things happen.

What a process could not finish is gone on with by the next. Knows no Slack library, and nothing of how an answer is found.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import structlog

from agent.chat.slack import blocks as kit
from agent.chat.slack.answer import answered
from agent.chat.slack.blocks import Message
from agent.chat.slack.papers import attach
from agent.chat.slack.payload import Envelope, asked_in, workspaces_of
from agent.chat.slack.ports import Access, Answers, Said, SlackRefused, SlackUnavailable, Speaks
from agent.chat.slack.text import notification
from agent.chat.slack.threads import page_of
from agent.chat.slack.words import told
from agent.errors import Busy, LestradeError, StoreUnavailable
from agent.signals.masking import mask
from agent.store import SqlSlackBook
from agent.store.slack import Asked

log = structlog.get_logger("agent.slack")
LOOK_SECONDS = 5.0  # for what another process left behind; what comes here is begun at once
EDIT_SECONDS = 1.0  # between two edits of one message
CLAIM_SECONDS = 60.0
BUSY_SECONDS = 2.0
MOST_AT_ONCE = 4
MOST_STEPS = 5
MOST_OF_ONE = 5  # open questions of one person
TOO_LATE = timedelta(hours=1)  # nobody waits for an answer any more
KEPT = timedelta(days=1)  # Slack tries an event again for an hour or so

Verdict = Literal["taken", "known", "not-for-us", "foreign", "not-allowed", "too-many"]


@dataclass(slots=True)
class Questions:
    """`bot`: our own user id. `run_of`: the incident that a thread is about, "" for none. `owner` names this process."""

    book: SqlSlackBook
    slack: Speaks
    answers: Answers
    access: Access
    run_of: Callable[[str, str], Awaitable[str]]
    bot: str = ""
    edit_seconds: float = EDIT_SECONDS
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _refusals: "set[asyncio.Task[None]]" = field(default_factory=set)
    _threads: set[tuple[str, str]] = field(default_factory=set)
    _not_before: dict[str, float] = field(default_factory=dict)
    _forgot_at: datetime | None = None

    async def take(self, envelope: Envelope) -> Verdict:
        """Keeps a question, if there is one for us; each event once. Raises StoreUnavailable."""
        if not workspaces_of(envelope) <= (self.access.teams or {envelope.team_id}):
            log.warning("a question from another workspace is refused", team=envelope.team_id[:40])
            return "foreign"
        asked = asked_in(envelope, bot=self.bot)
        if asked is None:
            return "not-for-us"
        asked = replace(asked, text=mask(asked.text))
        verdict: Verdict = "taken"
        if self.access.people and asked.person not in self.access.people:
            verdict = "not-allowed"
        elif sum(other.person == asked.person for other in await self.book.open_questions()) >= MOST_OF_ONE:
            verdict = "too-many"
        if not await self.book.take(asked, state="open" if verdict == "taken" else "done"):
            return "known"
        if verdict != "taken":
            log.warning("a question is refused", why=verdict, person=asked.person)
            said = {
                "not-allowed": "You are not among the people who may ask me (LESTRADE_SLACK_PEOPLE).",
                "too-many": f"I am still busy with {MOST_OF_ONE} questions of yours: ask again when one is answered.",
            }[verdict]
            if len(self._refusals) < MOST_AT_ONCE:  # Slack waits three seconds for us, and we do not wait for it
                task = asyncio.create_task(self._refuse(asked, said))
                self._refusals.add(task)
                task.add_done_callback(self._refusals.discard)
            return verdict
        self._wake.set()
        return "taken"

    async def _refuse(self, asked: Asked, said: str) -> None:
        with contextlib.suppress(SlackUnavailable, SlackRefused):
            await self.slack.post(asked.channel, told(said), thread=asked.thread)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_what_fits()
                except StoreUnavailable as exc:
                    log.warning("questions wait", reason=str(exc))
                except Exception as exc:  # noqa: BLE001  a task that dies would leave everybody unanswered
                    log.error("looking for questions broke, it goes on", error=type(exc).__name__)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BUSY_SECONDS if self._not_before else LOOK_SECONDS):
                        await self._wake.wait()
        finally:
            tasks = [*self._busy.values(), *self._refusals]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_what_fits(self) -> None:
        now = self.book.now()
        if self._forgot_at is None or now - self._forgot_at > timedelta(hours=1):
            await self.book.forget(now - KEPT)
            self._forgot_at = now
        clock = asyncio.get_running_loop().time()
        self._not_before = {event: at for event, at in self._not_before.items() if at > clock}
        for asked in await self.book.waiting():
            if len(self._busy) >= MOST_AT_ONCE:
                return
            place = (asked.channel, asked.thread)
            if asked.event in self._busy or place in self._threads or asked.event in self._not_before:
                continue  # one thread is one conversation: its questions are answered in their order
            self._threads.add(place)
            task = asyncio.create_task(self._one(asked))
            self._busy[asked.event] = task
            task.add_done_callback(partial(self._ended, asked.event, place))

    def _ended(self, event: str, place: tuple[str, str], _task: "asyncio.Task[None]") -> None:
        self._busy.pop(event, None)
        self._threads.discard(place)
        self._wake.set()

    async def _one(self, asked: Asked) -> None:
        try:
            claimed = await self.book.claim_question(asked.event, self.owner, seconds=CLAIM_SECONDS)
            if claimed is None:
                return
            if claimed.at is not None and self.book.now() - claimed.at > TOO_LATE:
                if claimed.reply:
                    await self._say(claimed, claimed.reply, Said(text="I was stopped before I could answer: please ask again."))
            else:
                await self._answered(claimed)
            await self.book.keep_question(asked.event, state="done")
        except Busy:
            await self._later(asked, BUSY_SECONDS)
        except SlackUnavailable as exc:
            log.warning("Slack cannot be reached, an answer waits", reason=str(exc))
            await self._later(asked, max(exc.wait, LOOK_SECONDS))
        except SlackRefused as exc:
            log.error("Slack does not take an answer", code=exc.code, channel=asked.channel)
            await self.book.keep_question(asked.event, state="done")
        except StoreUnavailable as exc:
            log.warning("an answer waits", reason=str(exc))
        except Exception as exc:  # noqa: BLE001  one question must not end the others
            log.error("a question could not be answered", error=type(exc).__name__)
            with contextlib.suppress(StoreUnavailable):
                await self.book.keep_question(asked.event, state="done")

    async def _later(self, asked: Asked, seconds: float) -> None:
        self._not_before[asked.event] = asyncio.get_running_loop().time() + seconds
        with contextlib.suppress(StoreUnavailable):
            await self.book.keep_question(asked.event, free=True)

    async def _answered(self, asked: Asked) -> None:
        """The one message of this answer, from "looking" to the end."""
        run = await self.run_of(asked.channel, asked.thread)
        reply = asked.reply
        steps: list[str] = []
        turn = self.answers.turn(asked, run=run)
        if not reply:
            reply = await self.slack.post(asked.channel, looking(asked.text, steps), thread=asked.thread)
            await self.book.keep_question(asked.event, reply=reply)
        over = asyncio.Event()
        beat = asyncio.create_task(self._edit(asked, reply, steps, over))
        said: Said | None = None
        try:
            async for came in turn:
                if isinstance(came, Said):
                    said = came
                else:
                    steps.append(came.text)
        except Busy:
            raise
        except LestradeError as exc:
            said = Said(text=f"That cannot be answered: {exc}" if str(exc) else "That cannot be answered.")
        except Exception as exc:  # noqa: BLE001  nobody is left with "Looking"
            log.error("an answer broke", error=type(exc).__name__)
            said = Said(text=f"This should not happen ({type(exc).__name__}); see the log of the agent.")
        finally:
            over.set()  # an edit on its way is waited for: it must not come after the answer
            await asyncio.gather(beat, return_exceptions=True)
        if said is None:
            return
        try:
            await self._say(asked, reply, said)
        except (SlackUnavailable, SlackRefused, StoreUnavailable):
            raise
        except Exception as exc:  # noqa: BLE001  an answer that cannot be shown leaves nobody with "Looking" either
            log.error("an answer could not be shown", error=type(exc).__name__)
            broke = f"The answer cannot be shown here ({type(exc).__name__}); see the log of the agent."
            await self._say(asked, reply, Said(text=broke, run=said.run))

    async def _say(self, asked: Asked, reply: str, said: Said) -> None:
        hint = " · ".join(said.suggestions[:3])
        hint = f"Say next: {hint}" if hint else ""
        page = page_of(self.access.public_url, said.run) if said.run else ""
        message = answered(said.report, url=page, hint=hint) if said.report is not None else told(said.text, hint=hint)
        try:
            await self.slack.update(asked.channel, reply, message)
        except SlackRefused as exc:
            if exc.code != "message_not_found":
                raise
            reply = await self.slack.post(asked.channel, message, thread=asked.thread)  # somebody deleted it
            await self.book.keep_question(asked.event, reply=reply)
        if said.report is not None:
            try:
                await attach(self.slack, asked.channel, asked.thread, said.report)
            except (SlackRefused, SlackUnavailable) as exc:  # the answer stands; its files are no reason to give it again
                log.error("chart and report of an answer are not in its thread", reason=str(exc), run=said.run)

    async def _edit(self, asked: Asked, reply: str, steps: list[str], over: asyncio.Event) -> None:
        """Bring the message up to date, at most once in `edit_seconds`, and keep the claim alive."""
        shown, quiet_until = 0, 0.0
        loop = asyncio.get_running_loop()
        claimed_at = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.edit_seconds):
                    await over.wait()
                    return
            if loop.time() - claimed_at > CLAIM_SECONDS / 3:
                with contextlib.suppress(StoreUnavailable):
                    await self.book.claim_question(asked.event, self.owner, seconds=CLAIM_SECONDS)
                claimed_at = loop.time()
            if len(steps) == shown or loop.time() < quiet_until:
                continue
            shown = len(steps)
            try:
                await self.slack.update(asked.channel, reply, looking(asked.text, steps))
            except SlackUnavailable as exc:
                quiet_until = loop.time() + max(exc.wait, self.edit_seconds)
            except SlackRefused as exc:
                log.warning("progress is not shown", code=exc.code)
                quiet_until = float("inf")


def looking(question: str, steps: list[str]) -> Message:
    made = [kit.rich(kit.section(kit.words("Looking …  ", bold=True), kit.words(question, italic=True, limit=300)))]
    items = [kit.section(kit.words(step, limit=300)) for step in steps[-MOST_STEPS:]]
    if items:
        made.append(kit.rich(kit.bullets(*items)))
    return Message(text=notification(f"Looking: {question}", 150), blocks=tuple(made))
