"""`lestrade investigate` and `lestrade runs resume`: one run, in this process, told while it goes."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from agent.bootstrap import Source, Workshop, workshop
from agent.cli import outcome
from agent.cli.exits import OF_OUTCOME
from agent.cli.layout import shortened
from agent.cli.person import person
from agent.cli.terminal import console, run, say, settings_from
from agent.domain.report import Report
from agent.errors import InputError, LestradeError
from agent.ports import RunRow
from agent.rendering import as_html, render
from agent.settings import Settings
from agent.stages.receive import MOST_ALERTS, Notification, receive
from agent.store import Database, SqlRunStore

LONGEST_QUESTION = 2000


def investigate(
    *,
    question: str,
    alert: Path | None,
    snapshot: Path | None,
    context: str,
    form: Literal["json", "md", ""],
    config: Path | None,
) -> int:
    if bool(question.strip()) == bool(alert):
        raise InputError("give either --question TEXT or --alert FILE")
    if len(question) > LONGEST_QUESTION:
        raise InputError(f"the question is longer than {LONGEST_QUESTION} characters")
    if snapshot and context:
        raise InputError("--snapshot and --context at once: choose one")
    notification = _read_alert(alert) if alert else None
    settings = settings_from(config)
    return run(_investigate(settings, Source(snapshot=snapshot, context=context), question.strip(), notification, form))


def resume(run_id: str, *, snapshot: Path | None, context: str, config: Path | None) -> int:
    settings = settings_from(config)
    run(_is_unfinished(settings, run_id))  # said before a cluster is looked for
    return run(_resume(settings, Source(snapshot=snapshot, context=context), run_id))


async def _investigate(
    settings: Settings, source: Source, question: str, notification: Notification | None, form: Literal["json", "md", ""]
) -> int:
    out = console(quiet=bool(form) and not sys.stderr.isatty())
    async with workshop(settings, source) as shop:
        await shop.reader.now()  # says at once, and before a run is opened, that nothing answers
        while True:
            row, _ = await shop.take(
                question=question,
                alerts=notification.alerts[:MOST_ALERTS] if notification else (),
                asked_by=person() if question else "",
                group_key="",  # a person who asks twice gets two answers
            )
            report = await _told(shop, row, form, out)
            choices = report.diagnosis.answer.choices if report.diagnosis and report.diagnosis.answer else ()
            asks_back = report.outcome == "unclear" and choices and not form and sys.stdin.isatty() and sys.stdout.isatty()
            chosen = await asyncio.to_thread(_choice, len(choices)) if asks_back else 0
            if not chosen:
                return OF_OUTCOME[report.outcome]
            question = choices[chosen - 1]


def _choice(count: int) -> int:
    """The number that the person at the terminal gives; 0 for anything else, which ends the questions."""
    try:
        said = input(f"Which one, 1 to {count}? (nothing: none of them) ").strip()
    except EOFError:
        return 0
    return int(said) if said.isdigit() and 1 <= int(said) <= count else 0


async def _is_unfinished(settings: Settings, run_id: str) -> None:
    database = await Database.open(settings.database())
    try:
        _unfinished(await SqlRunStore(database).row(run_id), run_id)
    finally:
        await database.close()


async def _resume(settings: Settings, source: Source, run_id: str) -> int:
    async with workshop(settings, source) as shop:
        report = await _told(shop, _unfinished(await shop.store.row(run_id), run_id), "", console())
    return OF_OUTCOME[report.outcome]


def _unfinished(row: RunRow | None, run_id: str) -> RunRow:
    if row is None:
        raise InputError(f"no run {run_id} (see `lestrade runs list`)")
    if row.state == "finished":
        raise InputError(f"run {run_id} is finished: {row.headline}")
    return row


async def _told(shop: Workshop, row: RunRow, form: Literal["json", "md", ""], out: Console) -> Report:
    work = asyncio.create_task(shop.work(row))
    progress = asyncio.create_task(_progress(shop, row, out))
    try:
        if not await work:
            raise InputError(f"another process works on run {row.id}")
    except BaseException:
        progress.cancel()
        raise
    await progress
    finished = await shop.store.row(row.id)
    report = await shop.report(row.id)
    if report is None:
        raise LestradeError(finished.headline if finished else f"run {row.id} left no report")
    if form:
        sys.stdout.write(render(report, form))
    else:
        page = write_page(report, shop.settings.reports)
        outcome.show(report, Console(highlight=False, soft_wrap=True))
        print(f"\nReport: {page}")
    return report


async def _progress(shop: Workshop, row: RunRow, out: Console) -> None:
    async for event in shop.events.follow(row.id):
        if event.stage == "diagnose":
            say(out, replace(event, text=shortened(event.text, 70)))
        elif event.stage != "conclude":  # what these two say stands below, and longer
            say(out, event)


def write_page(report: Report, folder: Path) -> Path:
    """Raises InputError when the folder cannot be written to."""
    path = folder / f"{report.run}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(as_html(report), encoding="utf-8")
    except OSError as exc:
        raise InputError(f"report folder {folder}: {exc.strerror}") from None
    return path.resolve()


def _read_alert(path: Path) -> Notification:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path}: {exc.strerror}") from None
    try:
        return receive(raw)
    except InputError as exc:
        raise InputError(f"{'standard input' if str(path) == '-' else path}: {exc}") from None
