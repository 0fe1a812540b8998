"""Threads of Slack as conversations: follow-ups know what came before, whoever in the thread asks. Knows no Slack library."""

from collections.abc import AsyncIterator

from agent.bootstrap import Workshop
from agent.chat.conversation import Conversations, said_safely
from agent.chat.exchange import Answered, Exchange, Failed, Stepped
from agent.chat.slack.ports import Said, Step
from agent.chat.talk import SAID
from agent.domain.session import Reply, Session
from agent.errors import Busy, NotThere
from agent.rendering.markdown import text
from agent.store.slack import Asked

OWNER = "\tslack"  # a thread is everybody's who is in it, each turn has its own asker; nobody who logs in can be called so


class SlackConversations:
    """The Answers of the Slack app. A question whose process died while it was answered is not asked twice."""

    def __init__(self, shop: Workshop, conversations: Conversations) -> None:
        self._shop = shop
        self._conversations = conversations

    async def turn(self, asked: Asked, *, run: str) -> AsyncIterator[Step | Said]:
        # What an incident is found to be is known to its thread from then on: a conversation of its own, which begins with it.
        about = run if run and await self._shop.report(run) is not None else ""
        key = f"slack:{asked.channel}:{asked.thread}:{about}"
        begun = await self._begun(asked, key) if asked.reply else None
        if isinstance(begun, Reply):
            yield await self._said(begun, unfinished=run if not about else "")
            return
        exchange = begun or await self._conversations.begin(
            asked.text or "help", key=key, run=about, asked_by=asked.person, owner=OWNER
        )
        async for told in exchange.listen():
            if isinstance(told, Stepped):
                if not told.text.startswith("question:"):  # it stands there already
                    yield Step(text=f"{told.stage}: {told.text}")
            elif isinstance(told, Answered):
                yield await self._said(told.reply, unfinished=run if not about else "")
            elif isinstance(told, Failed) and isinstance(told.error, Busy):
                yield Said(text=text(str(told.error)))  # of the answer itself, such as too many repairs: asking again is no help
            elif isinstance(told, Failed):
                raise told.error

    async def _begun(self, asked: Asked, key: str) -> Exchange | Reply | None:
        """What became of the question since it was begun; None where it was not."""
        name = await self._shop.sessions.named(key, asked_by=OWNER)
        if not name:
            return None
        try:
            known: Session = await self._conversations.session(name, asked_by=OWNER)
        except NotThere:
            return None
        words = said_safely(asked.text or "help")
        turn = next((turn for turn in reversed(known.turns) if turn.said == words), None)
        if turn is None or (asked.at is not None and turn.at < asked.at):
            return None
        if turn.state != "open":
            return turn.reply
        live = self._conversations.live(name)
        if live is None:
            raise Busy("another process answers it")
        return live

    async def _said(self, reply: Reply, *, unfinished: str) -> Said:
        """With the report where a run of this very answer led to it. `unfinished`: the incident that the thread is about."""
        if unfinished and reply.text == SAID["nothing-yet"]:  # "why?" while it is looked into
            told = await self._shop.events.told(unfinished)
            last = text(told[-1].text) if told else "it is queued"
            return Said(text=f"Run {unfinished} is not finished: {last}. Ask again when it is.", run=unfinished)
        report = await self._shop.report(reply.run) if reply.run else None
        own = report if report is not None and reply.outcome == report.outcome else None
        return Said(text=reply.text, report=own, run=reply.run, suggestions=reply.suggestions)
