"""kube-state-metrics over the store's objects: the families that runbooks and checks ask for, by their real names."""

from collections.abc import Iterator, Mapping

from lab.telemetry.series import Labels, labels
from lab.world.cluster import Cluster
from lab.world.kinds import Object
from lab.world.reading import is_true, parse_stamp, quantity

Sample = tuple[Labels, float]
JOB = {"job": "kube-state-metrics"}
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
UNITS = {"cpu": "core", "memory": "byte", "ephemeral-storage": "byte", "pods": "integer"}


def all_of(cluster: Cluster) -> Iterator[Sample]:
    for kind, family in (
        ("Pod", _pod),
        ("Deployment", _deployment),
        ("ReplicaSet", _replica_set),
        ("StatefulSet", _stateful_set),
        ("DaemonSet", _daemon_set),
        ("Job", _job),
        ("CronJob", _cron_job),
        ("Node", _node),
        ("HorizontalPodAutoscaler", _autoscaler),
        ("ResourceQuota", _quota),
        ("PersistentVolumeClaim", _claim),
        ("EndpointSlice", _slice),
        ("Service", _service),
        ("PodDisruptionBudget", _budget),
    ):
        for obj in cluster.of(kind):
            yield from family(obj)


def _sample(name: str, where: Mapping[str, str], value: float | int | bool) -> Sample:
    return labels(name, {**JOB, **where}), float(value)


def _of(obj: Object, label: str) -> dict[str, str]:
    return {"namespace": obj["metadata"].get("namespace", ""), label: obj["metadata"]["name"]}


def _status(obj: Object) -> Object:
    found: Object = obj.get("status") or {}
    return found


def _pod(pod: Object) -> Iterator[Sample]:
    where, status = _of(pod, "pod"), _status(pod)
    owner: Object = next((o for o in pod["metadata"].get("ownerReferences") or [] if o.get("controller")), {})
    info = {
        "node": pod["spec"].get("nodeName", ""),
        "pod_ip": status.get("podIP", ""),
        "created_by_kind": owner.get("kind", ""),
        "created_by_name": owner.get("name", ""),
        "uid": pod["metadata"]["uid"],
    }
    yield _sample("kube_pod_info", {**where, **info}, 1)
    yield _sample("kube_pod_created", where, parse_stamp(pod["metadata"]["creationTimestamp"]).timestamp())
    owned = {"owner_kind": owner.get("kind", ""), "owner_name": owner.get("name", ""), "owner_is_controller": "true"}
    yield _sample("kube_pod_owner", {**where, **owned}, 1)
    for phase in PHASES:
        yield _sample("kube_pod_status_phase", {**where, "phase": phase}, status.get("phase") == phase)
    for kind, name in (("Ready", "kube_pod_status_ready"), ("PodScheduled", "kube_pod_status_scheduled")):
        for value in ("true", "false"):
            yield _sample(name, {**where, "condition": value}, is_true(pod, kind) == (value == "true"))
    if status.get("reason"):
        yield _sample("kube_pod_status_reason", {**where, "reason": status["reason"]}, 1)
    if any(c.get("reason") == "Unschedulable" for c in status.get("conditions") or []):
        yield _sample("kube_pod_status_unschedulable", where, 1)
    for container in pod["spec"]["containers"]:
        for side in ("limits", "requests"):
            for resource, amount in ((container.get("resources") or {}).get(side) or {}).items():
                extra = {"container": container["name"], "resource": resource, "unit": UNITS.get(resource, "integer")}
                yield _sample(f"kube_pod_container_resource_{side}", {**where, **extra}, float(quantity(amount)))
    for container in status.get("containerStatuses") or []:
        yield from _container(container, where)


def _container(status: Object, pod: Mapping[str, str]) -> Iterator[Sample]:
    where = {**pod, "container": status["name"]}
    prefix = "kube_pod_container_status"
    yield _sample("kube_pod_container_info", {**where, "image": status["image"], "image_spec": status["image"]}, 1)
    yield _sample(f"{prefix}_restarts_total", where, status["restartCount"])
    yield _sample(f"{prefix}_ready", where, bool(status.get("ready")))
    for state in ("running", "waiting", "terminated"):
        yield _sample(f"{prefix}_{state}", where, state in status["state"])
    for state in ("waiting", "terminated"):
        reason = status["state"].get(state, {}).get("reason")
        if reason:
            yield _sample(f"{prefix}_{state}_reason", {**where, "reason": reason}, 1)
    ended = status.get("lastState", {}).get("terminated")
    if ended:
        yield _sample(f"{prefix}_last_terminated_reason", {**where, "reason": ended["reason"]}, 1)
        yield _sample(f"{prefix}_last_terminated_exitcode", where, ended["exitCode"])
        yield _sample(f"{prefix}_last_terminated_timestamp", where, parse_stamp(ended["finishedAt"]).timestamp())


def _counts(prefix: str, where: Mapping[str, str], found: Object, fields: Mapping[str, str]) -> Iterator[Sample]:
    for metric, name in fields.items():
        yield _sample(f"{prefix}_{metric}", where, found.get(name, 0))


def _deployment(obj: Object) -> Iterator[Sample]:
    where, status = _of(obj, "deployment"), _status(obj)
    yield _sample("kube_deployment_created", where, parse_stamp(obj["metadata"]["creationTimestamp"]).timestamp())
    yield _sample("kube_deployment_spec_replicas", where, obj["spec"].get("replicas", 1))
    yield _sample("kube_deployment_spec_paused", where, bool(obj["spec"].get("paused")))
    yield _sample("kube_deployment_metadata_generation", where, obj["metadata"].get("generation", 1))
    fields = {
        "replicas": "replicas",
        "replicas_available": "availableReplicas",
        "replicas_ready": "readyReplicas",
        "replicas_unavailable": "unavailableReplicas",
        "replicas_updated": "updatedReplicas",
        "observed_generation": "observedGeneration",
    }
    yield from _counts("kube_deployment_status", where, status, fields)
    for condition in status.get("conditions") or []:
        for value in ("true", "false", "unknown"):
            extra = {"condition": condition["type"], "reason": condition.get("reason", ""), "status": value}
            yield _sample("kube_deployment_status_condition", {**where, **extra}, condition["status"].lower() == value)


def _replica_set(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "replicaset")
    yield _sample("kube_replicaset_spec_replicas", where, obj["spec"].get("replicas", 1))
    yield from _counts("kube_replicaset_status", where, _status(obj), {"replicas": "replicas", "ready_replicas": "readyReplicas"})
    owner = next((o for o in obj["metadata"].get("ownerReferences") or [] if o.get("controller")), None)
    if owner:
        extra = {"owner_kind": owner["kind"], "owner_name": owner["name"], "owner_is_controller": "true"}
        yield _sample("kube_replicaset_owner", {**where, **extra}, 1)


def _stateful_set(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "statefulset")
    yield _sample("kube_statefulset_replicas", where, obj["spec"].get("replicas", 1))
    fields = {"replicas": "replicas", "replicas_ready": "readyReplicas", "replicas_available": "availableReplicas"}
    yield from _counts("kube_statefulset_status", where, _status(obj), fields)


def _daemon_set(obj: Object) -> Iterator[Sample]:
    fields = {
        "desired_number_scheduled": "desiredNumberScheduled",
        "current_number_scheduled": "currentNumberScheduled",
        "number_ready": "numberReady",
        "number_available": "numberAvailable",
        "number_unavailable": "numberUnavailable",
        "number_misscheduled": "numberMisscheduled",
    }
    yield from _counts("kube_daemonset_status", _of(obj, "daemonset"), _status(obj), fields)


def _job(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "job_name")
    yield from _counts("kube_job_status", where, _status(obj), {k: k for k in ("active", "succeeded", "failed")})
    yield _sample("kube_job_spec_completions", where, obj["spec"].get("completions") or 1)
    for kind, name in (("Complete", "kube_job_complete"), ("Failed", "kube_job_failed")):
        if is_true(obj, kind):
            yield _sample(name, {**where, "condition": "true"}, 1)


def _cron_job(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "cronjob")
    yield _sample("kube_cronjob_info", {**where, "schedule": obj["spec"]["schedule"]}, 1)
    yield _sample("kube_cronjob_spec_suspend", where, bool(obj["spec"].get("suspend")))
    last = _status(obj).get("lastScheduleTime")
    if last:
        yield _sample("kube_cronjob_status_last_schedule_time", where, parse_stamp(last).timestamp())


def _node(obj: Object) -> Iterator[Sample]:
    where = {"node": obj["metadata"]["name"]}
    yield _sample("kube_node_info", {**where, "kubelet_version": _status(obj).get("nodeInfo", {}).get("kubeletVersion", "")}, 1)
    yield _sample("kube_node_spec_unschedulable", where, bool(obj["spec"].get("unschedulable")))
    for taint in obj["spec"].get("taints") or []:
        extra = {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}
        yield _sample("kube_node_spec_taint", {**where, **extra}, 1)
    for side in ("allocatable", "capacity"):
        for resource, amount in (_status(obj).get(side) or {}).items():
            extra = {"resource": resource, "unit": UNITS.get(resource, "integer")}
            yield _sample(f"kube_node_status_{side}", {**where, **extra}, float(quantity(amount)))
    for condition in _status(obj).get("conditions") or []:
        for value in ("true", "false", "unknown"):
            extra = {"condition": condition["type"], "status": value}
            yield _sample("kube_node_status_condition", {**where, **extra}, condition["status"].lower() == value)


def _autoscaler(obj: Object) -> Iterator[Sample]:
    where, status = _of(obj, "horizontalpodautoscaler"), _status(obj)
    prefix = "kube_horizontalpodautoscaler"
    target = obj["spec"]["scaleTargetRef"]
    info = {"scaletargetref_kind": target["kind"], "scaletargetref_name": target["name"]}
    yield _sample(f"{prefix}_info", {**where, **info}, 1)
    yield _sample(f"{prefix}_spec_min_replicas", where, obj["spec"].get("minReplicas", 1))
    yield _sample(f"{prefix}_spec_max_replicas", where, obj["spec"]["maxReplicas"])
    fields = {"current_replicas": "currentReplicas", "desired_replicas": "desiredReplicas"}
    yield from _counts(f"{prefix}_status", where, status, fields)
    for condition in status.get("conditions") or []:
        for value in ("true", "false", "unknown"):
            extra = {"condition": condition["type"], "status": value}
            yield _sample(f"{prefix}_status_condition", {**where, **extra}, condition["status"].lower() == value)


def _quota(obj: Object) -> Iterator[Sample]:
    for side in ("hard", "used"):
        for resource, amount in (_status(obj).get(side) or {}).items():
            yield _sample(
                "kube_resourcequota", {**_of(obj, "resourcequota"), "resource": resource, "type": side}, float(quantity(amount))
            )


def _claim(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "persistentvolumeclaim")
    info = {"storageclass": obj["spec"].get("storageClassName", ""), "volumename": obj["spec"].get("volumeName", "")}
    yield _sample("kube_persistentvolumeclaim_info", {**where, **info}, 1)
    requested = obj["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
    yield _sample("kube_persistentvolumeclaim_resource_requests_storage_bytes", where, float(quantity(requested)))
    for phase in ("Pending", "Bound", "Lost"):
        yield _sample("kube_persistentvolumeclaim_status_phase", {**where, "phase": phase}, _status(obj).get("phase") == phase)


def _slice(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "endpointslice")
    yield _sample("kube_endpointslice_info", {**where, "addresstype": obj.get("addressType", "")}, 1)
    for endpoint in obj.get("endpoints") or []:
        conditions = endpoint["conditions"]
        for address in endpoint["addresses"]:
            target = endpoint.get("targetRef") or {}
            extra = {
                "address": address,
                "ready": str(bool(conditions.get("ready"))).lower(),
                "serving": str(bool(conditions.get("serving"))).lower(),
                "terminating": str(bool(conditions.get("terminating"))).lower(),
                "targetref_name": target.get("name", ""),
                "targetref_kind": target.get("kind", ""),
            }
            yield _sample("kube_endpointslice_endpoints", {**where, **extra}, 1)


def _service(obj: Object) -> Iterator[Sample]:
    where = _of(obj, "service")
    yield _sample("kube_service_info", {**where, "cluster_ip": obj["spec"].get("clusterIP", "")}, 1)
    yield _sample("kube_service_spec_type", {**where, "type": obj["spec"].get("type", "ClusterIP")}, 1)


def _budget(obj: Object) -> Iterator[Sample]:
    fields = {
        "current_healthy": "currentHealthy",
        "desired_healthy": "desiredHealthy",
        "pod_disruptions_allowed": "disruptionsAllowed",
        "expected_pods": "expectedPods",
    }
    yield from _counts("kube_poddisruptionbudget_status", _of(obj, "poddisruptionbudget"), _status(obj), fields)
