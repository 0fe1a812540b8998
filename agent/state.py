"""What a run knows between two stages, what it works with, and how far it may go. Knows no stage and nothing of langgraph.

State is plain JSON and ids. Every stage may run again after a crash: what must not happen twice is asked of the sidecar by
digest, lease and step, and the plan is in the state before it is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, cast

from agent.domain.document import from_document
from agent.domain.finding import Diagnosis
from agent.domain.outcome import Round
from agent.ports import Clock, ClusterReader, EventLog, Governance, Metrics, Reasoner, Runbooks, RunStore
from agent.ports.witnesses import Witness
from agent.reasoning.model.case import Investigator
from agent.stages.gather import Limits
from sidecar.contract import Json


class State(TypedDict, total=False):
    """What a run knows between two stages. `then` is the node to go to; documents are those of agent.domain."""

    version: int
    run: str
    namespaces: list[str]
    readings: int
    replans: int
    diagnosis: dict[str, Any] | None
    latest: str
    rounds: list[dict[str, Any]]
    performed_at: str
    back_by: str  # when the fault of what was undone should have shown again
    mended: list[dict[str, Any]]
    humans: list[str]
    page: str
    suggestion: dict[str, Any]
    gaps: list[str]
    failure: str
    inquest: dict[str, Any]
    advice: dict[str, Any]
    same_as: str
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What an unfinished run has come to: for whoever looks at it."""

    diagnosis: Diagnosis | None = None
    rounds: tuple[Round, ...] = ()


def progress_of(values: Mapping[str, Any]) -> Progress:
    """From the values of a checkpoint; nothing where there is none yet."""
    state = cast(State, values)
    return Progress(diagnosis=diagnosis_in(state), rounds=tuple(rounds_in(state)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How often a back edge may be taken in one run, and how patient a run is."""

    readings: int = 3
    rounds: int = 5
    replans: int = 4
    poll_seconds: float = 2.0
    approval_wait_seconds: int = 20
    cluster_patience_seconds: float = 0.0  # how long one stage waits for a cluster that does not answer
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a run works with. `governance` None: nothing may be changed, diagnosis only. `witnesses` are asked beside the cluster,
    once it is known what about."""

    reader: ClusterReader
    metrics: Metrics | None
    reasoner: Reasoner
    runbooks: Runbooks
    governance: Governance | None
    store: RunStore
    events: EventLog
    clock: Clock
    investigator: Investigator | None = None  # a language model beside the checks
    witnesses: Sequence[Witness] = ()


def diagnosis_in(state: State) -> Diagnosis | None:
    document = state.get("diagnosis")
    return from_document(Diagnosis, cast(Json, document)) if document else None


def rounds_in(state: State) -> list[Round]:
    return [from_document(Round, cast(Json, entry)) for entry in state.get("rounds", [])]
