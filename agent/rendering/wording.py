"""How the report calls things, alike in Markdown and HTML."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import orjson

from agent.domain.assessment import Assessment
from agent.domain.outcome import Round, RoundEnd, RunOutcome
from agent.domain.report import Report
from sidecar.contract import ChangePreview, Json, Right, Settlement

OUTCOMES: dict[RunOutcome, tuple[str, str]] = {
    # words, tone: good, bad, calm (an answer, and nothing is wrong with it), warn
    "repaired": ("Repaired and verified", "good"),
    "healthy": ("No active fault", "good"),
    "diagnosed": ("Diagnosed", "calm"),
    "answered": ("Answered", "calm"),
    "unclear": ("More than one thing could be meant", "warn"),
    "absent": ("Not there", "warn"),
    "human-needed": ("A person is needed", "warn"),
    "denied": ("Denied by policy", "warn"),
    "refused": ("Refused by a person", "warn"),
    "no-answer": ("Nobody answered", "warn"),
    "ungoverned": ("Sidecar not reached", "warn"),
    "joined": ("Another run works on the same cause", "calm"),
    "resolved": ("Resolved by itself", "good"),
    "silenced": ("Silenced", "calm"),
    "stopped": ("Stopped by a person", "calm"),
    "not-repaired": ("Not repaired", "bad"),
    "unknown": ("Cause not known", "bad"),
    "failed": ("The run broke", "bad"),
}
ENDS: dict[RoundEnd, tuple[str, str]] = {
    "helped": ("Helped", "good"),
    "did-not-help": ("Did not help, undone", "bad"),
    "unverified": ("Effect could not be seen", "warn"),
    "denied": ("Denied by policy", "warn"),
    "refused": ("Refused by a person", "warn"),
    "no-answer": ("Nobody answered", "warn"),
    "target-changed": ("Target had changed", "warn"),
    "failed": ("Refused by the cluster", "bad"),
    "void": ("Approval no longer valid", "warn"),
    "unavailable": ("Sidecar not reached", "warn"),
}
_FINDING = re.compile(r"\b([a-z][a-z0-9-]*)@([A-Z][A-Za-z]*)/([a-z0-9.-]*/[^\s,;]+)")
assert set(OUTCOMES) == set(get_args(RunOutcome))


def end_of(round_: Round) -> tuple[str, str]:
    if round_.end is None:
        return "Not finished", "warn"
    words, tone = ENDS[round_.end]
    if round_.end == "did-not-help" and not (round_.undo and round_.undo.complete):
        return "Did not help, not undone completely", "bad"
    return words, tone


def named(text: str) -> str:
    """Findings as people say them: `crash-loop@Deployment/shop/cart` is "crash-loop (Deployment shop/cart)"."""
    return _FINDING.sub(lambda found: f"{found[1]} ({found[2]} {found[3].lstrip('/')})", text)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%M:%S")


def lasted(start: datetime, end: datetime) -> str:
    seconds = max(0.0, (end - start).total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def right(right: Right) -> str:
    """One RBAC rule as people read it."""
    resource = f"{right.resource}.{right.group}" if right.group else right.resource
    return f"{', '.join(right.verbs)} {resource} {', '.join(right.names)} in {right.namespace or 'the cluster'}"


def revocation(settlement: Settlement) -> str:
    if settlement.state == "revocation_pending":
        return "not yet proven to be over: the sidecar goes on taking the rights back"
    if settlement.refused_after_ms is None:
        return "given back; no write with the old token was tried"
    after = f"{settlement.refused_after_ms:.0f} ms after the binding was deleted"
    return f"proven over: the old token was refused ({settlement.refusal}) {after}"


def assessed(told: Assessment) -> list[tuple[str, Sequence[str]]]:
    """(heading, lines) of what a language model made of it; every heading says whose word it is."""
    spent = f"{told.calls} answers, {told.tokens} tokens, {told.seconds:.1f} s" + (
        f", {told.cost:.4f} spent" if told.cost else ""
    )
    how = {
        "answered": f"{told.model}: {spent}",
        "partial": f"{told.model}: ended early ({told.reason}: {told.why}); {spent}",
        "unavailable": f"{told.model} gave no answer that counts ({told.reason}: {told.why}); what stands here is the checks'",
    }[told.outcome]
    parts: list[tuple[str, Sequence[str]]] = [("The model", [how, *([told.why] if told.cached else [])])]
    if told.said:
        parts.append(("In its own words, not checked beyond its quotes", [told.said]))
    parts.append(("Where it differs from the checks", told.disagreements))
    parts.append(("Its inference, not seen by anybody", told.inference))
    parts.append(("What it could not find out", told.unknowns))
    parts.append(("Claims of it that did not stand and were dropped", told.dropped))
    return [(head, lines) for head, lines in parts if lines]


def previews(round_: Round) -> Sequence[ChangePreview]:
    return round_.status.approval.changes if round_.status and round_.status.approval else ()


def rights_lasted(report: Report) -> str:
    """How long rights existed in the whole run, or "" where there were none."""
    spans = [(r.lease.granted_at, r.settlement.settled_at) for r in report.rounds if r.lease and r.settlement]
    if not spans:
        return ""
    total = sum((end - start).total_seconds() for start, end in spans)
    return f"{total:.1f} s" if total < 120 else f"{total / 60:.1f} min"


def value(found: Json) -> str:
    """A field's value on one line; null is "is not there"."""
    if found is None:
        return "(absent)"
    return found if isinstance(found, str) else _compact(found)


def _compact(found: Json) -> str:
    return orjson.dumps(found).decode()
