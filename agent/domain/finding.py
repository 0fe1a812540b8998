"""What a check saw about one object, and what the ranking made of all findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from agent.domain.answer import Answer
from agent.domain.assessment import Assessment
from agent.domain.objects import Ref
from agent.domain.tie import Tie
from sidecar.contract import Json

FindingState = Literal["active", "recovered", "past"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Words of the cluster that a finding rests on, before they get an evidence id: where they stand, and what they say."""

    source: str
    about: Ref
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A named condition of one object.

    `cause` is a slug that has a runbook page. `subject` is the object that would have to change (not the loudest victim);
    `affects` are objects that suffer from it. `since` is the earliest time at which it can be seen. `params` feed
    runbook conditions and templates and are plain JSON. `statement` is one sentence naming what is wrong with what.
    """

    cause: str
    subject: Ref
    state: FindingState = "active"
    statement: str
    since: datetime | None = None
    affects: tuple[Ref, ...] = ()
    quotes: tuple[Quote, ...] = ()
    params: Mapping[str, Json] = field(default_factory=dict)
    symptom_only: bool = False  # names that something is wrong, not why: never a cause while any other finding is
    by_model: bool = False  # no check names it, a language model does
    weight: float | None = None  # how much it says by itself, 0 to 1; None: what its check is registered with

    @property
    def id(self) -> str:
        return f"{self.cause}@{self.subject.kind}/{self.subject.namespace}/{self.subject.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What somebody changed last before a finding began. `what` is short, such as "revision 4: image v2 to v3"; `who` a field
    manager, or the component that told of it."""

    about: Ref
    at: datetime
    what: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCause:
    """A finding that nothing else explains, with what it explains and why it was chosen. `confidence` is computed, 0 to 1."""

    finding: Finding
    explains: tuple[str, ...] = ()  # ids of findings
    because: tuple[str, ...] = ()
    confidence: float = 0.0
    evidence: tuple[str, ...] = ()  # ids of evidence
    change: Changed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledOut:
    """A finding that is not the cause, and by what."""

    finding: Finding
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """fault: `causes` holds one to three. healthy: no active fault. unknown: something is wrong, why is not seen. answered:
    what was asked is no matter of faults, and `answer` holds it. unclear: more than one thing could be meant; absent: what
    was asked about is not there; for both `answer` says what to ask instead.

    `missing` says what could not be seen, `looked_at` what was looked at besides. `reasoner` names who answered. `about` is what
    a question was taken to be about: objects, or else namespaces.
    """

    outcome: Literal["fault", "healthy", "unknown", "answered", "unclear", "absent"]
    statement: str
    causes: tuple[RankedCause, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    missing: tuple[str, ...] = ()
    victims: tuple[Ref, ...] = ()
    reasoner: str = "offline"
    wants: tuple[str, ...] = ()  # namespaces or objects ("ns:NAME") still to be read before an answer is final
    answer: Answer | None = None
    looked_at: tuple[str, ...] = ()
    assessment: Assessment | None = None  # what a language model made of it; None: none was asked
    about: tuple[Ref, ...] = ()
    ties: tuple[Tie, ...] = ()  # how the objects named here hang together
