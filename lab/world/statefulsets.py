"""StatefulSets: named pods in order, one at a time, each with its claims; updates go from the last ordinal down."""

from dataclasses import dataclass

from lab.store import copied
from lab.world.cluster import Cluster, Refused
from lab.world.deployments import template_hash
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.reading import is_true, labels_of, owner_reference
from lab.world.replicasets import pod_of

BY = "statefulset-controller"
REVISION = "controller-revision-hash"


@dataclass
class StatefulSets:
    cluster: Cluster
    recorder: Recorder
    name: str = BY
    watches: frozenset[str] = frozenset({"StatefulSet", "Pod", "PersistentVolumeClaim", "ResourceQuota"})
    due: None = None

    def reconcile(self) -> None:
        for owner in self.cluster.of("StatefulSet"):
            if not owner["metadata"].get("deletionTimestamp"):
                self._one(owner)

    def _one(self, owner: Object) -> None:
        name = owner["metadata"]["name"]
        wanted = owner["spec"].get("replicas", 1)
        revision = f"{name}-{template_hash(owner['spec']['template'])}"
        pods = {ordinal(p): p for p in self.cluster.owned("Pod", owner)}
        parallel = owner["spec"].get("podManagementPolicy") == "Parallel"
        for index in range(wanted):
            pod = pods.get(index)
            if pod is None:
                self._create(owner, index, revision)
                if not parallel:
                    break
            elif not is_true(pod, "Ready") and not parallel and not self._outdated(owner, pod, revision):
                break
        else:
            self._update(owner, pods, revision)
        for index in sorted((i for i in pods if i >= wanted), reverse=True)[: len(pods) if parallel else 1]:
            self._delete(owner, pods[index])
        self._stuck(owner, pods, revision)
        self._status(owner, revision)

    def _outdated(self, owner: Object, pod: Object, revision: str) -> bool:
        rolling = owner["spec"].get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate"
        return rolling and labels_of(pod).get(REVISION) != revision

    def _stuck(self, owner: Object, pods: dict[int, Object], revision: str) -> None:
        """An outdated pod that is not ready is replaced at once, which is what lets a repaired template heal it."""
        for pod in pods.values():
            if self._outdated(owner, pod, revision) and not is_true(pod, "Ready"):
                self._delete(owner, pod)
                return

    def _update(self, owner: Object, pods: dict[int, Object], revision: str) -> None:
        for index in sorted(pods, reverse=True):
            if index < owner["spec"].get("replicas", 1) and self._outdated(owner, pods[index], revision):
                self._delete(owner, pods[index])
                return

    def _create(self, owner: Object, index: int, revision: str) -> None:
        metadata = owner["metadata"]
        pod = copied(pod_of(owner, f"{metadata['name']}-{index}", BY))
        pod["metadata"]["labels"] |= {
            REVISION: revision,
            "statefulset.kubernetes.io/pod-name": pod["metadata"]["name"],
            "apps.kubernetes.io/pod-index": str(index),
        }
        pod["spec"] |= {"hostname": pod["metadata"]["name"], "subdomain": owner["spec"].get("serviceName", "")}
        for template in owner["spec"].get("volumeClaimTemplates") or []:
            claim = f"{template['metadata']['name']}-{pod['metadata']['name']}"
            self._claim(owner, template, claim)
            pod["spec"].setdefault("volumes", []).append(
                {"name": template["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim}}
            )
        try:
            self.cluster.create("Pod", pod, user=BY)
        except Refused as exc:
            text = f"create Pod {pod['metadata']['name']} in StatefulSet {metadata['name']} failed error: {exc}"
            self.recorder.record(owner, "Warning", "FailedCreate", text, by=BY)
            return
        text = f"create Pod {pod['metadata']['name']} in StatefulSet {metadata['name']} successful"
        self.recorder.record(owner, "Normal", "SuccessfulCreate", text, by=BY)

    def _claim(self, owner: Object, template: Object, name: str) -> None:
        namespace = owner["metadata"]["namespace"]
        if self.cluster.find("PersistentVolumeClaim", namespace, name) is not None:
            return
        labels = owner["spec"]["selector"].get("matchLabels") or {}
        claim = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": dict(labels),
                "finalizers": ["kubernetes.io/pvc-protection"],
            },
            "spec": {"volumeMode": "Filesystem", **template["spec"]},
            "status": {"phase": "Pending"},
        }
        self.cluster.create("PersistentVolumeClaim", claim, user=BY)

    def _delete(self, owner: Object, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            return
        name = pod["metadata"]["name"]
        self.recorder.record(
            owner, "Normal", "SuccessfulDelete", f"delete Pod {name} in StatefulSet {owner['metadata']['name']} successful", by=BY
        )
        self.cluster.delete("Pod", pod["metadata"]["namespace"], name)

    def _status(self, owner: Object, revision: str) -> None:
        metadata = owner["metadata"]
        self._record_revision(owner, revision)
        pods = [p for p in self.cluster.owned("Pod", owner) if not p["metadata"].get("deletionTimestamp")]
        current = [p for p in pods if labels_of(p).get(REVISION) == revision]
        ready = sum(is_true(p, "Ready") for p in pods)

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            status |= {
                "replicas": len(pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "updatedReplicas": len(current),
                "updateRevision": revision,
                "observedGeneration": obj["metadata"].get("generation", 1),
                "collisionCount": 0,
            }
            if len(current) == len(pods) or "currentRevision" not in status:
                status["currentRevision"] = revision
            status["currentReplicas"] = sum(labels_of(p).get(REVISION) == status["currentRevision"] for p in pods)

        self.cluster.edit("StatefulSet", metadata["namespace"], metadata["name"], change)

    def _record_revision(self, owner: Object, name: str) -> None:
        metadata = owner["metadata"]
        namespace = metadata["namespace"]
        if self.cluster.find("ControllerRevision", namespace, name) is not None:
            return
        revisions = self.cluster.owned("ControllerRevision", owner)
        revision = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**(owner["spec"]["selector"].get("matchLabels") or {}), "controller.kubernetes.io/hash": name},
                "ownerReferences": [owner_reference(owner)],
            },
            "data": {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}},
            "revision": max((r.get("revision", 0) for r in revisions), default=0) + 1,
        }
        self.cluster.create("ControllerRevision", revision, user=BY)


def ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rsplit("-", 1)[-1])
