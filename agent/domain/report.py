"""The write-up: everything a reader needs, already decided; renderers only lay it out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.objects import Ref, Series
from agent.domain.outcome import Round, RunOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """`who`: cluster, agent, sidecar, or a person's name."""

    at: datetime
    who: str
    text: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    title: str
    unit: str
    series: tuple[Series, ...]
    marks: tuple[tuple[datetime, str], ...] = ()  # such as "step-1 performed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What is left for people. `kind` commit carries a change for the repository that owns the object, as a diff."""

    kind: Literal["human", "commit", "prevent", "look"]
    text: str
    diff: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    run: str
    incident: Incident
    outcome: RunOutcome
    headline: str
    diagnosis: Diagnosis | None
    rounds: tuple[Round, ...]
    evidence: tuple[Evidence, ...]
    timeline: tuple[TimelineEntry, ...]
    charts: tuple[Chart, ...]
    unknowns: tuple[str, ...]
    follow_ups: tuple[FollowUp, ...]
    victims: tuple[Ref, ...]
    started_at: datetime
    ended_at: datetime
    runbook: str = ""
