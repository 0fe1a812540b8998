"""The objects of a large cluster, each as wordy as a real API server's answer."""

from typing import Any

Object = dict[str, Any]
MADE, READY, NOW = "2026-05-01T08:00:00Z", "2026-05-01T08:00:20Z", "2026-05-04T12:00:00Z"
BROKEN = "2026-05-04T11:42:00Z"
TOLERATIONS = [
    {"effect": "NoExecute", "key": f"node.kubernetes.io/{key}", "operator": "Exists", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]
PROBE = {"failureThreshold": 3, "httpGet": {"path": "/readyz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5}


def named(api: str, kind: str, namespace: str, name: str, *, metadata: Object | None = None, **rest: Any) -> Object:
    told = {
        "name": name,
        "namespace": namespace,
        "uid": f"{kind}-{namespace}-{name}",
        "creationTimestamp": MADE,
        "resourceVersion": "71",
    }
    return {"apiVersion": api, "kind": kind, "metadata": {**told, **(metadata or {})}, **rest}


def written(manager: str, fields: Object, *, status: bool = False) -> Object:
    told = {
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "manager": manager,
        "operation": "Update",
        "time": MADE,
    }
    return {**told, "subresource": "status"} if status else told


def node(number: int) -> Object:
    name = f"node-{number:03d}"
    status = {
        "allocatable": {"cpu": "15890m", "memory": "60Gi", "pods": "110", "ephemeral-storage": "95Gi"},
        "capacity": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"},
        "conditions": [
            {
                "type": kind,
                "status": "True" if kind == "Ready" else "False",
                "reason": f"Kubelet{kind}",
                "lastHeartbeatTime": NOW,
                "lastTransitionTime": MADE,
                "message": "kubelet is posting ready status",
            }
            for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
        ],
        "images": [
            {"names": [f"registry.example.com/apps/app-{image}@sha256:{'0' * 64}"], "sizeBytes": 9_000_000} for image in range(50)
        ],
        "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "Linux", "containerRuntimeVersion": "containerd://2.1.0"},
    }
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 3}", "kubernetes.io/os": "linux"}
    metadata = {"name": name, "uid": f"node-uid-{number}", "labels": labels, "creationTimestamp": MADE}
    metadata["managedFields"] = [written("kubelet", {"f:status": {"f:images": {}}}, status=True)]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "spec": {"podCIDR": f"10.{number // 250}.{number % 250}.0/24"},
        "status": status,
    }


def template(app: str, *, broken: bool) -> Object:
    key = "LIMIT_NEW" if broken else "LIMIT"
    container = {
        "name": app,
        "image": f"registry.example.com/apps/{app}:1.4.2",
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "LIMIT", "valueFrom": {"configMapKeyRef": {"name": f"{app}-settings", "key": key}}},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": f"{app}-login", "key": "password"}}},
        ],
        "livenessProbe": PROBE,
        "readinessProbe": PROBE,
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    spec = {
        "containers": [container],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
    }
    return {"metadata": {"labels": {"app.kubernetes.io/name": app}}, "spec": spec}


def replica_set(namespace: str, app: str, revision: int, made: Object, replicas: int, ready: int) -> Object:
    labels = {**made["metadata"]["labels"], "pod-template-hash": f"7d9f{revision}"}
    metadata = {
        "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": app,
                "controller": True,
                "uid": f"Deployment-{namespace}-{app}",
            }
        ],
        "managedFields": [written("kube-controller-manager", {"f:spec": {"f:replicas": {}, "f:template": {}}})],
        "creationTimestamp": MADE if revision == 1 else READY,
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {**made, "metadata": {"labels": labels}}}
    return named(
        "apps/v1",
        "ReplicaSet",
        namespace,
        f"{app}-7d9f{revision}",
        metadata=metadata,
        spec=spec,
        status={"replicas": replicas, "readyReplicas": ready if replicas else 0},
    )


def pod(namespace: str, app: str, number: int, made: Object, where: str, *, broken: bool) -> Object:
    name = f"{app}-7d9f2-{number:05d}"
    since = BROKEN if broken else READY
    ready = "False" if broken else "True"
    conditions = [
        {
            "type": kind,
            "status": ready if "Ready" in kind and kind != "Containers" else "True",
            "lastProbeTime": None,
            "lastTransitionTime": since,
        }
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    waiting = {
        "waiting": {
            "reason": "CreateContainerConfigError",
            "message": f"couldn't find key LIMIT_NEW in ConfigMap {namespace}/{app}-settings",
        }
    }
    state = waiting if broken else {"running": {"startedAt": READY}}
    box = {
        "name": app,
        "image": f"registry.example.com/apps/{app}:1.4.2",
        "imageID": f"registry.example.com/apps/{app}@sha256:{'1' * 64}",
        "containerID": f"containerd://{number:064x}",
        "ready": not broken,
        "restartCount": 0,
        "started": not broken,
        "state": state,
        "lastState": {},
    }
    volume = {
        "name": "kube-api-access-pp66r",
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}]
                    }
                },
            ],
        },
    }
    spec = {
        **made["spec"],
        "nodeName": where,
        "tolerations": TOLERATIONS,
        "volumes": [volume],
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
    }
    fields = {
        f"f:{key}": {".": {}, "f:observedGeneration": {}}
        for key in ("spec", "conditions", "containerStatuses", "hostIP", "hostIPs", "podIP", "podIPs", "phase")
    }
    metadata = {
        "labels": {**made["metadata"]["labels"], "pod-template-hash": "7d9f2"},
        "generateName": f"{app}-7d9f2-",
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": f"{app}-7d9f2",
                "controller": True,
                "uid": f"ReplicaSet-{namespace}-{app}-7d9f2",
            }
        ],
        "managedFields": [
            written("kube-controller-manager", {"f:metadata": fields, "f:spec": fields}),
            written("kubelet", {"f:status": fields}, status=True),
        ],
    }
    status = {
        "phase": "Pending" if broken else "Running",
        "podIP": "10.1.2.3",
        "hostIP": "10.0.0.3",
        "qosClass": "Burstable",
        "startTime": since,
        "conditions": conditions,
        "containerStatuses": [box],
    }
    return named("v1", "Pod", namespace, name, metadata=metadata, spec=spec, status=status)


def event(namespace: str, pod_name: str, *, broken: bool) -> Object:
    about = {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod_name}
    told = (
        {"reason": "Failed", "message": "Error: couldn't find key LIMIT_NEW", "type": "Warning"}
        if broken
        else {"reason": "Started", "message": "Started container", "type": "Normal"}
    )
    when = BROKEN if broken else READY
    return named(
        "v1",
        "Event",
        namespace,
        f"{pod_name}.17",
        involvedObject=about,
        firstTimestamp=when,
        lastTimestamp=when,
        count=1,
        source={"component": "kubelet"},
        **told,
    )
