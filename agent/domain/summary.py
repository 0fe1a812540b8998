"""A week (or any time) of incidents in numbers, and what is worth a look. Everything in it stands in the runs' reports."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of times in seconds: how many there are, the median, and the value that one in ten is above."""

    count: int
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseCount:
    """`subjects`: up to a few of the resources, most often first, each "Kind namespace/name"."""

    cause: str
    count: int
    repaired: int
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The same cause at the same resource more than once. `runs`, the oldest first."""

    cause: str
    subject: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A rule that said no. `example` is its message once."""

    rule: str
    count: int
    example: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """A run of which something was not known: it broke, named no cause, or could not see everything."""

    run: str
    headline: str
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    run: str
    at: datetime
    headline: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """`since` and `until` are aware UTC; runs that ended in between. `to_cause`: from the incident's opening to the diagnosis;
    `to_repair`: from its opening to when it was seen to be repaired; None where there was none."""

    since: datetime
    until: datetime
    cluster: str
    alerts: int
    questions: int
    outcomes: tuple[tuple[str, int], ...]
    causes: tuple[CauseCount, ...]
    to_cause: Spread | None
    to_repair: Spread | None
    denied: tuple[Denied, ...]
    refused: int
    unanswered: int
    repeated: tuple[Repeated, ...]
    incomplete: tuple[Incomplete, ...]
    lines: tuple[Line, ...]
    left_out: int = 0  # runs beyond the bound that are not counted
