"""The scheduler: which node can take a pod, and if none, why not, in its own words."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from lab.world.cluster import Cluster
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.reading import finished, labels_of, pod_requests, quantity, selects, set_condition, stamp

RETRY = timedelta(minutes=5)  # scheduler: podMaxInUnschedulablePodsDuration
HELPLESS = "Preemption is not helpful for scheduling."
NO_VICTIMS = "No preemption victims found for incoming pod."


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why one node does not fit; `resolvable` by removing other pods, at least in principle."""

    reason: str
    resolvable: bool = False


@dataclass
class Scheduler:
    cluster: Cluster
    recorder: Recorder
    name: str = "scheduler"
    watches: frozenset[str] = frozenset({"Pod", "Node", "PersistentVolumeClaim", "PersistentVolume"})
    _told: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # uid: message, when

    @property
    def due(self) -> datetime | None:
        return min((at + RETRY for _, at in self._told.values()), default=None)

    def reconcile(self) -> None:
        pods = self.cluster.of("Pod")
        waiting = [
            p for p in pods if not p["spec"].get("nodeName") and not p["metadata"].get("deletionTimestamp") and not finished(p)
        ]
        uids = {p["metadata"]["uid"] for p in waiting}
        self._told = {uid: told for uid, told in self._told.items() if uid in uids}
        for pod in sorted(waiting, key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"])):
            self._place(pod)

    def _place(self, pod: Object) -> None:
        claim = self._claim_problem(pod)
        nodes = self.cluster.of("Node")
        if claim:
            self._refuse(pod, f"0/{len(nodes)} nodes are available: {claim}")
            return
        load = Load(self.cluster.of("Pod"))
        obstacles = {n["metadata"]["name"]: obstacle(pod, n, load, nodes) for n in nodes}
        fitting = [n for n in nodes if obstacles[n["metadata"]["name"]] is None]
        if fitting:
            best = min(fitting, key=lambda n: (load.share(n), n["metadata"]["name"]))
            self._bind(pod, best["metadata"]["name"])
            return
        self._refuse(pod, sentence([o for o in obstacles.values() if o is not None], len(nodes)))

    def _claim_problem(self, pod: Object) -> str:
        for volume in pod["spec"].get("volumes") or []:
            source = volume.get("persistentVolumeClaim")
            if source is None:
                continue
            claim = self.cluster.find("PersistentVolumeClaim", pod["metadata"]["namespace"], source["claimName"])
            if claim is None:
                return f'persistentvolumeclaim "{source["claimName"]}" not found. not found'
            if (claim.get("status") or {}).get("phase") != "Bound" and not self._waits_for_consumer(claim):
                return "pod has unbound immediate PersistentVolumeClaims. not found"
        return ""

    def _waits_for_consumer(self, claim: Object) -> bool:
        found = self.cluster.find("StorageClass", "", claim["spec"].get("storageClassName") or "")
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"

    def _bind(self, pod: Object, node: str) -> None:
        metadata = pod["metadata"]
        now = stamp(self.cluster.now)
        for volume in pod["spec"].get("volumes") or []:
            if "persistentVolumeClaim" in volume:
                self._select_node(metadata["namespace"], volume["persistentVolumeClaim"]["claimName"], node)

        def change(obj: Object) -> None:
            obj["spec"]["nodeName"] = node
            status = obj.setdefault("status", {})
            status.setdefault("phase", "Pending")
            set_condition(status, {"type": "PodScheduled", "status": "True", "lastProbeTime": None}, now)

        self.cluster.edit("Pod", metadata["namespace"], metadata["name"], change)
        self._told.pop(metadata["uid"], None)
        text = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
        self.recorder.series(pod, "Normal", "Scheduled", text, by="default-scheduler", action="Binding")

    def _select_node(self, namespace: str, name: str, node: str) -> None:
        def change(claim: Object) -> None:
            if (claim.get("status") or {}).get("phase") != "Bound":
                claim["metadata"].setdefault("annotations", {})["volume.kubernetes.io/selected-node"] = node

        self.cluster.edit("PersistentVolumeClaim", namespace, name, change)

    def _refuse(self, pod: Object, message: str) -> None:
        metadata = pod["metadata"]
        told = self._told.get(metadata["uid"])
        if told is not None and told[0] == message and self.cluster.now < told[1] + RETRY:
            return
        self._told[metadata["uid"]] = (message, self.cluster.now)
        entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastProbeTime": None}

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            status.setdefault("phase", "Pending")
            set_condition(status, entry, stamp(self.cluster.now))

        self.cluster.edit("Pod", metadata["namespace"], metadata["name"], change)
        self._series(pod, "Warning", message)

    def _series(self, pod: Object, kind: Literal["Normal", "Warning"], message: str) -> None:
        self.recorder.series(pod, kind, "FailedScheduling", message, by="default-scheduler", action="Scheduling")


class Load:
    """What the bound, unfinished pods of each node ask for."""

    def __init__(self, pods: list[Object]) -> None:
        self.pods: dict[str, list[Object]] = {}
        for pod in pods:
            if pod["spec"].get("nodeName") and not finished(pod):
                self.pods.setdefault(pod["spec"]["nodeName"], []).append(pod)

    def requested(self, node: str) -> dict[str, Decimal]:
        total: dict[str, Decimal] = {"pods": Decimal(len(self.pods.get(node, [])))}
        for pod in self.pods.get(node, []):
            for resource, amount in pod_requests(pod).items():
                total[resource] = total.get(resource, Decimal(0)) + amount
        return total

    def share(self, node: Object) -> Decimal:
        allocatable = node["status"]["allocatable"]
        used = self.requested(node["metadata"]["name"])
        shares = [used.get(r, Decimal(0)) / quantity(allocatable[r]) for r in ("cpu", "memory", "pods") if r in allocatable]
        return sum(shares, Decimal(0))


def sentence(obstacles: list[Obstacle], total: int) -> str:
    """The FailedScheduling message of kube-scheduler 1.36."""
    reasons = sorted(f"{n} {reason}" for reason, n in Counter(o.reason for o in obstacles).items())
    helpless = sum(not o.resolvable for o in obstacles)
    parts = sorted(f"{n} {text}" for n, text in ((helpless, HELPLESS), (total - helpless, NO_VICTIMS)) if n)
    preemption = ", ".join(p.rstrip(".") for p in parts)
    return (
        f"0/{total} nodes are available: {', '.join(reasons)}. no new claims to deallocate, "
        f"preemption: 0/{total} nodes are available: {preemption}."
    )


def obstacle(pod: Object, node: Object, load: Load, nodes: list[Object]) -> Obstacle | None:
    """The first filter that objects, in the scheduler's order; None when the node fits."""
    if node["spec"].get("unschedulable") and not _tolerates(
        pod, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return Obstacle("node(s) were unschedulable")
    for taint in node["spec"].get("taints") or []:
        if taint["key"] == "node.kubernetes.io/unschedulable":
            continue
        if taint["effect"] in ("NoSchedule", "NoExecute") and not _tolerates(pod, taint):
            return Obstacle(f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}")
    if not _selected(pod, node):
        return Obstacle("node(s) didn't match Pod's node affinity/selector")
    here = load.pods.get(node["metadata"]["name"], [])
    if _host_ports(pod) & {p for other in here for p in _host_ports(other)}:
        return Obstacle("node(s) didn't have free ports for the requested pod ports", resolvable=True)
    shortage = _shortage(pod, node, load)
    if shortage is not None:
        return shortage
    return _affinity(pod, node, load, nodes)


def _shortage(pod: Object, node: Object, load: Load) -> Obstacle | None:
    allocatable = node["status"]["allocatable"]
    used = load.requested(node["metadata"]["name"])
    if used["pods"] + 1 > quantity(allocatable.get("pods", 110)):
        return Obstacle("Too many pods", resolvable=True)
    for resource, amount in sorted(pod_requests(pod).items()):
        if amount == 0 or resource == "ephemeral-storage":
            continue
        capacity = quantity(allocatable.get(resource, 0))
        if used.get(resource, Decimal(0)) + amount > capacity:
            return Obstacle(f"Insufficient {resource}", resolvable=amount <= capacity)
    return None


def _tolerates(pod: Object, taint: Object) -> bool:
    for toleration in pod["spec"].get("tolerations") or []:
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if not toleration.get("key"):
            if toleration.get("operator") == "Exists":
                return True
            continue
        if toleration["key"] == taint["key"] and (
            toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
        ):
            return True
    return False


def _selected(pod: Object, node: Object) -> bool:
    labels = labels_of(node)
    if any(labels.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not affinity:
        return True
    return any(
        selects({"matchExpressions": term.get("matchExpressions") or []}, labels)
        for term in affinity.get("nodeSelectorTerms") or []
    )


def _host_ports(pod: Object) -> set[int]:
    return {p["hostPort"] for c in pod["spec"]["containers"] for p in c.get("ports") or [] if p.get("hostPort")}


def _affinity(pod: Object, node: Object, load: Load, nodes: list[Object]) -> Obstacle | None:
    affinity = pod["spec"].get("affinity") or {}
    for kind, reason, wanted in (
        ("podAntiAffinity", "node(s) didn't match pod anti-affinity rules", False),
        ("podAffinity", "node(s) didn't match pod affinity rules", True),
    ):
        for term in (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []:
            found = any(
                selects(term.get("labelSelector"), labels_of(other))
                and other["metadata"]["namespace"] in (term.get("namespaces") or [pod["metadata"]["namespace"]])
                for neighbour in _same_domain(node, term["topologyKey"], nodes)
                for other in load.pods.get(neighbour, [])
            )
            if found != wanted:
                return Obstacle(reason, resolvable=not wanted)
    return None


def _same_domain(node: Object, key: str, nodes: list[Object]) -> list[str]:
    value = labels_of(node).get(key)
    return [n["metadata"]["name"] for n in nodes if value is not None and labels_of(n).get(key) == value]
