"""What the runbooks say: what may be tried against a cause, and whether it is seen to have helped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Incident
from agent.domain.objects import Manifest, Series
from agent.domain.runbook import Lookup
from agent.ports.cluster import Observed
from sidecar.contract import Json, Step, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One remedy, filled in for one cause. `id` is stable, such as "oom-killed/1". Without steps a person is needed and
    `human` says for what. `page` is the runbook's path."""

    id: str
    steps: tuple[Step, ...] = ()
    verification: tuple[Verification, ...] = ()
    human: str = ""
    page: str = ""
    by_model: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What the pages say to look at, and what was seen there. `page` is the page for alerts whose cause is not known, or ""."""

    page: str = ""
    look: str = ""  # its words for a person
    lookups: tuple[Lookup, ...] = ()


class Runbooks(Protocol):
    def guidance(self, diagnosis: Diagnosis, incident: Incident, observed: Observed, series: Sequence[Series]) -> Guidance:
        """The further questions of the pages of the causes; where no cause is known, those of the alerts' pages."""
        ...

    def candidates(self, cause: RankedCause, observed: Observed) -> Sequence[Candidate]:
        """In the page's order; only those whose condition holds. Empty when no page knows the cause."""
        ...

    def proposed(self, cause: RankedCause, action: Mapping[str, Json], cites: Sequence[str], observed: Observed) -> Candidate:
        """A model's own action against the cause (kind, target "Kind/namespace/name", parameters), with our words on it and
        `cites`; one for a person, saying why, where it is no action of the contract or its target is not of the cause."""
        ...

    def holds(self, check: Verification, found: Manifest) -> tuple[bool | None, str]:
        """Whether `check.condition` is true of its subject as it is now, and what was seen; None when it cannot be told."""
        ...
