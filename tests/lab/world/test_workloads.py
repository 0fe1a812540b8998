"""Controllers: rollouts, sizes, quotas, claims, services, autoscalers, jobs."""

from typing import Any

import pytest

from lab.world.cluster import Refused
from lab.world.jobs import following
from lab.world.reading import parse_stamp
from tests.lab.world.building import NAMESPACE, Town, always, image, pod_spec, service, workload


def conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in obj["status"].get("conditions", [])}


def revisions(town: Town) -> dict[str, int]:
    return {
        s["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: s["spec"]["replicas"] for s in town.all("ReplicaSet")
    }


def test_a_rollout_never_has_fewer_ready_or_more_pods_than_its_bounds() -> None:
    town = Town()
    town.add(
        "Deployment",
        workload(replicas=4, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    )
    town.after(15)
    image(town, "web:2")
    for _ in range(60):
        status = town.get("Deployment", "web")["status"]
        assert status.get("availableReplicas", 0) >= 4
        assert len([p for p in town.pods() if "deletionTimestamp" not in p["metadata"]]) <= 5
        town.after(1)
    assert revisions(town) == {"1": 0, "2": 4}
    assert conditions(town.get("Deployment", "web"))["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_going_back_takes_the_old_replica_set_and_gives_it_a_new_number() -> None:
    town = Town()
    town.add("Deployment", workload())
    town.after(15)
    image(town, "web:2")
    town.after(30)
    image(town, "web:1")
    town.after(30)
    assert revisions(town) == {"3": 2, "2": 0}
    assert town.get("Deployment", "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_a_rollout_that_does_not_progress_says_so_at_its_deadline() -> None:
    town = Town(images=frozenset({"web:1"}))
    town.add("Deployment", workload(progressDeadlineSeconds=120))
    town.after(15)
    image(town, "web:2")
    town.after(100)
    assert conditions(town.get("Deployment", "web"))["Progressing"] == ("True", "ReplicaSetUpdated")
    town.after(60)
    assert conditions(town.get("Deployment", "web"))["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert conditions(town.get("Deployment", "web"))["Available"] == ("True", "MinimumReplicasAvailable")


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    town = Town()
    town.add("Deployment", workload())
    town.after(15)
    town.edit("Deployment", "web", lambda d: d["spec"].update(paused=True))
    image(town, "web:2")
    town.edit("Deployment", "web", lambda d: d["spec"].update(replicas=3))
    town.after(20)
    assert revisions(town) == {"1": 3}
    assert conditions(town.get("Deployment", "web"))["Progressing"] == ("Unknown", "DeploymentPaused")


def test_the_history_limit_forgets_the_oldest_revision() -> None:
    town = Town()
    town.add("Deployment", workload(replicas=1, revisionHistoryLimit=1))
    for tag in ("web:2", "web:3", "web:4"):
        town.after(15)
        image(town, tag)
    town.after(20)
    assert sorted(revisions(town)) == ["3", "4"]


def test_a_refused_pod_is_tried_again_later_and_shows_as_replica_failure() -> None:
    town = Town()
    allowed = 1

    def admit(verb: str, key: Any, obj: dict[str, Any], user: str) -> dict[str, Any]:
        if key.resource == "pods" and len(town.all("Pod")) >= allowed:
            raise Refused(f'pods "{key.name}" is forbidden: exceeded quota: team')
        return obj

    town.world.cluster.admit = admit
    town.add("Deployment", workload())
    town.after(60)
    assert "exceeded quota: team" in town.events("FailedCreate")[0]["message"]
    assert conditions(town.get("Deployment", "web"))["ReplicaFailure"] == ("True", "FailedCreate")
    allowed = 2
    town.after(120)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 2
    assert "ReplicaFailure" not in conditions(town.get("Deployment", "web"))


def test_the_scheduler_says_what_every_node_lacks() -> None:
    town = Town(cpu="1")
    town.edit("Node", "node-1", lambda n: n["spec"].update(unschedulable=True))
    town.add("Deployment", workload(replicas=1, spec=pod_spec(resources={"requests": {"cpu": "3"}})))
    town.after(5)
    message = (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. no new claims to deallocate, "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    assert town.events("FailedScheduling")[0]["message"] == message
    scheduled = next(c for c in town.pods()[0]["status"]["conditions"] if c["type"] == "PodScheduled")
    assert (scheduled["status"], scheduled["reason"], scheduled["message"]) == ("False", "Unschedulable", message)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nodeSelector": {"disk": "fast"}}, "2 node(s) didn't match Pod's node affinity/selector."),
        (
            {
                "affinity": {
                    "podAntiAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
                        ]
                    }
                }
            },
            "2 node(s) didn't match pod anti-affinity rules.",
        ),
        ({"ports": [{"containerPort": 8080, "hostPort": 80}]}, "2 node(s) didn't have free ports for the requested pod ports."),
    ],
)
def test_other_obstacles_have_their_own_words(fields: dict[str, Any], words: str) -> None:
    town = Town()
    town.add("Deployment", workload(replicas=3, spec=pod_spec(**fields)))
    town.after(10)
    assert f"0/2 nodes are available: {words}" in town.events("FailedScheduling")[0]["message"]


def test_a_taint_keeps_pods_away_that_do_not_tolerate_it() -> None:
    town = Town(nodes=1)
    town.edit("Node", "node-0", lambda n: n["spec"].update(taints=[{"key": "pool", "value": "gpu", "effect": "NoSchedule"}]))
    town.add("Deployment", workload(replicas=1))
    town.after(5)
    assert "1 node(s) had untolerated taint {pool: gpu}" in town.events("FailedScheduling")[0]["message"]
    tolerations = [{"key": "pool", "operator": "Exists", "effect": "NoSchedule"}]
    town.edit("Deployment", "web", lambda d: d["spec"]["template"]["spec"].update(tolerations=tolerations))
    town.after(20)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1


def test_uncordoning_lets_waiting_pods_in() -> None:
    town = Town(nodes=1)
    town.edit("Node", "node-0", lambda n: n["spec"].update(unschedulable=True))
    town.add("Deployment", workload(replicas=1))
    town.after(5)
    assert town.get("Node", "node-0")["spec"]["taints"] == [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    town.edit("Node", "node-0", lambda n: n["spec"].update(unschedulable=False))
    town.after(15)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1
    assert "taints" not in town.get("Node", "node-0")["spec"]


def test_endpoints_hold_ready_and_unready_pods_apart_with_named_ports_resolved() -> None:
    town = Town()
    town.add("Service", service())
    town.add("Deployment", workload(replicas=1))
    town.after(3)
    subset = town.get("Endpoints", "web")["subsets"][0]
    assert "addresses" not in subset
    assert len(subset["notReadyAddresses"]) == 1
    town.after(10)
    subset = town.get("Endpoints", "web")["subsets"][0]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert [a["targetRef"]["name"] for a in subset["addresses"]] == [town.pods()[0]["metadata"]["name"]]
    piece = next(s for s in town.all("EndpointSlice") if s["metadata"]["labels"]["kubernetes.io/service-name"] == "web")
    assert piece["endpoints"][0]["conditions"] == {"ready": True, "serving": True, "terminating": False}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("web.shop.svc:80", ""),
        ("http://web.shop.svc.cluster.local/path", ""),
        ("webs.shop.svc:80", "dial tcp: lookup webs.shop.svc on 10.96.0.10:53: no such host"),
        ("web.shop.svc:81", ":81: i/o timeout"),
        ("deaf.shop.svc:80", ":80: connect: connection refused"),
    ],
)
def test_a_connection_fails_in_the_words_of_its_cause(address: str, words: str) -> None:
    town = Town()
    town.add("Service", service())
    town.add("Service", service("deaf", target=9999))
    town.add("Deployment", workload())
    town.add("Deployment", workload("deaf"))
    town.after(15)
    failure = town.world.network.failure(address, NAMESPACE)
    assert failure == words if not words else failure.endswith(words)


def test_a_claim_of_a_class_that_is_not_there_waits_and_so_does_its_pod() -> None:
    town = Town()
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "premium"}
    town.add("PersistentVolumeClaim", {"metadata": {"name": "data"}, "spec": spec})
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    town.add("Deployment", workload(replicas=1, spec=pod_spec(volumes=volumes)))
    town.after(60)
    failed = town.events("ProvisioningFailed")[0]
    assert failed["message"] == 'storageclass.storage.k8s.io "premium" not found'
    assert failed["count"] >= 3
    assert "pod has unbound immediate PersistentVolumeClaims" in town.events("FailedScheduling")[0]["message"]

    town.add("StorageClass", {"metadata": {"name": "premium"}, "provisioner": "csi.example.com"})
    town.after(30)
    assert town.get("PersistentVolumeClaim", "data")["status"]["phase"] == "Bound"
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1


def test_a_stateful_set_starts_in_order_and_scales_down_from_the_end() -> None:
    town = Town()
    town.add("StatefulSet", workload(replicas=3, serviceName="web"))
    town.after(3)
    assert [p["metadata"]["name"] for p in town.pods()] == ["web-0"]
    town.after(30)
    assert [p["metadata"]["name"] for p in town.pods()] == ["web-0", "web-1", "web-2"]
    town.edit("StatefulSet", "web", lambda s: s["spec"].update(replicas=1))
    town.after(10)
    assert [p["metadata"]["name"] for p in town.pods()] == ["web-0"]
    assert town.get("StatefulSet", "web")["status"]["readyReplicas"] == 1


def test_a_daemon_set_has_a_pod_on_every_node() -> None:
    town = Town(nodes=3)
    town.add("DaemonSet", workload("agent"))
    town.after(15)
    assert {p["spec"]["nodeName"] for p in town.pods("agent")} == {"node-0", "node-1", "node-2"}
    assert town.get("DaemonSet", "agent")["status"]["numberReady"] == 3


def job(**fields: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "task", "image": "task:1"}], "restartPolicy": "Never"}
    return {"metadata": {"name": "task"}, "spec": {"template": {"metadata": {"labels": {"app": "task"}}, "spec": spec}, **fields}}


def test_a_job_completes() -> None:
    town = Town()
    town.add("Job", job())
    town.after(30)
    assert conditions(town.get("Job", "task"))["Complete"] == ("True", "CompletionsReached")
    assert town.get("Job", "task")["status"]["succeeded"] == 1


def test_a_job_gives_up_at_its_back_off_limit() -> None:
    town = Town(always(exit=1, after=1.0))
    town.add("Job", job(backoffLimit=2))
    town.after(120)
    assert conditions(town.get("Job", "task"))["Failed"] == ("True", "BackoffLimitExceeded")
    assert len(town.pods("task")) == 3


def test_a_job_is_ended_at_its_deadline() -> None:
    town = Town(always(name="never ends"))
    town.add("Job", job(activeDeadlineSeconds=40))
    town.after(30)
    assert "Failed" not in conditions(town.get("Job", "task"))
    town.after(20)
    assert conditions(town.get("Job", "task"))["Failed"] == ("True", "DeadlineExceeded")


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/15 * * * *", "2026-05-04T09:15:00Z"),
        ("0 2 * * *", "2026-05-05T02:00:00Z"),
        ("30 9-17 * * 1-5", "2026-05-04T09:30:00Z"),
        ("nonsense", None),
    ],
)
def test_a_schedule_names_its_next_moment(schedule: str, expected: str | None) -> None:
    found = following(schedule, parse_stamp("2026-05-04T09:00:30Z"))
    assert found == (parse_stamp(expected) if expected else None)


def autoscaler(least: int = 1, most: int = 5) -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, "metrics": [metric]},
    }


def test_an_autoscaler_without_requests_cannot_compute() -> None:
    town = Town()
    town.add("Deployment", workload(spec=pod_spec(resources={})))
    town.add("HorizontalPodAutoscaler", autoscaler())
    town.after(40)
    found = conditions(town.get("HorizontalPodAutoscaler", "web"))
    assert found["ScalingActive"] == ("False", "FailedGetResourceMetric")
    assert "missing request for cpu in container web of Pod web-" in town.events("FailedGetResourceMetric")[0]["message"]


def test_an_autoscaler_scales_up_under_load_to_its_maximum() -> None:
    town = Town(always(cpu=1.6))
    town.add("Deployment", workload(replicas=1))
    town.add("HorizontalPodAutoscaler", autoscaler(most=4))
    town.after(120)
    assert town.get("Deployment", "web")["spec"]["replicas"] == 4
    assert conditions(town.get("HorizontalPodAutoscaler", "web"))["ScalingLimited"] == ("True", "TooManyReplicas")


def test_a_disruption_budget_counts_what_may_go() -> None:
    town = Town()
    town.add("Deployment", workload(replicas=3))
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}
    town.add("PodDisruptionBudget", budget)
    town.after(15)
    assert town.get("PodDisruptionBudget", "web")["status"]["disruptionsAllowed"] == 1


def test_a_quota_shows_what_is_used() -> None:
    town = Town()
    quota = {"metadata": {"name": "team"}, "spec": {"hard": {"limits.memory": "1Gi", "pods": "10", "requests.cpu": "2"}}}
    town.add("ResourceQuota", quota)
    town.add("Deployment", workload(replicas=3))
    town.after(10)
    assert town.get("ResourceQuota", "team")["status"]["used"] == {"limits.memory": "384Mi", "pods": "3", "requests.cpu": "300m"}


def test_what_an_owner_made_goes_with_it() -> None:
    town = Town()
    town.add("Deployment", workload())
    town.after(15)
    town.delete("Deployment", "web")
    town.after(10)
    assert town.all("ReplicaSet") == []
    assert town.pods() == []


def test_the_same_event_again_counts_up_and_a_flood_is_slowed() -> None:
    town = Town(images=frozenset())
    town.add("Deployment", workload(replicas=1))
    town.after(3600)
    backoff = town.events("BackOff")
    assert len(backoff) == 1
    assert parse_stamp(backoff[0]["lastTimestamp"]) > parse_stamp(backoff[0]["firstTimestamp"])
    total = sum(e.get("count", 1) for e in town.all("Event") if e["source"].get("component") == "kubelet")
    assert total <= 25 + 3600 / 300 + 2  # a burst, then one every five minutes


def test_many_different_messages_of_one_reason_are_combined() -> None:
    town = Town()

    def admit(verb: str, key: Any, obj: dict[str, Any], user: str) -> dict[str, Any]:
        if key.resource == "pods":
            raise Refused(f'pods "{key.name}" is forbidden: no')
        return obj

    town.world.cluster.admit = admit
    town.add("Deployment", workload(replicas=1))
    town.after(3600 * 2)
    messages = [e["message"] for e in town.events("FailedCreate")]
    assert len(messages) == 11
    assert any(m.startswith("(combined from similar events): ") for m in messages)


def test_the_same_seed_gives_the_same_cluster() -> None:
    def names() -> list[str]:
        town = Town(always(exit=1, after=2.0))
        town.add("Deployment", workload(replicas=3))
        town.after(300)
        return [p["metadata"]["name"] for p in town.pods()] + [
            str(p["status"]["containerStatuses"][0]["restartCount"]) for p in town.pods()
        ]

    assert names() == names()
