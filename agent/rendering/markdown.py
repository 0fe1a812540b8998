"""The report as Markdown: for a chat, a ticket, a terminal. Text of the cluster is quoted, never interpreted."""

import re
from collections.abc import Iterator

from agent.domain.answer import Answer
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.rendering.safety import one_line, visible
from agent.rendering.wording import OUTCOMES, assessed, end_of, lasted, moment, named, previews, revocation, right, value

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~!])")


def as_markdown(report: Report) -> str:
    parts = [*_head(report), *_cause(report), *_actions(report), *_timeline(report), *_evidence(report), *_rest(report)]
    return "\n".join(parts).rstrip() + "\n"


def _head(report: Report) -> Iterator[str]:
    words, _ = OUTCOMES[report.outcome]
    yield f"# {text(report.headline)}"
    yield ""
    yield f"- **Outcome:** {words}"
    yield f"- **Run:** {text(report.run)} on cluster {text(report.incident.cluster)}"
    yield f"- **Opened:** {moment(report.started_at)}, took {lasted(report.started_at, report.ended_at)}"
    if report.incident.question:
        yield f"- **Question:** {text(report.incident.question)}"
    for alert in report.incident.alerts:
        yield f"- **Alert:** {text(alert.name)}"
    if report.runbook:
        yield f"- **Runbook:** {text(report.runbook)}"
    yield ""


def _cause(report: Report) -> Iterator[str]:
    diagnosis = report.diagnosis
    if diagnosis is None:
        return
    yield "## Diagnosis"
    yield ""
    yield text(diagnosis.statement)
    yield ""
    if diagnosis.answer:
        yield from _answer(diagnosis.answer)
    for cause in diagnosis.causes:
        yield f"### {text(cause.finding.cause)}: {text(str(cause.finding.subject))}"
        yield ""
        yield f"{text(cause.finding.statement)} (confidence {cause.confidence:.0%})"
        yield ""
        yield from (f"- because: {text(named(line))}" for line in cause.because)
        yield from (f"- explains: {text(named(line))}" for line in cause.explains)
        if cause.evidence:
            yield f"- evidence: {', '.join(cause.evidence)}"
        yield ""
    if report.victims:
        yield f"Affected: {', '.join(text(str(ref)) for ref in report.victims)}"
        yield ""
    if diagnosis.ruled_out:
        yield "Ruled out:"
        yield ""
        yield from (f"- {text(out.finding.statement)}: {text(named(out.by))}" for out in diagnosis.ruled_out)
        yield ""
    for head, lines in assessed(diagnosis.assessment) if diagnosis.assessment else ():
        yield f"{head}:"
        yield ""
        yield from (f"- {text(line)}" for line in lines)
        yield ""
    if diagnosis.looked_at:
        yield "Also looked at:"
        yield ""
        yield from (f"- {text(line)}" for line in diagnosis.looked_at)
        yield ""


def _answer(answer: Answer) -> Iterator[str]:
    if answer.rows:
        yield f"| {' | '.join(map(text, answer.columns))} |"
        yield f"|{' --- |' * len(answer.columns)}"
        yield from (f"| {' | '.join(map(text, row))} |" for row in answer.rows)
        yield ""
    if answer.choices:
        yield "Ask instead:"
        yield ""
        yield from (f"- {text(choice)}" for choice in answer.choices)
        yield ""
    if answer.notes:
        yield f"Note: {text('; '.join(answer.notes))}."
        yield ""


def _actions(report: Report) -> Iterator[str]:
    if not report.rounds:
        return
    yield "## What was done"
    yield ""
    for round_ in report.rounds:
        yield from _round(round_)


def _round(round_: Round) -> Iterator[str]:
    words, _ = end_of(round_)
    yield f"### Plan {round_.attempt}: {words}"
    yield ""
    for step in round_.plan.steps:
        yield f"- {step.id}: {step.action.kind} {text(str(step.action.target))}: {text(step.why)}"
    if round_.decision:
        yield f"- policy ({text(round_.decision.revision)}): {round_.decision.verdict}"
        yield from (f"  - {text(reason.rule)}: {text(reason.message)}" for reason in round_.decision.reasons)
    for answer in round_.status.answers if round_.status else ():
        said = f": {text(answer.reason)}" if answer.reason else ""
        yield f"- {text(answer.person)}: {answer.verdict}, by {text(answer.via)}, {moment(answer.at)}{said}"
    if round_.lease:
        yield f"- rights on loan from {moment(round_.lease.granted_at)} until at most {moment(round_.lease.expires_at)}"
        yield from (f"  - {text(right(found))}" for found in round_.lease.rights)
    for result in round_.steps:
        yield f"- {result.step} {result.status} at {moment(result.at)} {text(result.message or result.reason)}".rstrip()
        for path in dict.fromkeys((*result.before, *result.after)):
            yield f"  - {text(path)}: {text(value(result.before.get(path)))} → {text(value(result.after.get(path)))}"
    for look in round_.observations:
        seen = {True: "seen", False: "not seen", None: "could not be told"}[look.seen]
        yield f"- {seen}: {text(look.description)} ({text(look.detail)}) at {moment(look.at)}"
    if round_.undo:
        yield f"- undone {'completely' if round_.undo.complete else 'in part'}"
    if round_.settlement:
        yield f"- rights {revocation(round_.settlement)}"
    if round_.note:
        yield f"- note: {text(round_.note)}"
    yield ""
    for preview in previews(round_):
        yield from fenced(preview.diff, "diff")
        yield ""


def _timeline(report: Report) -> Iterator[str]:
    yield "## Timeline"
    yield ""
    for entry in report.timeline:
        cited = f" ({entry.evidence})" if entry.evidence else ""
        yield f"- {moment(entry.at)} **{text(entry.who)}** {text(entry.text)}{cited}"
    yield ""


def _evidence(report: Report) -> Iterator[str]:
    shown = [piece for piece in report.evidence if not piece.missing]
    if not shown:
        return
    yield "## Evidence"
    yield ""
    for piece in shown:
        yield f"**{piece.id}** {text(piece.source)} (sha256 {piece.sha256[:12]})"
        yield ""
        yield from fenced(piece.text)
        yield ""


def _rest(report: Report) -> Iterator[str]:
    if report.unknowns:
        yield "## What was not known"
        yield ""
        yield from (f"- {text(line)}" for line in report.unknowns)
        yield ""
    if report.follow_ups:
        yield "## Follow-ups"
        yield ""
        for follow_up in report.follow_ups:
            yield f"- **{follow_up.kind}**: {text(follow_up.text)}"
            if follow_up.diff:
                yield ""
                yield from fenced(follow_up.diff, "diff")
                yield ""


def text(raw: str) -> str:
    """One line, with nothing in it that Markdown or the HTML made of it would take for more than text."""
    return _SPECIAL.sub(r"\\\1", one_line(raw))


def fenced(raw: str, language: str = "text") -> Iterator[str]:
    """A code block with a fence longer than any inside."""
    shown = visible(raw).rstrip("\n")
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", shown)), default=0) + 1)
    yield f"{fence}{language}"
    yield shown
    yield fence
