"""`lestrade runs list|show` and `lestrade report`: what lies in the store."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from agent.cli.terminal import console, run, say, settings_from
from agent.domain.document import from_document, to_document
from agent.domain.report import Report
from agent.errors import InputError
from agent.rendering import Format, render
from agent.rendering.safety import one_line
from agent.store import Database, SqlEventLog, SqlRunStore


def list_runs(limit: int, config: Path | None, *, as_json: bool) -> int:
    async def work() -> int:
        async with _opened(config) as (store, _):
            rows = await store.rows(limit=limit)
        if as_json:
            sys.stdout.write(orjson.dumps([to_document(row) for row in rows], option=orjson.OPT_INDENT_2).decode() + "\n")
            return 0
        table = Table("run", "opened (UTC)", "state", "outcome", "headline", box=None, pad_edge=False)
        for row in rows:
            table.add_row(row.id, f"{row.created_at:%Y-%m-%d %H:%M}", row.state, row.outcome, one_line(row.headline))
        width = None if sys.stdout.isatty() else 400  # a pipe has no width to fit
        Console(highlight=False, markup=False, width=width).print(table if rows else "no runs yet")
        return 0

    return run(work())


def show_run(run_id: str, config: Path | None, *, as_json: bool) -> int:
    async def work() -> int:
        async with _opened(config) as (store, events):
            row = await store.row(run_id)
            if row is None:
                raise InputError(f"no run {run_id} (see `lestrade runs list`)")
            told = await events.told(run_id)
        if as_json:
            document = {"run": to_document(row), "events": [to_document(event) for event in told]}
            sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
            return 0
        out = console()
        for event in told:
            say(out, event)
        print(f"{row.id}  {row.state}  {row.outcome}  {one_line(row.headline)}".rstrip())
        return 0

    return run(work())


def report(run_id: str, form: Format, output: Path | None, config: Path | None) -> int:
    async def work() -> Report:
        async with _opened(config) as (store, _):
            row = await store.row(run_id)
            document = await store.report(run_id)
        if row is None:
            raise InputError(f"no run {run_id} (see `lestrade runs list`)")
        if not document:
            raise InputError(f"run {run_id} has no report ({row.state}{': ' + row.headline if row.headline else ''})")
        return from_document(Report, dict(document))

    text = render(run(work()), form)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InputError(f"{output}: {exc.strerror}") from None
    return 0


@asynccontextmanager
async def _opened(config: Path | None) -> AsyncIterator[tuple[SqlRunStore, SqlEventLog]]:
    database = await Database.open(settings_from(config).database())
    try:
        yield SqlRunStore(database), SqlEventLog(database)
    finally:
        await database.close()
