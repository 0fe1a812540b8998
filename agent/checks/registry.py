"""The registry of checks: one decorator, one list. A check is a pure function from a topology to findings."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology
from agent.topology.fields import condition, ref_of, text, time_at

Look = Callable[[Topology], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """`weight` says how much the cause says by itself (0 to 1): a named missing key more than "does not become ready".
    `wide`: it concerns every namespace (the API server, the scheduler, DNS), whatever the question names."""

    cause: str
    weight: float
    symptom: bool
    look: Look
    wide: bool = False


_CHECKS: list[Check] = []
_WEIGHTS: dict[str, float] = {}  # by cause, the heaviest of its checks: the ranking asks for it with every pair of findings
_WIDE: set[str] = set()


def check(cause: str, *, weight: float = 0.7, symptom: bool = False, wide: bool = False) -> Callable[[Look], Look]:
    """Register a check for one cause (a slug that has a runbook page). Several checks may report the same cause."""

    def register(look: Look) -> Look:
        _CHECKS.append(Check(cause, weight, symptom, look, wide))
        _WEIGHTS[cause] = max(weight, _WEIGHTS.get(cause, 0.0))
        _WIDE.update((cause,) if wide else ())
        return look

    return register


def registered() -> tuple[Check, ...]:
    return tuple(_CHECKS)


def weight_of(finding: Finding) -> float:
    """How much the finding says by itself, 0 to 1: its own weight, else that of the check that reports its cause."""
    if finding.weight is not None:
        return finding.weight
    return _WEIGHTS.get(finding.cause, 0.5)


def is_wide(cause: str) -> bool:
    return cause in _WIDE


def run(topology: Topology) -> tuple[Finding, ...]:
    """Every check on the topology; of findings with one identity the most active and best quoted is kept."""
    found: dict[str, Finding] = {}
    for look in dict.fromkeys(one.look for one in _CHECKS):  # one function may report several causes
        for finding in look(topology):
            known = found.get(finding.id)
            if known is None or _rank(finding) < _rank(known):
                found[finding.id] = finding
    return tuple(found[key] for key in sorted(found))


def _rank(finding: Finding) -> tuple[int, int, str]:
    return (("active", "recovered", "past").index(finding.state), -len(finding.quotes), finding.statement)


def quote_condition(manifest: Manifest, kind: str) -> Iterator[Quote]:
    one = condition(manifest, kind)
    if one:
        words = f"{kind}={text(one, 'status')} {text(one, 'reason')}: {text(one, 'message')}".strip(": ")
        ref = ref_of(manifest)
        yield Quote(source=f"kubernetes: {ref} status.conditions", about=ref, text=words, at=time_at(one, "lastTransitionTime"))


def quote_event(event: Happening) -> Quote:
    times = f" (x{event.count})" if event.count > 1 else ""
    about = event.about
    return Quote(
        source=f"kubernetes: event on {about}", about=about, text=f"{event.reason}: {event.message}{times}", at=event.last
    )


def quote_field(ref: Ref, where: str, words: str, at: datetime | None = None) -> Quote:
    return Quote(source=f"kubernetes: {ref} {where}", about=ref, text=words, at=at)


def quote_log(pod: Ref, container: str, line: str, at: datetime | None = None, *, previous: bool = False) -> Quote:
    which = " (previous run)" if previous else ""
    return Quote(source=f"log: {pod} container {container}{which}", about=pod, text=line[:600], at=at)


def earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
