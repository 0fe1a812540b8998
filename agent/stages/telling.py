"""How a stage tells what happens while it works: one line, and plain data for machines."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from agent.domain.incident import Incident
from agent.domain.outcome import Round
from sidecar.contract import Json


class Tell(Protocol):
    def __call__(self, text: str, data: Mapping[str, Json] | None = None, /) -> Awaitable[None]: ...


def what(incident: Incident) -> str:
    if incident.question:
        return f"question: {incident.question}"
    names = ", ".join(dict.fromkeys(alert.name for alert in incident.alerts))
    return f"alert: {names}" if names else "nothing was asked"


def verdict(judged: Round) -> str:
    if judged.end is None:
        by = ", ".join(answer.person for answer in judged.status.answers) if judged.status else ""
        return f"approved by {by}; rights are on loan" if by else "allowed by policy; rights are on loan"
    reasons = "; ".join(reason.message for reason in judged.decision.reasons) if judged.decision else ""
    words = {
        "denied": f"denied by policy: {reasons}",
        "refused": "a person said no",
        "no-answer": "nobody answered in time",
        "unavailable": "the sidecar cannot be reached",
        "void": "the approval does not hold any more",
        "target-changed": "the target is not what the plan said",
        "failed": "no rights were lent",
    }
    said = words.get(judged.end, judged.end)
    return f"{said} ({judged.note})" if judged.note and judged.note != said else said
