"""The end of an investigation at the terminal: the answer first, then what it rests on, then what to do.

Everything that it says stands in the report too; here it is short enough for one screen.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from agent.cli.layout import Page, shortened
from agent.domain.answer import Answer
from agent.domain.finding import RankedCause
from agent.domain.outcome import RunOutcome
from agent.domain.report import Report
from agent.rendering.safety import one_line
from agent.rendering.wording import OUTCOMES, moment, named

TONES = {"good": "bold green", "bad": "bold red", "warn": "bold yellow", "calm": "bold cyan"}
QUOTES, REASONS, RULED_OUT, UNKNOWN, LEFT = 2, 3, 3, 4, 3  # how many of each one screen holds
_TELLING = ("it explains", "changed before", "these depend", "an object that was asked about depends")  # the others are figures
FEW = 5  # names of one reason
LABELS: dict[RunOutcome, str] = {
    "diagnosed": "FAULT",
    "healthy": "HEALTHY",
    "unknown": "NOT KNOWN",
    "answered": "ANSWER",
    "unclear": "WHICH ONE?",
    "absent": "NOT THERE",
    "repaired": "REPAIRED",
}


def show(report: Report, out: Console) -> None:
    page = Page(out)
    words, tone = OUTCOMES[report.outcome]
    label = LABELS.get(report.outcome, "FAULT" if report.diagnosis and report.diagnosis.causes else "FAILED")
    page.line()
    page.paragraph(_headline(report), label=label, label_style="bold red" if label == "FAULT" else TONES[tone], style="bold")
    if label == "FAULT" and report.outcome != "diagnosed":
        page.field("outcome", words, style=TONES[tone])
    if report.diagnosis is None:
        return
    for cause in report.diagnosis.causes:
        _cause(cause, report, page)
    if report.diagnosis.answer is not None:
        _answer(report.diagnosis.answer, out, page)
    for name, words in _rest(report):
        page.field(name, words, style="cyan" if name == "next" else "")


def _headline(report: Report) -> str:
    """The statement itself: the label in front says what the report's headline says in words."""
    if report.diagnosis is not None and report.outcome in LABELS and report.outcome != "repaired":
        return report.diagnosis.statement
    return report.headline


def _cause(cause: RankedCause, report: Report, page: Page) -> None:
    since = f", since {moment(cause.finding.since)}" if cause.finding.since else ""
    page.field("cause", f"{cause.finding.cause} of {cause.finding.subject}{since}, confidence {cause.confidence:.0%}")
    for reason in [one for one in cause.because if one.startswith(_TELLING)][:REASONS]:
        page.field("because", named(reason), style="dim")
    cited = [piece for piece in report.evidence if piece.id in cause.evidence and not piece.missing]
    for piece in cited[:QUOTES]:
        page.field("shown by", f"{piece.source}: {one_line(piece.text)[:300]}", style="dim")


def _answer(answer: Answer, out: Console, page: Page) -> None:
    if answer.rows:
        page.line()
        columns = (Column(name, overflow="fold") for name in answer.columns)
        table = Table(*columns, box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for row in answer.rows:
            table.add_row(*(Text(shortened(one_line(cell))) for cell in row))
        if out.is_terminal:
            out.print(table, soft_wrap=False)
        else:
            for row in (answer.columns, *answer.rows):
                out.file.write("\t".join(map(one_line, row)) + "\n")  # for cut and awk; rich would make spaces of tabs
        page.line()
    for number, choice in enumerate(answer.choices, start=1):
        page.field(f"{number}", choice, style="cyan")
    for note in answer.notes:
        page.field("note", note, style="dim")


def _rest(report: Report) -> Iterator[tuple[str, str]]:
    diagnosis = report.diagnosis
    hit = [str(one) for one in report.victims if one.kind != "Pod"]
    if hit:
        yield "hits", f"{', '.join(hit[:6])}{f' and {len(hit) - 6} more' if len(hit) > 6 else ''}"
    if diagnosis is not None and diagnosis.causes:
        chosen = {one.finding.id for one in diagnosis.causes}
        others = [one for one in diagnosis.ruled_out if one.by.removeprefix("explained by ").partition(" (")[0] not in chosen]
        for out in others[:RULED_OUT]:
            yield "not it", f"{shortened(out.finding.statement)} ({shortened(named(out.by))})"
    unknown = _unknown(report.unknowns)
    for words in unknown[:UNKNOWN]:
        yield "not seen", words
    if len(unknown) > UNKNOWN:
        yield "not seen", f"and {len(unknown) - UNKNOWN} more, in the report"
    for follow_up in [one for one in report.follow_ups if one.kind in ("human", "commit")][:LEFT]:
        yield "next", follow_up.text
    if report.runbook:
        yield "page", report.runbook


def _unknown(told: Sequence[str]) -> list[str]:
    """What could not be had for one reason is one line: there may be dozens of logs, or of kinds."""
    whys: dict[str, list[str]] = {}
    for words in told:
        what, _, why = words.partition(": ")
        whys.setdefault(why, []).append(what)
    lines = []
    for why, whats in whys.items():
        logs = [one for one in whats if one.startswith("logs of ")]
        if len(logs) > 1:
            whats = [one for one in whats if one not in logs] + [f"{len(logs)} container logs"]
        more = f" and {len(whats) - FEW} more" if len(whats) > FEW else ""
        lines.append(f"{', '.join(whats[:FEW])}{more}{f': {why}' if why else ''}")
    return lines
