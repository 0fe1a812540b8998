"""What a process of the agent holds and does with runs: takes incidents in, works on them, silences. Names no adapter."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from agent.domain.alerting import Taken
from agent.domain.document import from_document
from agent.domain.incident import Alert, Incident
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.errors import GovernanceUnavailable, InputError, StoreUnavailable
from agent.eyes import SystemClock
from agent.graph import Investigation, Means, Progress
from agent.ports import AlertBook, ClusterReader, EventLog, Governance, RunRow, RunStore, SessionStore, Silences
from agent.ports.alerts import Decide
from agent.ports.jobs import Jobs
from agent.ports.listing import AlertList, RunList
from agent.settings import Settings
from agent.signals.masking import mask
from agent.stages.place import IntakeBounds, folded, place
from agent.stages.receive import Notification
from agent.stages.silence import Wish, fresh, silence, silences
from agent.stages.telling import Tell
from agent.store import Database
from sidecar.contract import Plan


class Workshop:
    """Everything that a process of the agent holds. `work` does one run to its end, if no other process has it."""

    def __init__(
        self,
        settings: Settings,
        *,
        investigation: Investigation,
        store: RunStore,
        events: EventLog,
        reader: ClusterReader,
        sessions: SessionStore,
        listing: RunList,
        book: AlertBook,
        alert_list: AlertList,
        database: Database,
        silences: Silences | None = None,
        jobs: Jobs | None = None,
        governed: bool = True,
        governance: Governance | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.events = events
        self.reader = reader
        self.sessions = sessions
        self.listing = listing
        self.book = book
        self.alert_list = alert_list
        self.database = database  # for the parts that keep books of their own beside the runs
        self.jobs = jobs  # where processes share the work
        self._silences = silences
        self.governed = governed  # whether there is a sidecar that a plan can be proposed to
        self._governance = governance
        self._investigation = investigation
        self._working: dict[str, asyncio.Task[None] | None] = {}  # a claim tells processes apart, and not the tasks of one
        self._called_off: set[str] = set()  # of them, those that were stopped while they were still being claimed
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"

    async def take(
        self,
        *,
        question: str = "",
        alerts: Sequence[Alert] = (),
        asked_by: str = "",
        group_key: str = "",
        look_only: bool = False,
    ) -> tuple[RunRow, bool]:
        """A queued run, durable; or the unfinished one of the same alert group, and False."""
        incident = Incident(
            id=f"inc-{secrets.token_hex(6)}",
            cluster=self.reader.name,
            opened_at=datetime.now(UTC),
            question=mask(question),  # it is kept, shown, and read to a model
            alerts=tuple(alerts),
            asked_by=asked_by,
            group_key=group_key,
            look_only=look_only,
        )
        row, is_new = await self.store.open(incident)
        names = ", ".join(dict.fromkeys(alert.name for alert in alerts))
        await self.events.append(row.id, "intake", "taken in" if is_new else f"the same alert group again: {names}")
        return row, is_new

    async def intake(self, notification: Notification) -> Taken:
        """Every alert of it in the book and with its run, if it gets one, before this returns. Raises StoreUnavailable."""
        decide = self._placing(notification.group_key)
        return await self.book.take(self.reader.name, notification.alerts, notification.group_key, decide)

    async def rehearse(self) -> None:
        """The way of an alert, before the first one comes: it would wait for all that is done once. Raises StoreUnavailable."""
        one, other = (Alert(name=name, labels={"namespace": "none"}, fingerprint=name) for name in ("one", "other"))
        told = ((one,), (one, other), (replace(one, resolved=True), replace(other, resolved=True)))
        await self.book.rehearse("(rehearsal)", told, "rehearsal", self._placing("rehearsal"))

    def _placing(self, group_key: str) -> Decide:
        silenced = self._silences.known() if self._silences else frozenset()
        return partial(place, group_key=group_key, silenced=silenced, bounds=_intake_bounds(self.settings))

    async def again(self, row: RunRow, *, asked_by: str) -> RunRow:
        """Another run of the same incident, which may propose, whatever the first one might: somebody asked for that by name."""
        incident = replace(row.incident, asked_by=asked_by, look_only=False, group_key="")
        opened, _ = await self.store.open(incident)
        await self.events.append(opened.id, "intake", f"{asked_by or 'somebody'} asks for the repair of what run {row.id} found")
        return opened

    async def silence(
        self,
        report: Report,
        wish: Wish,
        *,
        tell: Tell,
        begun: Sequence[Plan] = (),
        keep: Callable[[Sequence[Plan]], Awaitable[None]] | None = None,
    ) -> tuple[list[Round], list[str]]:
        """One plan for each object that the alerts are about, each to its end; and what cannot be silenced, in words. `keep` is
        given the plans before anybody is asked; `begun`: those of a process that is gone, to be gone on with.

        Raises InputError where no sidecar is configured, ClusterUnreachable, ReadRefused.
        """
        if self._governance is None:
            raise InputError("nothing is silenced without the sidecar: set LESTRADE_SIDECAR_URL")
        plans, left = (list(begun), []) if begun else await silences(report, wish, reader=self.reader)
        if not begun and keep is not None:
            with contextlib.suppress(GovernanceUnavailable):  # each plan's own end says so
                plans = [await fresh(plan, self._governance) for plan in plans]
            await keep(plans)
        rounds = [
            silence(
                plan,
                governance=self._governance,
                clock=SystemClock(),
                wait_seconds=self.settings.approval_wait_seconds,
                tell=tell,
                is_begun=bool(begun),
            )
            for plan in plans
        ]
        return await asyncio.gather(*rounds), left  # people are asked for all of them at once

    async def work(self, row: RunRow) -> bool:
        """False when another has the run, or it was stopped. The claim is kept alive while the work goes on; losing it stops the
        work."""
        if row.id in self._working:
            return False
        self._working[row.id] = None
        try:
            return await self._work(row)
        finally:
            del self._working[row.id]
            self._called_off.discard(row.id)

    def stop(self, run: str) -> None:
        """The work on it in this process ends where it is, whoever began it; what the run is, is not changed by that."""
        if (task := self._working.get(run)) is not None:
            task.cancel()
        elif run in self._working:
            self._called_off.add(run)

    async def _work(self, row: RunRow) -> bool:
        seconds = self.settings.claim_seconds
        if await self._is_silenced(row) or await self._is_folded(row):
            return True
        if not await self.store.claim(row.id, self._owner, lease_seconds=seconds, most=self.settings.cluster_runs):
            return False
        task = self._working[row.id] = asyncio.create_task(self._investigation.run(row))
        if row.id in self._called_off:
            task.cancel()
        beat = asyncio.create_task(self._keep(row.id, task))
        try:
            await task
        except asyncio.CancelledError:
            if (we := asyncio.current_task()) is None or we.cancelling():
                raise
            return False  # only the work was ended: another has the run, or nobody wants it any more
        finally:
            task.cancel()
            await _ended(beat)  # or its connection is still in use while the store is closed
            with contextlib.suppress(StoreUnavailable):
                await self.store.release(row.id, self._owner)
        return True

    @property
    def owner(self) -> str:
        """By what name this process claims runs."""
        return self._owner

    @property
    def means(self) -> Means:
        return self._investigation.means

    async def progress(self, run: str) -> Progress:
        """How far an unfinished run is."""
        return await self._investigation.progress(run)

    async def _is_silenced(self, row: RunRow) -> bool:
        """Whether everything it is about was silenced while it waited: then it is closed, and nobody works on it."""
        if self._silences is None or row.state != "queued" or not row.incident.group_key:
            return False
        firing = {alert.fingerprint for alert in row.incident.alerts if not alert.resolved}
        if not firing or not firing <= await self._silences.look():
            return False
        return await self.book.close_unasked(row.id, "silenced", "Silenced in Alertmanager before it was looked into")

    async def _is_folded(self, row: RunRow) -> bool:
        """Whether another run has found, while it waited, the change that is behind all of it: then it is that one's."""
        alerts = row.incident.alerts
        if row.state != "queued" or not row.incident.group_key or not alerts:
            return False
        return bool(await self.book.fold(row.id, self.reader.name, lambda runs: folded(alerts, runs, row.created_at)))

    async def report(self, run: str) -> Report | None:
        document = await self.store.report(run)
        return from_document(Report, dict(document)) if document else None

    async def _keep(self, run: str, task: "asyncio.Task[None]") -> None:
        seconds = self.settings.claim_seconds
        while True:
            await asyncio.sleep(seconds / 3)
            try:
                held = await self.store.claim(run, self._owner, lease_seconds=seconds)
            except StoreUnavailable:
                continue  # the claim lapses by itself; the work meets the same store soon enough
            if held:
                continue
            row = await self.store.row(run)
            # Nobody claims a finished run; but where we have finished it ourselves, its last checkpoint may be on its way.
            if row is None or row.state != "finished" or row.outcome == "stopped":
                task.cancel()
            return


def _intake_bounds(settings: Settings) -> IntakeBounds:
    return IntakeBounds(
        queued=settings.max_queued_runs,
        window=timedelta(seconds=settings.join_window_seconds),
        reopen=timedelta(seconds=settings.reopen_seconds),
        ignored=frozenset(name.strip() for name in settings.ignored_alerts.split(",") if name.strip()),
    )


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
