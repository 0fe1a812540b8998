"""What looks odd in a namespace and is as it should be: one function a kind of leftover."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from collections.abc import Callable

from tests.agent.builders import ago
from tests.agent.wild.world import DAY, World, finish, port, running, said, template_of, terminated, unready


def shop(world: World, space: str) -> None:
    world.make(
        "ConfigMap", "settings", space, data={"LOG_LEVEL": "info", "ORDERS_URL": f"http://orders.{space}.svc.cluster.local:80"}
    )
    world.make("Secret", "orders-db", space, type="Opaque", data={"password": "", "user": ""})
    probe = {
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "main"}},
        "livenessProbe": {"httpGet": {"path": "/live", "port": "main"}},
    }
    world.deployment("web", space, replicas=3, service=80, box=probe, env={"ORDERS": "http://orders", "CDN": "https://cdn.example.net",
                     "PAYPAL": "https://api.paypal.com/v1", "OTEL": "http://otel-collector.observability:4317"})  # fmt: skip
    world.deployment("orders", space, replicas=3, service=80, box=probe, env={
        "DB_HOST": f"postgres-headless.{space}", "DB_PASSWORD": {"secretKeyRef": {"name": "orders-db", "key": "password"}},
        "LEVEL": {"configMapKeyRef": {"name": "settings", "key": "LOG_LEVEL"}},
        "EXTRA": {"configMapKeyRef": {"name": "overrides", "key": "x", "optional": True}}}, envFrom=None)  # fmt: skip
    world.stateful_set("postgres", space, image="postgres:17.4", listens=5432, volume="fast")
    world.stateful_set("cache", space, image="redis:8.0", listens=6379, service=6379)
    world.make("PodDisruptionBudget", "orders", space, api="policy/v1", spec={"minAvailable": 2, "selector": {"matchLabels": {"app.kubernetes.io/name": "orders"}}},
               status={"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3, "conditions": [said("DisruptionAllowed", "True", "SufficientPods")]})  # fmt: skip
    for pod in world.pods(world.get("Deployment", space, "orders")):
        world.log(
            pod,
            "INFO started",
            "WARN slow query took 1200ms",
            "ERROR retrying 1/5: connection reset by peer",
            "INFO connected",
            "INFO handled 200",
            minutes=200,
        )
        world.event(
            pod, "Unhealthy", "Readiness probe failed: dial tcp 10.0.0.1:8080: connect: connection refused", minutes=12 * DAY - 1
        )


def restarted_long_ago(world: World, space: str) -> None:
    one = world.deployment("catalog", space, service=80)
    for pod, (code, reason) in zip(world.pods(one), ((137, "OOMKilled"), (1, "Error")), strict=True):
        pod["status"]["containerStatuses"] = [
            running("catalog", 6 * DAY, restarts=4, last=terminated(code, reason, minutes=6 * DAY))
        ]


def evicted_leftovers(world: World, space: str) -> None:
    one = world.deployment("importer", space)
    set_ = world.get("ReplicaSet", space, world.pods(one)[0]["metadata"]["ownerReferences"][0]["name"])
    for number in range(3):
        gone = world.pod(set_, minutes=9 * DAY)
        gone["status"] = {"phase": "Failed", "reason": "Evicted", "startTime": ago(9 * DAY),
                          "message": "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. "}  # fmt: skip
        if number == 2:
            gone["status"]["message"] = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "
    for reason in ("NodeShutdown", "Terminated", "NodeAffinity", "UnexpectedAdmissionError", "OutOfcpu"):
        gone = world.pod(set_, minutes=0.3 * DAY)
        gone["status"] = {
            "phase": "Failed",
            "reason": reason,
            "message": "Pod was terminated in response to imminent node shutdown.",
            "startTime": ago(400),
        }


def lately_refused_and_replaced(world: World, space: str) -> None:
    """A node restarted: the kubelet refused what it had, and the controller made it elsewhere at once."""
    one = world.deployment("quotes", space, service=80)
    set_ = world.get("ReplicaSet", space, world.pods(one)[0]["metadata"]["ownerReferences"][0]["name"])
    gone = world.pod(set_, minutes=20)
    gone["status"] = {
        "phase": "Failed",
        "reason": "NodeAffinity",
        "message": "Pod was rejected: Predicate NodeAffinity failed",
        "startTime": ago(20),
    }


def jobs(world: World, space: str) -> None:
    cron = world.make("CronJob", "report", space, api="batch/v1", spec={"schedule": "*/10 * * * *", "concurrencyPolicy": "Forbid", "suspend": False,
                      "jobTemplate": {"spec": {"template": template_of("report", {})}}}, status={"lastScheduleTime": ago(4), "lastSuccessfulTime": ago(13), "active": [{"name": "report-3"}]})  # fmt: skip
    world.job("report-1", space, owner=cron, minutes=120, state="Failed")
    world.job("report-2", space, owner=cron, minutes=14)
    world.job("report-3", space, owner=cron, minutes=4, state="Running")
    world.event(
        cron,
        "JobAlreadyActive",
        "Not starting job because prior execution is running and concurrency policy is Forbid",
        minutes=2 * DAY,
        kind="Normal",
    )
    world.make(
        "CronJob",
        "yearly",
        space,
        api="batch/v1",
        spec={"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": template_of("yearly", {})}}},
        status={},
    )
    world.job("migrate-4", space, minutes=3 * DAY)
    again = world.job("backfill", space, minutes=12, state="Running", policy="OnFailure")
    world.pods(again)[0]["status"]["containerStatuses"] = [running("backfill", 11, restarts=1, last=terminated(1, minutes=11.2))]
    held = world.job("index", space, minutes=400, state="Running")
    world.objects.remove(world.pods(held)[0])
    held["spec"]["suspend"] = True
    held["status"] = {"conditions": [said("Suspended", "True", "JobSuspended", minutes=390)]}


def odd_services(world: World, space: str) -> None:
    world.make("Service", "legacy-erp", space, spec={"type": "ExternalName", "externalName": "erp.example.com"})
    world.make("Service", "mainframe", space, spec={"clusterIP": "10.96.4.4", "ports": [port(3270, 3270)]})
    world.make("Endpoints", "mainframe", space, subsets=[{"addresses": [{"ip": "172.16.3.4"}], "ports": [{"port": 3270}]}])
    world.make("EndpointSlice", "mainframe-1", space, api="discovery.k8s.io/v1", addressType="IPv4", ports=[{"port": 3270}],
               metadata={"labels": {"kubernetes.io/service-name": "mainframe"}}, endpoints=[{"addresses": ["172.16.3.4"], "conditions": {"ready": True}}])  # fmt: skip
    # a Patroni cluster: the operator writes the endpoints, and keeps its state in a Service without a selector
    for name, selector in (
        ("users-db", None),
        ("users-db-config", None),
        ("users-db-repl", {"cluster": "users-db", "role": "replica"}),
    ):
        spec = {"clusterIP": "None" if selector is None else "10.96.4.5", "ports": [port(5432, 5432)]}
        world.make("Service", name, space, spec=spec | ({"selector": selector} if selector else {}))
    lone = world.stateful_set(
        "users-db", space, replicas=1, labels={"cluster": "users-db"}, image="ghcr.io/zalando/spilo-17:4.0", listens=5432
    )
    world.pods(lone)[0]["metadata"]["labels"]["role"] = "master"  # there is no replica, so nobody is behind users-db-repl
    # blue and green: the idle colour has no pods
    for colour, replicas in (("blue", 2), ("green", 0)):
        labels = {"app.kubernetes.io/name": "pricing", "colour": colour}
        world.deployment(f"pricing-{colour}", space, replicas=replicas, labels=labels)
        world.service(f"pricing-{colour}", space, labels)
    world.service("pricing", space, {"app.kubernetes.io/name": "pricing", "colour": "blue"})
    world.service("pricing-preview", space, {"app.kubernetes.io/name": "pricing", "colour": "green"})
    # left over after its workload was removed
    world.service("old-search", space, {"app": "old-search"})


def at_rest(world: World, space: str) -> None:
    world.deployment("staging-demo", space, replicas=0, service=80)
    one = world.deployment("frozen", space, service=80)
    one["spec"]["paused"] = True
    one["status"]["conditions"] = [
        said("Available", "True", "MinimumReplicasAvailable"),
        said("Progressing", "Unknown", "DeploymentPaused"),
    ]
    world.make(
        "ReplicaSet",
        "frozen-ancient",
        space,
        api="apps/v1",
        minutes=90 * DAY,
        spec={"replicas": 0, "template": template_of("x", {})},
        status={"replicas": 0},
    )
    world.claim("unused", space, "fast")
    waits = world.make(
        "PersistentVolumeClaim", "for-later", space, spec={"storageClassName": "fast"}, status={"phase": "Pending"}
    )
    world.event(
        waits,
        "WaitForFirstConsumer",
        "waiting for first consumer to be created before binding",
        kind="Normal",
        minutes=1,
        count=900,
    )
    world.make(
        "PersistentVolume",
        "kept",
        spec={"persistentVolumeReclaimPolicy": "Retain", "claimRef": {"name": "gone", "namespace": space}},
        status={"phase": "Released"},
    )
    world.make("ResourceQuota", "team", space, spec={"hard": {"pods": "200", "count/cronjobs.batch": "2"}},
               status={"hard": {"pods": "200", "count/cronjobs.batch": "2"}, "used": {"pods": "40", "count/cronjobs.batch": "2"}})  # fmt: skip
    world.make(
        "LimitRange",
        "defaults",
        space,
        spec={"limits": [{"type": "Container", "default": {"memory": "256Mi"}, "max": {"memory": "8Gi"}}]},
    )


def autoscaled(world: World, space: str) -> None:
    for name, replicas, reason, minutes in (("search", 2, "TooFewReplicas", 5 * DAY), ("media", 6, "TooManyReplicas", 3)):
        world.deployment(name, space, replicas=replicas, service=80)
        world.make("HorizontalPodAutoscaler", name, space, api="autoscaling/v2",
                   spec={"scaleTargetRef": {"kind": "Deployment", "name": name, "apiVersion": "apps/v1"}, "minReplicas": 2, "maxReplicas": 6,
                         "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]},
                   status={"currentReplicas": replicas, "desiredReplicas": replicas, "currentMetrics": [
                       {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 74 if replicas == 6 else 12}}}],
                       "conditions": [said("AbleToScale", "True", "ReadyForNewScale"), said("ScalingActive", "True", "ValidMetricFound"),
                                      said("ScalingLimited", "True", reason, minutes=minutes)]})  # fmt: skip


def in_motion(world: World, space: str) -> None:
    """What every rollout, scaling and drain looks like for some seconds."""
    rolling = world.deployment("basket", space, replicas=3, service=80)
    new = world.replica_set(rolling, 4, minutes=0.5, replicas=1)
    new["status"] |= {"readyReplicas": 0, "availableReplicas": 0}
    starting = world.pod(new, minutes=0.4)
    starting["status"]["containerStatuses"] = [
        {
            "name": "basket",
            "ready": False,
            "restartCount": 0,
            "started": False,
            "state": {"waiting": {"reason": "ContainerCreating"}},
        }
    ]
    starting["status"] |= {"phase": "Pending"}
    unready(starting, 0.4)
    rolling["status"] |= {"replicas": 4, "updatedReplicas": 1, "unavailableReplicas": 1, "conditions": [
        said("Available", "True", "MinimumReplicasAvailable"), said("Progressing", "True", "ReplicaSetUpdated", minutes=0.4)]}  # fmt: skip
    leaving = world.pod(
        world.get(
            "ReplicaSet", space, world.pods(world.get("Deployment", space, "web"))[0]["metadata"]["ownerReferences"][0]["name"]
        ),
        minutes=2 * DAY,
    )
    leaving["metadata"] |= {"deletionTimestamp": ago(-0.3), "deletionGracePeriodSeconds": 30}
    unready(leaving, 0.2)
    world.event(leaving, "Killing", "Stopping container web", kind="Normal", minutes=0.2)
    world.event(leaving, "Unhealthy", "Readiness probe failed: dial tcp 10.0.0.7:8080: connect: connection refused", minutes=0.1)
    placed = world.pods(world.get("Deployment", space, "search"))[0]
    world.event(
        placed,
        "FailedScheduling",
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        minutes=50,
        by_scheduler=True,
    )
    world.event(placed, "TriggeredScaleUp", "pod triggered scale-up: [{main 3->4 (max: 6)}]", kind="Normal", minutes=50)
    world.event(
        placed,
        "FailedMount",
        'MountVolume.SetUp failed for volume "kube-api-access" : failed to sync configmap cache: timed out waiting for the condition',
        minutes=48,
    )
    world.event(
        placed,
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        minutes=47,
    )
    world.event(
        placed,
        "Failed",
        'Failed to pull image "registry.example.com/search:1.4.2": rpc error: code = Unknown desc = context canceled',
        minutes=46,
    )
    world.event(placed, "BackOff", 'Back-off pulling image "registry.example.com/search:1.4.2"', kind="Normal", minutes=46)


def entrances(world: World, space: str) -> None:
    if not any(one["kind"] == "IngressClass" for one in world.objects):
        world.make("IngressClass", "default", api="networking.k8s.io/v1", spec={"controller": "example.com/lb"},
                   metadata={"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}})  # fmt: skip
    kind = next(one["metadata"]["name"] for one in world.objects if one["kind"] == "IngressClass")
    backend = {"service": {"name": "web", "port": {"name": "main"}}}
    world.make("Ingress", "web", space, api="networking.k8s.io/v1", spec={"ingressClassName": kind, "rules": [
        {"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})  # fmt: skip
    for name, spec in (
        ("deny-all", {"podSelector": {}, "policyTypes": ["Ingress"]}),
        ("allow-all", {"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]}),
    ):
        world.make("NetworkPolicy", name, space, api="networking.k8s.io/v1", spec=spec)


def bare_pods(world: World, space: str) -> None:
    debug = world.pod(None, name="debug-shell", space=space, image="busybox:1.37", minutes=2 * DAY)
    finish(debug, 0, DAY)
    broken = world.pod(None, name="curl-test", space=space, image="curlimages/curl:8.13", minutes=30 * DAY)
    finish(broken, 6, 30 * DAY)


ALL: tuple[Callable[[World, str], None], ...] = (
    shop, restarted_long_ago, evicted_leftovers, lately_refused_and_replaced, jobs, odd_services, at_rest, autoscaled, in_motion, entrances, bare_pods,
)  # fmt: skip
