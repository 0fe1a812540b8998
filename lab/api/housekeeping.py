"""What the controller manager does that has no fault to show: default accounts, garbage, ending namespaces, quota counts.

Runs whenever something changed, and when lab time passes; each piece of work is small and done under the store's lock.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from lab.api import deleting
from lab.api.admission import quota
from lab.api.cluster import Cluster
from lab.api.resources import Resource
from lab.store import Change, Key, Object

ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
    "the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)
NAMESPACE_SECONDS = 2.0  # an empty namespace goes in 2 to 4 s on a real cluster


class Housekeeping:
    """`run` does what is due; subscribe `noticed` to the store."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._namespaces = self._garbage = True  # whether there is work of that sort
        self._ending: set[str] = set()  # namespaces on their way out
        self._quotas: set[str] = set()  # namespaces whose counts may have changed
        self._uids: set[str] = {obj["metadata"].get("uid", "") for _, obj in cluster.owned()}
        self._owners: set[str] = {o["uid"] for _, obj in cluster.owned() for o in obj["metadata"].get("ownerReferences") or []}
        self._going: set[str] = set()  # what waits for finalizers, and so perhaps for its dependents
        self.paused = False

    def noticed(self, change: Change) -> None:
        """Note what there is to do; cheap, for it is called on every change."""
        meta, key = change.object["metadata"], change.key
        owners = {o["uid"] for o in meta.get("ownerReferences") or []}
        uid = meta.get("uid", "")  # measurements may have none
        self._owners |= owners
        if change.type == "DELETED":
            self._uids.discard(uid)
            self._garbage = self._garbage or uid in self._owners or bool(owners & self._going)
            self._going.discard(uid)
        else:
            self._uids.add(uid)
            stray = bool(owners) and not owners & self._uids
            going = "deletionTimestamp" in meta
            self._garbage = self._garbage or stray or going
            if going:
                self._going.add(uid)
        if key.resource == "namespaces" and not key.group:
            self._namespaces = True
            (self._ending.add if change.type != "DELETED" and "deletionTimestamp" in meta else self._ending.discard)(key.name)
        elif key.namespace and key.resource not in ("events", "leases"):
            self._quotas.add(key.namespace)
            if key.resource in ("serviceaccounts", "configmaps") and change.type == "DELETED":
                self._namespaces = True

    def run(self) -> None:
        if self.paused:
            return
        with self._cluster.store.lock:
            for _ in range(20):  # one thing leads to another; not for ever
                if not (self._namespaces or self._garbage or self._quotas):
                    break
                if self._namespaces:
                    self._namespaces = False
                    self._accounts()
                if self._garbage:
                    self._garbage = False
                    self._collect()
                self._count()
            if self._ending:
                self._end_namespaces()

    def _accounts(self) -> None:
        store, cluster = self._cluster.store, self._cluster
        for namespace in store.list("", "namespaces"):
            if "deletionTimestamp" in namespace["metadata"]:
                continue
            name = namespace["metadata"]["name"]
            account = Key("", "serviceaccounts", name, "default")
            if store.get(account) is None:
                store.create(
                    account, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": name}}
                )
            root = Key("", "configmaps", name, ROOT_CA)
            if store.get(root) is None:
                fields = {
                    "f:data": {".": {}, "f:ca.crt": {}},
                    "f:metadata": {"f:annotations": {".": {}, "f:kubernetes.io/description": {}}},
                }
                entry = {
                    "manager": "kube-controller-manager",
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": cluster.now(),
                    "fieldsType": "FieldsV1",
                }
                meta = {"name": ROOT_CA, "namespace": name, "annotations": {"kubernetes.io/description": DESCRIPTION}}
                meta |= {"managedFields": [entry | {"fieldsV1": fields}]}
                store.create(
                    root, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": {"ca.crt": cluster.ca_pem}}
                )

    def _collect(self) -> None:
        """Garbage: objects whose owners are all gone, and owners that wait for their dependents."""
        everything = list(self._cluster.owned())
        uids = {obj["metadata"].get("uid", ""): obj for _, obj in everything}
        dependents: dict[str, list[tuple[Key, Object]]] = {}
        for key, obj in everything:
            for owner in obj["metadata"].get("ownerReferences") or []:
                dependents.setdefault(owner["uid"], []).append((key, obj))
        for key, obj in everything:
            owners = obj["metadata"].get("ownerReferences") or []
            if owners and not any(o["uid"] in uids for o in owners):
                self._remove(key, {"propagationPolicy": "Background"})
            finalizers = obj["metadata"].get("finalizers") or []
            if "deletionTimestamp" not in obj["metadata"]:
                continue
            if "orphan" in finalizers:
                self._orphan(obj, dependents.get(obj["metadata"].get("uid", ""), []))
                self._release(key, "orphan")
            elif "foregroundDeletion" in finalizers:
                self._foreground(key, obj, dependents.get(obj["metadata"].get("uid", ""), []))
            elif deleting.CRD_FINALIZER in finalizers:
                self._end_definition(key, obj)

    def _remove(self, key: Key, options: Object) -> None:
        resource = self._cluster.resources.stored(key.group, key.resource)
        live = self._cluster.store.get(key)
        if resource is None or live is None or "deletionTimestamp" in live["metadata"]:
            return
        deleting.remove(self._cluster, resource, live, options)

    def _orphan(self, owner: Object, dependents: list[tuple[Key, Object]]) -> None:
        for key, _ in dependents:
            live = self._cluster.store.get(key)
            if live is not None:
                kept = [o for o in live["metadata"].get("ownerReferences") or [] if o["uid"] != owner["metadata"]["uid"]]
                live["metadata"]["ownerReferences"] = kept
                if not kept:
                    del live["metadata"]["ownerReferences"]
                self._cluster.store.update(key, live)

    def _foreground(self, key: Key, owner: Object, dependents: list[tuple[Key, Object]]) -> None:
        blocking = []
        for dependent, obj in dependents:
            refs = [o for o in obj["metadata"]["ownerReferences"] if o["uid"] == owner["metadata"]["uid"]]
            self._remove(dependent, {"propagationPolicy": "Foreground"})
            if self._cluster.store.get(dependent) is not None and any(r.get("blockOwnerDeletion") for r in refs):
                blocking.append(dependent)
        if not blocking:
            self._release(key, "foregroundDeletion")

    def _release(self, key: Key, finalizer: str) -> None:
        live = self._cluster.store.get(key)
        if live is None:
            return
        left = [f for f in live["metadata"].get("finalizers") or [] if f != finalizer]
        if left or live["metadata"].get("deletionGracePeriodSeconds"):
            live["metadata"]["finalizers"] = left
            if not left:
                del live["metadata"]["finalizers"]
            self._cluster.store.update(key, live)
        else:
            self._cluster.store.remove(key)

    def _end_definition(self, key: Key, obj: Object) -> None:
        group, plural = obj["spec"]["group"], obj["spec"]["names"]["plural"]
        for item in self._cluster.store.list(group, plural):
            self._remove(Key(group, plural, item["metadata"].get("namespace", ""), item["metadata"]["name"]), {})
        if self._cluster.store.list(group, plural):
            self._garbage = True  # finalizers hold some: look again
        else:
            self._release(key, deleting.CRD_FINALIZER)

    def _count(self) -> None:
        names, self._quotas = self._quotas, set()
        for namespace in names:
            for item in self._cluster.store.list("", "resourcequotas", namespace):
                quota.refresh(self._cluster, item)

    def _end_namespaces(self) -> None:
        for namespace in self._cluster.store.list("", "namespaces"):
            if "deletionTimestamp" in namespace["metadata"]:
                self._end_namespace(namespace)

    def _end_namespace(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        left: list[tuple[Resource, Object]] = []
        for resource in self._content_kinds():
            for obj in self._cluster.store.list(resource.store_group, resource.plural, name):
                key = self._cluster.key(resource, name, obj["metadata"]["name"])
                self._remove(key, {"propagationPolicy": "Background"})
                if (live := self._cluster.store.get(key)) is not None:
                    left.append((resource, live))
        began = _epoch(namespace["metadata"]["deletionTimestamp"])
        if left:
            self._say_what_remains(namespace, left)
        elif self._cluster.clock.now().timestamp() - began >= NAMESPACE_SECONDS:
            namespace["spec"]["finalizers"] = []
            if not namespace["metadata"].get("finalizers"):
                self._cluster.store.remove(Key("", "namespaces", "", name))
            else:
                self._cluster.store.update(Key("", "namespaces", "", name), namespace)

    def _content_kinds(self) -> list[Resource]:
        unique = {(r.store_group, r.plural): r for r in self._cluster.resources.all() if r.namespaced and "delete" in r.verbs}
        return list(unique.values())

    def _say_what_remains(self, namespace: Object, left: list[tuple[Resource, Object]]) -> None:
        kinds = Counter(f"{r.plural}.{r.group}" for r, _ in left)
        finalizers = Counter(f for _, o in left for f in o["metadata"].get("finalizers") or [])
        content = ", ".join(f"{k} has {n} resource instances" for k, n in sorted(kinds.items()))
        waiting = ", ".join(f"{k} in {n} resource instances" for k, n in sorted(finalizers.items()))
        rows = [
            ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            ("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {content}"),
        ]
        if finalizers:
            rows.append(
                (
                    "NamespaceFinalizersRemaining",
                    "True",
                    "SomeFinalizersRemain",
                    f"Some content in the namespace has finalizers remaining: {waiting}",
                )
            )
        else:
            rows.append(
                ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
            )
        before: dict[str, Any] = {c["type"]: c for c in (namespace.get("status") or {}).get("conditions") or []}
        conditions = []
        for kind, status, reason, message in rows:
            new = {
                "type": kind,
                "status": status,
                "lastTransitionTime": self._cluster.now(),
                "reason": reason,
                "message": message,
            }
            old = before.get(kind)
            if old is not None and old["status"] == status:
                new["lastTransitionTime"] = old["lastTransitionTime"]
            conditions.append(new)
        namespace["status"] = {"phase": "Terminating", "conditions": conditions}
        self._cluster.store.update(Key("", "namespaces", "", namespace["metadata"]["name"]), namespace)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
