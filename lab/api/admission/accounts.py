"""What admission adds to pods and claims: the service account, its token volume, tolerations, priority, storage class."""

from lab.api.cluster import Cluster
from lab.api.names import generated
from lab.api.status import forbidden
from lab.store import Key, Object

MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def fill_pod(cluster: Cluster, obj: Object) -> None:
    """ApiError 403 when the account or the priority class does not exist."""
    spec, meta = obj["spec"], obj["metadata"]
    name = spec.get("serviceAccountName") or "default"
    account = cluster.store.get(Key("", "serviceaccounts", meta["namespace"], name))
    if account is None:
        why = f'error looking up service account {meta["namespace"]}/{name}: serviceaccount "{name}" not found'
        raise forbidden("pods", "", meta["name"], why)
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if wanted:
        _token_volume(spec)
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        tolerations = spec.setdefault("tolerations", [])
        if not any(t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "") for t in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    _priority(cluster, obj)


def _token_volume(spec: Object) -> None:
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    bare = [c for c in containers if not any(m.get("mountPath") == MOUNT for m in c.get("volumeMounts") or [])]
    if not bare:
        return
    name = generated("kube-api-access-")
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})
    for container in bare:
        container.setdefault("volumeMounts", []).append({"name": name, "readOnly": True, "mountPath": MOUNT})


def _priority(cluster: Cluster, obj: Object) -> None:
    spec = obj["spec"]
    classes = cluster.store.list("scheduling.k8s.io", "priorityclasses")
    name = spec.get("priorityClassName")
    if name:
        found = next((c for c in classes if c["metadata"]["name"] == name), None)
        if found is None:
            raise forbidden("pods", "", obj["metadata"]["name"], f"no PriorityClass with name {name} was found")
    else:
        found = next((c for c in classes if c.get("globalDefault")), None)
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
    spec["priority"] = int(found.get("value", 0)) if found else 0
    spec["preemptionPolicy"] = (found or {}).get("preemptionPolicy", "PreemptLowerPriority")


def default_storage_class(cluster: Cluster, obj: Object) -> None:
    if "storageClassName" in obj["spec"]:
        return
    for item in cluster.store.list("storage.k8s.io", "storageclasses"):
        if (item["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true":
            obj["spec"]["storageClassName"] = item["metadata"]["name"]
            return
