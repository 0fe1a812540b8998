"""`lestrade summary`: the incidents of a while in numbers, from the runs that are kept."""

import re
import sys
from datetime import timedelta
from pathlib import Path

from agent.cli.terminal import run, settings_from
from agent.domain.summary import Summary
from agent.errors import InputError
from agent.rendering import Format
from agent.rendering.summary import summary_as_html, summary_as_json, summary_as_markdown
from agent.stages.summarise import MOST_RUNS, summarise
from agent.store import Database, SqlDeliveryBook, SqlEventLog, SqlRunStore

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def summary(since: str, form: Format, output: Path | None, config: Path | None) -> int:
    span = span_of(since)

    async def work() -> Summary:
        settings = settings_from(config)
        database = await Database.open(settings.database())
        try:
            until = database.now()
            runs, more = await SqlDeliveryBook(database).ended(until - span, until, limit=MOST_RUNS)
            return await summarise(
                runs,
                since=until - span,
                until=until,
                cluster=settings.cluster,
                store=SqlRunStore(database),
                events=SqlEventLog(database),
                left_out=more,
            )
        finally:
            await database.close()

    made = run(work(), interrupted="")
    text = {"md": summary_as_markdown, "html": summary_as_html, "json": summary_as_json}[form](made)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InputError(f"{output}: {exc.strerror}") from None
    return 0


def span_of(text: str, option: str = "--since") -> timedelta:
    """Such as 36h, 7d, 2w. Raises InputError."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", text)
    if found is None or int(found[1]) * _UNITS[found[2]] > timedelta(days=366):
        raise InputError(f"{option} {text[:20]!r}: write hours, days or weeks, such as 36h, 7d or 2w, a year at most")
    return int(found[1]) * _UNITS[found[2]]
