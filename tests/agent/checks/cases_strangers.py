"""Incidents that strangers had: what probes, Services, meshes, volumes, nodes and queues do when told the wrong thing."""

from typing import Any

from tests.agent.builders import (
    ago,
    app,
    container,
    deployment,
    event,
    lines,
    log,
    node,
    obj,
    owned_by,
    pod,
    replica_set,
    service,
)
from tests.agent.checks.cases import World, case, crashing
from tests.agent.checks.logbooks import repeated

ISTIO = "networking.istio.io/v1"
ENDS = {
    "data-version-mismatch": "FATAL:  database files are incompatible with server",
    "migration-failed": "FlywayValidateException: Migration checksum mismatch for migration version 12",
    "migration-lock-held": "LockException: Could not acquire change log lock.  Currently locked by web-1 since 11 PM",
    "data-locked": "A server is already running (pid: 1, file: /app/tmp/pids/server.pid).",
    "library-missing": "web: error while loading shared libraries: libpq.so.5: cannot open shared object file",
    "cloud-credentials-missing": "NoCredentialsError: Unable to locate credentials",
    "node-setting-too-low": "max virtual memory areas vm.max_map_count [65530] is too low, increase to at least [262144]",
    "dependency-on-localhost": "Error: connect ECONNREFUSED 127.0.0.1:5432",
}
SAYS = {
    "server-refuses-writes": "ERROR OOM command not allowed when used memory > 'maxmemory'",
    "queries-too-slow": "ERROR: canceling statement due to statement timeout",
    "queue-or-bucket-missing": "ERROR Topic orders not present in metadata after 60000 ms",
    "model-not-served": "ERROR The model `sql-adapter` does not exist. code=404",
}


def saying(line: str) -> World:
    objects = app("web", minutes=600)
    return objects, [repeated(objects[2], line)]


for _cause, _line in ENDS.items():
    case(_cause, "Deployment/web")(lambda line=_line: crashing(1, says=line))
for _cause, _line in SAYS.items():
    case(_cause, "Deployment/web")(lambda line=_line: saying(line))


@case("service-variable-collides", "Deployment/web")
def takes_a_link() -> World:
    objects, logs = crashing(1, says='panic: strconv.Atoi: parsing "tcp://10.96.0.7:6379": invalid syntax (REDIS_PORT)')
    return [*objects, service("redis", selector={"app": "redis"}), *app("redis")[:-1]], logs


def unready(words: str, **probe: Any) -> World:
    owner = deployment("web", replicas=1, ready=0, containers=[container(readinessProbe=probe)])
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, since=20)
    return [owner, set_, one, event(one, "Unhealthy", words), service("web")], []


@case("probe-wrong-scheme", "Deployment/web")
def speaks_tls() -> World:
    return unready(
        'Readiness probe failed: Get "https://10.0.0.1:8080/": http: server gave HTTP response to HTTPS client',
        httpGet={"path": "/", "port": "http", "scheme": "HTTPS"},
    )


@case("listens-on-loopback", "Deployment/web")
def binds_to_itself() -> World:
    objects, _ = unready(
        'Readiness probe failed: Get "http://10.0.0.1:8080/": dial tcp 10.0.0.1:8080: connect: connection refused',
        httpGet={"path": "/", "port": "http"},
    )
    return objects, [log(objects[2], lines("INFO: Uvicorn running on http://127.0.0.1:8080", minutes=15))]


@case("service-selects-strangers", "Service/api")
def selects_two_programs() -> World:
    labels = {"tier": "backend"}
    ones = [
        app(name, labels=labels, containers=[container(image=f"registry.example.com/{name}:1.0")]) for name in ("api", "worker")
    ]
    caller = app("web")
    wide = service("api", selector=labels)
    told = repeated(caller[2], "ERROR Post http://api.shop.svc:80/price: dial tcp 10.0.0.1:80: connect: connection refused")
    return [*(one for world in ones for one in world if one["kind"] != "Service"), wide, *caller], [told]


def meshed(line: str, *more: dict[str, Any]) -> World:
    api, caller = app("api"), app("web", containers=[container(env=[{"name": "API", "value": "http://api:80"}])])
    return [*api, *caller, *more], [repeated(caller[2], line)]


@case("mesh-subset-missing", "VirtualService/api")
def routes_to_nothing() -> World:
    routes = [{"route": [{"destination": {"host": "api", "subset": "v2"}}]}]
    return meshed(
        "ERROR GET http://api:80/price status=503 no healthy upstream",
        obj("VirtualService", "api", api=ISTIO, spec={"hosts": ["api"], "http": routes}),
    )


@case("mesh-policy-denies", "AuthorizationPolicy/api")
def leaves_web_out() -> World:
    rules = [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/other"]}}]}]
    return meshed(
        "ERROR GET http://api:80/price status=403 RBAC: access denied",
        obj("AuthorizationPolicy", "api", api="security.istio.io/v1",
            spec={"selector": {"matchLabels": {"app": "api"}}, "rules": rules}),
    )  # fmt: skip


@case("mesh-mtls-required", "PeerAuthentication/default")
def demands_tls() -> World:
    objects, logs = meshed(
        "ERROR GET http://api:80/price: read tcp: connection reset by peer",
        obj("PeerAuthentication", "default", api="security.istio.io/v1", spec={"mtls": {"mode": "STRICT"}}),
    )
    for one in objects:
        if one["kind"] == "Pod" and one["metadata"]["labels"].get("app") == "api":
            one["metadata"]["annotations"] = {"sidecar.istio.io/status": "{}"}
    return objects, logs


def claim(**status: Any) -> dict[str, Any]:
    spec = {"resources": {"requests": {"storage": "50Gi"}}, "volumeName": "disk-1"}
    return obj("PersistentVolumeClaim", "data", spec=spec, status=status)


@case("volume-expansion-failed", "PersistentVolumeClaim/data")
def stays_small() -> World:
    one = claim(phase="Bound", capacity={"storage": "20Gi"})
    return [*app("web"), one, event(one, "VolumeResizeFailed", "volume modification rate exceeded")], []


@case("volume-claimed-by-another", "PersistentVolumeClaim/data")
def is_released() -> World:
    volume = obj("PersistentVolume", "disk-1", namespace="", status={"phase": "Released"},
                 spec={"claimRef": {"namespace": "shop", "name": "data", "uid": "of-old"}})  # fmt: skip
    return [*app("web"), claim(phase="Pending"), volume], []


@case("volume-ownership-slow", "Deployment/web")
def walks_the_volume() -> World:
    owner = deployment("web", replicas=1, ready=0, pod={"securityContext": {"fsGroup": 999}})
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, phase="Pending", since=20)
    words = "Setting volume ownership for 1/volumes/pvc-1/mount, processed 1483020 files."
    return [owner, set_, one, event(one, "VolumePermissionChangeInProgress", words)], []


@case("node-out-of-memory", "Node/node-1", question="Is node-1 healthy? What is wrong with node-1?")
def kernel_ends_processes() -> World:
    one = node("node-1")
    return [*app("web"), one, event(one, "SystemOOM", "System OOM encountered, victim process: java, pid: 48213")], []


@case("node-disk-filling", "Node/node-1", question="What is wrong with node-1?")
def nothing_to_clear() -> World:
    one = node("node-1")
    return [*app("web"), one, event(one, "FreeDiskSpaceFailed", "only found 0 bytes eligible to free", count=25)], []


def job(**status: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"job-name": "load"}}, "spec": {"containers": [container("load"), container("proxy")]}}
    return obj("Job", "load", api="batch/v1", spec={"completions": 1, "template": template}, status=status)


@case("job-held-by-sidecar", "Job/load")
def proxy_runs_on() -> World:
    owner = job(active=1)
    done = {"name": "load", "ready": False, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": ago(40)}}}  # fmt: skip
    on = {"name": "proxy", "ready": True, "restartCount": 0, "state": {"running": {"startedAt": ago(60)}}}
    return [owner, pod(owner, ready=False, statuses=[done, on])], []


@case("workload-not-admitted", "Job/load")
def waits_for_quota() -> World:
    owner = job()
    owner["spec"]["suspend"] = True
    said = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "insufficient unused quota for cpu",
            "lastTransitionTime": ago(50)}  # fmt: skip
    held = obj("Workload", "job-load", api="kueue.x-k8s.io/v1beta1", metadata=owned_by(owner), spec={"queueName": "team"},
               status={"conditions": [said]})  # fmt: skip
    return [owner, held], []


@case("vpa-evicts", "VerticalPodAutoscaler/web")
def evicts_often() -> World:
    objects = app("web")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = obj("VerticalPodAutoscaler", "web", api="autoscaling.k8s.io/v1", spec={"targetRef": target})
    told = [event({**objects[2], "metadata": {**objects[2]["metadata"], "name": f"{objects[1]['metadata']['name']}-{letter}"}},
                  "EvictedByVPA", "Pod was evicted by VPA Updater", kind="Normal", count=1, minutes=10)
            for letter in ("bcdfg", "hjklm", "npqrs", "tvwxz", "bbcdf")]  # fmt: skip
    return [*objects, scaler, *told], []


@case("statefulset-stuck-on-old-revision", "StatefulSet/db")
def waits_for_a_broken_pod() -> World:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [container(image="postgres:16.4")]}}
    spec = {"replicas": 1, "template": template, "selector": {"matchLabels": {"app": "db"}}}
    owner = obj("StatefulSet", "db", api="apps/v1", spec=spec,
                status={"replicas": 1, "readyReplicas": 0, "updateRevision": "db-2", "currentRevision": "db-1"})  # fmt: skip
    one = pod(owner, ready=False, phase="Pending", since=20)
    one["metadata"]["labels"]["controller-revision-hash"] = "db-1"
    one["spec"] = {**one["spec"], "containers": [container(image="postgres:16.bad")]}
    one["status"]["containerStatuses"] = [{"name": "app", "ready": False, "restartCount": 0, "state": {"waiting": {
        "reason": "ImagePullBackOff", "message": 'Back-off pulling image "postgres:16.bad": not found'}}}]  # fmt: skip
    return [owner, one], []


@case("quota-scope-uncovered", "Deployment/web")
def no_quota_of_that_scope() -> World:
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    words = 'pods "web-1" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [critical]}]'
    return [owner, set_, event(set_, "FailedCreate", words)], []
