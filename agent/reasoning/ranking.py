"""Which finding explains the others. Pure.

A explains B when B's subject needs A's (or A says that it affects it) and A is not later than B. A cause is an active
finding that nothing else explains. Symptoms never win while any other finding is there. Between causes that fit alike the
one decides that was there when the trouble began, and that a change came right before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.checks import is_wide, weight_of
from agent.checks.traced import cleared
from agent.domain.finding import Finding, RankedCause, RuledOut
from agent.domain.objects import Ref
from agent.reasoning.explaining import because, change_before, changed, explained_by, less_likely, stale
from agent.reasoning.focus import Focus
from agent.reasoning.symptoms import suits
from agent.reasoning.testifying import spoken
from agent.topology import Topology
from agent.topology.fields import text
from agent.topology.pods import is_ready
from agent.topology.workloads import live_pods

SLACK = timedelta(minutes=3)  # conditions and back-off messages come late and in any order
AT_MOST = 3
WIDE = 0.65  # how much what holds for the whole cluster has to do with any question
SOON = timedelta(minutes=15)  # a change that near before a finding speaks for it
LONG = timedelta(hours=6)  # what was there so much longer than the trouble did not begin it
SPREADING = frozenset({"connection-pool-exhausted", "server-limit-reached"})  # who waits for another's has the same trouble
ANNOUNCED = frozenset({"node-going-away", "api-version-going-away"})  # what is yet to come accounts for nothing that is
EXCLUDED = 1.0  # what a source takes from a finding that says against it, in the score
DOUBTED = 0.6  # and of its confidence it leaves so much
VAGUE = 0.39  # up to this weight a finding says that something is wrong with a workload rather than what


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """`causes` are related to the focus; `elsewhere` are active causes that have nothing to do with it; `symptoms` are
    related to it and have no cause that was seen."""

    causes: tuple[RankedCause, ...]
    ruled_out: tuple[RuledOut, ...]
    elsewhere: tuple[Finding, ...]
    symptoms: tuple[Finding, ...] = ()


def rank(
    findings: Sequence[Finding], topology: Topology, focus: Focus, *, gaps: int = 0, begun: datetime | None = None
) -> Ranking:
    """`begun`: when the trouble began, where that is known (an alert says so)."""
    active = [one for one in findings if one.state == "active"]
    explainers = {one.id: _explainer(one, active, topology) for one in active}
    near = {one.id: relevance(one, topology, focus) for one in active}
    roots = [one for one in active if explainers[one.id] is None and not one.symptom_only]
    symptoms = [one for one in active if explainers[one.id] is None and one.symptom_only]
    explains = {root.id: _explained(root, explainers) for root in roots}
    wide = {one.id for one in active if is_wide(one.cause)}
    for one in roots:  # what stands behind something that holds for the whole cluster has to do with everything too
        near[one.id] = max(near[one.id], WIDE if wide & set(explains[one.id]) else 0.0)
        # so it is with what accounts for a finding about an object that was asked about, however it gets there
        near[one.id] = max(near[one.id], *(0.9 * near[other] for other in explains[one.id] if near[other] >= 0.9), 0.0)
    related = [one for one in roots if near[one.id] >= 0.3]
    scores = {
        one.id: _score(one, near[one.id], len(explains[one.id]), topology, begun) + suits(focus.symptoms, one.cause)
        for one in related
    }
    order = sorted(related, key=lambda one: (-scores[one.id], one.id))
    kept = _as_much_about_it(order, near)
    fresh = [one for one in kept if not _is_stale(one, explains[one.id], kept, begun)] or kept
    causes = tuple(
        RankedCause(
            finding=one,
            explains=explains[one.id],
            because=because(one, explains[one.id], near[one.id], topology, active),
            confidence=_confidence(one, near[one.id], explains[one.id], len(fresh), gaps, topology),
            change=changed(one, topology),
        )
        for one in fresh[:AT_MOST]
    )
    chosen = {cause.finding.id for cause in causes}
    told = [(one, explainers[one.id]) for one in active]
    ruled = [RuledOut(finding=one, by=explained_by(one, explainer, topology)) for one, explainer in told if explainer is not None]
    ruled += [
        RuledOut(finding=one, by=_outranked(one, one in kept and one not in fresh, causes[0], near, begun, topology))
        for one in order
        if one.id not in chosen
    ]
    ruled += [
        RuledOut(finding=one, by=f"it is {'over' if one.state == 'recovered' else 'long past'}: {one.statement}")
        for one in findings
        if one.state != "active"
    ]
    elsewhere = tuple(one for one in (*roots, *symptoms) if one.id not in chosen and near[one.id] < 0.3)
    unexplained = tuple(one for one in symptoms if near[one.id] >= 0.3)
    return Ranking(causes=causes, ruled_out=tuple(ruled), elsewhere=elsewhere, symptoms=unexplained)


def _outranked(
    one: Finding, is_stale: bool, first: RankedCause, near: dict[str, float], begun: datetime | None, topology: Topology
) -> str:
    if is_stale and begun is not None:
        return stale(one, f"{begun:%Y-%m-%d %H:%M}Z")
    return less_likely(one, first, near[one.id], near[first.finding.id], topology)


def _as_much_about_it(order: Sequence[Finding], near: dict[str, float]) -> list[Finding]:
    """Others stay in the answer only when they are as much about the focus as the first, and name a cause as plainly."""
    first = order[0] if order else None
    return [
        one
        for one in order
        if first is not None and (one is first or (near[one.id] >= near[first.id] - 0.15 and weight_of(one) >= 0.5))
    ]


def _is_stale(one: Finding, explained: tuple[str, ...], kept: Sequence[Finding], begun: datetime | None) -> bool:
    """Whether it was there long before the trouble and explains nothing of it, while another began with the trouble."""
    if begun is None or one.since is None or one.since > begun - LONG or explained:
        return False
    return any(other.since is not None and begun - LONG < other.since <= begun + SLACK for other in kept)


def relevance(finding: Finding, topology: Topology, focus: Focus) -> float:
    """How much a finding has to do with what was asked, 0 to 1. What holds for the whole cluster has to do with everything."""
    return max(_relevance(finding, topology, focus), WIDE if is_wide(finding.cause) else 0.0)


def _relevance(finding: Finding, topology: Topology, focus: Focus) -> float:
    units = {topology.unit(finding.subject), *(topology.unit(one) for one in finding.affects)}
    if focus.objects:
        asked = [topology.unit(one) for one in focus.objects]
        if any(one in units for one in asked):
            return 1.0
        if any(topology.depends_on(one) & units for one in asked):
            return 0.9
        if any(topology.depends_on(unit) & set(asked) for unit in units):
            return 0.6
        return 0.2
    if focus.namespaces:
        spaces = {one.namespace for one in units if one.namespace} | {one.name for one in units if one.kind == "Namespace"}
        if spaces & set(focus.namespaces):
            return 0.7
        shared = {one for one in units if not one.namespace}
        needed = any(
            shared & topology.depends_on(source) for source in topology.edges if shared and source.namespace in focus.namespaces
        )
        return 0.65 if needed else 0.2
    return 0.5


def _explainer(late: Finding, active: Sequence[Finding], topology: Topology) -> Finding | None:
    able = [one for one in active if one.id != late.id and explains(one, late, topology)]
    return min(able, key=lambda one: (one.symptom_only, -weight_of(one), one.since or topology.now, one.id), default=None)


def explains(a: Finding, b: Finding, topology: Topology) -> bool:
    """Whether a accounts for b. Within one workload the more telling finding accounts for the vaguer one."""
    ours, theirs = topology.unit(a.subject), topology.unit(b.subject)
    strength_a, strength_b = _strength(a), _strength(b)
    if ours == theirs:
        return strength_a > strength_b or (strength_a == strength_b and _earlier(a, b))
    if a.cause in ANNOUNCED or (a.symptom_only and not b.symptom_only):
        return False
    if ours.kind == "Node" and not _is_hit(theirs, ours, topology):
        return False
    if a.since is not None and b.since is not None and a.since > b.since + SLACK and not b.symptom_only:
        return False
    if any(topology.unit(one) == theirs for one in a.affects):
        return strength_a > strength_b or b.symptom_only
    if ours not in topology.depends_on(theirs):
        return False
    if theirs in topology.depends_on(ours):  # each needs the other: the more telling, then the earlier
        return strength_a > strength_b or (strength_a == strength_b and _earlier(a, b))
    if strength_a <= VAGUE and ours in cleared(topology):  # it answered the very requests that went wrong
        return False
    if b.symptom_only:
        return True
    if max(strength_a, strength_b) <= VAGUE:  # both only show that something is wrong: it comes from further down
        return True
    if a.cause == b.cause and a.cause in SPREADING:
        return True
    # what a finding proves by itself (a key that is missing) no broken dependency takes away
    return strength_a >= strength_b + 0.05


def _is_hit(unit: Ref, node: Ref, topology: Topology) -> bool:
    """Whether a pod of the unit that is not ready is (or waits to be) on the node. Trouble that no pod shows may be anywhere."""
    sick = [pod for pod in live_pods(topology, unit) if not is_ready(pod)]
    return not sick or any(text(pod, "spec", "nodeName") in ("", node.name) for pod in sick)


def _strength(finding: Finding) -> float:
    return weight_of(finding) - (1.0 if finding.symptom_only else 0.0)


def _earlier(a: Finding, b: Finding) -> bool:
    if a.since != b.since and a.since is not None and b.since is not None:
        return a.since < b.since
    return a.id < b.id


def _explained(root: Finding, explained_by: dict[str, Finding | None]) -> tuple[str, ...]:
    """Everything that leads back to the root."""
    found = []
    for start in explained_by:
        step, seen = start, {start}
        while (parent := explained_by.get(step)) is not None and parent.id not in seen:
            step = parent.id
            seen.add(step)
        if step == root.id and start != root.id:
            found.append(start)
    return tuple(sorted(found))


def _score(finding: Finding, near: float, explained: int, topology: Topology, begun: datetime | None) -> float:
    value = 2.0 * near + weight_of(finding) + 0.1 * min(explained, 5)
    if change_before(finding, topology, within=SOON) is not None:
        value += 0.04  # a tie-break: less than what one more explained finding counts
    if begun is not None and finding.since is not None and finding.since > begun + SLACK:
        value -= 0.08  # later than the trouble; conditions come late, so it is no proof
    if cleared(topology) and topology.unit(finding.subject) in cleared(topology):
        value -= 0.15  # the requests that went wrong went well there
    return value + _spoken_for(finding, topology)


def _spoken_for(finding: Finding, topology: Topology) -> float:
    """What declared sources say is more than a tie-break for a finding; against it, more than any weight of its own."""
    if spoken(finding, "excludes", topology):
        return -EXCLUDED
    return 0.1 if spoken(finding, "supports", topology) else 0.0


def _confidence(finding: Finding, near: float, explained: tuple[str, ...], rivals: int, gaps: int, topology: Topology) -> float:
    """Weight of the cause, lifted by quotes, by what it explains and by a change right before, lowered by distance, rivals and
    what was not seen."""
    value = 0.55 * weight_of(finding) + 0.1 * min(len(finding.quotes), 2) + 0.05 * min(len(explained), 3) + 0.2 * near
    value += 0.03 if change_before(finding, topology, within=SOON) is not None else 0.0
    value *= DOUBTED if spoken(finding, "excludes", topology) else 1.0
    value = min(value, 0.99) - 0.08 * min(rivals - 1, 3) - 0.02 * min(gaps, 5)  # however much speaks for it, a gap shows
    return round(max(0.05, min(0.99, value)), 2)


def victims(causes: Sequence[RankedCause], topology: Topology) -> tuple[Ref, ...]:
    """Units that suffer from the causes: those they affect and those whose findings they explain."""
    found: list[Ref] = []
    for cause in causes:
        subject = topology.unit(cause.finding.subject)
        found += [topology.unit(one) for one in cause.finding.affects]
        for identity in cause.explains:
            kind, _, rest = identity.partition("@")[2].partition("/")
            namespace, _, name = rest.partition("/")
            found.append(topology.unit(Ref(kind, namespace, name)))
        found = [one for one in found if one != subject]
    return tuple(dict.fromkeys(found))
