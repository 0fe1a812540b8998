"""What the runbooks say: what may be tried against a cause, and whether it is seen to have helped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.domain.finding import RankedCause
from agent.domain.objects import Manifest
from agent.ports.cluster import Observed
from sidecar.contract import Step, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One remedy, filled in for one cause. `id` is stable, such as "oom-killed/1". Without steps a person is needed and
    `human` says for what. `page` is the runbook's path."""

    id: str
    steps: tuple[Step, ...] = ()
    verification: tuple[Verification, ...] = ()
    human: str = ""
    page: str = ""


class Runbooks(Protocol):
    def candidates(self, cause: RankedCause, observed: Observed) -> Sequence[Candidate]:
        """In the page's order; only those whose condition holds. Empty when no page knows the cause."""
        ...

    def holds(self, check: Verification, found: Manifest) -> tuple[bool | None, str]:
        """Whether `check.condition` is true of its subject as it is now, and what was seen; None when it cannot be told."""
        ...
