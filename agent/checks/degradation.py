"""Workloads that got slow or began to fail by their metrics, and which of them drags the others along: the one whose own
dependencies are well, and that was not the last to turn."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.checks.complaints import complaints
from agent.checks.containers import began_words, rollback_params
from agent.checks.errors import SOON
from agent.checks.registry import check, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.curves import Curve, Shift, shift
from agent.signals.golden import Golden, golden_signals
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.workloads import rollback
from sidecar.contract import Json

UNUSUAL = 6.0  # robust z from which a shift is one
SLOWER, MORE_SECONDS = 2.0, 0.05  # as often as long, and at least so many seconds longer
FAILING, TIMES_MORE = 0.05, 3.0  # of the requests, and so many times as many as before
LULL = 0.01  # requests per second below which nothing is said
SLACK = timedelta(seconds=90)  # two scrapes and a rate: no order between onsets that near


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A workload that is slower, or fails more, than it was; `onset` is the earlier of the two."""

    unit: Ref
    slower: Shift | None
    failing: Shift | None
    surge: Shift | None  # of its traffic

    @property
    def onset(self) -> datetime:
        return min(one.onset for one in (self.slower, self.failing) if one is not None)

    @property
    def words(self) -> str:
        told = []
        if self.slower is not None:
            told.append(f"takes {_spoken(self.slower.after)} a request instead of {_spoken(self.slower.before)}")
        if self.failing is not None:
            told.append(f"answers {self.failing.after:.0%} of requests with an error instead of {self.failing.before:.0%}")
        return " and ".join(told)


def degraded(topology: Topology) -> dict[Ref, Degraded]:
    """Every workload that turned within the window and has not come back; worked out once a topology."""
    known: dict[Ref, Degraded] | None = topology.derived.get("degraded")
    if known is None:
        known = {}
        for one in golden_signals(topology):
            if not _is_current(topology, one) or one.traffic.late() < LULL:
                continue
            slower, failing = _slower(one.latency), _failing(one.errors)
            if slower is not None or failing is not None:
                known[one.unit] = Degraded(unit=one.unit, slower=slower, failing=failing, surge=_surge(one.traffic))
        topology.derived["degraded"] = known
    return known


def _is_current(topology: Topology, one: Golden) -> bool:
    """A series that ended says nothing of now."""
    last = max((float(curve.times[-1]) for curve in (one.latency, one.errors) if curve.size), default=0.0)
    return topology.now.timestamp() - last <= 300


def _slower(curve: Curve) -> Shift | None:
    found = shift(curve)
    enough = found is not None and found.times >= SLOWER and found.after - found.before >= MORE_SECONDS
    return found if found is not None and enough and found.score >= UNUSUAL else None


def _failing(curve: Curve) -> Shift | None:
    found = shift(curve)
    return found if found is not None and found.after >= FAILING and found.times >= TIMES_MORE else None


def _surge(curve: Curve) -> Shift | None:
    found = shift(curve)
    return found if found is not None and found.times >= SLOWER and found.score >= UNUSUAL else None


def dragged_by(topology: Topology, one: Degraded) -> Degraded | None:
    """The degraded workload that this one calls, directly or through others, and that turned no later; the deepest first."""
    others = degraded(topology)
    able = [
        others[unit]
        for unit in topology.depends_on(one.unit)
        if unit in others and others[unit].onset <= one.onset + SLACK and one.unit not in topology.depends_on(unit)
    ]
    return min(
        able, key=lambda found: (len(topology.depends_on(found.unit) & set(others)), found.onset, found.unit), default=None
    )


@check("service-degraded", weight=0.38)
def drags_others_along(topology: Topology) -> Iterator[Finding]:
    """Slow or failing while everything that it calls is as it was. With a release right before it, the release is to blame."""
    for _, one in sorted(degraded(topology).items()):
        if dragged_by(topology, one) is None and not _by_release(topology, one):
            yield _finding(topology, "service-degraded", one, _more(topology, one))


@check("bad-release", weight=0.4)
def slower_since_a_release(topology: Topology) -> Iterator[Finding]:
    for unit, one in sorted(degraded(topology).items()):
        if dragged_by(topology, one) is None and _by_release(topology, one):
            back = rollback(topology, unit, one.onset)
            yield _finding(topology, "bad-release", one, began_words(back), **rollback_params(back))


@check("service-dragged", weight=0.2, symptom=True)
def is_dragged_along(topology: Topology) -> Iterator[Finding]:
    """Slow or failing because something that it calls is: louder perhaps, but not the cause."""
    for unit, one in sorted(degraded(topology).items()):
        deeper = dragged_by(topology, one)
        if deeper is not None:
            yield Finding(
                cause="service-dragged",
                subject=unit,
                since=one.onset,
                symptom_only=True,
                quotes=_quotes(one),
                params={"by": str(deeper.unit)},
                statement=f"{unit} {one.words} since {one.onset:%H:%M:%SZ}; {deeper.unit}, which it needs, turned at"
                f" {deeper.onset:%H:%M:%SZ}.",
            )


def _by_release(topology: Topology, one: Degraded) -> bool:
    back = rollback(topology, one.unit, one.onset)
    return back is not None and back.began is not None and one.onset - back.began <= SOON


def _finding(topology: Topology, cause: str, one: Degraded, more: str, **params: Json) -> Finding:
    victims = tuple(sorted(unit for unit, other in degraded(topology).items() if dragged_by(topology, other) is one))
    suffer = f"; {', '.join(map(str, victims[:4]))} turned with it or later" if victims else ""
    return Finding(
        cause=cause,
        subject=one.unit,
        since=one.onset,
        affects=victims,
        quotes=(*_quotes(one), *_said(topology, one)),
        params={"onset": one.onset.isoformat(), "slower": one.slower is not None, "failing": one.failing is not None, **params},
        statement=f"{one.unit} {one.words} since {one.onset:%H:%M:%SZ}, while what it calls is as before{suffer}{more}.",
    )


def _more(topology: Topology, one: Degraded) -> str:
    told = ""
    if one.surge is not None and one.surge.onset <= one.onset + SLACK:
        told += f"; its traffic rose from {one.surge.before:.3g} to {one.surge.after:.3g} requests a second at that time"
    complaint = complaints(topology).get(one.unit)
    if complaint is not None:
        told += f"; its log: {safe(complaint.account.origin.text, limit=250).rstrip('.')}"
    return told


def _said(topology: Topology, one: Degraded) -> Iterator[Quote]:
    complaint = complaints(topology).get(one.unit)
    if complaint is not None:
        line = complaint.account.origin
        yield quote_log(complaint.pod, complaint.log.container, line.text, line.at)


def _quotes(one: Degraded) -> tuple[Quote, ...]:
    found = []
    for what, curve in (("mean seconds a request", one.slower), ("share of failing requests", one.failing)):
        if curve is not None:
            words = f"{what}: {curve.before:.4g} before {curve.onset:%H:%M:%SZ}, {curve.after:.4g} since"
            found.append(Quote(source=f"prometheus: {one.unit} {what}", about=one.unit, text=words, at=curve.onset))
    return tuple(found)


def _spoken(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
