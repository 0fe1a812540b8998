"""Sees to it that every incident has its thread, and that every thread says how its incident stands.

Nothing depends on it: runs go on while Slack is down. What is not posted or not up to date is tried again, after a restart too,
since what was posted is kept. Knows no Slack library.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from agent.chat.slack.blocks import Message
from agent.chat.slack.papers import attach
from agent.chat.slack.ports import Access, Runs, SlackRefused, SlackUnavailable, Speaks
from agent.chat.slack.threads import Standing, storm, thread
from agent.domain.incident import Incident
from agent.errors import StoreUnavailable
from agent.store import SqlDeliveryBook, SqlSlackBook
from agent.store.slack import Thread

log = structlog.get_logger("agent.slack")
LOOK_SECONDS = 1.0  # between two looks; a message is edited at most once in each
CLAIM_SECONDS = 120.0  # longer than one message with its files and its waiting takes
LONGEST_PAUSE = 60.0
LONGEST_QUIET = 600.0
WATCHED = timedelta(days=7)  # a thread is kept up to date for so long, such as with what is resolved later
FRESH = timedelta(days=1)  # an older incident gets no thread any more
BROKEN = timedelta(minutes=5)  # until what could not be shown is tried again
GONE = ("message_not_found", "cant_update_message", "edit_window_closed")
MARK = "slack-threads"


@dataclass(slots=True)
class Announcer:
    """`channel_of`: where an incident's thread is, "" for nowhere. `owner` names this process in claims."""

    book: SqlSlackBook
    marks: SqlDeliveryBook
    runs: Runs
    slack: Speaks
    access: Access
    channel_of: Callable[[Incident], str]
    look_seconds: float = LOOK_SECONDS
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _since: datetime | None = None
    _broken: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            pause = self.look_seconds
            try:
                await self.look()
                failures = 0
            except SlackUnavailable as exc:
                failures += 1
                pause = max(min(LONGEST_PAUSE, 2.0 ** min(failures, 6) / 2), min(exc.wait, LONGEST_QUIET))
                log.warning("Slack cannot be reached, threads wait", reason=str(exc), again_in=pause)
            except StoreUnavailable as exc:
                pause = 5.0
                log.warning("threads wait", reason=str(exc))
            except Exception as exc:  # noqa: BLE001  a task that dies would leave people untold
                pause = 5.0
                log.error("the announcer failed, it goes on", error=type(exc).__name__)
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """One round: what has no thread gets one, what changed is said. Raises SlackUnavailable after the first failure."""
        await self._take_in()
        for found in await self.book.changed(self.book.now() - WATCHED):
            if self._broken.get(found.run, self.book.now()) > self.book.now():
                continue
            try:
                await (self._say_storm(found) if found.kind == "summary" else self._say(found))
            except (SlackUnavailable, StoreUnavailable):
                raise
            except Exception as exc:  # noqa: BLE001  one that cannot be shown must not keep the others from it
                log.error("a thread cannot be shown", run=found.run, error=type(exc).__name__)
                self._broken[found.run] = self.book.now() + BROKEN

    async def _take_in(self) -> None:
        if self._since is None:
            self._since = await self.marks.mark(MARK)
        since = max(self._since, self.book.now() - FRESH)
        for run in await self.book.new_runs(since):
            row = await self.runs.row(run)
            channel = self.channel_of(row.incident) if row is not None and row.incident.alerts else ""
            await self.book.add(
                run, kind="thread" if channel else "none", channel=channel, most_a_minute=self.access.threads_a_minute
            )

    async def _say(self, found: Thread) -> None:
        claimed = await self.book.claim(found.run, self.owner, seconds=CLAIM_SECONDS)
        if claimed is None:
            return  # another process is at it
        standing = await self._standing(claimed.run)
        if standing is None:
            await self._keep(claimed, claimed.ts, claimed.shown, filed=True)
            return
        if not standing.told and claimed.seq > 0:  # its timeline is kept no longer: what was said of it stands
            await self._keep(claimed, claimed.ts, claimed.shown, filed=True, seq=0)
            return
        urls = {"public_url": self.access.public_url, "approvals_url": self.access.approvals_url}
        message = thread(standing, **urls)
        seq = standing.told[-1].seq if standing.told else 0
        ts = await self._shown(claimed, message, seq)
        filed = claimed.filed
        over = standing.report is not None or standing.row.state == "finished"
        if ts and standing.report is not None and not filed:
            try:
                await attach(self.slack, claimed.channel, ts, standing.report)
            except SlackRefused as exc:
                log.error("Slack does not take a file", code=exc.code, run=claimed.run)
            except SlackUnavailable:
                await self.book.release(claimed.run, self.owner)
                raise
            filed = True
        await self._keep(claimed, ts, message.fingerprint, filed=filed or over, seq=seq)

    async def _say_storm(self, found: Thread) -> None:
        claimed = await self.book.claim(found.run, self.owner, seconds=CLAIM_SECONDS)
        if claimed is None:
            return
        how_far = await self.book.how_far(found.run)  # first: what moves while the rows are read is seen by the next look
        rows = [row for run in await self.book.listed_in(found.run) if (row := await self.runs.row(run)) is not None]
        if not rows:  # they are kept no longer
            await self._keep(claimed, claimed.ts, claimed.shown, filed=True, seq=how_far)
            return
        message = storm(rows, public_url=self.access.public_url)
        ts = await self._shown(claimed, message, claimed.seq)
        await self._keep(claimed, ts, message.fingerprint, filed=True, seq=how_far)

    async def _shown(self, claimed: Thread, message: Message, seq: int) -> str:
        """Post it, or bring it up to date; the ts, "" where Slack does not take it."""
        ts = claimed.ts
        try:
            if not ts:
                ts = await self.slack.post(claimed.channel, message)
                await self.book.keep(
                    claimed.run, self.owner, ts=ts, shown=message.fingerprint, filed=claimed.filed, seq=seq, ended=False
                )
            elif claimed.shown != message.fingerprint:
                await self.slack.update(claimed.channel, ts, message)
        except SlackRefused as exc:
            gone = exc.code in GONE and bool(ts)
            log.error("Slack does not take a thread", code=exc.code, run=claimed.run, channel=claimed.channel, gone=gone)
            return ts
        except SlackUnavailable:
            await self.book.release(claimed.run, self.owner)
            raise
        return ts

    async def _keep(self, claimed: Thread, ts: str, shown: str, *, filed: bool, seq: int | None = None) -> None:
        await self.book.keep(claimed.run, self.owner, ts=ts, shown=shown, filed=filed, seq=claimed.seq if seq is None else seq)

    async def _standing(self, run: str) -> Standing | None:
        row = await self.runs.row(run)  # first: where it is finished, the report is there, or never will be
        report = await self.runs.report(run)
        told = await self.runs.told(run)
        return Standing(row=row, told=tuple(told), report=report) if row is not None else None
