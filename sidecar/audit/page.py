"""A story as one page for a tired person. Pure; every text of a record is made plain first: it cannot steer a terminal, hide,
turn round or begin a line of its own."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sidecar.audit.chain import Fault
from sidecar.audit.story import Event, Story, Try
from sidecar.visible import pieces, written

LABEL = 10
MOST_VALUE = 160


def page_of(story: Story, *, whole: Fault | None, width: int = 100) -> list[str]:
    """Lines of at most `width` characters. `whole`: the first fault of the journal, None when it has none."""
    return list(_lines(story, whole, max(60, width)))


def plain(text: object) -> str:
    """One line; what is not seen, turns round or passes for something else as \\uXXXX."""
    return "".join(written(piece) if piece in ("\n", "\t") else piece for piece in pieces(str(text)))


def _lines(story: Story, whole: Fault | None, width: int) -> Iterator[str]:
    yield from _wrapped(
        "PLAN", f"{story.plan[:16]}  incident {plain(story.incident) or '?'}  cluster {plain(story.cluster) or '?'}", width
    )
    yield from _wrapped("", _summary(story), width)
    for line in story.contradictions:
        yield from _wrapped("  !!", f"CONTRADICTION: {plain(line)}", width)
    yield "-" * width
    yield from _asked(story, width)
    yield from _judged(story, width)
    for answer in story.answers:
        yield from _wrapped("ANSWERED", _said(answer, story), width)
    yield from _lease(story, width)
    for one in story.steps:
        yield from _try(one, story, width)
    yield from _end(story, width)
    for event in story.others:
        yield from _wrapped("ALSO", _said(event, story), width)
    yield "-" * width
    for gap in story.gaps or ("none",):
        yield from _wrapped("GAPS", plain(gap), width)
    count = len(story.seqs)
    kept = f"{count} records, {story.first} to {story.last}; " if count != 1 else f"record {story.first}; "
    said = "the journal is whole" if whole is None else f"THE JOURNAL IS NOT WHOLE: record {whole.seq} {plain(whole.reason)}"
    yield from _wrapped("RECORD", kept + said, width)


def _summary(story: Story) -> str:
    verdict = story.verdicts[-1].what if story.verdicts else "not judged"
    if story.end:
        word = f"{plain(story.said)} (the agent's word)" if story.said_by == "agent" else f"ended by {plain(story.said_by)}"
        return (
            f"{verdict} -> leased -> {word} -> {plain(story.end)}, {_between(story.asked_at, story.ended_at)} after the question"
        )
    if story.lease:
        return f"{verdict} -> leased -> not ended"
    ends = [event.what for event in story.others if event.what.startswith("plan ")]
    answered = story.answers[-1].detail.rpartition("so it is ")[2] if story.answers else ""
    return " -> ".join(filter(None, [plain(verdict), plain(answered), *map(plain, ends[-1:])]))


def _asked(story: Story, width: int) -> Iterator[str]:
    behalf = f" for {plain(story.on_behalf_of)}" if story.on_behalf_of else ""
    yield from _wrapped(
        "ASKED", f"{plain(story.asked_at)[:10]} {_time(story.asked_at, story)}  by {plain(story.asked_by) or '?'}{behalf}", width
    )
    yield from _wrapped("", f"cause: {plain(story.cause)}", width)
    if story.hypothesis:
        behind = ", with a language model behind it" if story.basis == "model" else ""
        yield from _wrapped("", f'the agent says{behind}: "{_short(plain(story.hypothesis), 400)}"', width)
    yield from _wrapped("", f"evidence: {plain(', '.join(story.evidence)) or 'none is cited'}", width)


def _judged(story: Story, width: int) -> Iterator[str]:
    for verdict in story.verdicts:
        yield from _wrapped(
            "JUDGED", f"{_time(verdict.at, story)}  {plain(verdict.what).upper()}  by policy {plain(story.policy)[:19]}", width
        )
    for reason in story.reasons:
        yield from _wrapped("", f"- {plain(reason)}", width)
    if story.wanted:
        yield from _wrapped("", f"asked for: {plain(story.wanted)}", width)
    if story.little_time:
        yield from _wrapped("", f"little time: {plain(story.little_time)}", width)


def _lease(story: Story, width: int) -> Iterator[str]:
    if not story.lease:
        return
    made = f"live after {_between(story.claimed_at, story.granted_at)}" if story.granted_at else "never live"
    until = f", until {_time(story.expires_at, story)}" if story.expires_at else ""
    yield from _wrapped("LEASE", f"{_time(story.claimed_at, story)}  {plain(story.lease)}  {made}{until}", width)
    yield from _wrapped("", f"as {plain(story.identity)}", width)
    for right in story.rights:
        yield from _wrapped("", f"may {plain(right)}", width)


def _try(one: Try, story: Story, width: int) -> Iterator[str]:
    label = "STEP" if one.direction == "do" else "UNDO"
    what = plain(one.what) if one.direction == "do" else f"take back {plain(one.what)}"
    took = f" in {_between(one.began, one.ended)}" if one.began and one.ended else ""
    when = _time(one.began or one.ended, story)
    yield from _wrapped(label, f"{when}  {one.id}  {what} of {plain(one.target)}: {one.status.upper()}{took}".strip(), width)
    if one.reason or one.message:
        yield from _wrapped("", f"{plain(one.reason)}: {plain(one.message)}".strip(": "), width)
    if one.status == "performed" or not one.ended:
        for pointer in dict.fromkeys([*one.before, *one.after]):
            yield from _wrapped(
                "", f"{plain(pointer) or '(all)'}: {_value(one.before, pointer)} -> {_value(one.after, pointer)}", width
            )


def _end(story: Story, width: int) -> Iterator[str]:
    if story.ending_at:
        who = plain(story.said_by)
        why = f" ({plain(story.ending_why)})" if story.ending_why else ""
        word = f'"{plain(story.said)}": the agent\'s word' if story.said_by == "agent" else f"ended by {who}{why}"
        yield from _wrapped("OUTCOME", f"{_time(story.ending_at, story)}  {word}", width)
        for check in story.verification:
            yield from _wrapped("", f"the agent meant to see: {_short(plain(check), 200)}", width)
        for line in story.observed:
            yield from _wrapped("", f"the sidecar saw: {plain(line)}", width)
    if story.ended_at:
        proof = "not tried with the old token"
        if story.refused_after_ms is not None:
            proof = f"old token refused ({plain(story.refusal)}) after {story.refused_after_ms:.1f} ms"
        yield from _wrapped("REVOKED", f"{_time(story.ended_at, story)}  {plain(story.end)}; {proof}", width)


def _said(event: Event, story: Story) -> str:
    detail = f" - {plain(event.detail)}" if event.detail else ""
    return f"{_time(event.at, story)}  {plain(event.actor)}: {plain(event.what)}{detail}"


def _value(values: Mapping[str, Any], pointer: str) -> str:
    if pointer not in values or values[pointer] is None:
        return "(none)"
    return _short(plain(json.dumps(values[pointer], ensure_ascii=False)), MOST_VALUE)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 20]} ... ({len(text)} long)"


def _time(at: str, story: Story) -> str:
    """The day only where it is another than that of the question."""
    day = "" if at[:10] == story.asked_at[:10] else f"{plain(at)[:10]} "
    return f"{day}{plain(at)[11:19]}Z" if at else ""


def _between(one: str, other: str) -> str:
    try:
        seconds = (datetime.fromisoformat(other) - datetime.fromisoformat(one)).total_seconds()
    except ValueError:
        return "?"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _wrapped(label: str, text: str, width: int) -> Iterator[str]:
    """What goes on in the next line is marked: a line of somebody's text can look like none of ours."""
    first, rest = label.ljust(LABEL), " " * LABEL
    yield from textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest + "| ", break_on_hyphens=False, drop_whitespace=True
    ) or [first.rstrip()]
