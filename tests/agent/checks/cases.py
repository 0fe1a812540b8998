"""One small incident for each cause: what makes its check fire, and who is to blame. Used by several tests."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.domain.objects import ContainerLog, Series
from tests.agent.builders import (
    ago,
    app,
    container,
    deployment,
    ended,
    event,
    lines,
    log,
    node,
    obj,
    pod,
    replica_set,
    service,
    waiting,
)

World = tuple[list[dict[str, Any]], list[ContainerLog]]
CASES: dict[str, tuple[str, Callable[[], World]]] = {}
SERIES: dict[str, list[Series]] = {}  # of the incidents that metrics tell of


QUESTIONS: dict[str, str] = {}  # of the incidents that a question about the namespace does not reach


def case(
    cause: str, subject: str, *, series: list[Series] | None = None, question: str = "What is wrong in namespace shop?"
) -> Callable[[Callable[[], World]], Callable[[], World]]:
    """`subject` is Kind/name of the culprit."""

    def keep(make: Callable[[], World]) -> Callable[[], World]:
        CASES[cause] = (subject, make)
        SERIES[cause] = series or []
        QUESTIONS[cause] = question
        return make

    return keep


def crashing(code: int, reason: str = "Error", *, says: str = "", message: str = "", older: bool = False, **rest: Any) -> World:
    """A Deployment `web` whose container ends; with `older` its former revision ran."""
    owner = deployment("web", replicas=1, ready=0, **rest)
    sets = [replica_set(owner, 2 if older else 1, ready=0, minutes=20)]
    if older:
        sets.append(replica_set(owner, 1, ready=0, minutes=300, image="registry.example.com/app:0.9"))
    one = pod(sets[0], ready=False, statuses=[ended(code, reason, message=message)], minutes=19)
    return [owner, *sets, one, service("web")], [log(one, lines(says), previous=True)] if says else []


def stuck(status: dict[str, Any], *reasons: tuple[str, str], **rest: Any) -> World:
    owner = deployment("web", replicas=1, ready=0, **rest)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[status], phase="Pending", minutes=10)
    return [owner, set_, one, *(event(one, reason, message) for reason, message in reasons)], []


def unplaced(
    said: str, *, nodes: list[dict[str, Any]] | None = None, pod_spec: dict[str, Any] | None = None, **rest: Any
) -> World:
    owner = deployment("web", replicas=1, ready=0, pod=pod_spec, **rest)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=10)
    return [owner, set_, one, event(one, "FailedScheduling", said), *(nodes or [node()])], []


def refused(said: str, *extra: dict[str, Any], replicas: int = 2, **rest: Any) -> World:
    owner = deployment("web", replicas=replicas, ready=0, **rest)
    set_ = replica_set(owner, ready=0)
    return [owner, set_, event(set_, "FailedCreate", f'Error creating: pods "web-1" is forbidden: {said}'), *extra], []


def endpoints(name: str) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    return obj("EndpointSlice", f"{name}-1", api="discovery.k8s.io/v1", metadata={"labels": labels}, endpoints=None, ports=None)


@case("oom-killed", "Deployment/web")
def _() -> World:
    return crashing(137, "OOMKilled")


@case("missing-env-var", "Deployment/web")
def _() -> World:
    return crashing(1, says="FATAL config: required environment variable PAYMENT_URL is not set")


@case("command-not-found", "Deployment/web")
def _() -> World:
    return crashing(127, says="sh: 1: workerd: not found")


@case("entrypoint-not-executable", "Deployment/web")
def _() -> World:
    return crashing(128, "StartError", message='exec: "/run.sh": permission denied')


@case("clean-exit-loop", "Deployment/web")
def _() -> World:
    return crashing(0, "Completed", pod={"restartPolicy": "Always"})


@case("native-crash", "Deployment/web")
def _() -> World:
    return crashing(139)


@case("bad-release", "Deployment/web")
def _() -> World:
    return crashing(1, says="ERROR something nobody has seen before", older=True)


@case("init-container-failing", "Deployment/web")
def _() -> World:
    owner = deployment("web", replicas=1, ready=0, pod={"initContainers": [container("migrate")]})
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[waiting("PodInitializing")], init=[ended(1, name="migrate")], phase="Pending")
    return [owner, set_, one], [log(one, lines("ERROR relation already exists"), container="migrate")]


@case("image-tag-not-found", "Deployment/web")
def _() -> World:
    said = 'Failed to pull image "registry.example.com/app:1.0": manifest unknown: not found'
    return stuck(waiting("ImagePullBackOff", "Back-off pulling image"), ("Failed", said))


@case("image-pull-unauthorized", "Deployment/web")
def _() -> World:
    return stuck(waiting("ErrImagePull", 'failed to pull "registry.example.com/app:1.0": 401 unauthorized'))


@case("registry-unreachable", "Deployment/web")
def _() -> World:
    return stuck(waiting("ErrImagePull", "dial tcp: lookup registry.example.com: no such host"))


@case("configmap-missing", "ConfigMap/settings")
def _() -> World:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    return stuck(waiting("CreateContainerConfigError", 'configmap "settings" not found'), containers=[container(env=env)])


@case("configmap-key-missing", "ConfigMap/settings")
def _() -> World:
    env = [{"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "base_url"}}}]
    said = "couldn't find key base_url in ConfigMap shop/settings"
    objects, logs = stuck(waiting("CreateContainerConfigError", said), containers=[container(env=env)])
    return [*objects, obj("ConfigMap", "settings", data={"baseurl": "x", "level": "info"})], logs


@case("secret-missing", "Secret/login")
def _() -> World:
    source = [{"secretRef": {"name": "login"}}]
    return stuck(waiting("CreateContainerConfigError", 'secret "login" not found'), containers=[container(envFrom=source)])


@case("secret-key-missing", "Secret/login")
def _() -> World:
    env = [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}]
    said = "couldn't find key password in Secret shop/login"
    objects, logs = stuck(waiting("CreateContainerConfigError", said), containers=[container(env=env)])
    return [*objects, obj("Secret", "login", data={"dbPassword": "REDACTED"})], logs


@case("run-as-non-root", "Deployment/web")
def _() -> World:
    return stuck(waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"))


@case("readiness-probe-wrong-port", "Deployment/web")
def _() -> World:
    owner = deployment(
        "web", replicas=1, ready=0, containers=[container(readinessProbe={"httpGet": {"path": "/", "port": 9090}})]
    )
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, since=10)
    said = 'Readiness probe failed: Get "http://10.1.1.1:9090/": dial tcp 10.1.1.1:9090: connect: connection refused'
    return [owner, set_, one, event(one, "Unhealthy", said)], [log(one, lines("INFO listening on :8080", minutes=9))]


@case("liveness-probe-kills", "Deployment/web")
def _() -> World:
    objects, logs = crashing(137, containers=[container(livenessProbe={"httpGet": {"path": "/", "port": 8080}})])
    one = next(each for each in objects if each["kind"] == "Pod")
    killing = event(one, "Killing", "Container app failed liveness probe, will be restarted")
    return [*objects, event(one, "Unhealthy", "Liveness probe failed: context deadline exceeded"), killing], logs


@case("service-selector-mismatch", "Service/web")
def _() -> World:
    owner, set_, *pods, _ = app("web", labels={"app": "web", "tier": "api"})
    return [owner, set_, *pods, service("web", selector={"app": "web", "tier": "backend"}), endpoints("web")], []


@case("service-port-mismatch", "Service/web")
def _() -> World:
    owner, set_, *pods, _ = app("web")
    return [owner, set_, *pods, service("web", target="grpc"), endpoints("web")], []


@case("scaled-to-zero", "Deployment/db")
def _() -> World:
    off = deployment("db", replicas=0)
    caller = app("web", containers=[container(env=[{"name": "DB_HOST", "value": "db"}])])
    said = "ERROR dial tcp: connect db:5432: connection refused"
    told = [log(one, lines(*[said] * 5)) for one in caller if one["kind"] == "Pod"]
    down = event(off, "ScalingReplicaSet", "Scaled down replica set db-1 from 3 to 0", kind="Normal")
    return [off, service("db", port=5432), down, *caller], told


@case("wrong-service-name", "Deployment/web")
def _() -> World:
    env = [{"name": "STORE_URL", "value": "http://stores:8080/x"}]
    objects, logs = crashing(
        1, says='ERROR Get "http://stores:8080/x": lookup stores: no such host', containers=[container(env=env)]
    )
    return [*objects, *app("store")], logs


@case("wrong-service-port", "Deployment/web")
def _() -> World:
    env = [{"name": "STORE_URL", "value": "http://store:8081"}]
    objects, logs = crashing(1, says="ERROR dial store:8081: i/o timeout", containers=[container(env=env)])
    return [*objects, *app("store")], logs


@case("wrong-database-port", "Deployment/web")
def _() -> World:
    env = [{"name": "DB_ADDR", "value": "orders-db:5433"}]
    objects, logs = crashing(1, says="ERROR dial orders-db:5433: i/o timeout", containers=[container(env=env)])
    database = [one for one in app("orders-db") if one["kind"] != "Service"]
    return [*objects, *database, service("orders-db", port=5432)], logs


@case("insufficient-cpu", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 Insufficient cpu.", containers=[container(resources={"requests": {"cpu": "16"}})])


@case("insufficient-memory", "Deployment/web")
def _() -> World:
    big = container(resources={"requests": {"memory": "64Gi"}})
    return unplaced("0/1 nodes are available: 1 Insufficient memory.", containers=[big])


@case("node-selector-mismatch", "Deployment/web")
def _() -> World:
    said = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    return unplaced(said, pod_spec={"nodeSelector": {"disk": "ssd"}}, nodes=[node(labels={"disk": "sdd"})])


@case("untolerated-taint", "Deployment/web")
def _() -> World:
    said = "0/1 nodes are available: 1 node(s) had untolerated taint {pool: gpu}."
    return unplaced(said, nodes=[node(taints=[{"key": "pool", "value": "gpu", "effect": "NoSchedule"}])])


@case("node-cordoned", "Node/node-1")
def _() -> World:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    return unplaced("0/1 nodes are available: 1 node(s) were unschedulable.", nodes=[node(unschedulable=True, taints=[taint])])


@case("pod-anti-affinity", "Deployment/web")
def _() -> World:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    rule = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    return unplaced("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.", pod_spec=rule)


@case("host-port-conflict", "Deployment/web")
def _() -> World:
    boxes = [container(ports=[{"containerPort": 80, "hostPort": 8080}])]
    return unplaced("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.", containers=boxes)


@case("volume-zone-conflict", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 node(s) had volume node affinity conflict.")


@case("storageclass-missing", "PersistentVolumeClaim/data")
def _() -> World:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    said = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    objects, logs = unplaced(said, pod_spec={"volumes": volumes})
    claim = obj("PersistentVolumeClaim", "data", spec={"storageClassName": "premium"}, status={"phase": "Pending"})
    return [*objects, claim, obj("StorageClass", "standard", api="storage.k8s.io/v1", namespace="")], logs


@case("volume-provisioning-failed", "PersistentVolumeClaim/data")
def _() -> World:
    claim = obj("PersistentVolumeClaim", "data", spec={"storageClassName": "standard"}, status={"phase": "Pending"})
    kind = obj("StorageClass", "standard", api="storage.k8s.io/v1", namespace="")
    return [claim, kind, event(claim, "ProvisioningFailed", "disk quota of the subscription is used up")], []


@case("quota-exceeded", "ResourceQuota/team")
def _() -> World:
    quota = obj("ResourceQuota", "team", spec={"hard": {"limits.memory": "256Mi"}}, status={"used": {"limits.memory": "256Mi"}})
    said = "exceeded quota: team, requested: limits.memory=128Mi, used: limits.memory=256Mi, limited: limits.memory=256Mi"
    return refused(said, quota)


@case("quota-requires-limits", "Deployment/web")
def _() -> World:
    quota = obj("ResourceQuota", "team", spec={"hard": {"limits.cpu": "4"}}, status={"used": {"limits.cpu": "0"}})
    return refused("failed quota: team: must specify limits.cpu for: app", quota)


@case("limit-range-refuses", "Deployment/web")
def _() -> World:
    return refused("maximum memory usage per Container is 64Mi, but limit is 128Mi")


@case("serviceaccount-missing", "Deployment/web")
def _() -> World:
    return refused('error looking up service account shop/runner: serviceaccount "runner" not found')


@case("webhook-refuses", "Deployment/web")
def _() -> World:
    return refused('Internal error occurred: failed calling webhook "check.example.com": connection refused')


@case("rollout-paused", "Deployment/web")
def _() -> World:
    owner, set_, *pods, svc = app("web")
    owner["spec"]["paused"] = True
    owner["spec"]["template"]["spec"]["containers"] = [container(image="registry.example.com/app:2.0")]
    return [owner, set_, *pods, svc], []


def autoscaler(*conditions: dict[str, Any], **status: Any) -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return obj(
        "HorizontalPodAutoscaler", "web", api="autoscaling/v2",
        spec={"minReplicas": 2, "maxReplicas": 3, "scaleTargetRef": target, "metrics": [metric]},
        status={"currentReplicas": 3, "desiredReplicas": 3, "conditions": list(conditions), **status},
    )  # fmt: skip


@case("hpa-missing-request", "Deployment/web")
def _() -> World:
    said = {
        "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "lastTransitionTime": ago(9),
        "message": "missing request for cpu in container app of Pod web-1",
    }  # fmt: skip
    return [*app("web", containers=[container(resources={})]), autoscaler(said)], []


@case("hpa-at-max", "HorizontalPodAutoscaler/web")
def _() -> World:
    return [*app("web"), autoscaler({"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"})], []


@case("hpa-target-missing", "HorizontalPodAutoscaler/web")
def _() -> World:
    return [autoscaler()], []


def failed_job(reason: str, **spec: Any) -> dict[str, Any]:
    told = {"type": "Failed", "status": "True", "reason": reason, "lastTransitionTime": ago(5)}
    template = {"metadata": {"labels": {}}, "spec": {"containers": [container()]}}
    return obj("Job", "nightly", api="batch/v1", spec={"template": template, **spec}, status={"conditions": [told]})


@case("job-access-denied", "Job/nightly")
def _() -> World:
    job = failed_job("BackoffLimitExceeded", backoffLimit=3)
    one = pod(job, ready=False, statuses=[ended(1)], phase="Failed")
    return [job, one], [log(one, lines("ERROR upload failed: AccessDenied (403) when calling PutObject"))]


@case("job-deadline-exceeded", "Job/nightly")
def _() -> World:
    return [failed_job("DeadlineExceeded", activeDeadlineSeconds=60)], []


@case("job-failed", "Job/nightly")
def _() -> World:
    return [failed_job("BackoffLimitExceeded")], []


@case("namespace-finalizer", "ConfigMap/state")
def _() -> World:
    said = {
        "type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
        "message": "Some content in the namespace has finalizers remaining: example.com/clean in 1 resource instances",
    }  # fmt: skip
    gone = obj("Namespace", "shop", namespace="", metadata={"deletionTimestamp": ago(30)}, status={"conditions": [said]})
    return [gone, obj("ConfigMap", "state", metadata={"finalizers": ["example.com/clean"]})], []


@case("node-not-ready", "Node/node-1")
def _() -> World:
    told = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": ago(9)}
    return [*app("web"), node(conditions=[told])], []


@case("node-pressure", "Node/node-1")
def _() -> World:
    told = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True", "lastTransitionTime": ago(9)}]
    return [*app("web"), node(conditions=told)], []


@case("ephemeral-storage-eviction", "Deployment/web")
def _() -> World:
    owner, set_, *pods, svc = app("web")
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 160Mi."
    dead = pod(set_, number=5, ready=False, phase="Failed", since=4, minutes=9, status={"reason": "Evicted", "message": said})
    return [owner, set_, *pods, svc, dead], []


@case("connection-pool-exhausted", "Deployment/web")
def _() -> World:
    objects = app("web")
    one = next(each for each in objects if each["kind"] == "Pod")
    said = "ERROR HikariPool-1 - Connection is not available, request timed out after 3000ms"
    return objects, [log(one, lines(*[said] * 6))]


@case("rbac-forbidden", "Deployment/web")
def _() -> World:
    objects = app("web")
    one = next(each for each in objects if each["kind"] == "Pod")
    said = 'ERROR secrets is forbidden: User "system:serviceaccount:shop:web" cannot list resource "secrets" in API group ""'
    return objects, [log(one, lines(said))]


@case("ingress-backend-missing", "Ingress/front")
def _() -> World:
    backend = {"service": {"name": "wed", "port": {"number": 80}}}
    rules = [{"host": "example.com", "http": {"paths": [{"path": "/", "backend": backend}]}}]
    return [*app("web"), obj("Ingress", "front", api="networking.k8s.io/v1", spec={"rules": rules})], []


@case("pvc-missing", "PersistentVolumeClaim/data")
def _() -> World:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    return unplaced('persistentvolumeclaim "data" not found', pod_spec={"volumes": volumes})


@case("volume-lost", "PersistentVolumeClaim/data")
def _() -> World:
    return [obj("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1"}, status={"phase": "Lost"})], []


@case("volume-mount-failed", "Deployment/web")
def _() -> World:
    return stuck(waiting("ContainerCreating"), ("FailedMount", "MountVolume.SetUp failed: timed out waiting for the condition"))


@case("volume-attach-failed", "Deployment/web")
def _() -> World:
    return stuck(waiting("ContainerCreating"), ("FailedAttachVolume", 'Multi-Attach error for volume "pv-1"'))


@case("pod-stuck-terminating", "Pod/web-00001abcde-axyz0")
def _() -> World:
    owner = deployment("web", replicas=1)
    set_ = replica_set(owner)
    return [
        owner,
        set_,
        pod(set_, metadata={"deletionTimestamp": ago(30), "finalizers": ["example.com/x"]}),
        pod(set_, number=1),
    ], []


@case("pod-security-violation", "Deployment/web")
def _() -> World:
    return refused('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false')


@case("hpa-metrics-unavailable", "HorizontalPodAutoscaler/web")
def _() -> World:
    said = {
        "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "lastTransitionTime": ago(9),
        "message": "unable to fetch metrics from resource metrics API",
    }  # fmt: skip
    return [*app("web"), autoscaler(said)], []


@case("ingress-tls-secret-missing", "Ingress/front")
def _() -> World:
    return [*app("web"), obj("Ingress", "front", api="networking.k8s.io/v1", spec={"tls": [{"secretName": "cert"}]})], []


@case("ingress-class-missing", "Ingress/front")
def _() -> World:
    known = obj("IngressClass", "nginx", api="networking.k8s.io/v1", namespace="")
    return [*app("web"), known, obj("Ingress", "front", api="networking.k8s.io/v1", spec={"ingressClassName": "ngins"})], []


@case("startup-probe-too-short", "Deployment/web")
def _() -> World:
    objects, logs = crashing(137, containers=[container(startupProbe={"httpGet": {"path": "/", "port": 8080}})])
    one = next(each for each in objects if each["kind"] == "Pod")
    killing = event(one, "Killing", "Container app failed startup probe, will be restarted")
    return [*objects, event(one, "Unhealthy", "Startup probe failed: connection refused"), killing], logs


@case("insufficient-extended-resource", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")


@case("node-kernel-trouble", "Node/node-1")
def _() -> World:
    told = [{"type": "Ready", "status": "True"}, {"type": "KernelDeadlock", "status": "True", "lastTransitionTime": ago(9)}]
    return [*app("web"), node(conditions=told)], []


@case("node-pressure-eviction", "Deployment/web")
def _() -> World:
    owner, set_, *pods, svc = app("web")
    told = {"reason": "Evicted", "message": "The node was low on resource: memory."}
    return [owner, set_, *pods, svc, pod(set_, number=5, ready=False, phase="Failed", since=4, minutes=9, status=told)], []


@case("pod-preempted", "Deployment/web")
def _() -> World:
    owner, set_, *pods, svc = app("web")
    told = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "lastTransitionTime": ago(5)}
    return [owner, set_, *pods, svc, pod(set_, number=5, ready=False, phase="Failed", minutes=9, conditions=[told])], []


@case("cronjob-blocked", "Job/report-1")
def _() -> World:
    cron = obj(
        "CronJob", "report", api="batch/v1", spec={"concurrencyPolicy": "Forbid"}, status={"active": [{"name": "report-1"}]}
    )
    template = {"template": {"metadata": {"labels": {}}, "spec": {"containers": [container()]}}}
    return [cron, obj("Job", "report-1", api="batch/v1", spec=template), event(cron, "JobAlreadyActive", "Not starting job")], []


@case("cronjob-invalid-schedule", "CronJob/report")
def _() -> World:
    cron = obj("CronJob", "report", api="batch/v1", spec={"schedule": "61 * * * *"})
    return [cron, event(cron, "UnparseableSchedule", "unparseable schedule: 61 * * * *")], []


def complaining(line: str) -> World:
    objects = app("web")
    one = next(each for each in objects if each["kind"] == "Pod")
    return objects, [log(one, lines(line))]


@case("disk-full", "Deployment/web")
def _() -> World:
    return complaining("ERROR write /data/x: no space left on device")


@case("read-only-filesystem", "Deployment/web")
def _() -> World:
    return complaining("ERROR open /data/x: read-only file system")


@case("certificate-invalid", "Deployment/web")
def _() -> World:
    return complaining("ERROR x509: certificate has expired or is not yet valid")


@case("gpu-out-of-memory", "Deployment/web")
def _() -> World:
    return complaining("ERROR torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")


for _file in sorted(Path(__file__).parent.glob("cases_*.py")):  # more cases, a file an area
    importlib.import_module(f"{__package__}.{_file.stem}")
