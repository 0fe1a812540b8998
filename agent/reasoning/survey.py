"""All findings of a cluster, grouped by cause: what accounts for what, and how bad it is. Pure; asks nobody anything."""

from collections import Counter
from collections.abc import Sequence

from agent.checks import weight_of
from agent.domain.finding import Finding, RankedCause
from agent.domain.objects import Ref
from agent.domain.scan import EFFECTS, Effect, Scan, Trouble
from agent.ports.cluster import BY_NATURE, Gap
from agent.reasoning.ranking import explains, victims
from agent.topology import Topology
from agent.topology.fields import at, mapping, ref_of
from agent.topology.pods import is_finished, is_ready
from agent.topology.workloads import CONTROLLED, live_pods, wanted, workloads

NEEDED = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "Node")  # without these nobody can say that all is well
_FELT = ("calls-failing", "application-error")  # somebody gets errors, however many pods are ready
VAGUE = 0.8  # causes of at most this weight may have a more telling one in the log


def grouped(
    findings: Sequence[Finding],
    topology: Topology,
    *,
    cluster: str,
    namespaces: Sequence[str],
    gaps: Sequence[Gap],
    unheard: int = 0,
) -> Scan:
    """Only active findings count. Those that another one accounts for are told under it."""
    inside = set(namespaces)
    active = [one for one in findings if one.state == "active"]
    explainer = _explainers(active, topology)
    every = [one for one in active if explainer[one.id] is None]
    below, known = _below(every, explainer), {one.id: one for one in active}
    roots = [
        one for one in every if any(_concerns(it, inside, topology) for it in (one, *(known[name] for name in below[one.id])))
    ]
    troubles = _grouped(roots, explainer, topology)
    all_ = [one for one in workloads(topology) if ref_of(one).namespace in inside and wanted(one) > 0]
    blind = tuple(kind for kind in NEEDED if topology.unseen.get(kind, BY_NATURE) != BY_NATURE)
    only_symptoms = bool(troubles) and all(not one.cause for one in troubles)
    return Scan(
        cluster=cluster,
        at=topology.now,
        outcome="unknown" if only_symptoms or (blind and not troubles) else "fault" if troubles else "healthy",
        namespaces=tuple(sorted(inside)),
        troubles=troubles,
        seen=Counter(ref.kind for ref in topology.objects if not ref.namespace or ref.namespace in inside),
        workloads=len(all_),
        unready=sum(1 for one in all_ if _ready(topology, ref_of(one)) < wanted(one)),
        explained=len(active) - len(roots),
        blind=blind,
        unheard=unheard,
        gaps=tuple(dict.fromkeys((gap.what, gap.why) for gap in gaps)),
    )


def suspects(findings: Sequence[Finding], topology: Topology, namespaces: Sequence[str]) -> list[Ref]:
    """Units of which only a symptom is known, or a cause that says little, so that their logs are worth a request each."""
    active = [one for one in findings if one.state == "active"]
    explainer = _explainers(active, topology)
    vague = [
        one
        for one in active
        if explainer[one.id] is None and (one.symptom_only or weight_of(one) <= VAGUE) and one.subject.namespace in namespaces
    ]
    vague.sort(key=lambda one: (not one.symptom_only, weight_of(one), one.id))
    return list(dict.fromkeys(topology.unit(ref) for one in vague for ref in (one.subject, *one.affects)))


def callers(topology: Topology, namespaces: Sequence[str]) -> list[Ref]:
    """Workloads with pods whose configuration names others: if something between them is wrong, their logs say so."""
    found = {
        edge.source
        for edges in topology.edges.values()
        for edge in edges
        if edge.relation == "calls" and edge.source.kind in CONTROLLED and edge.source.namespace in namespaces
    }
    return sorted(one for one in found if topology.pods_of(one))


def _explainers(active: Sequence[Finding], topology: Topology) -> dict[str, Finding | None]:
    """What accounts for each finding. Only findings about its unit, what that needs, or that name it are asked."""
    about: dict[Ref, list[Finding]] = {}
    naming: dict[Ref, list[Finding]] = {}
    for one in active:
        about.setdefault(topology.unit(one.subject), []).append(one)
        for ref in one.affects:
            naming.setdefault(topology.unit(ref), []).append(one)
    found: dict[str, Finding | None] = {}
    for one in active:
        unit = topology.unit(one.subject)
        units = [unit, *(other for other in topology.depends_on(unit) if other in about)]
        asked = {other.id: other for near in units for other in about[near]}
        asked.update((other.id, other) for other in naming.get(unit, ()))
        able = [other for other in asked.values() if other.id != one.id and explains(other, one, topology)]
        found[one.id] = min(able, key=lambda a: (a.symptom_only, -weight_of(a), a.since or topology.now, a.id), default=None)
    _cut_circles(found, {one.id: one for one in active})
    return found


def _cut_circles(explainer: dict[str, Finding | None], known: dict[str, Finding]) -> None:
    """Findings that account for one another in a circle would all vanish: the most telling of a circle stands for itself."""
    for start in explainer:
        step, path = start, [start]
        while (above := explainer.get(step)) is not None:
            step = above.id
            if step in path:
                circle = path[path.index(step) :]
                explainer[min(circle, key=lambda one: (-weight_of(known[one]), one))] = None
                break
            path.append(step)


def _concerns(finding: Finding, inside: set[str], topology: Topology) -> bool:
    """In one of the namespaces, or of the whole cluster, or something in them suffers from it."""
    subject = topology.unit(finding.subject)
    if subject.kind == "Namespace":
        return subject.name in inside
    return not subject.namespace or subject.namespace in inside or any(one.namespace in inside for one in finding.affects)


def _grouped(roots: Sequence[Finding], explainer: dict[str, Finding | None], topology: Topology) -> tuple[Trouble, ...]:
    below = _below(roots, explainer)
    effects = {one.id: _effect(one, below[one.id], topology) for one in roots}
    groups: dict[str, list[Finding]] = {}
    for one in roots:
        groups.setdefault("" if one.symptom_only else one.cause, []).append(one)
    troubles = []
    for cause, ones in groups.items():
        ones.sort(key=lambda one: (EFFECTS.index(effects[one.id]), -len(below[one.id]), one.id))
        causes = tuple(RankedCause(finding=one, explains=tuple(sorted(below[one.id]))) for one in ones)
        begun = [one.since for one in ones if one.since is not None]
        subjects = {topology.unit(one.subject) for one in ones}
        suffering = tuple(one for one in victims(causes, topology) if one.kind != "Pod" and one not in subjects)
        troubles.append(
            Trouble(cause=cause, effect=effects[ones[0].id], roots=causes, victims=suffering, since=min(begun, default=None))
        )
    return tuple(sorted(troubles, key=lambda one: (not one.cause, EFFECTS.index(one.effect), -_reach(one), one.cause)))


def _reach(trouble: Trouble) -> int:
    return len(trouble.roots) + sum(len(one.explains) for one in trouble.roots)


def _below(roots: Sequence[Finding], explainer: dict[str, Finding | None]) -> dict[str, list[str]]:
    """Ids of the findings that lead back to each root."""
    below: dict[str, list[str]] = {one.id: [] for one in roots}
    for start in explainer:
        step, seen = start, {start}
        while (above := explainer.get(step)) is not None and above.id not in seen:
            step = above.id
            seen.add(step)
        if step != start and step in below:
            below[step].append(start)
    return below


def _effect(root: Finding, below: Sequence[str], topology: Topology) -> Effect:
    """The worst state of anything that the root is about, names, or accounts for."""
    floor: Effect = "degraded" if any(one.startswith(_FELT) for one in below) or root.cause in _FELT else "at risk"
    units = {topology.unit(root.subject), *(topology.unit(one) for one in root.affects), *map(_subject, below)}
    return min((floor, *(_state(topology, topology.unit(one)) for one in units)), key=EFFECTS.index)


def _state(topology: Topology, unit: Ref) -> Effect:
    manifest = topology.objects.get(unit)
    if unit.kind in CONTROLLED and manifest is not None and wanted(manifest) > 0:
        have = _ready(topology, unit)
        return "down" if have == 0 else "degraded" if have < wanted(manifest) else "at risk"
    if unit.kind == "Service" and manifest is not None and mapping(manifest, "spec", "selector"):
        return "at risk" if any(is_ready(pod) for pod in topology.selected_by(manifest)) else "down"
    if unit.kind == "Pod" and manifest is not None and not is_finished(manifest):
        return "at risk" if is_ready(manifest) else "degraded"
    if unit.kind == "Job" and manifest is not None and at(manifest, "status", "failed"):
        return "degraded"
    return "at risk"


def _ready(topology: Topology, unit: Ref) -> int:
    return sum(1 for pod in live_pods(topology, unit) if is_ready(pod))


def _subject(identity: str) -> Ref:
    kind, _, rest = identity.partition("@")[2].partition("/")
    namespace, _, name = rest.partition("/")
    return Ref(kind, namespace, name)
