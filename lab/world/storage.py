"""Claims: bound by their class's provisioner, waiting for a consumer, or refused because the class does not exist."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.world.cluster import Cluster
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.reading import finished

BY = "persistentvolume-controller"
RETRY = timedelta(seconds=15)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass
class Claims:
    cluster: Cluster
    recorder: Recorder
    name: str = BY
    watches: frozenset[str] = frozenset({"PersistentVolumeClaim", "StorageClass", "PersistentVolume", "Pod"})
    _again: dict[str, datetime] = field(default_factory=dict)

    @property
    def due(self) -> datetime | None:
        return min(self._again.values(), default=None)

    def reconcile(self) -> None:
        claims = self.cluster.of("PersistentVolumeClaim")
        uids = {c["metadata"]["uid"] for c in claims}
        self._again = {u: at for u, at in self._again.items() if u in uids}
        for claim in claims:
            self._one(claim)

    def _one(self, claim: Object) -> None:
        metadata = claim["metadata"]
        if metadata.get("deletionTimestamp"):
            self._release(claim)
            return
        if (claim.get("status") or {}).get("phase") == "Bound":
            self._again.pop(metadata["uid"], None)
            return
        self._pending(claim)
        if self._existing(claim):
            return
        name = claim["spec"].get("storageClassName")
        if name is None:
            name = self._default()
        found = self.cluster.find("StorageClass", "", name or "")
        if not name:
            self._say(
                claim, "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"
            )
        elif found is None:
            self._say(claim, "Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found')
        elif found.get("volumeBindingMode") == "WaitForFirstConsumer" and not self._selected(claim):
            self._say(claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
        elif found["provisioner"] == "kubernetes.io/no-provisioner":
            self._say(claim, "Normal", "FailedBinding", "no persistent volumes available for this claim")
        else:
            self._provision(claim, found)

    def _selected(self, claim: Object) -> bool:
        return "volume.kubernetes.io/selected-node" in (claim["metadata"].get("annotations") or {})

    def _default(self) -> str:
        for found in self.cluster.of("StorageClass"):
            if (found["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
                return str(found["metadata"]["name"])
        return ""

    def _say(self, claim: Object, kind: str, reason: str, message: str) -> None:
        uid = claim["metadata"]["uid"]
        again = self._again.get(uid)
        if again is not None and self.cluster.now < again:
            return
        self._again[uid] = self.cluster.now + RETRY
        self.recorder.record(claim, "Warning" if kind == "Warning" else "Normal", reason, message, by=BY)

    def _pending(self, claim: Object) -> None:
        if (claim.get("status") or {}).get("phase") != "Pending":
            metadata = claim["metadata"]
            self.cluster.edit(
                "PersistentVolumeClaim", metadata["namespace"], metadata["name"], lambda o: o.update(status={"phase": "Pending"})
            )

    def _existing(self, claim: Object) -> bool:
        """A volume made for this claim by hand."""
        metadata = claim["metadata"]
        for volume in self.cluster.of("PersistentVolume"):
            wanted = volume["spec"].get("claimRef") or {}
            if (wanted.get("namespace"), wanted.get("name")) == (metadata["namespace"], metadata["name"]):
                self._bind(claim, volume)
                return True
        return False

    def _provision(self, claim: Object, found: Object) -> None:
        metadata = claim["metadata"]
        volume = {
            "metadata": {"name": f"pvc-{metadata['uid']}"},
            "spec": {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "uid": metadata["uid"],
                },
                "csi": {
                    "driver": found["provisioner"],
                    "volumeHandle": hashlib.sha256(metadata["uid"].encode()).hexdigest()[:24],
                },
                "persistentVolumeReclaimPolicy": found.get("reclaimPolicy", "Delete"),
                "storageClassName": found["metadata"]["name"],
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Bound"},
        }
        created = self.cluster.create("PersistentVolume", volume, user="persistent-volume-binder")
        text = f"Successfully provisioned volume {created['metadata']['name']}"
        self.recorder.record(claim, "Normal", "ProvisioningSucceeded", text, by=f"{found['provisioner']}_controller")
        self._bind(claim, created)

    def _bind(self, claim: Object, volume: Object) -> None:
        metadata = claim["metadata"]

        def change(obj: Object) -> None:
            obj["spec"]["volumeName"] = volume["metadata"]["name"]
            obj["spec"].setdefault("storageClassName", volume["spec"].get("storageClassName", ""))
            obj["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "yes"
            obj["status"] = {
                "phase": "Bound",
                "accessModes": claim["spec"]["accessModes"],
                "capacity": volume["spec"]["capacity"],
            }

        self.cluster.edit("PersistentVolumeClaim", metadata["namespace"], metadata["name"], change)
        self._again.pop(metadata["uid"], None)

    def _release(self, claim: Object) -> None:
        """kubernetes.io/pvc-protection: goes when no pod uses it."""
        metadata = claim["metadata"]
        used = any(
            v.get("persistentVolumeClaim", {}).get("claimName") == metadata["name"]
            for p in self.cluster.of("Pod", metadata["namespace"])
            if not finished(p)
            for v in p["spec"].get("volumes") or []
        )
        others = [f for f in metadata.get("finalizers") or [] if f != "kubernetes.io/pvc-protection"]
        if not used and not others:
            self.cluster.remove("PersistentVolumeClaim", metadata["namespace"], metadata["name"])
