"""From what is meant to an answer: a run, a look, or what the last run knows. Knows no session store and nobody's address."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from agent.bootstrap import Workshop
from agent.chat import wording
from agent.chat.belongings import Belonging, is_known
from agent.chat.elliptic import name_of
from agent.chat.exchange import Exchange, Found, Stepped
from agent.chat.following import thread_after
from agent.chat.looking import Look, Wanted
from agent.chat.meaning import Ask, AskOfRelated, Hush, Meaning, Read, Recheck, Repair, Show, Talk
from agent.chat.silencing import Silencings
from agent.chat.talk import SAID, waiting_for
from agent.chat.working import Works, repair_under_way, waits_for_people
from agent.domain.report import Report
from agent.domain.session import Reply, Thread
from agent.errors import LestradeError
from agent.ports import RunRow
from agent.rendering.markdown import text
from agent.rendering.silences import silence_lines
from agent.stages.silence import Wish

MOST_EVIDENCE = 12  # pieces told while a run goes on; all of them are in the report


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a turn came to, and what the next one may refer to."""

    reply: Reply
    thread: Thread


class Answering:
    """`keep` is told the run and the question of a turn as soon as they are known, so that a crash loses neither."""

    def __init__(self, shop: Workshop, works: Works, keep: Callable[[Exchange, str], Awaitable[None]], look: Look) -> None:
        self._shop = shop
        self._works = works
        self._keep = keep
        self._look = look
        self.silencings = Silencings(shop)

    async def answer(self, meant: Meaning, thread: Thread, exchange: Exchange, *, asked_by: str) -> Outcome:
        """Raises LestradeError."""
        match meant:
            case Ask(question=question):
                return await self._ask(question, thread, exchange, asked_by)
            case AskOfRelated():
                return await self._ask_of_related(meant, thread, exchange, asked_by)
            case Repair(question=question):
                return await self._repair(question, thread, exchange, asked_by)
            case Hush(minutes=minutes):
                return await self._hush(minutes, thread, exchange, asked_by)
            case Recheck(question=question):
                return await self._recheck(question, thread, exchange, asked_by)
            case Show():
                return await self._show(meant, thread)
            case Read():
                return await self._read(meant, thread, exchange)
            case Talk(what=what):
                return _said(Reply(text=SAID[what], outcome="told", suggestions=_can_be_asked(thread)), thread)

    async def carry_on(self, row: RunRow, thread: Thread, exchange: Exchange) -> Outcome:
        """A turn whose process ended while its run was worked on."""
        return await self._worked_out(row, thread, exchange)

    # Runs -----------------------------------------------------------------------------------------------------------------

    async def _ask(self, question: str, thread: Thread, exchange: Exchange, asked_by: str) -> Outcome:
        if question != exchange.turn.said:
            exchange.tell(Stepped(stage="understand", text=f"taken as: {question}"))
        opening = asyncio.create_task(self._shop.take(question=question, asked_by=asked_by, look_only=True))
        try:
            row, _ = await asyncio.shield(opening)
        except asyncio.CancelledError:  # a run that nobody knows of would be worked on all the same
            await asyncio.wait({opening})
            exchange.run = "" if opening.exception() else opening.result()[0].id
            raise
        return await self._worked_out(row, thread, exchange)

    async def _repair(self, question: str, thread: Thread, exchange: Exchange, asked_by: str) -> Outcome:
        shop = self._shop
        if not shop.governed:
            if question:
                found = await self._ask(question, thread, exchange, asked_by)
                report = await shop.report(found.reply.run)
                advice = f"\n\n{wording.without_sidecar(report)}" if report and found.reply.causes else ""
                more = f"{found.reply.text}{advice}"
                return replace(found, reply=replace(found.reply, text=more))
            report = await shop.report(thread.faulty)
            said = wording.without_sidecar(report) if report else SAID["nothing-yet"]
            return _said(Reply(text=said, outcome="no-sidecar", run=thread.faulty), thread)
        if question:
            exchange.may_stop = False  # a run that may act is not said to be stopped while it comes to be
            row, _ = await shop.take(question=question, asked_by=asked_by)
            return await self._worked_out(row, thread, exchange)
        before = await shop.store.row(thread.repair) if thread.repair else None
        if before is not None and before.state != "finished":
            return _said(await self._waits(before), thread)
        first = await shop.store.row(thread.faulty)
        if first is None:
            gone = _kept_no_longer(thread.faulty) if thread.faulty else Reply(text=SAID["nothing-to-repair"], outcome="told")
            return _said(gone, thread)
        under_way = await repair_under_way(shop, first.incident.id)
        if under_way is not None:  # asked for elsewhere
            return _said(await self._waits(under_way), replace(thread, repair=under_way.id))
        exchange.may_stop = False
        exchange.tell(Stepped(stage="understand", text=f"the remedy for what run {first.id} found: {first.headline}"))
        return await self._worked_out(await shop.again(first, asked_by=asked_by), thread, exchange)

    async def _hush(self, minutes: int, thread: Thread, exchange: Exchange, asked_by: str) -> Outcome:
        """People may take longer than a turn: then it goes on, and the run's own lines say what came of it."""
        shop, run = self._shop, thread.run
        report = await shop.report(run)
        if report is None and shop.governed and run and await shop.store.row(run) is None:
            return _said(_kept_no_longer(run), thread)
        if not shop.governed or report is None:
            return _said(
                Reply(text=SAID["no-silence" if report is not None else "nothing-yet"], outcome="no-sidecar", run=run), thread
            )
        exchange.may_stop = False
        asked = await self.silencings.ask(report, Wish(minutes=minutes, comment=exchange.turn.said, asked_by=asked_by))
        if asked.ended is None:
            where = f"at {shop.settings.approvals_url}" if shop.settings.approvals_url else "in the sidecar's page or Slack"
            last = asked.told[-1] if asked.told else "the sidecar has not answered yet"
            words = f"{last}. It is approved or refused {where}, never here."
            return _said(Reply(text=text(words), outcome="waiting", run=run), thread)
        rounds, left = asked.ended
        lines = silence_lines(rounds, left) or [f"Run {run} is about no alert that fires: there is nothing to be silenced."]
        done = bool(rounds) and all(round_.end == "helped" for round_ in rounds)
        return _said(Reply(text="\n\n".join(map(text, lines)), outcome="silenced" if done else "denied", run=run), thread)

    async def _recheck(self, question: str, thread: Thread, exchange: Exchange, asked_by: str) -> Outcome:
        before = await self._shop.store.row(thread.repair) if thread.repair else None
        if before is not None and before.state != "finished":
            return _said(await self._waits(before), thread)
        found = await self._ask(question, thread, exchange, asked_by)
        if before is None:
            return found
        told = f"{text(before.headline)} (run {before.id})\n\nNow: {found.reply.text}"
        return replace(found, reply=replace(found.reply, text=told))

    async def _worked_out(self, row: RunRow, thread: Thread, exchange: Exchange) -> Outcome:
        acting = not row.incident.look_only
        exchange.run, exchange.may_stop = row.id, not acting
        await self._keep(exchange, row.incident.question)
        self._works.begin(row)
        async for event in self._works.follow(row):
            exchange.tell(Stepped(stage=event.stage, text=event.text, at=event.at, run=row.id, seq=event.seq))
            if event.stage == "diagnose":
                await self._tell_evidence(row.id, exchange)
            if acting and waits_for_people(event):
                return _said(await self._waits(row), replace(thread, run=row.id, repair=row.id))
        return await self._concluded(row, thread, exchange)

    async def _concluded(self, row: RunRow, thread: Thread, exchange: Exchange) -> Outcome:
        report = await self._shop.report(row.id)
        if report is None:
            kept = await self._shop.store.row(row.id)
            raise LestradeError(kept.headline if kept and kept.headline else f"run {row.id} left no report")
        await self._tell_evidence(row.id, exchange)
        meant = row.incident.question if row.incident.question != exchange.turn.said else ""
        acting = not row.incident.look_only
        reply = wording.of_report(report, meant=meant, governed=self._shop.governed, acting=acting)
        return Outcome(reply=reply, thread=thread_after(report, thread))

    async def _tell_evidence(self, run: str, exchange: Exchange) -> None:
        """Each piece once, as soon as it is there."""
        pieces = [one for one in await self._shop.store.evidence(run) if not one.missing]
        for piece in pieces[:MOST_EVIDENCE]:
            if piece.id not in exchange.shown:
                exchange.shown.add(piece.id)
                exchange.tell(Found(run=run, evidence=piece))

    async def _waits(self, row: RunRow) -> Reply:
        """Where a run stands that is not finished."""
        told = await self._shop.events.told(row.id)
        return Reply(
            text=waiting_for(row, told, self._shop.settings.approvals_url),
            outcome="waiting",
            run=row.id,
            statement=told[-1].text if told else "",
            suggestions=("is it fixed now?", "show me the plan"),
        )

    # What is known, and what is read just now -----------------------------------------------------------------------------

    async def _show(self, meant: Show, thread: Thread) -> Outcome:
        run = thread.run if meant.what in ("report", "not-seen") else thread.faulty or thread.run
        report = await self._shop.report(run) if run else None
        if report is None:
            if not run:
                return _said(Reply(text=SAID["nothing-yet"], outcome="told"), thread)
            row = await self._shop.store.row(run)
            return _said(await self._waits(row) if row else _kept_no_longer(run), thread)
        return _said(Reply(text=self._shown(meant, report), outcome="shown", run=report.run), thread)

    def _shown(self, meant: Show, report: Report) -> str:
        match meant.what:
            case "why":
                return wording.why(report)
            case "evidence":
                return wording.evidence(report)
            case "ruled-out":
                return wording.ruled_out(report)
            case "not-seen":
                return wording.not_seen(report)
            case "plan":
                return wording.plan(report, governed=self._shop.governed)
            case "report":
                return (
                    f"{text(report.headline)}\n\nThe report is that of run {report.run}: `lestrade report {report.run}`, "
                    f"or GET /v1/runs/{report.run}/report?format=md"
                )

    async def _read(self, meant: Read, thread: Thread, exchange: Exchange) -> Outcome:
        exchange.tell(Stepped(stage="read", text=f"reading {meant.what}"))
        seen = await self._look(
            Wanted(
                what=meant.what,
                question=meant.question,
                subject=meant.subject,
                namespace=meant.subject.namespace if meant.subject is not None else "",
                previous=meant.previous,
            )
        )
        if seen.rivals:
            options = tuple(f"show me the {meant.what} of {name_of(ref)}" for ref in seen.rivals)
            listed = "\n".join(f"{number}. {text(one)}" for number, one in enumerate(options, start=1))
            return _said(Reply(text=f"Which one is meant?\n\n{listed}", outcome="unclear", choices=options), thread)
        subject = seen.subject
        if subject is None:
            return _said(
                Reply(text="There is nothing of that name whose logs or events could be read.", outcome="absent"), thread
            )
        after = replace(thread, subject=subject, namespace=subject.namespace or thread.namespace)
        return _said(Reply(text=wording.excerpts(seen.excerpts), outcome="shown", run=thread.run), after)

    async def _ask_of_related(self, meant: AskOfRelated, thread: Thread, exchange: Exchange, asked_by: str) -> Outcome:
        subject = thread.subject
        if subject is None:
            return await self._ask(exchange.turn.said, thread, exchange, asked_by)
        exchange.tell(Stepped(stage="understand", text=f"looking for the {meant.word} of {subject}"))
        seen = await self._look(Wanted(what="belongings", subject=subject, namespace=subject.namespace, word=meant.word))
        found = seen.found or Belonging()
        if not found.refs and not is_known(meant.word):  # an ordinary word: it is about the subject itself
            question = meant.question.format(f"the {meant.word} of {name_of(subject)}")
            return await self._ask(question, thread, exchange, asked_by)
        if len(found.refs) == 1:
            return await self._ask(meant.question.format(name_of(found.refs[0])), thread, exchange, asked_by)
        options = wording.choices(meant.question, found)
        said = wording.belongings(meant.word, subject, found)
        outcome = "unclear" if options else "absent"
        return _said(Reply(text=said, outcome=outcome, run=thread.run, choices=options), replace(thread, choices=options))


def _said(reply: Reply, thread: Thread) -> Outcome:
    return Outcome(reply=reply, thread=thread)


def _kept_no_longer(run: str) -> Reply:
    words = f"Run {run} was looked into, but is kept no longer, nor what it found. Ask again, and it is looked into anew."
    return Reply(text=words, outcome="told")


def _can_be_asked(thread: Thread) -> tuple[str, ...]:
    if thread.subject is None:
        return ("what is wrong in the cluster?", "what changed since yesterday?", "how is everything?")
    return ("why?", f"is {name_of(thread.subject)} healthy?", "what changed there?", "show me the logs")
