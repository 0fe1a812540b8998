"""How an answer is put in a conversation: Markdown that is whole by itself, and the same in fields for programs.

Everything in it stands in the run's report; here it is short. Text of the cluster is escaped: it is quoted, never markup.
"""

from collections.abc import Iterator, Sequence

from agent.chat.belongings import Belonging
from agent.chat.elliptic import name_of
from agent.chat.streams import Excerpt
from agent.domain.answer import Answer
from agent.domain.evidence import Evidence
from agent.domain.finding import RankedCause
from agent.domain.objects import Ref
from agent.domain.report import Report
from agent.domain.session import NamedCause, Reply
from agent.rendering.markdown import fenced, text
from agent.rendering.wording import moment, named

QUOTES, RULED_OUT, UNSEEN, LEFT, ROWS = 3, 3, 3, 3, 30
LONGEST_QUOTE = 300
_UNREPAIRED = ("diagnosed", "human-needed", "not-repaired", "ungoverned", "no-answer", "refused")


def of_report(report: Report, *, meant: str = "", governed: bool, acting: bool) -> Reply:
    """`acting`: the run was to repair, so its end is told too. `governed`: there is somebody a plan can be proposed to."""
    diagnosis = report.diagnosis
    statement = report.headline if diagnosis is None or acting else diagnosis.statement
    answer = diagnosis.answer if diagnosis is not None else None
    causes = diagnosis.causes if diagnosis is not None else ()
    lines = [text(statement), ""]
    for cause in causes:
        lines += [*_cause(cause, report.evidence), ""]
    if answer is not None:
        lines += [*_table(answer), ""]
    if acting:
        lines += [*_what_was_done(report), ""]
    lines += _aside(report, acting=acting)
    suggestions = _suggestions(report, governed=governed, acting=acting)
    return Reply(
        text=_joined(lines),
        outcome=report.outcome,
        run=report.run,
        meant=meant,
        statement=statement,
        causes=tuple(
            NamedCause(
                cause=one.finding.cause,
                subject=str(one.finding.subject),
                statement=one.finding.statement,
                confidence=round(one.confidence, 2),
                evidence=one.evidence,
            )
            for one in causes
        ),
        columns=answer.columns if answer else (),
        rows=answer.rows[:ROWS] if answer else (),
        choices=answer.choices if answer else (),
        notes=answer.notes if answer else (),
        not_seen=report.unknowns[:10],
        suggestions=suggestions,
    )


def _cause(cause: RankedCause, evidence: Sequence[Evidence]) -> Iterator[str]:
    since = f", since {moment(cause.finding.since)}" if cause.finding.since else ""
    yield f"- **{text(cause.finding.cause)}** of {text(str(cause.finding.subject))}{since}, confidence {cause.confidence:.0%}"
    for piece in [one for one in evidence if one.id in cause.evidence and not one.missing][:QUOTES]:
        yield f"  - {piece.id}, {text(piece.source)}: {text(piece.text[:LONGEST_QUOTE])}"


def _table(answer: Answer) -> Iterator[str]:
    if answer.rows:
        yield f"| {' | '.join(map(text, answer.columns))} |"
        yield f"|{' --- |' * len(answer.columns)}"
        yield from (f"| {' | '.join(map(text, row))} |" for row in answer.rows[:ROWS])
        if len(answer.rows) > ROWS:
            yield ""
            yield f"{len(answer.rows) - ROWS} more rows are in the report."
        yield ""
    yield from (f"{number}. {text(choice)}" for number, choice in enumerate(answer.choices, start=1))
    if answer.choices:
        yield ""
    yield from (f"Note: {text(note)}." for note in answer.notes)


def _aside(report: Report, *, acting: bool) -> Iterator[str]:
    """What was excluded, not seen, and left for people."""
    diagnosis = report.diagnosis
    if diagnosis is not None and diagnosis.causes and not acting:
        chosen = {one.finding.id for one in diagnosis.causes}
        others = [one for one in diagnosis.ruled_out if one.by.removeprefix("explained by ").partition(" (")[0] not in chosen]
        yield from (f"Not it: {text(one.finding.statement)} ({text(named(one.by))})" for one in others[:RULED_OUT])
    yield from (f"Not seen: {text(line)}" for line in _by_reason(report.unknowns))
    for one in [left for left in report.follow_ups if left.kind in ("human", "commit")][:LEFT]:
        yield f"Next: {text(one.text)}"
    if report.runbook:
        yield f"Runbook: {text(report.runbook)}"


def _by_reason(unknowns: Sequence[str]) -> list[str]:
    """What could not be had for one reason is one line: there may be dozens of kinds."""
    whys: dict[str, list[str]] = {}
    for words in unknowns:
        what, _, why = words.partition(": ")
        whys.setdefault(why.partition(": ")[0][:120], []).append(what[:120])
    lines = []
    for why, whats in list(whys.items())[:UNSEEN]:
        more = f" and {len(whats) - UNSEEN} more" if len(whats) > UNSEEN else ""
        lines.append(f"{', '.join(whats[:UNSEEN])}{more}{f': {why}' if why else ''}")
    return lines


def _what_was_done(report: Report) -> Iterator[str]:
    for round_ in report.rounds:
        steps = "; ".join(f"{step.action.kind.replace('_', ' ')} {step.action.target}" for step in round_.plan.steps)
        note = f" ({text(round_.note)})" if round_.note else ""
        yield f"- Plan {round_.attempt}, {text(steps)}: {round_.end or 'not finished'}{note}"
        for reason in round_.decision.reasons if round_.decision else ():
            yield f"  - {text(reason.rule)}: {text(reason.message)}"
        for answer in round_.status.answers if round_.status else ():
            yield f"  - {text(answer.person)}: {answer.verdict}{f' ({text(answer.reason)})' if answer.reason else ''}"


def _suggestions(report: Report, *, governed: bool, acting: bool) -> tuple[str, ...]:
    if report.diagnosis is None:
        return ()
    if report.diagnosis.causes:
        acts = ("fix it",) if governed and not acting and report.outcome in _UNREPAIRED else ()
        return (*acts, "why?", "what should I do?", "what changed there?", "show me the logs")
    return ("what changed there?", "what could you not see?") if report.outcome in ("healthy", "unknown") else ()


# Of what the last run knows -------------------------------------------------------------------------------------------------


def why(report: Report) -> str:
    diagnosis = report.diagnosis
    if diagnosis is None:
        return text(report.headline)
    lines = [text(diagnosis.statement), ""]
    for cause in diagnosis.causes:
        lines.append(
            f"- **{text(cause.finding.cause)}** of {text(str(cause.finding.subject))}, confidence {cause.confidence:.0%}"
        )
        lines += [f"  - {text(named(reason))}" for reason in cause.because]
        pieces = [one for one in report.evidence if one.id in cause.evidence and not one.missing]
        lines += [f"  - {one.id}, {text(one.source)}: {text(one.text[:LONGEST_QUOTE])}" for one in pieces[:QUOTES]]
    if not diagnosis.causes:
        lines += [f"- {text(line)}" for line in diagnosis.looked_at[:10]]
    return _joined(lines)


def evidence(report: Report) -> str:
    shown = [one for one in report.evidence if not one.missing]
    cited = {name for cause in (report.diagnosis.causes if report.diagnosis else ()) for name in cause.evidence}
    chosen = [one for one in shown if one.id in cited] or shown
    if not chosen:
        return "That answer quotes nothing: it rests on the objects as they are. " + _at_report(report)
    lines = []
    for piece in chosen[:6]:
        lines += [f"**{piece.id}** {text(piece.source)}", "", *fenced(piece.text[:1200]), ""]
    if len(chosen) > 6:
        lines.append(f"{len(chosen) - 6} more. {_at_report(report)}")
    return _joined(lines)


def ruled_out(report: Report) -> str:
    found = report.diagnosis.ruled_out if report.diagnosis else ()
    if not found:
        return "Nothing else was seen that could have been it."
    lines = [f"- {text(one.finding.statement)}: {text(named(one.by))}" for one in found[:12]]
    looked = report.diagnosis.looked_at if report.diagnosis else ()
    return _joined([*lines, "", *(f"- also looked at: {text(line)}" for line in looked[:6])])


def not_seen(report: Report) -> str:
    if not report.unknowns:
        return "Everything that was asked for could be seen."
    return _joined([f"- {text(line)}" for line in report.unknowns[:30]])


def plan(report: Report, *, governed: bool) -> str:
    """The suggested change, or what people have to do."""
    lines: list[str] = []
    for one in report.follow_ups:
        lines += [f"- {text(one.text)}", ""]
        if one.diff:
            lines += [*fenced(one.diff, "diff"), ""]
    if not report.diagnosis or not report.diagnosis.causes:
        return "There is nothing to repair: no cause was named."
    if not lines:
        lines = ["No remedy of the runbooks fits it; a person has to decide what to do.", ""]
    if report.runbook:
        lines.append(f"Runbook: {text(report.runbook)}")
    suggested = any(one.diff or "not performed" in one.text for one in report.follow_ups)
    if governed and suggested:
        lines.append("Say *fix it* to have it judged and, if it is approved, carried out.")
    return _joined(lines)


def without_sidecar(report: Report) -> str:
    return (
        "There is no sidecar here to propose a plan to, so nothing can be changed from here. What the runbook suggests:\n\n"
        + plan(report, governed=False)
    )


# Of what was read just now --------------------------------------------------------------------------------------------------


def excerpts(found: Sequence[Excerpt]) -> str:
    lines: list[str] = []
    for one in found:
        if one.lines:
            lines += [f"**{text(one.title)}**", "", *fenced("\n".join(one.lines)), ""]
        else:
            lines += [f"{text(one.title)}: {text(one.why)}", ""]
    return _joined(lines)


def belongings(word: str, subject: Ref, found: Belonging) -> str:
    if found.outside:
        where = "; ".join(text(one) for one in found.outside[:3])
        return (
            f"The {text(word)} of {text(str(subject))} is outside of this cluster: {where}. It cannot be looked into from here."
        )
    if found.missing:
        named = "; ".join(text(one) for one in found.missing[:3])
        return f"The {text(word)} of {text(str(subject))} is called {named}, and no such Service can be seen."
    if len(found.refs) > 1:
        listed = "\n".join(f"{number}. {text(str(ref))}" for number, ref in enumerate(found.refs, start=1))
        return f"Which one is meant?\n\n{listed}"
    needs = ", ".join(text(str(ref)) for ref in found.needs)
    known = f" It needs: {needs}." if needs else " Nothing that it needs can be seen."
    return f"No {text(word)} of {text(str(subject))} can be told.{known}"


def choices(question: str, found: Belonging) -> tuple[str, ...]:
    return tuple(question.format(name_of(ref)) for ref in found.refs)


def _at_report(report: Report) -> str:
    return f"The whole report is that of run {report.run}."


def _joined(lines: Sequence[str]) -> str:
    shown: list[str] = []
    for line in lines:
        if line or (shown and shown[-1]):
            shown.append(line)
    return "\n".join(shown).strip()
