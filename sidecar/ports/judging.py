"""Facts and verdicts: what the gate asks before anybody may act."""

import hashlib
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from sidecar.contract import Decision, Json, Plan, canonical
from sidecar.ports.cluster import Looking


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the sidecar's own store knows that policy may count: recent performed steps and live leases.

    `performed`: {"at": RFC 3339, "incident", "kind", "target": ObjectRef document} within the last 24 hours.
    `leased`: targets (ObjectRef documents) under a live lease of another plan.
    """

    performed: Sequence[dict[str, Json]] = ()
    leased: Sequence[dict[str, Json]] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the judge looked up itself. `document` is the `facts` part of the Rego input; a fact that could not be had
    is absent from it and named in `missing`, so that the rules deny."""

    document: dict[str, Json]
    missing: tuple[str, ...]
    gathered_at: datetime

    def but_for(self, names: Set[str]) -> dict[str, Json]:
        """`document`, or so much of it as is put together already: only facts of these names may be left out."""
        return self.document

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form of `document`, as it is when it is asked for first."""
        return hashlib.sha256(self.canonical_form).hexdigest()

    @cached_property
    def canonical_form(self) -> bytes:
        return canonical(self.document)


def nothing() -> None:
    """What is done meanwhile by default."""


class FactFinder(Protocol):
    def gather(
        self, plan: Plan, history: History, *, through: Looking | None = None, last: frozenset[str] = frozenset()
    ) -> Facts:
        """Never raises: what could not be looked up is missing. `through`: looks that are shared with others; without it
        everything is looked at anew, one after the other. `last`: names of facts that may be put together when somebody asks
        for them, from what was looked at until then."""
        ...


class Judge(Protocol):
    """Never raises and never guesses: engine down, undefined, wrong shape, or a missing fact is a denial with its reason
    (rules policy-unavailable, policy-malformed, fact-missing)."""

    @property
    def revision(self) -> str: ...

    @property
    def unread(self) -> frozenset[str]:
        """Names of facts that no rule reads."""
        ...

    def decide(self, plan: Plan, facts: Facts, *, meanwhile: Callable[[], None] = nothing) -> Decision:
        """`meanwhile` is called, if it comes to that, when the question was put and before its answer is waited for, and
        its time does not count as the engine's. It never raises, and may be called more than once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStanding:
    """What judges at present. `revision` "none": no bundle was admitted yet, so every verdict is a denial.

    `refusal`: why a bundle was not admitted, and `refused_at` when, the last time that happened; `pending`: whether what
    lies in the folder now is something else than what judges. `unavailable`: why the engine cannot answer, "" if it can.
    """

    revision: str
    engine: str = ""
    loaded_at: datetime | None = None
    version: int | None = None
    signed_by: str = ""
    refusal: str = ""
    refused_at: datetime | None = None
    pending: bool = False
    unavailable: str = ""
