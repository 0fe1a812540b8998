"""The cluster as a graph: objects by identity, typed edges, events and logs by object, and "what does this depend on".

Pure: built once from what was read, never changed. Knows no check, no cause and no vendor.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from agent.domain.objects import ContainerLog, Manifest, Ref, Series
from agent.topology.calls import Address, addresses_in_config, addresses_in_environment, hosts_in_log, service_of
from agent.topology.events import Happening, happening
from agent.topology.extensions import edges as edges_of_extensions
from agent.topology.fields import at, controller_of, kind_of, labels_of, mapping, name_of, namespace_of, ref_of, text
from agent.topology.namesakes import told_apart
from agent.topology.pods import is_finished
from agent.topology.references import WORKLOADS, Named, Relation, named_by, pod_spec_of
from agent.topology.selectors import matches, matches_labels
from agent.topology.surroundings import addresses_of
from agent.topology.surroundings import edges as edges_of_surroundings

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
            pods = self.pods_in.get(ref.namespace, ()) if wanted else ()
            self.selected[ref] = [pod for pod in pods if matches_labels(wanted, labels_of(pod)) and not is_finished(pod)]
        return self.selected[ref]

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
        """Logs of a workload's pods; the kubelet's "unable to retrieve" is no log."""
        return [log for pod in self.pods_of(unit) for log in self.logs.get(ref_of(pod), ()) if not log.text.startswith(_NOT_LOGS)]

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


def build(
    now: datetime,
    objects: Iterable[Manifest],
    logs: Sequence[ContainerLog] = (),
    series: tuple[Series, ...] = (),
    unseen: dict[str, str] | None = None,
) -> Topology:
    """The graph of what was read. Order of the input does not matter to any answer."""
    topology = Topology(now=now, objects={}, events=defaultdict(list), logs=defaultdict(list), series=series, unseen=unseen or {})
    everything = sorted(objects, key=lambda one: (kind_of(one), namespace_of(one), name_of(one), text(one, "apiVersion")))
    for manifest in told_apart(everything):
        if kind_of(manifest) == "Event":
            one = happening(manifest)
            topology.events[one.about].append(one)
        else:
            topology.objects.setdefault(ref_of(manifest), manifest)
    for ones in topology.events.values():
        ones.sort(key=lambda one: (one.last or now, one.first or now, one.reason, one.message))
    for log in sorted(logs, key=lambda one: (one.namespace, one.pod, one.container, one.previous)):
        topology.logs[Ref("Pod", log.namespace, log.pod)].append(log)
    for ref, manifest in topology.objects.items():
        topology.kinds.setdefault(ref.kind, []).append(manifest)
        topology.local.setdefault((ref.kind, ref.namespace), []).append(manifest)
    for pod in topology.of_kind("Pod"):
        topology.pods_in.setdefault(namespace_of(pod), []).append(pod)
        topology.pods_by_owner.setdefault(topology.unit(ref_of(pod)), []).append(pod)
    _connect(topology)
    return topology


def _connect(topology: Topology) -> None:
    edges: dict[tuple[Ref, Ref, Relation], Edge] = {}

    def add(source: Ref, target: Ref, relation: Relation) -> None:
        source = topology.unit(source)
        if source != topology.unit(target):
            edges.setdefault((source, target, relation), Edge(source, target, relation))

    for ref, manifest in topology.objects.items():
        if ref.kind == "Pod":
            node = text(manifest, "spec", "nodeName")
            if node:
                add(ref, Ref("Node", "", node), "runs-on")
            else:
                for one in topology.of_kind("Node"):
                    add(ref, ref_of(one), "runs-on")
        owner = controller_of(manifest) if ref.kind in ("Pod", "ReplicaSet") else None
        if owner is not None and (ref.kind == "ReplicaSet" or owner.kind in WORKLOADS):
            continue  # what their templates name is named by the workload itself
        topology.names[ref] = list(named_by(manifest))
        for named in topology.names[ref]:
            add(ref, named.to, named.relation)
        _add_by_kind(topology, ref, manifest, add)
    for source, target, relation in (*edges_of_extensions(topology.objects), *edges_of_surroundings(topology.objects)):
        add(source, target, relation)
    _add_spoken_calls(topology, add)
    for edge in edges.values():
        topology.edges.setdefault(edge.source, []).append(edge)


def _add_by_kind(topology: Topology, ref: Ref, manifest: Manifest, add: "_Add") -> None:
    if ref.kind == "Service":
        for pod in topology.selected_by(manifest):
            add(ref, topology.unit(ref_of(pod)), "selects")
        wanted = mapping(manifest, "spec", "selector")
        for kind in ("Deployment", "StatefulSet", "DaemonSet"):
            for workload in topology.in_namespace(kind, ref.namespace):
                labels = mapping(workload, "spec", "template", "metadata", "labels")
                if wanted and matches_labels(wanted, labels):
                    add(ref, ref_of(workload), "selects")
    elif ref.kind == "PodDisruptionBudget":
        for pod in topology.pods_in.get(ref.namespace, ()):
            if matches(mapping(manifest, "spec", "selector"), labels_of(pod)):
                add(ref, topology.unit(ref_of(pod)), "protects")
    elif ref.kind == "CronJob":
        for job in topology.in_namespace("Job", ref.namespace):
            if controller_of(job) == ref:
                add(ref, ref_of(job), "owns")
    elif ref.kind == "Namespace" and at(manifest, "metadata", "deletionTimestamp") is not None:
        for other in topology.objects:
            if other.namespace == ref.name:
                add(ref, other, "owns")
    if pod_spec_of(manifest) and ref.kind != "CronJob":
        for quota in topology.in_namespace("ResourceQuota", ref.namespace):
            add(ref, ref_of(quota), "limited-by")
        _add_calls(topology, ref, manifest, add)


def _add_calls(topology: Topology, ref: Ref, manifest: Manifest, add: "_Add") -> None:
    found = list(addresses_in_environment(pod_spec_of(manifest), ref))
    for named in topology.names[ref]:
        config = topology.objects.get(named.to) if named.to.kind == "ConfigMap" else None
        if config is not None and named.to.name != "kube-root-ca.crt":
            known = addresses_in_config(config, named.to)
            found.extend(one for one in known if not named.key or one.key == named.key)
    topology.addresses[ref] = list(dict.fromkeys(found))
    for address in topology.addresses[ref]:
        service = topology.host(address.host, ref.namespace)
        if service is not None and service in topology.objects:
            add(ref, service, "calls")


def _add_spoken_calls(topology: Topology, add: "_Add") -> None:
    """Services that a workload's log names as its targets. Names count only where such a Service exists, and never the
    workload's own."""
    for pod, logs in topology.logs.items():
        unit = topology.unit_of_name(pod)
        if unit not in topology.objects:
            continue
        hosts = {host for log in logs for host in hosts_in_log(log.text)}
        for service in {topology.host(host, pod.namespace) for host in sorted(hosts)}:
            if service is not None and service in topology.objects and service != unit:
                own = topology.selected_by(topology.objects[service]) if service.kind == "Service" else ()
                if all(topology.unit(ref_of(one)) != unit for one in own):
                    add(unit, service, "calls")


def _revision(replica_set: Manifest) -> tuple[int, str]:
    annotation = text(replica_set, "metadata", "annotations", "deployment.kubernetes.io/revision")
    return (int(annotation) if annotation.isdigit() else 0, text(replica_set, "metadata", "creationTimestamp"))


class _Add(Protocol):
    """The shape of the edge adder."""

    def __call__(self, source: Ref, target: Ref, relation: Relation) -> None: ...
