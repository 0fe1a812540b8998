"""The graph of what was read: objects sorted out, events and logs put to them, and every edge between them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from agent.domain.objects import ContainerLog, Manifest, Ref, Series
from agent.domain.testimony import UNTOLD, Testimony
from agent.topology.calls import addresses_in_config, addresses_in_environment, hosts_in_log
from agent.topology.events import happening
from agent.topology.extensions import edges as edges_of_extensions
from agent.topology.fields import at, controller_of, items, kind_of, labels_of, mapping, namespace_of, ref_of, text
from agent.topology.graph import Edge, Topology
from agent.topology.namesakes import told_apart
from agent.topology.references import WORKLOADS, Relation, named_by, pod_spec_of
from agent.topology.selectors import matches, matches_labels
from agent.topology.surroundings import edges as edges_of_surroundings
from agent.topology.traced import calls


def build(
    now: datetime,
    objects: Iterable[Manifest],
    logs: Sequence[ContainerLog] = (),
    series: tuple[Series, ...] = (),
    unseen: dict[str, str] | None = None,
    testimony: Testimony = UNTOLD,
) -> Topology:
    """The graph of what was read. Order of the input does not matter to any answer."""
    topology = Topology(now=now, objects={}, events=defaultdict(list), logs=defaultdict(list), series=series, unseen=unseen or {})
    topology.testimony = testimony
    for manifest in told_apart(sorted(objects, key=_in_order)):
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
            for volume in items(manifest, "spec", "volumes"):  # those of claim templates are named by no template
                claim = text(volume, "persistentVolumeClaim", "claimName")
                if claim:
                    add(ref, Ref("PersistentVolumeClaim", ref.namespace, claim), "mounts")
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
    for caller, called in calls(topology, topology.testimony.journeys):
        add(caller, called, "calls")
    for edge in edges.values():
        topology.edges.setdefault(edge.source, []).append(edge)


def _add_by_kind(topology: Topology, ref: Ref, manifest: Manifest, add: "_Add") -> None:
    if ref.kind == "Service":
        for pod in topology.selected_by(manifest):
            add(ref, topology.unit(ref_of(pod)), "selects")
        wanted = mapping(manifest, "spec", "selector")
        for workload, labels in _templates(topology, ref.namespace) if wanted else ():
            if matches_labels(wanted, labels):
                add(ref, workload, "selects")
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


def _templates(topology: Topology, namespace: str) -> list[tuple[Ref, Mapping[str, Any]]]:
    """Workloads of the namespace with the labels that their pods get."""
    known: dict[str, list[tuple[Ref, Mapping[str, Any]]]] = topology.derived.setdefault("templates", {})
    if namespace not in known:
        known[namespace] = [
            (ref_of(one), mapping(one, "spec", "template", "metadata", "labels"))
            for kind in ("Deployment", "StatefulSet", "DaemonSet")
            for one in topology.in_namespace(kind, namespace)
        ]
    return known[namespace]


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


def _in_order(one: Manifest) -> tuple[str, str, str, str]:
    metadata = mapping(one, "metadata")
    kind, version, namespace, name = one.get("kind"), one.get("apiVersion"), metadata.get("namespace"), metadata.get("name")
    return (
        kind if type(kind) is str else "",
        namespace if type(namespace) is str else "",
        name if type(name) is str else "",
        version if type(version) is str else "",
    )


class _Add(Protocol):
    """The shape of the edge adder."""

    def __call__(self, source: Ref, target: Ref, relation: Relation) -> None: ...
