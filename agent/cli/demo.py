"""`lestrade demo`: a scenario played live, told while it goes, with the person at the terminal as the approver."""

import asyncio
import contextlib
import difflib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from agent.bootstrap import Workshop
from agent.cli.demonstration import Demonstration
from agent.cli.exits import OF_OUTCOME
from agent.cli.governed import approve_everything
from agent.cli.investigate import write_page
from agent.cli.terminal import console, run, say, tell
from agent.domain.report import Report
from agent.errors import GovernanceUnavailable, InputError, LestradeError
from agent.ports import RunRow
from agent.rendering.safety import one_line, visible
from agent.rendering.wording import OUTCOMES
from lab.scenarios import Scenario, ScenarioError, load, names
from sidecar.contract import ApprovalView

DEFAULT = "memory-limit"
NOBODY_SECONDS = 3  # without anybody to ask, the request is left open for so long
TONES = {"good": "green", "bad": "red", "warn": "yellow", "calm": "blue"}


def demo(name: str, *, names_only: bool, yes: bool, as_json: bool) -> int:
    if names_only:
        for known in names():
            print(f"{known:<28} {load(known).title}")
        return 0
    scenario = chosen(name or DEFAULT)
    play = _Play(scenario, yes=yes, interactive=sys.stdin.isatty() and not as_json, quiet=as_json)
    return run(play.whole(as_json=as_json), interrupted="the sidecar was ended, and the simulated cluster with it")


def chosen(name: str) -> Scenario:
    """Raises InputError, with a near name where there is one."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}? `lestrade demo --list` names all" if near else f"there are: {', '.join(names())}"
        raise InputError(f"there is no scenario {one_line(name)[:60]}; {hint}")
    try:
        return load(name)
    except ScenarioError as exc:
        raise InputError(str(exc)) from None


@dataclass
class _Play:
    """One demonstration at the terminal."""

    scenario: Scenario
    yes: bool
    interactive: bool
    quiet: bool

    def __post_init__(self) -> None:
        self.out: Console = console(quiet=self.quiet)
        self.folder = Path(tempfile.mkdtemp(prefix="lestrade-demo-"))
        self.waits: set[str] = set()  # digests of plans that the person was told to wait for

    async def whole(self, *, as_json: bool) -> int:
        began = time.monotonic()
        self._introduce()
        with contextlib.ExitStack() as stack:
            demonstration = self._demonstration()
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)  # tokens and kubeconfigs lie there
            stack.callback(demonstration.stop)
            with _ended_in_order():
                await asyncio.to_thread(demonstration.start)
                self._tell(f"cluster {demonstration.cluster} runs, with its fault; the sidecar is a process of its own")
                report = await self._investigated(demonstration)
                page = write_page(report, Path("lestrade-reports"))
                account = await asyncio.to_thread(demonstration.account, report, seconds=time.monotonic() - began, page=page)
        if as_json:
            sys.stdout.write(orjson.dumps(account).decode() + "\n")
        else:
            self._finish(report, account, page)
        return OF_OUTCOME[report.outcome]

    def _demonstration(self) -> Demonstration:
        asks_somebody = self.yes or self.interactive or self.scenario.governance.approver != "approve"
        return Demonstration(self.scenario, folder=self.folder, expires_seconds=None if asks_somebody else NOBODY_SECONDS)

    async def _investigated(self, demonstration: Demonstration) -> Report:
        async with demonstration.shop() as shop:
            row = await demonstration.open_run(shop)
            companions = [asyncio.create_task(self._progress(shop, row)), asyncio.create_task(self._approver(demonstration))]
            try:
                await shop.work(row)
                await asyncio.wait({companions[0]}, timeout=5)
            finally:
                for companion in companions:
                    companion.cancel()
                await asyncio.gather(*companions, return_exceptions=True)
            report = await shop.report(row.id)
            finished = await shop.store.row(row.id)
        if report is None:
            raise LestradeError(finished.headline if finished else "the run left no report")
        return report

    async def _progress(self, shop: Workshop, row: RunRow) -> None:
        async for event in shop.events.follow(row.id):
            say(self.out, event)
            if event.stage == "authorize":
                self.waits.add(str(event.data.get("plan", "")))

    # The person. --------------------------------------------------------------------------------------------------------

    async def _approver(self, demonstration: Demonstration) -> None:
        scripted = self.scenario.governance.approver
        if self.scenario.governance.sidecar == "down":
            self._tell("in this scenario the sidecar is down")
        elif scripted == "deny":
            self._tell("in this scenario the person who is asked says no")
            await approve_everything(demonstration, verdict="deny", reason="not now, we are in the middle of a release")
        elif scripted == "nobody":
            self._tell("in this scenario nobody answers")
        elif self.yes:
            await approve_everything(demonstration, reason="--yes")
        elif self.interactive:
            await self._ask(demonstration)
        else:
            self._tell("this is no terminal and --yes was not given: nobody can approve")

    async def _ask(self, demonstration: Demonstration) -> None:
        answered: set[str] = set()
        while True:
            with contextlib.suppress(GovernanceUnavailable):
                for view in await demonstration.waiting():
                    if view.plan in self.waits - answered:  # the question comes last, not in the middle of the lines
                        answered.add(view.plan)
                        await self._ask_about(demonstration, view)
            await asyncio.sleep(0.2)

    async def _ask_about(self, demonstration: Demonstration, view: ApprovalView) -> None:
        self._show(view)
        verdict = "approve" if await _answered("Approve this change? [y/N] ") else "deny"
        state = await demonstration.answer(view, demonstration.people[0], verdict)
        if state == "waiting" and verdict == "approve":
            self._tell(f"policy wants {view.count} people: {demonstration.people[1].name} (scripted) approves too")
            await demonstration.answer(view, demonstration.people[1], verdict)

    def _show(self, view: ApprovalView) -> None:
        """Exactly what the sidecar built from the canonical plan and the live objects."""
        self.out.print()
        for change in view.changes:
            undo = f"can be undone: {change.undo}" if change.reversible else "cannot be undone"
            self.out.print(
                Panel(
                    Syntax(visible(change.diff) or "(no fields change)", "diff", theme="ansi_dark", word_wrap=True),
                    title=Text(one_line(change.summary)),
                    subtitle=Text(one_line(undo)),
                    title_align="left",
                    subtitle_align="left",
                ),
                soft_wrap=False,
            )
        self.out.print(Text(f"hypothesis: {one_line(view.hypothesis)}"), soft_wrap=not self.out.is_terminal)
        self.out.print(
            Text(f"plan {view.plan[:16]}, policy {view.revision[:12]}, open until {view.expires_at:%H:%M:%S} UTC"),
            soft_wrap=not self.out.is_terminal,
        )

    # Words. -------------------------------------------------------------------------------------------------------------

    def _introduce(self) -> None:
        self.out.print(
            Panel(Text(one_line(self.scenario.story)), title=Text(self.scenario.title), title_align="left"), soft_wrap=False
        )

    def _tell(self, text: str) -> None:
        tell(self.out, "demo", text, style="dim", text_style="dim")

    def _finish(self, report: Report, account: dict[str, object], page: Path) -> None:
        words, tone = OUTCOMES[report.outcome]
        self.out.print()
        self.out.print(Text(words, style=f"bold {TONES[tone]}"))
        self.out.print(Text(one_line(report.headline)), soft_wrap=not self.out.is_terminal)
        self.out.print(Text(proof(report, account), style="dim"), soft_wrap=not self.out.is_terminal)
        print(f"Report: {page}")


def proof(report: Report, account: dict[str, object]) -> str:
    """One line: what was lent is over, nothing is left, the record is whole."""
    told = []
    for round_ in report.rounds:
        if round_.settlement and round_.settlement.refused_after_ms is not None:
            told.append(f"lease {round_.settlement.lease} refused after {round_.settlement.refused_after_ms:.0f} ms")
        elif round_.settlement:
            told.append(f"lease {round_.settlement.lease} {round_.settlement.state.replace('_', ' ')}")
    if not told:
        told.append("no rights were lent")
    left = account["leftovers"]
    told.append("nothing left over" if not left else f"LEFT OVER: {left}")
    audit = {True: "audit verifies", False: "AUDIT DOES NOT VERIFY", None: "no sidecar, no audit"}
    told.append(audit[account["audit_ok"] if isinstance(account["audit_ok"], bool) else None])
    return "Proof: " + ", ".join(told) + f". {account['seconds']} s"


async def _answered(question: str) -> bool:
    """Yes from the terminal; anything else, the end of input included, is no."""
    sys.stderr.write(question)
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def readable() -> None:
        if not line.done():
            line.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin.fileno(), readable)
    try:
        return (await line).strip().lower() in ("y", "yes")
    finally:
        loop.remove_reader(sys.stdin.fileno())


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends as an interrupt does, so that the sidecar is not left running."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
