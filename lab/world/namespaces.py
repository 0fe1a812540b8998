"""What every namespace is given (default ServiceAccount, kube-root-ca.crt), and what goes when a namespace or an owner
goes: the garbage collector's part."""

from dataclasses import dataclass

from lab.world.cluster import Cluster
from lab.world.kinds import GROUPS, Object

DEPENDENTS = ("Pod", "ReplicaSet", "Job", "EndpointSlice", "ControllerRevision")
NAMESPACED = tuple(k for k in GROUPS if k not in ("Namespace", "Node", "PersistentVolume", "StorageClass"))


@dataclass
class Namespaces:
    cluster: Cluster
    ca: str = ""
    name: str = "namespace-controller"
    watches: frozenset[str] = frozenset({"Namespace", "ServiceAccount", "ConfigMap", *NAMESPACED}) - {"Event"}
    due: None = None

    def reconcile(self) -> None:
        for namespace in self.cluster.of("Namespace"):
            name = namespace["metadata"]["name"]
            if namespace["metadata"].get("deletionTimestamp"):
                self._empty(name)
                continue
            self._furnish(namespace)
        self._collect()

    def _furnish(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        if (namespace.get("status") or {}).get("phase") != "Active":
            self.cluster.edit("Namespace", "", name, lambda o: o.setdefault("status", {}).update(phase="Active"))
        if namespace["metadata"].get("labels", {}).get("kubernetes.io/metadata.name") != name:
            self.cluster.edit(
                "Namespace",
                "",
                name,
                lambda o: o["metadata"].setdefault("labels", {}).update({"kubernetes.io/metadata.name": name}),
            )
        if self.cluster.find("ServiceAccount", name, "default") is None:
            self.cluster.create(
                "ServiceAccount", {"metadata": {"name": "default", "namespace": name}}, user="service-account-controller"
            )
        if self.cluster.find("ConfigMap", name, "kube-root-ca.crt") is None:
            config = {"metadata": {"name": "kube-root-ca.crt", "namespace": name}, "data": {"ca.crt": self.ca}}
            self.cluster.create("ConfigMap", config, user="root-ca-cert-publisher")

    def _empty(self, name: str) -> None:
        left = 0
        for kind in NAMESPACED:
            for obj in self.cluster.of(kind, name):
                left += 1
                self.cluster.delete(kind, name, obj["metadata"]["name"])
        if not left:
            self.cluster.remove("Namespace", "", name)

    def _collect(self) -> None:
        uids = {o["metadata"]["uid"] for kind in NAMESPACED if kind != "Event" for o in self.cluster.of(kind)}
        uids |= {o["metadata"]["uid"] for kind in ("Node", "Namespace") for o in self.cluster.of(kind)}
        for kind in DEPENDENTS:
            for obj in self.cluster.of(kind):
                owners = obj["metadata"].get("ownerReferences") or []
                if owners and not any(o["uid"] in uids or o["kind"] not in GROUPS for o in owners):
                    self.cluster.delete(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
