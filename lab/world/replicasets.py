"""The ReplicaSet controller: as many pods as asked for, and what it says when it may not create them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.world.cluster import Cluster, Refused
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.reading import drop_condition, finished, is_true, owner_reference, set_condition

BY = "replicaset-controller"
FIRST_RETRY, LAST_RETRY = 1.0, 300.0


@dataclass
class ReplicaSets:
    cluster: Cluster
    recorder: Recorder
    name: str = BY
    watches: frozenset[str] = frozenset({"ReplicaSet", "Pod", "ResourceQuota", "LimitRange", "ServiceAccount"})
    _retry: dict[str, tuple[datetime, float]] = field(default_factory=dict)  # uid: when, back-off
    _errors: dict[str, str] = field(default_factory=dict)

    @property
    def due(self) -> datetime | None:
        return min((at for at, _ in self._retry.values()), default=None)

    def reconcile(self) -> None:
        for owner in self.cluster.of("ReplicaSet"):
            if owner["metadata"].get("deletionTimestamp"):
                continue
            pods = [p for p in self.cluster.owned("Pod", owner) if not finished(p)]
            alive = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
            wanted = owner["spec"].get("replicas", 1)
            if len(alive) < wanted:
                self._create(owner, wanted - len(alive))
            elif len(alive) > wanted:
                self._settled(owner)
                self._delete(owner, alive, len(alive) - wanted)
            else:
                self._settled(owner)
            self._status(owner)

    def _settled(self, owner: Object) -> None:
        self._retry.pop(owner["metadata"]["uid"], None)
        self._errors.pop(owner["metadata"]["uid"], None)

    def _create(self, owner: Object, missing: int) -> None:
        uid = owner["metadata"]["uid"]
        retry = self._retry.get(uid)
        if retry is not None and self.cluster.now < retry[0]:
            return
        for _ in range(missing):
            pod = pod_of(owner, f"{owner['metadata']['name']}-{self.cluster.suffix()}", BY)
            try:
                created = self.cluster.create("Pod", pod, user=BY)
            except Refused as exc:
                self.recorder.record(owner, "Warning", "FailedCreate", f"Error creating: {exc}", by=BY)
                self._errors[uid] = str(exc)
                wait = min(retry[1] * 2, LAST_RETRY) if retry else FIRST_RETRY
                self._retry[uid] = (self.cluster.now + timedelta(seconds=wait), wait)
                return
            name = created["metadata"]["name"]
            self.recorder.record(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}", by=BY)
        self._settled(owner)

    def _delete(self, owner: Object, pods: list[Object], count: int) -> None:
        for pod in sorted(pods, key=removal_order)[:count]:
            name = pod["metadata"]["name"]
            self.recorder.record(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}", by=BY)
            self.cluster.delete("Pod", pod["metadata"]["namespace"], name)

    def _status(self, owner: Object) -> None:
        metadata = owner["metadata"]
        pods = self.cluster.owned("Pod", owner)
        alive = [p for p in pods if not finished(p) and not p["metadata"].get("deletionTimestamp")]
        error = self._errors.get(metadata["uid"])

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            counts = {
                "replicas": len(alive),
                "fullyLabeledReplicas": len(alive),
                "readyReplicas": sum(is_true(p, "Ready") for p in alive),
                "availableReplicas": sum(is_true(p, "Ready") for p in alive),
            }
            for field_name, count in counts.items():
                if count or field_name == "replicas":
                    status[field_name] = count
                else:
                    status.pop(field_name, None)
            status["observedGeneration"] = obj["metadata"].get("generation", 1)
            if error:
                entry = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": error}
                set_condition(status, entry, self.cluster.stamp)
            elif "conditions" in status:
                drop_condition(status, "ReplicaFailure")
                if not status["conditions"]:
                    del status["conditions"]

        self.cluster.edit("ReplicaSet", metadata["namespace"], metadata["name"], change)


def pod_of(owner: Object, name: str, by: str) -> Object:
    """A pod from the owner's template."""
    template = owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(metadata.get("labels") or {}),
            **({"annotations": dict(metadata["annotations"])} if metadata.get("annotations") else {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }


def removal_order(pod: Object) -> tuple[bool, bool, str, str]:
    """Unscheduled before scheduled, unready before ready, younger before older."""
    created = pod["metadata"]["creationTimestamp"]
    inverted = "".join(chr(255 - ord(c)) for c in created)
    return bool(pod["spec"].get("nodeName")), is_true(pod, "Ready"), inverted, pod["metadata"]["name"]
