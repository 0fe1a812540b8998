"""What one look over a cluster found: causes with everything they account for, loudest effect first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.domain.finding import RankedCause
from agent.domain.objects import Ref

Effect = Literal[
    "down",  # a workload has no ready pod, or a Service nobody behind it
    "degraded",  # fewer pods are ready than wanted, or a job failed
    "at risk",  # everything still runs
]
EFFECTS: tuple[Effect, ...] = ("down", "degraded", "at risk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One cause, wherever it occurs. `roots` are its findings, worst first; `victims` what suffers beside their subjects.

    `cause` is the page's slug; "" stands for symptoms whose cause was not seen. `effect` is that of its worst root.
    """

    cause: str
    effect: Effect
    roots: tuple[RankedCause, ...]
    victims: tuple[Ref, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """`outcome` healthy: nothing is wrong, and what would have to be seen to say so was seen. unknown: something could not
    be seen that this rests on, or only symptoms were. `seen` counts objects by kind; `unready` workloads that lack pods.

    `gaps` are (what, why). `unheard` counts workloads that call others and whose logs were not read, `explained` active
    findings that another one accounts for.
    """

    cluster: str
    at: datetime
    outcome: Literal["healthy", "fault", "unknown"]
    namespaces: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    seen: Mapping[str, int]
    workloads: int
    unready: int
    explained: int = 0
    blind: tuple[str, ...] = ()
    unheard: int = 0
    gaps: tuple[tuple[str, str], ...] = ()
