"""After a remedy was undone the fault comes back, but not at once: pods start anew, and break when they break. Until then the
cluster shows nothing, or only what a start looks like, and neither is a diagnosis to act on."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.domain.finding import Diagnosis
from agent.domain.outcome import Round

LONGEST_PAUSE = 30.0  # seconds


def is_back(found: Diagnosis, undone: Round) -> bool:
    """Whether what the round was to mend is seen again."""
    return any(undone.remedy.startswith(f"{cause.finding.id}#") for cause in found.causes)


def until_when(undone: Round, now: datetime) -> datetime:
    """How long it is waited for: as long as it was waited for the remedy to help."""
    return now + timedelta(seconds=max((check.within_seconds for check in undone.plan.verification), default=0))


def pauses(first: float) -> Iterator[float]:
    """Between one look at a whole namespace and the next, in seconds: longer each time."""
    while True:
        yield first
        first = min(first * 1.5, LONGEST_PAUSE)
