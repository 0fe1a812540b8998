"""The cluster as a graph: objects by identity, typed edges, events and logs by object, and "what does this depend on".

Pure: built once from what was read (agent.topology.building), never changed. Knows no check, no cause and no vendor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.domain.objects import ContainerLog, Manifest, Ref, Series
from agent.domain.testimony import UNTOLD, Testimony
from agent.topology.calls import Address, service_of
from agent.topology.events import Happening
from agent.topology.fields import controller_of, counted, labels_of, mapping, ref_of, text
from agent.topology.pods import is_finished
from agent.topology.references import Named, Relation
from agent.topology.selectors import matches_labels
from agent.topology.surroundings import addresses_of

_NOT_LOGS = "unable to retrieve container logs"


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` depends on `target` by `relation`."""

    source: Ref
    target: Ref
    relation: Relation


@dataclass(slots=True, kw_only=True)
class Topology:
    """Built by `build`; treat as read only. `unseen` maps kinds (or "logs", "metrics") that could not be read to why."""

    now: datetime
    objects: dict[Ref, Manifest]
    events: dict[Ref, list[Happening]]
    logs: dict[Ref, list[ContainerLog]]
    series: tuple[Series, ...] = ()
    testimony: Testimony = UNTOLD
    unseen: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, list[Manifest]] = field(default_factory=dict)
    local: dict[tuple[str, str], list[Manifest]] = field(default_factory=dict)
    names: dict[Ref, list[Named]] = field(default_factory=dict)
    edges: dict[Ref, list[Edge]] = field(default_factory=dict)
    pods_by_owner: dict[Ref, list[Manifest]] = field(default_factory=dict)
    pods_in: dict[str, list[Manifest]] = field(default_factory=dict)
    addresses: dict[Ref, list[Address]] = field(default_factory=dict)
    sets_by_owner: dict[Ref, list[Manifest]] = field(default_factory=dict)
    selected: dict[Ref, list[Manifest]] = field(default_factory=dict)
    derived: dict[str, Any] = field(default_factory=dict)  # what checks work out once and share, by name
    _closures: dict[Ref, frozenset[Ref]] = field(default_factory=dict)
    _by_label: dict[str, dict[tuple[str, Any], list[Manifest]]] = field(default_factory=dict)
    _units: dict[Ref, Ref] = field(default_factory=dict)
    _unit_events: dict[Ref, list[Happening]] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> list[Manifest]:
        return [manifest for kind in kinds for manifest in self.kinds.get(kind, ())]

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return self.objects.get(Ref(kind, namespace, name))

    def in_namespace(self, kind: str, namespace: str) -> list[Manifest]:
        return self.local.get((kind, namespace), [])

    def saw(self, kind: str) -> bool:
        """Whether absence of an object of this kind means that it does not exist."""
        return kind not in self.unseen

    def knows_namespace(self, namespace: str) -> bool:
        """Whether the namespace's own objects were read, so that a missing name in it is really missing."""
        return any((kind, namespace) in self.local for kind in ("ServiceAccount", "Service", "ConfigMap", "Pod"))

    def unit(self, ref: Ref) -> Ref:
        """The workload that a pod or ReplicaSet belongs to; the object itself for everything else. Jobs are their own."""
        known = self._units.get(ref)
        if known is None:
            known, seen = ref, {ref}
            while known.kind in ("Pod", "ReplicaSet"):
                manifest = self.objects.get(known)
                owner = controller_of(manifest) if manifest is not None else None
                if owner is None or owner in seen or owner.kind == "Node":  # a static pod is its node's, and its own workload
                    break
                known = owner
                seen.add(owner)
            self._units[ref] = known
        return known

    def host(self, host: str, namespace: str) -> Ref | None:
        """What a host name or address means from within a namespace: a Service by its name (which may not exist), or the
        Service, pod or node that has the address. None for the outside world."""
        if "by-address" not in self.derived:
            self.derived["by-address"] = addresses_of(self.objects)
        found: Ref | None = self.derived["by-address"].get(host.strip("[]"))
        named = found or service_of(host, namespace)
        if named is not None and named not in self.objects and host.count(".") == 1:
            peers = Ref("Service", namespace, named.namespace)  # pod.service, as pods of a StatefulSet name each other
            return peers if text(self.objects.get(peers), "spec", "clusterIP") == "None" else named
        return named

    def pods_of(self, workload: Ref) -> list[Manifest]:
        return self.pods_by_owner.get(workload, [])

    def replica_sets(self, deployment: Ref) -> list[Manifest]:
        """ReplicaSets of a Deployment, newest revision first."""
        if not self.sets_by_owner:
            for one in sorted(self.of_kind("ReplicaSet"), key=_revision, reverse=True):
                owner = controller_of(one)
                if owner is not None:
                    self.sets_by_owner.setdefault(owner, []).append(one)
        return self.sets_by_owner.get(deployment, [])

    def selected_by(self, service: Manifest) -> list[Manifest]:
        """Pods that the Service's selector matches, finished ones left out."""
        ref = ref_of(service)
        if ref not in self.selected:
            wanted = mapping(service, "spec", "selector")
            pods = self._labelled(ref.namespace, wanted) if wanted else ()
            self.selected[ref] = [pod for pod in pods if matches_labels(wanted, labels_of(pod)) and not is_finished(pod)]
        return self.selected[ref]

    def _labelled(self, namespace: str, wanted: Mapping[str, Any]) -> Sequence[Manifest]:
        """Few pods of the namespace among which are all that bear these labels."""
        index: dict[tuple[str, Any], list[Manifest]] | None = self._by_label.get(namespace)
        if index is None:
            index = self._by_label[namespace] = {}
            for pod in self.pods_in.get(namespace, ()):
                for pair in labels_of(pod).items():
                    index.setdefault(pair, []).append(pod)
        return min((index.get((key, str(value)), ()) for key, value in wanted.items()), key=len)

    def told(self, *reasons: str) -> list[tuple[Ref, Happening]]:
        """Events of these reasons with what they are about, in the order of the objects."""
        index: dict[str, list[tuple[Ref, Happening]]] | None = self.derived.get("events-by-reason")
        if index is None:
            index = self.derived["events-by-reason"] = {}
            for about in sorted(self.events):
                for one in self.events[about]:
                    index.setdefault(one.reason, []).append((about, one))
        return sorted((pair for one in reasons for pair in index.get(one, ())), key=lambda pair: pair[0])

    def warnings(self) -> list[tuple[Ref, Happening]]:
        """Events that are not Normal, with what they are about."""
        known: list[tuple[Ref, Happening]] | None = self.derived.get("warnings")
        if known is None:
            known = [(about, one) for about, ones in self.events.items() for one in ones if one.kind != "Normal"]
            self.derived["warnings"] = known
        return known

    def events_about(self, ref: Ref) -> list[Happening]:
        return self.events.get(ref, [])

    def events_of_unit(self, unit: Ref) -> list[Happening]:
        """Events of a workload, its ReplicaSets and pods (also of pods that are gone but bear its name)."""
        if not self._unit_events:
            for about, ones in self.events.items():
                self._unit_events.setdefault(self.unit_of_name(about), []).extend(ones)
        return self._unit_events.get(unit, [])

    def unit_of_name(self, ref: Ref) -> Ref:
        """Like `unit`, and for pods that no longer exist the workload whose ReplicaSet or name they bear."""
        if ref in self.objects or ref.kind != "Pod":
            return self.unit(ref)
        known = self._units.get(ref)
        if known is not None and known != ref:
            return known
        stem = ref.name.rpartition("-")[0]
        for kind in ("ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
            owner = Ref(kind, ref.namespace, stem)
            if stem and owner in self.objects:
                self._units[ref] = self.unit(owner)
                return self._units[ref]
        return ref

    def logs_of(self, unit: Ref) -> list[ContainerLog]:
        """Logs of a workload's pods, those that somebody kept of pods that are gone behind; the kubelet's "unable to retrieve"
        is no log."""
        gone: dict[Ref, list[ContainerLog]] | None = self.derived.get("logs-of-the-gone")
        if gone is None:
            gone = self.derived["logs-of-the-gone"] = {}
            for pod, logs in self.logs.items():
                if pod not in self.objects:
                    gone.setdefault(self.unit_of_name(pod), []).extend(log for log in logs if log.keeper)
        here = [log for pod in self.pods_of(unit) for log in self.logs.get(ref_of(pod), ()) if not log.text.startswith(_NOT_LOGS)]
        return [*here, *gone.get(unit, ())]

    def depends_on(self, ref: Ref) -> frozenset[Ref]:
        """Everything this object's unit needs, directly or through others, as units. Itself left out."""
        start = self.unit(ref)
        known = self._closures.get(start)
        if known is None:
            seen, todo = {start}, [start]
            while todo:
                for edge in self.edges.get(todo.pop(), ()):
                    target = self.unit(edge.target)
                    if target not in seen:
                        seen.add(target)
                        todo.append(target)
            known = frozenset(seen - {start})
            self._closures[start] = known
        return known

    def dependents_of(self, ref: Ref) -> frozenset[Ref]:
        """Units that need this one, directly or through others."""
        target = self.unit(ref)
        return frozenset(source for source in self.edges if source != target and target in self.depends_on(source))


def _revision(replica_set: Manifest) -> tuple[int, str]:
    annotation = text(replica_set, "metadata", "annotations", "deployment.kubernetes.io/revision")
    return (counted(annotation) or 0, text(replica_set, "metadata", "creationTimestamp"))
