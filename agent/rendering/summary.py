"""A summary of incidents as Markdown, as a page, and for machines. Text of the cluster is quoted, never interpreted."""

from collections.abc import Iterator
from typing import cast

import orjson

from agent.domain.document import to_document
from agent.domain.summary import Spread, Summary
from agent.rendering.html import page_of
from agent.rendering.markdown import text
from agent.rendering.wording import OUTCOMES, moment
from sidecar.contract import Json

VERSION = 1


def title_of(summary: Summary) -> str:
    return f"Incidents from {summary.since:%Y-%m-%d} to {summary.until:%Y-%m-%d}, cluster {summary.cluster or 'unnamed'}"


def summary_as_markdown(summary: Summary) -> str:
    parts = [*_head(summary), *_causes(summary), *_denied(summary), *_gaps(summary), *_lines(summary)]
    return "\n".join(parts).rstrip() + "\n"


def summary_as_html(summary: Summary) -> str:
    return page_of("summary.html.j2", summary=summary, title=title_of(summary), outcome_words=words, spread=spread)


def summary_as_json(summary: Summary) -> str:
    document = {"summary": VERSION, **cast("dict[str, Json]", to_document(summary))}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def words(outcome: str) -> str:
    return OUTCOMES[outcome][0] if outcome in OUTCOMES else outcome


def spread(found: Spread | None) -> str:
    if found is None:
        return "none"
    high = f"; one in ten took more than {_time(found.high)}" if found.count >= 10 else ""
    return f"{_time(found.median)} (median of {found.count}{high})"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _head(summary: Summary) -> Iterator[str]:
    yield f"# {text(title_of(summary))}"
    yield ""
    yield f"- **Incidents by alerts:** {summary.alerts}; questions: {summary.questions}"
    if summary.outcomes:
        yield f"- **Outcomes:** {', '.join(f'{text(words(outcome))} {count}' for outcome, count in summary.outcomes)}"
    yield f"- **Time to cause:** {spread(summary.to_cause)}"
    yield f"- **Time to repair:** {spread(summary.to_repair)}"
    denied = sum(found.count for found in summary.denied)
    people = f"refused by a person: {summary.refused}; without an answer: {summary.unanswered}"
    yield f"- **Plans denied by policy:** {denied}; {people}"
    if summary.left_out:
        yield f"- **Not counted:** {summary.left_out} more runs"
    yield ""


def _causes(summary: Summary) -> Iterator[str]:
    yield "## Causes"
    yield ""
    if not summary.causes:
        yield "No cause was named."
    else:
        yield "| cause | times | repaired | where |"
        yield "| --- | --- | --- | --- |"
        for found in summary.causes:
            yield f"| {text(found.cause)} | {found.count} | {found.repaired} | {text(', '.join(found.subjects))} |"
    yield ""
    if summary.repeated:
        yield "## Again and again"
        yield ""
        yield from (f"- {text(one.cause)} at {text(one.subject)}: {len(one.runs)} times" for one in summary.repeated)
        yield ""


def _denied(summary: Summary) -> Iterator[str]:
    if not summary.denied:
        return
    yield "## Plans denied"
    yield ""
    for found in summary.denied:
        yield f"- **{text(found.rule)}**, {found.count} {'time' if found.count == 1 else 'times'}: {text(found.example)}"
    yield ""


def _gaps(summary: Summary) -> Iterator[str]:
    if not summary.incomplete:
        return
    yield "## What was not known"
    yield ""
    for found in summary.incomplete:
        yield f"- {text(found.headline)} ({text(found.run)}){': ' + text('; '.join(found.gaps)) if found.gaps else ''}"
    yield ""


def _lines(summary: Summary) -> Iterator[str]:
    if not summary.lines:
        return
    yield "## All of them"
    yield ""
    for line in summary.lines:
        outcome = words(line.outcome)
        said = f"{outcome}: " if outcome.split()[0].casefold() not in line.headline.casefold() else ""
        yield f"- {moment(line.at)} {text(said + line.headline)} ({text(line.run)})"
    yield ""
