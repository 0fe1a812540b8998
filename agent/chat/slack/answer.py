"""A report as Block Kit, for somebody who reads it on a phone at night: what it is, why, how sure, what now. Pure.

The most needed first; what Slack would not take is left to the report, which is in the thread as a file.
"""

from collections.abc import Iterator, Sequence

from agent.chat.slack import blocks as kit
from agent.chat.slack.blocks import Block, Message
from agent.chat.slack.text import notification
from agent.domain.answer import Answer
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.rendering.safety import visible
from agent.rendering.wording import OUTCOMES, end_of, lasted, named

_MOST_EVIDENCE, _MOST_RULED_OUT, _MOST_UNKNOWN, _MOST_NEXT = 3, 3, 3, 3
_MOST_ROWS, _MOST_TABLE, _WIDTH = 15, 2400, 76


def answered(report: Report, *, url: str = "", hint: str = "") -> Message:
    """`url`: where the report is for a browser; `hint`: what one may say next."""
    more, last = parts(report, url=url, hint=hint)
    blocks = kit.within([kit.header(report.headline)], more, last)
    return Message(text=notification(report.headline), blocks=blocks)


def parts(report: Report, *, url: str = "", hint: str = "") -> tuple[Iterator[Block], list[Block]]:
    """What comes under a report's headline, the most needed first, and how it ends."""
    last = [_small_print(report, hint)]
    if url:
        last.insert(0, kit.rich(kit.section(kit.link("Open the report", url))))
    return _more(report), last


def _outcome(report: Report) -> Iterator[Block]:
    """What the headline does not say already."""
    words, _ = OUTCOMES[report.outcome]
    statement = report.diagnosis.statement if report.diagnosis else ""
    unneeded = report.outcome == "answered" or _is_told(words, report) or _is_told(words.split()[0], report)
    runs = [] if unneeded else [kit.words(f"{words}. ", bold=True)]
    runs += [] if _is_told(statement, report) else [kit.words(statement, limit=1500)]
    if runs:
        yield kit.rich(kit.section(*runs))


def _is_told(text: str, report: Report) -> bool:
    """By the headline, as far as that can be seen: Slack shows 150 characters of it."""
    return text.rstrip(".").casefold() in report.headline[:150].casefold()


def _more(report: Report) -> Iterator[Block]:
    diagnosis = report.diagnosis
    yield from _outcome(report)
    if diagnosis is not None:
        if diagnosis.answer is not None:
            yield from _answer(diagnosis.answer)
        for cause in diagnosis.causes:
            yield _cause(cause, told=_is_told(cause.finding.statement, report))
    for round_ in report.rounds[-3:]:
        yield _round(round_)
    yield from _next(report)
    if diagnosis is not None:
        yield from _evidence(report, diagnosis)
        yield from _ruled_out(diagnosis)
    if report.unknowns:
        yield _listed("Could not be seen", report.unknowns, most=_MOST_UNKNOWN)


def _cause(cause: RankedCause, *, told: bool) -> Block:
    statement = [] if told else [kit.line_break(), kit.words(cause.finding.statement, limit=1000)]
    title = kit.section(
        kit.words("Cause  ", bold=True),
        kit.words(cause.finding.cause, code=True, limit=200),
        kit.words(f" {cause.finding.subject}", limit=400),
        kit.words(f"  {cause.confidence:.0%} sure", bold=True),
        *statement,
    )
    because = [kit.section(kit.words(named(line), limit=300)) for line in cause.because[:3]]
    return kit.rich(title, *([kit.bullets(*because)] if because else []))


def _round(round_: Round) -> Block:
    words, _ = end_of(round_)
    steps = [
        kit.section(kit.words(f"{step.action.kind.replace('_', ' ')} {step.action.target}: {step.why}", limit=300))
        for step in round_.plan.steps[:5]
    ]
    runs = [kit.words(f"Plan {round_.attempt}  ", bold=True), kit.words(words, limit=200)]
    reasons = round_.decision.reasons if round_.decision is not None and round_.end == "denied" else ()
    runs += [kit.words(f"; {reason.rule}: {reason.message}", limit=300) for reason in reasons[:3]]
    for given in round_.status.answers if round_.status is not None else ():
        said = f": {given.reason}" if given.reason else ""
        verdict = "approved" if given.verdict == "approve" else "said no"
        runs.append(kit.words(f"; {given.person} {verdict}{said}", limit=300))
    return kit.rich(kit.section(*runs), *([kit.bullets(*steps)] if steps else []))


def _next(report: Report) -> Iterator[Block]:
    if not report.follow_ups:
        return
    items = [kit.section(kit.words(follow.text, limit=500)) for follow in report.follow_ups[:_MOST_NEXT]]
    yield kit.rich(kit.section(kit.words("Next step", bold=True)), kit.bullets(*items))
    diff = next((follow.diff for follow in report.follow_ups if follow.diff), "")
    if diff:
        yield kit.rich(kit.preformatted(diff, 1200))


def _evidence(report: Report, diagnosis: Diagnosis) -> Iterator[Block]:
    cited = {name for cause in diagnosis.causes for name in cause.evidence}
    shown = [piece for piece in report.evidence if piece.id in cited and piece.text.strip()][:_MOST_EVIDENCE]
    for number, piece in enumerate(shown):
        title = [kit.section(kit.words("Evidence", bold=True))] if number == 0 else []
        yield kit.rich(*title, *_piece(piece))


def _piece(piece: Evidence) -> Iterator[Block]:
    yield kit.section(kit.words(f"{piece.id}: {piece.source}", limit=300))
    yield kit.preformatted("\n".join(visible(piece.text).strip().splitlines()[:6]), 500)


def _ruled_out(diagnosis: Diagnosis) -> Iterator[Block]:
    said = [f"{out.finding.statement.rstrip('.')}: {named(out.by)}" for out in diagnosis.ruled_out]
    if said:
        yield _listed("Not the cause", said, most=_MOST_RULED_OUT)


def _answer(answer: Answer) -> Iterator[Block]:
    if answer.rows:
        yield kit.rich(*_table(answer.columns, answer.rows[:_MOST_ROWS]))
        if len(answer.rows) > _MOST_ROWS:
            yield kit.context(f"and {len(answer.rows) - _MOST_ROWS} more, in the report")
    if answer.choices:
        yield _listed("Ask instead", answer.choices, most=8)
    if answer.notes:
        yield _listed("Note", answer.notes, most=4)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Block]:
    """In columns where that is no wider than a message; else a line for each row."""
    shown = [[_one_line(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[place]) for row in shown) for place in range(len(columns))]
    if sum(widths) + 2 * len(widths) <= _WIDTH:
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
        yield kit.preformatted("\n".join(lines), _MOST_TABLE)
        return
    items = []
    for first, *others in shown[1:]:
        rest = [kit.words(f"  {' · '.join(cell for cell in others if cell)}", limit=300)] if others else []
        items.append(kit.section(kit.words(first, bold=True, limit=200), *rest))
    yield kit.section(kit.words(" · ".join(shown[0]), italic=True, limit=200))
    yield kit.bullets(*items)


def _one_line(text: str) -> str:
    return " ".join(visible(text).split())


def _listed(title: str, texts: Sequence[str], *, most: int) -> Block:
    items = [kit.section(kit.words(text, limit=300)) for text in texts[:most]]
    more = f" ({len(texts) - most} more in the report)" if len(texts) > most else ""
    return kit.rich(kit.section(kit.words(f"{title}{more}", bold=True)), kit.bullets(*items))


def _small_print(report: Report, hint: str) -> Block:
    took = lasted(report.started_at, report.ended_at)
    reasoner = report.diagnosis.reasoner if report.diagnosis else "offline"
    said = f"{report.run} · cluster {report.incident.cluster} · {took} · {reasoner}"
    return kit.context(said, *([hint] if hint else []))
