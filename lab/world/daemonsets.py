"""DaemonSets: one pod on every node that takes it. Simple: pods are bound here, updates replace one pod at a time."""

from dataclasses import dataclass

from lab.store import copied
from lab.world.cluster import Cluster, Refused
from lab.world.deployments import template_hash
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.reading import is_true, labels_of
from lab.world.replicasets import pod_of
from lab.world.scheduler import Load, obstacle

BY = "daemonset-controller"
REVISION = "controller-revision-hash"
TOLERATED = [  # added to every daemon pod (pkg/controller/daemon)
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
]


@dataclass
class DaemonSets:
    cluster: Cluster
    recorder: Recorder
    name: str = BY
    watches: frozenset[str] = frozenset({"DaemonSet", "Pod", "Node"})
    due: None = None

    def reconcile(self) -> None:
        for owner in self.cluster.of("DaemonSet"):
            if not owner["metadata"].get("deletionTimestamp"):
                self._one(owner)

    def _one(self, owner: Object) -> None:
        metadata = owner["metadata"]
        revision = template_hash(owner["spec"]["template"])
        pods = {p["spec"].get("nodeName"): p for p in self.cluster.owned("Pod", owner)}
        nodes = self.cluster.of("Node")
        wanted = []
        for node in nodes:
            pod = copied(pod_of(owner, f"{metadata['name']}-{self.cluster.suffix()}", BY))
            pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or []), *TOLERATED]
            pod["metadata"]["labels"][REVISION] = revision
            name = node["metadata"]["name"]
            if name in pods or obstacle(pod, node, Load([]), nodes) is None:
                wanted.append(name)
                if name not in pods:
                    self._create(owner, pod, name)
        outdated = [
            p for p in pods.values() if labels_of(p).get(REVISION) != revision and not p["metadata"].get("deletionTimestamp")
        ]
        going = any(p["metadata"].get("deletionTimestamp") for p in pods.values())
        if outdated and not going:
            self.cluster.delete("Pod", metadata["namespace"], outdated[0]["metadata"]["name"])
        self._status(owner, wanted, revision)

    def _create(self, owner: Object, pod: Object, node: str) -> None:
        pod["spec"]["nodeName"] = node
        try:
            self.cluster.create("Pod", pod, user=BY)
        except Refused as exc:
            self.recorder.record(owner, "Warning", "FailedCreate", f"Error creating: {exc}", by=BY)
            return
        self.recorder.record(owner, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", by=BY)

    def _status(self, owner: Object, wanted: list[str], revision: str) -> None:
        pods = [p for p in self.cluster.owned("Pod", owner) if not p["metadata"].get("deletionTimestamp")]
        ready = sum(is_true(p, "Ready") for p in pods)

        def change(obj: Object) -> None:
            obj["status"] = {
                "currentNumberScheduled": len(pods),
                "desiredNumberScheduled": len(wanted),
                "numberAvailable": ready,
                "numberMisscheduled": 0,
                "numberReady": ready,
                "numberUnavailable": len(wanted) - ready,
                "observedGeneration": obj["metadata"].get("generation", 1),
                "updatedNumberScheduled": sum(labels_of(p).get(REVISION) == revision for p in pods),
            }

        self.cluster.edit("DaemonSet", owner["metadata"]["namespace"], owner["metadata"]["name"], change)
