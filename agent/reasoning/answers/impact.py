"""What would be affected if something went away: who needs it, by which way, and how badly. Pure.

The topology's edges are followed against their direction. A workload that keeps pods elsewhere is weakened and passes nothing
on; one that loses all of them takes along what needs it; one whose calls fail passes errors on to whoever calls it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis
from agent.domain.objects import Ref
from agent.domain.question import Question
from agent.reasoning.answers.reply import answered, counted, listed, table, where
from agent.reasoning.focus import Focus
from agent.reasoning.topics import of_kind
from agent.topology import Edge, Topology
from agent.topology.fields import number, ref_of, text
from agent.topology.pods import is_ready
from agent.topology.workloads import CONTROLLED, live_pods, wanted

STOPS, FAILING, WEAKENED, LATER = "stops", "gets errors", "weakened", "at the next start"
_ORDER = (STOPS, FAILING, WEAKENED, LATER)
_PASSED_ON = ("selects", "routes-to", "calls")  # the ways that errors go
_READ_AT_START = ("ConfigMap", "Secret", "ServiceAccount", "PriorityClass", "StorageClass")
_BESIDE = ("scales", "protects", "limited-by", "owns")  # what these relations come from is no user of the thing
_UNSEEN_CALLS = "who calls whom is read from environment, arguments, ConfigMaps and logs: a call that stands nowhere is not seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    """One thing that suffers: how much, in words, and the way from it to what went away."""

    ref: Ref
    effect: str
    how: str
    way: tuple[Ref, ...]


def what_suffers(question: Question, focus: Focus, topology: Topology, missing: tuple[str, ...]) -> Diagnosis:
    gone = list(dict.fromkeys(topology.unit(one) for one in focus.objects))
    if not gone and "namespace" in question.words:
        gone = [Ref("Namespace", "", name) for name in focus.namespaces]
    meant = of_kind(question, topology, focus.namespaces) if not gone else ()
    if len(meant) == 1:  # "the node", where there is one
        gone = [meant[0]]
    if not gone:
        said = f"Understood as a question about what depends on something, but not on what in {where(focus.namespaces)}."
        choices = tuple(f"what would be affected if {one} goes down?" for one in meant[:8])
        hints = ("for example: what would be affected if db in namespace shop goes down?", "for example: what if I drain node-3?")
        answer = Answer(intent="clarify", notes=() if choices else hints, choices=choices)
        return Diagnosis(outcome="unclear", statement=said, missing=missing, answer=answer)
    hits = sorted(_hits(gone, topology), key=lambda one: (_ORDER.index(one.effect), len(one.way), one.ref))
    rows, left = table((str(one.ref), one.effect, one.how, " <- ".join(map(str, reversed(one.way[:-1])))) for one in hits)
    about = listed(gone, most=3)
    counts = [(effect, [one.ref for one in hits if one.effect == effect]) for effect in _ORDER]
    told = [f"{_clause(effect, len(refs))}: {listed(refs, most=5)}" for effect, refs in counts if refs]
    said = f"Without {about} {'; '.join(told)}." if told else f"Nothing that can be seen needs {about}."
    own = [note for one in gone for note in _care(one, topology)]
    notes = (*left, *own[2:], _UNSEEN_CALLS)
    answer = Answer(intent="impact", columns=("what", "effect", "how", "by way of"), rows=rows, notes=notes)
    return answered(answer, " ".join((said, *(f"{note[0].upper()}{note[1:]}." for note in own[:2]))), missing=missing)


def _clause(effect: str, count: int) -> str:
    """As it goes on after "Without X"."""
    if effect == STOPS:
        return f"{counted(count, 'object')} {'stops' if count == 1 else 'stop'} working"
    if effect == FAILING:
        return f"{counted(count, 'object')} {'gets' if count == 1 else 'get'} errors"
    if effect == WEAKENED:
        return f"{counted(count, 'object')} {'is' if count == 1 else 'are'} weakened"
    return f"{counted(count, 'object')} cannot start anew"


def _hits(gone: Sequence[Ref], topology: Topology) -> list[_Hit]:
    needed_by: dict[Ref, list[Edge]] = {}
    for edges in topology.edges.values():
        for edge in edges:
            if edge.relation not in _BESIDE:
                needed_by.setdefault(topology.unit(edge.target), []).append(edge)
    lost: dict[Ref, tuple[Ref, ...]] = {one: (one,) for one in gone}
    for one in gone:
        if one.kind == "Namespace":
            inside = [ref for ref in topology.objects if ref.namespace == one.name and topology.unit(ref) == ref]
            lost.update({ref: (one, ref) for ref in inside if ref.kind in (*CONTROLLED, "Service", "CronJob", "Job")})
    found = {ref: _Hit(ref=ref, effect=STOPS, how="is in it", way=way) for ref, way in lost.items() if len(way) > 1}
    todo = list(lost)
    while todo:
        target = todo.pop(0)
        for edge in sorted(needed_by.get(target, ()), key=lambda one: (one.source, one.relation)):
            source = topology.unit(edge.source)
            if source in lost or source.kind in ("EndpointSlice", "Endpoints"):
                continue
            if target in lost:
                hit = _hit(source, target, edge.relation, lost, topology)
            elif edge.relation in _PASSED_ON:
                hit = _Hit(ref=source, effect=FAILING, how=f"by way of {target.name}", way=(*found[target].way, source))
            else:
                continue
            if hit is None or (source in found and _ORDER.index(found[source].effect) <= _ORDER.index(hit.effect)):
                continue
            found[source] = hit
            if hit.effect == STOPS:
                lost[source] = hit.way
            if hit.effect in (STOPS, FAILING):
                todo.append(source)
    return list(found.values())


def _hit(source: Ref, target: Ref, relation: str, lost: dict[Ref, tuple[Ref, ...]], topology: Topology) -> _Hit | None:
    way = (*lost[target], source)

    def hit(effect: str, how: str) -> _Hit:
        return _Hit(ref=source, effect=effect, how=how, way=way)

    match relation:
        case "runs-on":
            return _on_nodes(source, lost, topology, way)
        case "selects":
            service = topology.objects.get(source, {})
            left = {topology.unit(ref_of(pod)) for pod in topology.selected_by(service) if is_ready(pod)} - set(lost)
            if left:
                return hit(WEAKENED, f"keeps {listed(sorted(left), most=2)} behind it")
            return hit(STOPS, "nobody answers behind it")
        case "routes-to":
            return hit(STOPS, f"its requests to {target.name} fail")
        case "calls":
            return hit(FAILING, f"its calls to {target.name} fail")
        case "binds-role":
            return hit(STOPS, "loses the rights that it gives")
        case "mounts" | "refers-to":
            return _by_reference(source, target, topology, hit)
        case _:
            return None


def _by_reference(source: Ref, target: Ref, topology: Topology, hit: "_Make") -> _Hit | None:
    named = [one for one in topology.names.get(source, ()) if one.to == target]
    if named and all(one.optional for one in named):
        return None
    if target.kind in _READ_AT_START:
        return hit(LATER, f"running pods go on, new ones do not start ({named[0].where if named else 'refers to it'})")
    return hit(STOPS, named[0].where if named else "refers to it")


def _on_nodes(source: Ref, lost: dict[Ref, tuple[Ref, ...]], topology: Topology, way: tuple[Ref, ...]) -> _Hit | None:
    """How many of its pods are on the nodes that go; pods that are not placed yet lose nothing."""
    pods = live_pods(topology, source) if source.kind != "Pod" else [topology.objects[source]]
    there = [pod for pod in pods if Ref("Node", "", text(pod, "spec", "nodeName")) in lost]
    if not there:
        return None
    if source.kind == "DaemonSet":
        return _Hit(ref=source, effect=WEAKENED, how=f"loses {counted(len(there), 'pod')}, as it must", way=way)
    left = [pod for pod in pods if pod not in there and is_ready(pod)]
    if left:
        how = f"loses {len(there)} of {len(pods)} pods; {len(left)} ready elsewhere"
        return _Hit(ref=source, effect=WEAKENED, how=how, way=way)
    how = f"all {len(pods)} pods are there" if len(pods) > 1 else "its only pod is there"
    return _Hit(ref=source, effect=STOPS, how=how, way=way)


def _care(gone: Ref, topology: Topology) -> Iterator[str]:
    """What to mind before it is restarted, drained or taken away."""
    manifest = topology.objects.get(gone)
    if manifest is not None and gone.kind in ("Deployment", "StatefulSet") and wanted(manifest) == 1:
        yield f"{gone} has a single replica: a restart is an outage"
    for budget in topology.of_kind("PodDisruptionBudget"):
        covered = {edge.target for edge in topology.edges.get(ref_of(budget), ()) if edge.relation == "protects"}
        if gone.kind == "Node":
            units = {topology.unit(edge.source) for ones in topology.edges.values() for edge in ones if edge.target == gone}
            covered &= units
        elif gone not in covered:
            continue
        if covered and number(budget, "status", "disruptionsAllowed", default=1) == 0:
            yield f"{ref_of(budget)} allows no disruption now: an eviction from {listed(sorted(covered), most=2)} is refused"


class _Make(Protocol):
    """The shape of what makes a hit."""

    def __call__(self, effect: str, how: str) -> _Hit: ...
