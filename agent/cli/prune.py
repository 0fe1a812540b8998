"""`lestrade runs prune`: what is old goes now, and not when the service next looks."""

import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import orjson

from agent.app.retention import prune as prune_by_settings
from agent.cli.summary import span_of
from agent.cli.terminal import run, settings_from
from agent.errors import InputError
from agent.store import Database, Pruned, SqlRetention

_WORDS = (
    ("runs", "finished runs, with report, evidence and timeline"),
    ("timelines", "timelines of finished runs that stay"),
    ("checkpoints", "checkpoints of finished runs that stay"),
    ("alerts", "alerts of the book"),
    ("sessions", "conversations"),
    ("texts", "texts that no run has any more"),
)


def prune(older_than: str, config: Path | None, *, dry_run: bool, as_json: bool) -> int:
    span = span_of(older_than, option="--older-than") if older_than else None
    settings = settings_from(config)
    if span is None and not settings.keep_days and not settings.keep_raw_days:
        raise InputError("LESTRADE_KEEP_DAYS is 0: everything is kept for ever; --older-than 30d says otherwise for this once")

    async def work() -> Pruned:
        database = await Database.open(settings.database())
        try:
            if span is None:
                return await prune_by_settings(database, settings, only_count=dry_run)
            return await _older(database, span, dry_run=dry_run)
        finally:
            await database.close()

    removed = asdict(run(work()))
    if as_json:
        sys.stdout.write(
            orjson.dumps({"removed": {} if dry_run else removed, "would_remove": removed if dry_run else {}}).decode() + "\n"
        )
        return 0
    said = [f"{removed[name]:>8}  {words}" for name, words in _WORDS if removed[name]]
    print("\n".join(["would be removed:" if dry_run else "removed:", *said]) if said else "nothing is that old")
    return 0


async def _older(database: Database, span: timedelta, *, dry_run: bool) -> Pruned:
    before = database.now() - span
    return await SqlRetention(database).prune(before=before, raw_before=before, only_count=dry_run)
