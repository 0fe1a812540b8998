"""Limits that are reached, by metrics: when somebody suffers it is a fault, and much that looks alike is none."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import candidates, load_library
from tests.agent.builders import (
    app,
    asked,
    container,
    deployment,
    ended,
    event,
    lines,
    log,
    measured,
    node,
    obj,
    observed,
    pod,
    replica_set,
    topology,
)
from tests.agent.checks.cases_metrics import GIB, POD, claim, counted, served, throttled, volumes, with_volume

SMALL = container(resources={"limits": {"cpu": "200m", "memory": "128Mi"}})


def found(*objects, series, logs=()):
    return {one.cause: one for one in run(topology(*objects, logs=logs, series=series)) if one.state == "active"}


def memory(values, limit=GIB):
    return [
        measured("container_memory_working_set_bytes", values, pod=POD, container="app"),
        measured("kube_pod_container_resource_limits", [limit] * len(values), pod=POD, container="app", resource="memory"),
    ]


def test_a_limit_that_holds_back_is_raised_where_it_stands():
    objects = app("web", containers=[SMALL])
    seen, reasoner = observed(*objects), OfflineReasoner()
    cause = reasoner.diagnose(asked("why is web slow?"), seen, tuple(throttled(0.8, container="app"))).causes[0]

    first = candidates(cause, load_library(), reasoner.topology(seen))[0]

    assert "CPU throttling in 80% of its periods" in cause.finding.statement
    assert "CPU limit of 200m" in cause.finding.statement
    assert [(one.path, one.after) for one in first.actions[0].changes] == [
        ("/spec/template/spec/containers/0/resources/limits/cpu", "400m")
    ]


def test_throttling_of_the_pod_s_cgroup_counts_where_containers_have_no_series():
    assert "cpu-throttled" in found(*app("web", containers=[SMALL]), series=throttled(0.9))


def test_moderate_throttling_is_a_fault_when_somebody_suffers():
    objects = app("web", containers=[SMALL])
    timeout = event(objects[2], "Unhealthy", "Readiness probe failed: context deadline exceeded", minutes=3)
    slow = log(objects[2], lines("WARN slow request GET /quote took 2310 ms"))

    assert found(*objects, series=throttled(0.4)) == {}
    assert "cpu-throttled" in found(*objects, timeout, series=throttled(0.4))
    assert "cpu-throttled" in found(*objects, series=throttled(0.4), logs=[slow])
    assert "cpu-throttled" in found(*objects, series=[*throttled(0.4), *served("web", (40, 0.05, 0.0), (20, 2.0, 0.0))])


def test_a_slow_workload_that_is_throttled_is_slow_because_of_it():
    series = [*throttled(0.7), *served("web", (40, 0.05, 0.0), (20, 2.0, 0.0))]

    diagnosis = OfflineReasoner().diagnose(asked("is web slow?"), observed(*app("web", containers=[SMALL])), tuple(series))

    assert [one.finding.cause for one in diagnosis.causes] == ["cpu-throttled"]
    assert diagnosis.causes[0].explains == ("service-degraded@Deployment/shop/web",)


@pytest.mark.parametrize(
    "values",
    [
        [0.95 * GIB] * 60,
        [GIB * (0.2 + n / 300) for n in range(60)],
        [GIB * (0.8 + n / 5000) for n in range(60)],
        [GIB * (0.3 + 0.6 * (n % 10) / 10) for n in range(60)],
    ],
    ids=["high and level", "far from the limit", "slow enough", "up and down"],
)
def test_memory_that_is_no_trouble_yet(values):
    assert found(*app("web"), series=memory(values)) == {}


def test_memory_that_was_already_too_much_is_told_once():
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(137, "OOMKilled")], minutes=30)

    assert "memory-will-run-out" not in found(owner, set_, one, series=memory([GIB * (0.5 + n / 150) for n in range(60)]))


def test_kills_inside_a_container_are_told_although_nothing_restarts():
    kills = measured("container_oom_events_total", [0] * 30 + [2, 4, 7], pod=POD, container="app")

    statement = found(*app("web"), series=[kills])["child-out-of-memory"].statement

    assert "7 since" in statement
    assert found(*app("web"), series=[measured("container_oom_events_total", [7] * 40, pod=POD, container="app")]) == {}
    old = measured("container_oom_events_total", [0, 1] + [1] * 60, pod=POD, container="app")
    assert found(*app("web"), series=[old]) == {}


def test_a_container_that_was_killed_itself_is_no_child():
    owner = deployment("web", replicas=1)
    set_ = replica_set(owner)
    one = pod(set_, statuses=[ended(137, "Error", restarts=1, minutes=3, up=True)])
    kills = measured("container_oom_events_total", [0] * 30 + [1, 1, 1], pod=one["metadata"]["name"], container="app")

    assert "child-out-of-memory" not in found(owner, set_, one, series=[kills])


def pool(active, most, waiting):
    where = {"pod": POD, "pool": "main"}
    return [
        measured("hikaricp_connections_active", active, **where),
        measured("hikaricp_connections_max", most, **where),
        measured("hikaricp_connections_pending", waiting, **where),
    ]


def test_a_pool_that_is_empty_and_waited_for_is_exhausted():
    series = pool([2] * 20 + [10] * 10, [10] * 30, [0] * 20 + [5] * 10)

    assert (
        "all 10 connections are in use since 11:55:30Z"
        in found(*app("web"), series=series)["connection-pool-exhausted"].statement
    )


def test_a_pool_in_full_use_that_nobody_waits_for_is_well():
    assert found(*app("web"), series=pool([10] * 30, [10] * 30, [0] * 30)) == {}


def test_a_server_is_full_pod_by_pod():
    series = [
        measured("process_open_fds", [1020] * 20, pod=POD),
        measured("process_max_fds", [1024] * 20, pod=POD),
        measured("process_open_fds", [10] * 20, pod=POD.replace("axyz0", "bxyz1")),
        measured("process_max_fds", [1024] * 20, pod=POD.replace("axyz0", "bxyz1")),
    ]

    assert found(*app("web"), series=series)["server-limit-reached"].params["what"] == "file descriptors"
    assert found(*app("web"), series=series[2:]) == {}


def test_a_volume_that_will_be_full_is_told_before_it_is():
    free = [GIB * (1.5 - n / 50) for n in range(60)]
    series = [
        measured("kubelet_volume_stats_available_bytes", free, persistentvolumeclaim="data"),
        measured("kubelet_volume_stats_capacity_bytes", [10 * GIB] * 60, persistentvolumeclaim="data"),
    ]

    finding = found(*with_volume()[0], series=series)["volume-full"]

    assert "at the present pace it is full in" in finding.statement
    assert finding.params["suggested_size"] == "15Gi"


def test_a_volume_with_room_or_a_level_one_is_well():
    assert found(*with_volume()[0], series=volumes(5 * GIB, 10 * GIB)) == {}
    assert found(*with_volume()[0], series=volumes(0.8 * GIB, 10 * GIB)) == {}


def test_a_full_volume_explains_what_its_user_s_log_says():
    objects, _ = with_volume()
    told = log(objects[2], lines(*["ERROR write /data/x: no space left on device"] * 6))

    diagnosis = OfflineReasoner().diagnose(
        asked("why does web fail?"), observed(*objects, logs=[told]), tuple(volumes(0.01 * GIB, 10 * GIB))
    )

    assert [str(one.finding.subject) for one in diagnosis.causes] == ["PersistentVolumeClaim shop/data"]


def test_a_volume_whose_class_cannot_grow_needs_a_person():
    objects = [*app("web"), claim(), obj("StorageClass", "standard", api="storage.k8s.io/v1", namespace="")]

    assert "suggested_size" not in found(*objects, series=volumes(0.1 * GIB, 10 * GIB))["volume-full"].params


def test_a_busy_node_without_a_victim_is_no_fault():
    busy = counted("node_cpu_seconds_total", (40, 3.98), mode="user", node="node-1")

    assert found(*app("web"), node("node-1"), series=[busy]) == {}


def test_a_busy_node_whose_pods_time_out_is():
    objects = app("web")
    busy = counted("node_cpu_seconds_total", (40, 3.98), mode="user", instance="10.0.0.5:9100")
    worn = node("node-1")
    worn["status"]["addresses"] = [{"type": "InternalIP", "address": "10.0.0.5"}]
    timeout = event(objects[2], "Unhealthy", "Liveness probe failed: i/o timeout", minutes=2)

    finding = found(*objects, worn, timeout, series=[busy])["node-overloaded"]

    assert str(finding.subject) == "Node node-1"
    assert [ref.name for ref in finding.affects] == ["web"]


def test_the_pods_cpu_stands_for_the_node_s_where_no_exporter_tells():
    objects = app("web")
    busy = [
        counted("container_cpu_usage_seconds_total", (40, 3.9), pod=POD, container="app"),
        counted("container_cpu_usage_seconds_total", (40, 3.9), pod=POD),
    ]
    timeout = event(objects[2], "Unhealthy", "Liveness probe failed: i/o timeout", minutes=2)

    assert "uses 98% of the CPU" in found(*objects, node("node-1"), timeout, series=busy)["node-overloaded"].statement


def test_next_to_no_memory_left_on_a_node_is_a_fault_by_itself():
    series = [
        measured("node_memory_MemAvailable_bytes", [0.02 * GIB] * 9, node="node-1"),
        measured("node_memory_MemTotal_bytes", [8 * GIB] * 9, node="node-1"),
    ]

    assert "has 0.2% of its memory left" in found(*app("web"), node("node-1"), series=series)["node-overloaded"].statement


def test_a_queue_that_grows_is_a_symptom_and_names_nobody():
    series = [measured("orders_queue_depth", [10] * 40 + [900] * 20, pod=POD)]

    diagnosis = OfflineReasoner().diagnose(asked("what is wrong in shop?"), observed(*app("web")), tuple(series))

    assert diagnosis.outcome == "unknown"
    assert "orders_queue_depth: 10 before 11:50:30Z, 900 since" in diagnosis.statement
    assert found(*app("web"), series=[measured("orders_queue_depth", [10] * 40 + [30] * 20, pod=POD)]) == {}


def test_series_of_pods_that_are_gone_name_nobody():
    gone = {"pod": "old-77aa-zz", "container": "app"}
    series = [*throttled(0.9, **gone), measured("container_oom_events_total", [0] * 9 + [9], **gone)]

    assert found(*app("web"), series=series) == {}
