"""Incidents of Cilium, of node pools that are upgraded or grown, and of several clusters."""

from typing import Any

from agent.domain.objects import Series
from tests.agent.builders import (
    ago,
    app,
    custom,
    deployment,
    event,
    lines,
    log,
    measured,
    node,
    obj,
    pod,
    replica_set,
    told,
    waiting,
)
from tests.agent.checks.cases import World, case

Object = dict[str, Any]
CILIUM = "cilium.io/v2"


def cilium_policy(spec: Object, name: str = "web-only", **rest: Any) -> Object:
    return obj("CiliumNetworkPolicy", name, api=CILIUM, spec=spec, **rest)


def ingress_from(*, to: Object, **labels: str) -> Object:
    """Only pods of these labels may reach port 8080 of `to`."""
    entry = {"fromEndpoints": [{"matchLabels": labels}], "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}]}]}
    return {"endpointSelector": {"matchLabels": to}, "ingress": [entry]}


def calling(said: str = "ERROR Get http://api:80/v1: dial tcp: i/o timeout") -> World:
    """`web` calls the Service `api` in vain."""
    web, api = app("web"), app("api")
    return [*web, *api], [log(web[2], lines(*[said] * 4))]


@case("cilium-policy-blocks", "CiliumNetworkPolicy/web-only")
def _() -> World:
    objects, logs = calling()
    return [*objects, cilium_policy(ingress_from(to={"app": "api"}, app="frontend"))], logs


@case("cilium-policy-invalid", "CiliumNetworkPolicy/web-only")
def _() -> World:
    said = told("Valid", "False", "", "Invalid CiliumNetworkPolicy spec: port 99999 is out of range")
    return [*app("web"), custom("CiliumNetworkPolicy", "web-only", said, api=CILIUM)], []


def agent(*statuses: Object, node_name: str = "node-1") -> list[Object]:
    labels = {"k8s-app": "cilium"}
    box = {"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.17.4"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [box]}}}
    status = {"observedGeneration": 1, "desiredNumberScheduled": 1, "numberReady": int(not statuses)}
    set_ = obj("DaemonSet", "cilium", api="apps/v1", metadata={"generation": 1, "labels": labels}, spec=spec, status=status)
    return [set_, pod(set_, ready=not statuses, statuses=statuses or None, node=node_name)]


@case("cilium-agent-not-ready", "DaemonSet/cilium")
def _() -> World:
    tainted = node(taints=[{"key": "node.cilium.io/agent-not-ready", "effect": "NoExecute", "timeAdded": ago(20)}])
    starting = {"name": "cilium-agent", "ready": False, "restartCount": 0, "state": {"running": {"startedAt": ago(20)}}}
    return [tainted, *agent(starting)], []


@case("spire-identity-missing", "Deployment/web")
def _() -> World:
    objects = app("web")
    return objects, [
        log(objects[2], lines('level=error msg="could not fetch X509 SVID" error="PermissionDenied: no identity issued"'))
    ]


def rising(per_second: float, count: int = 40) -> list[float]:
    return [30 * per_second * n for n in range(count)]


AGENT = {"namespace": "shop", "pod": "cilium-axyz0"}


@case(
    "cilium-drops",
    "DaemonSet/cilium",
    series=[measured("cilium_drop_count_total", rising(14), reason="Service backend not found", **AGENT)],
)
def _() -> World:
    return [*app("web"), *agent()], []


@case(
    "cilium-mutual-auth-drops",
    "DaemonSet/cilium",
    series=[measured("cilium_drop_count_total", rising(9), reason="Authentication required", direction="INGRESS", **AGENT)],
)
def _() -> World:
    return [*app("web"), *agent()], []


@case(
    "cilium-map-full",
    "DaemonSet/cilium",
    series=[measured("cilium_bpf_map_pressure", [0.8] * 20 + [0.97] * 20, map_name="cilium_ct4_global", **AGENT)],
)
def _() -> World:
    return [*app("web"), *agent()], []


@case("cilium-nodes-unreachable", "DaemonSet/cilium", series=[measured("cilium_unreachable_nodes", [0] * 20 + [2] * 20, **AGENT)])
def _() -> World:
    return [*app("web"), *agent()], []


@case(
    "clustermesh-remote-not-ready",
    "DaemonSet/cilium",
    series=[measured("cilium_clustermesh_remote_cluster_readiness_status", [1] * 20 + [0] * 20, target_cluster="west", **AGENT)],
)
def _() -> World:
    return [*app("web"), *agent()], []


@case(
    "hubble-loses-events",
    "DaemonSet/cilium",
    series=[measured("hubble_lost_events_total", rising(50), source="perf_event_ring_buffer", **AGENT)],
)
def _() -> World:
    return [*app("web"), *agent()], []


def budget(name: str = "web", *, healthy: int = 2, expected: int = 2, desired: int = 2, allowed: int = 0) -> Object:
    status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected}
    spec = {"minAvailable": desired, "selector": {"matchLabels": {"app": name}}}
    return obj("PodDisruptionBudget", name, api="policy/v1", spec=spec, status=status)


def cordoned(name: str = "node-1", *, minutes: float = 25) -> Object:
    return node(
        name,
        unschedulable=True,
        taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": ago(minutes)}],
    )


@case("drain-blocked-by-budget", "PodDisruptionBudget/web")
def _() -> World:
    return [cordoned(), node("node-2"), *app("web"), budget()], []


@case("node-group-cannot-grow", "Deployment/web")
def _() -> World:
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=15)
    said = "pod didn't trigger scale-up: 1 max node group size reached"
    return [owner, set_, one, event(one, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."),
            event(one, "NotTriggerScaleUp", said, kind="Normal")], []  # fmt: skip


def machine(name: str, version: str, *, image: str = "Ubuntu 22.04", minutes: float = 5000) -> Object:
    one = node(name)
    one["metadata"]["creationTimestamp"] = ago(minutes)
    one["status"]["nodeInfo"] = {
        "kubeletVersion": version,
        "osImage": image,
        "kernelVersion": "5.15",
        "containerRuntimeVersion": "containerd://1.7",
    }
    return one


@case("kubelet-version-skew", "Node/node-1")
def _() -> World:
    return [machine("node-2", "v1.34.2"), machine("node-1", "v1.30.9"), *app("web")], []


def torn(name: str) -> list[Object]:
    """A workload whose pod on node-2 fails, at the revision that runs on node-1."""
    owner = deployment(name, replicas=2, ready=1)
    set_ = replica_set(owner)
    return [
        owner,
        set_,
        pod(set_),
        pod(set_, number=1, node="node-2", ready=False, statuses=[waiting("CrashLoopBackOff", restarts=6)], since=40),
    ]


@case("new-node-image-breaks", "Node/node-2")
def _() -> World:
    old, new = machine("node-1", "v1.33.5"), machine("node-2", "v1.33.5", image="Ubuntu 24.04", minutes=55)
    return [old, new, *torn("web"), *torn("api")], []


@case("node-upgrade-failed", "Node/node-1")
def _() -> World:
    machine_ = node()
    said = "Failed to drain node: eviction of pods did not finish within 30 minutes"
    return [machine_, *app("web"), event(machine_, "UpgradeFailed", said)], []


@case("member-cluster-lost", "MemberCluster/west")
def _() -> World:
    beat = {"agentStatus": [{"type": "MemberAgent", "lastReceivedHeartbeat": ago(45)}]}
    return [
        custom(
            "MemberCluster",
            "west",
            told("Joined", "Unknown", "MemberClusterAgentSilent"),
            api="cluster.kubernetes-fleet.io/v1beta1",
            status=beat,
        )
    ], []


@case("placement-incomplete", "ClusterResourcePlacement/apps")
def _() -> World:
    failed = {
        "kind": "Deployment",
        "name": "web",
        "condition": {"reason": "ManifestApplyFailed", "message": 'namespaces "shop" not found'},
    }
    stages = (
        told("ClusterResourcePlacementScheduled", "True"),
        told("ClusterResourcePlacementApplied", "False", "ApplyFailed", "Failed in 1 cluster"),
    )
    status = {"placementStatuses": [{"clusterName": "west", "failedPlacements": [failed]}]}
    return [custom("ClusterResourcePlacement", "apps", *stages, api="placement.kubernetes-fleet.io/v1", status=status)], []


@case("staged-update-stuck", "ClusterStagedUpdateRun/rollout")
def _() -> World:
    said = told(
        "Progressing", "False", "UpdateRunStuck", "The updateRun is stuck waiting for 1 cluster(s) in stage canary to finish"
    )
    return [custom("ClusterStagedUpdateRun", "rollout", said, api="placement.kubernetes-fleet.io/v1beta1")], []


@case("service-export-conflict", "ServiceExport/web")
def _() -> World:
    said = told("Conflict", "True", "PortsConflict", "ports of this export differ from those of cluster west")
    return [*app("web"), custom("ServiceExport", "web", said, api="multicluster.x-k8s.io/v1alpha1")], []


def counters(**rates: float) -> list[Series]:
    return [
        measured("cilium_drop_count_total", rising(rate), reason=reason.replace("_", " "), **AGENT)
        for reason, rate in rates.items()
    ]
