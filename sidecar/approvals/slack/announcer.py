"""Sees to it that every plan that waits for people has its card, and that every card says how the plan stands.

Nothing depends on it: a plan waits, expires and can be answered elsewhere while Slack is down. What is not posted or not up
to date is tried again, after a restart too, since what was posted stands in the database. Knows no Slack library.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from sidecar.approvals.slack import cards
from sidecar.approvals.slack.access import channel_of
from sidecar.approvals.slack.blocks import Block
from sidecar.approvals.slack.card import Card, card
from sidecar.approvals.slack.ports import Access, Approvals, Asked
from sidecar.approvals.slack.summary import summary
from sidecar.approvals.slack.web import SlackRefused, SlackUnavailable
from sidecar.errors import JournalUnavailable

log = structlog.get_logger("sidecar.slack")
LOOK_SECONDS = 1.0  # between two looks at the database
LONGEST_PAUSE = 60.0  # between two tries while Slack is down
LONGEST_QUIET = 600.0
CLAIM_SECONDS = 120.0  # longer than one post with its waiting on a 429 takes
FLOOD_SECONDS = 60.0
_GONE = ("message_not_found", "cant_update_message", "edit_window_closed")


class Posts(Protocol):
    """The part of Slack's Web API that cards need; raises SlackUnavailable and SlackRefused."""

    async def post(self, channel: str, text: str, blocks: tuple[Block, ...]) -> str: ...

    async def update(self, channel: str, ts: str, text: str, blocks: tuple[Block, ...]) -> None: ...

    async def file(self, channel: str, thread: str, name: str, content: str) -> None: ...


@dataclass(slots=True)
class Announcer:
    """`owner` names this process in claims."""

    approvals: Approvals
    slack: Posts
    access: Access
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _seen: int = -1
    _due: datetime | None = None
    _later: dict[str, datetime] = field(default_factory=dict)

    async def run(self, wake: asyncio.Event) -> None:
        """Until cancelled. `wake` cuts the pause short: somebody answered."""
        failures = 0
        while True:
            pause = LOOK_SECONDS
            try:
                await self.look()
                failures = 0
            except SlackUnavailable as exc:
                failures += 1
                pause = min(LONGEST_PAUSE, 2.0 ** min(failures, 6) / 2)
                log.warning("Slack cannot be reached, cards wait", reason=str(exc), again_in=max(pause, exc.wait))
                await asyncio.sleep(min(exc.wait, LONGEST_QUIET))  # whoever clicks meanwhile does not cut this short
            except JournalUnavailable as exc:
                pause = 5.0
                log.warning("cards wait", reason=str(exc))
            except Exception as exc:  # noqa: BLE001  a task that dies would leave people unasked
                pause = 5.0
                log.error("the announcer failed, it goes on", error=type(exc).__name__)
            wake.clear()
            try:
                await asyncio.wait_for(wake.wait(), pause)
            except TimeoutError:
                continue

    def stir(self) -> None:
        """Whatever the record says, the next look looks at everything."""
        self._due = None

    async def look(self) -> None:
        """One round: what has no card gets one, what changed is said. Raises SlackUnavailable after the first failure."""
        head, now = await asyncio.to_thread(lambda: (self.approvals.head(), self.approvals.now()))
        if head == self._seen and self._due is not None and now < self._due:
            return
        await asyncio.to_thread(self._take_in)
        open_rows = await asyncio.to_thread(self._unfinished)
        due = now + timedelta(seconds=30)  # others may have claimed what is not done
        self._seen, self._due = -1, now  # until everything is said
        for row in sorted(open_rows, key=lambda row: row.kind == "summary"):
            if self._later.get(row.plan, now) > now:
                due = min(due, self._later[row.plan])
                continue
            asked = await asyncio.to_thread(self.approvals.asked, row.plan) if row.kind != "summary" else None
            if asked is not None and asked.state in ("waiting", "approved"):
                due = min(due, asked.view.expires_at)
            if row.kind != "grouped":
                await self._say(row, asked)
            elif asked is None or asked.is_over or asked.state != "waiting":
                await asyncio.to_thread(self._close_line, row)
        if self._due is not None:  # nobody stirred meanwhile
            self._seen, self._due = head, due

    def _take_in(self) -> None:
        """A row for every plan that waits and has none; in a flood, a line in a summary."""
        waiting = self.approvals.waiting()
        if not waiting:
            return
        with self.approvals.read() as connection:
            new = cards.without_row(connection, waiting)
        for plan in new:
            asked = self.approvals.asked(plan)
            if asked is None or asked.state != "waiting":
                continue
            namespace = asked.view.subject.namespace if asked.view.subject is not None else ""
            channel = channel_of(self.access, asked.view.environment, namespace)
            with self.approvals.write() as writing:
                now = writing.now.timestamp()
                if cards.asked_since(writing.connection, now - FLOOD_SECONDS) < self.access.cards_a_minute:
                    cards.add(writing.connection, plan, kind="card", channel=channel, now=writing.now)
                    continue
                listed = cards.latest_summary(writing.connection, channel, now - 10 * FLOOD_SECONDS)
                if listed is None:
                    listed = f"summary:{channel}:{int(now)}"
                    cards.add(writing.connection, listed, kind="summary", channel=channel, now=writing.now)
                cards.add(writing.connection, plan, kind="grouped", channel=channel, now=writing.now, summary=listed)
                cards.reopen(writing.connection, listed)

    def _unfinished(self) -> list[cards.Row]:
        with self.approvals.read() as connection:
            return cards.unfinished(connection)

    async def _say(self, row: cards.Row, asked: Asked | None) -> None:
        """Post the card, or bring it up to date; nothing where it says everything already."""
        made, over = await asyncio.to_thread(self._made, row, asked)
        if row.ts and row.shown == made.fingerprint and (row.filed or not made.file) and not over:
            return
        claimed = await asyncio.to_thread(self._claim, row)
        if claimed is None:
            return  # another sidecar is at it
        # What is said must be as new as the claim: another sidecar may have said something newer meanwhile.
        asked = await asyncio.to_thread(self.approvals.asked, row.plan) if asked is not None else None
        made, over = await asyncio.to_thread(self._made, claimed, asked)
        ts, filed = claimed.ts, claimed.filed
        try:
            if not ts:
                ts = await self.slack.post(claimed.channel, made.text, made.blocks)
                await asyncio.to_thread(self._keep, claimed, ts, made.fingerprint, False, filed)
            elif claimed.shown != made.fingerprint:
                await self.slack.update(claimed.channel, ts, made.text, made.blocks)
            if made.file and not filed:
                await self.slack.file(claimed.channel, ts, f"plan-{claimed.plan[:12]}.txt", made.file)
                filed = True
            await asyncio.to_thread(self._keep, claimed, ts, made.fingerprint, over, filed)
        except SlackRefused as exc:
            gone = exc.code in _GONE and bool(ts)
            log.error("Slack does not take a card", code=exc.code, plan=row.plan[:12], channel=row.channel, gone=gone)
            # Somebody deleted the message: a plan that still waits is posted anew, one that is over is left alone.
            await asyncio.to_thread(self._keep, claimed, "" if gone else ts, "", gone and over, filed)
            self._later[row.plan] = self.approvals.now() + timedelta(seconds=LONGEST_PAUSE)
        except SlackUnavailable:
            await asyncio.to_thread(self._release, claimed)
            raise

    def _made(self, row: cards.Row, asked: Asked | None) -> tuple[Card, bool]:
        """What a row should show now, and whether that is the last of it."""
        if row.kind == "summary":
            with self.approvals.read() as connection:
                members = [found.plan for found in cards.listed_in(connection, row.plan)]
                shown = cards.unfolded_from(connection, row.plan)
            listed = [found for found in map(self.approvals.asked, members) if found is not None]
            over = all(found.state != "waiting" for found in listed)
            return summary(listed, shown=shown, page_url=self.access.page_url), over
        if asked is None:  # a plan that is asked about no longer
            return Card(text="This plan is no longer asked about.", blocks=()), True
        return card(asked, page_url=self.access.page_url), asked.is_over

    def _claim(self, row: cards.Row) -> cards.Row | None:
        with self.approvals.write() as writing:
            return cards.claim(writing.connection, row.plan, owner=self.owner, now=writing.now, seconds=CLAIM_SECONDS)

    def _keep(self, row: cards.Row, ts: str, shown: str, over: bool, filed: bool) -> None:
        with self.approvals.write() as writing:
            cards.keep(writing.connection, row.plan, owner=self.owner, ts=ts, shown=shown, over=over, filed=filed)

    def _close_line(self, row: cards.Row) -> None:
        with self.approvals.write() as writing:
            cards.close(writing.connection, row.plan)
            cards.reopen(writing.connection, row.summary)

    def _release(self, row: cards.Row) -> None:
        with self.approvals.write() as writing:
            cards.release(writing.connection, row.plan, owner=self.owner)
