"""Experiments of the well-known suites and faults of routes: whoever asks about what they hit is told of them, and of nothing
else; what is over, paused or hits nothing is no fault."""

import copy

import pytest

from agent.checks import run
from agent.checks.injected import FOR_SOME
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import (
    active,
    ago,
    app,
    asked,
    custom,
    deployment,
    ended,
    event,
    lines,
    log,
    node,
    obj,
    observed,
    pod,
    replica_set,
    service,
    told,
    topology,
)

MESH, LITMUS = "chaos-mesh.org/v1alpha1", "litmuschaos.io/v1alpha1"
HIT = "web-00001abcde-axyz0"  # a pod of the application


def mesh(kind, *, record=f"shop/{HIT}/app", conditions=None, minutes=5, phase="Injected", **spec):
    said = conditions or [told("Selected", "True"), told("AllInjected", "True", minutes=minutes), told("AllRecovered", "False")]
    one = custom(kind, "trial", *said, api=MESH, spec={"mode": "one", "duration": "30m", **spec}, minutes=minutes)
    one["status"]["experiment"] = {"desiredPhase": "Run", "containerRecords": [{"id": record, "phase": phase}]}
    return one


def engine(experiment, *, status="initialized", env=None, minutes=1, **spec):
    components = {"components": {"env": [{"name": key, "value": value} for key, value in (env or {}).items()]}}
    body = {"engineState": "active", "experiments": [{"name": experiment, "spec": components}], **spec}
    told_ = [{"name": experiment, "status": "Running", "verdict": "Awaited", "lastUpdateTime": ago(minutes)}]
    state = {"engineStatus": status, "experiments": told_}
    return obj("ChaosEngine", "trial", api=LITMUS, namespace="litmus", spec=body, status=state)


APP = {"appinfo": {"appns": "shop", "applabel": "app=web", "appkind": "deployment"}}
WORKLOADS = {"selectors": {"workloads": [{"kind": "deployment", "namespace": "shop", "names": "web"}]}}
PODS = {"selectors": {"pods": [{"namespace": "shop", "names": HIT}]}}


def blade():
    said = [{"kind": "pod", "identifier": f"shop/node-1/{HIT}/app", "state": "Success"}]
    status = {"phase": "Running", "expStatuses": [{"scope": "pod", "target": "network", "action": "loss", "resStatuses": said}]}
    spec = {"experiments": [{"scope": "pod", "target": "network", "action": "loss"}]}
    return obj("ChaosBlade", "trial", api="chaosblade.io/v1alpha1", namespace="", spec=spec, status=status)


def envoy(share=50):
    spec = {
        "targetRefs": [{"kind": "HTTPRoute", "name": "web"}],
        "faultInjection": {"abort": {"httpStatus": 503, "percentage": share}},
    }
    return obj("BackendTrafficPolicy", "trial", api="gateway.envoyproxy.io/v1alpha1", spec=spec)


def kuma():
    rule = {"targetRef": {"kind": "Mesh"}, "default": {"http": [{"delay": {"value": "5s", "percentage": "50.5"}}]}}
    spec = {"targetRef": {"kind": "MeshService", "name": "web"}, "from": [rule]}
    return obj("MeshFaultInjection", "trial", api="kuma.io/v1alpha1", spec=spec)


ON_PODS = {
    "pod-kill": mesh("PodChaos", action="pod-kill", record=f"shop/{HIT}"),
    "pod-failure": mesh("PodChaos", action="pod-failure", record=f"shop/{HIT}"),
    "container-kill": mesh("PodChaos", action="container-kill"),
    "network-loss": mesh("NetworkChaos", action="loss"),
    "network-partition": mesh("NetworkChaos", action="partition"),
    "dns-error": mesh("DNSChaos", action="error", patterns=["db.*"]),
    "io-fault": mesh("IOChaos", action="fault", errno=5),
    "stress": mesh("StressChaos", stressors={"memory": {"workers": 1, "size": "256MB"}}),
    "time": mesh("TimeChaos", timeOffset="-2h"),
    "http": mesh("HTTPChaos", target="Request", abort=True),
    "jvm": mesh("JVMChaos", action="exception"),
    "litmus-pod-delete": engine("pod-delete", **APP),
    "litmus-network-latency": engine("pod-network-latency", **WORKLOADS),
    "litmus-cpu-hog": engine("pod-cpu-hog-exec", **PODS),
    "litmus-disk-fill": engine("disk-fill", env={"TARGET_PODS": HIT}, appinfo={"appns": "shop"}),
    "blade": blade(),
    "envoy": envoy(),
    "kuma": kuma(),
}  # fmt: skip
ON_NODES = {
    "litmus-node-drain": engine("node-drain", env={"TARGET_NODE": "node-1"}),
    "litmus-node-taint": engine("node-taint", env={"NODE_LABEL": "kubernetes.io/hostname=node-1"}),
    "litmus-kubelet-kill": engine("kubelet-service-kill", env={"TARGET_NODES": "node-1,node-9"}),
    "physical-machine": mesh("PhysicalMachineChaos", record="http://node-1:31767", action="stress-cpu"),
    "cloud": mesh("GCPChaos", record='{"Instance":"node-1","Zone":"a"}', action="node-stop"),
}


def suffering():
    """web's first pod has just been ended by a signal, and is not ready."""
    owner = deployment("web", replicas=2, ready=1)
    set_ = replica_set(owner, ready=1)
    hit = pod(set_, ready=False, statuses=[ended(137, "Error", restarts=2, up=False)], since=2)
    route = obj(
        "HTTPRoute", "web", api="gateway.networking.k8s.io/v1", spec={"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
    )
    return [owner, set_, hit, pod(set_, number=1), service("web"), route]


def causes(question, *objects, logs=()):
    found = OfflineReasoner().diagnose(asked(question), observed(*copy.deepcopy(objects), logs=logs))
    return [(one.finding.cause, one.finding.subject.name) for one in found.causes]


@pytest.mark.parametrize("name", sorted(ON_PODS))
def test_an_experiment_on_an_application_is_the_cause_of_what_that_suffers(name):
    assert causes("why is web failing?", *suffering(), ON_PODS[name]) == [("fault-injected", "trial")]


@pytest.mark.parametrize("name", sorted(ON_NODES))
def test_an_experiment_on_a_node_is_the_cause_of_what_that_node_suffers(name):
    down = node(
        "node-1", conditions=[told("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", minutes=1)]
    )
    assert causes("why is node-1 down?", down, node("node-2"), *app("web"), ON_NODES[name]) == [("fault-injected", "trial")]


def test_what_an_experiment_has_hit_by_its_results_goes_before_what_it_may_hit():
    targets = [{"name": "api", "kind": "deployment", "chaosStatus": "injected"}]
    spec, status = {"engine": "trial", "experiment": "pod-delete"}, {"history": {"targets": targets}}
    result = obj("ChaosResult", "trial-pod-delete", api=LITMUS, namespace="litmus", spec=spec, status=status)
    objects = [*app("web"), *app("api"), engine("pod-delete", **APP), result]
    found = [one for one in run(topology(*objects)) if one.cause == "fault-injected"]
    assert [str(ref) for ref in found[0].affects] == ["Deployment shop/api"]


def over(one):
    one = copy.deepcopy(one)
    one["status"]["conditions"] = [told("AllInjected", "False"), told("AllRecovered", "True")]
    record = one["status"]["experiment"]["containerRecords"][0]
    record |= {"phase": "Not Injected", "events": [{"operation": "Recover", "timestamp": ago(4)}]}
    return one


@pytest.mark.parametrize(
    "manifest",
    [
        mesh("PodChaos", action="pod-kill", minutes=30),  # done long ago
        mesh("NetworkChaos", action="delay", phase="Not Injected"),
        mesh("NetworkChaos", action="delay", conditions=[told("Paused", "True"), told("AllInjected", "True")]),
        over(ON_PODS["network-loss"]),
        engine("pod-delete", status="completed", **APP),
        engine("pod-delete", status="stopped", engineState="stop", **APP),
        envoy(share=0),
        obj("Schedule", "trial", api=MESH, spec={"type": "PodChaos", "schedule": "@every 5m"}, status={"time": ago(3)}),
    ],
    ids=["long-ago", "not-begun", "paused", "over", "completed", "stopped", "nobody", "schedule"],
)
def test_an_experiment_that_does_nothing_now_is_no_fault(manifest):
    assert active(run(topology(*app("web"), manifest))) == []


@pytest.mark.parametrize("manifest", [over(ON_PODS["network-loss"]), engine("pod-delete", status="completed", **APP)])
def test_one_that_has_just_ended_is_told_of_where_all_is_well_again(manifest):
    found = OfflineReasoner().diagnose(asked("is web healthy?"), observed(*app("web"), copy.deepcopy(manifest)))
    assert found.outcome == "healthy"
    assert "was put in on purpose by" in found.statement


# The same faults where nobody left an experiment to be seen: the right thing is named, and nothing that is not so. --------------


def test_killed_pods_that_are_back_are_no_fault():
    objects = app("web", minutes=600)
    killed = event(objects[2], "Killing", "Stopping container app", kind="Normal", minutes=4)
    found = OfflineReasoner().diagnose(asked("why is web failing?"), observed(*objects, killed))
    assert found.outcome == "healthy"


def test_a_container_that_was_killed_and_runs_again_is_not_called_out_of_memory_nor_a_bad_release():
    objects = app("web", minutes=600)
    objects[2]["status"]["containerStatuses"] = [ended(137, "Error", restarts=1, minutes=4, up=True)]
    objects[2]["status"]["containerStatuses"][0]["ready"] = True
    found = OfflineReasoner().diagnose(asked("why is web failing?"), observed(*objects))
    assert not {one.finding.cause for one in found.causes} & {
        "oom-killed",
        "bad-release",
        "liveness-probe-kills",
        "application-error",
    }


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("ERROR GET http://api/: context deadline exceeded (Client.Timeout exceeded while awaiting headers)", {"api", "web"}),
        ("ERROR GET http://api/: read tcp 10.0.0.1:4111->10.0.0.9:80: read: connection reset by peer", {"api", "web"}),
        ("ERROR write /data/wal: input/output error", {"web"}),
        ("ERROR dial tcp: lookup api on 10.96.0.10:53: server misbehaving", {"web", "api", "kube-dns"}),
        ('ERROR GET https://api/: x509: certificate has expired or is not yet valid: current time is before', {"web", "api"}),
    ],
    ids=["network-loss", "http-abort", "io-fault", "dns-error", "time-skew"],
)  # fmt: skip
def test_without_an_experiment_only_what_shows_it_is_named(said, right):
    objects, others = app("web", minutes=600), app("api", minutes=600)
    seen = observed(*objects, *others, logs=[log(objects[2], lines(*[said] * 8))])
    found = OfflineReasoner().diagnose(asked("why is web failing?"), seen)
    assert found.outcome in ("fault", "unknown")
    assert {one.finding.subject.name for one in found.causes} <= right
    assert not {one.finding.cause for one in found.causes} & {
        "networkpolicy-blocks",
        "bad-release",
        "node-not-ready",
        "fault-injected",
    }


@pytest.mark.parametrize(("restarts", "lasted", "began"), [(2, 1, ""), (2, 60 * 24 * 5, "began with"), (400, 1, "began with")])
def test_a_container_that_begins_to_fall_long_after_its_release_did_not_begin_with_it(restarts, lasted, began):
    """Two runs of a minute each do not reach back twelve days; two of five days, or four hundred, may."""
    age = 60 * 24 * (12 if restarts == 2 else 2)
    owner = deployment("web", replicas=1)
    new, old = replica_set(owner, 2, minutes=age), replica_set(owner, 1, minutes=age * 3, ready=0, image="app:0.9")
    one = ended(137, "OOMKilled", restarts=restarts, minutes=2, up=True)
    one["lastState"]["terminated"]["startedAt"] = ago(2 + lasted)
    objects = [owner, new, old, pod(new, statuses=[one], minutes=age)]
    found = OfflineReasoner().diagnose(asked("why does web restart?"), observed(*objects)).causes[0].finding
    assert found.cause == "oom-killed"
    assert ("it began with" in found.statement) == bool(began)


def test_a_fault_for_requests_of_a_tester_does_not_hide_what_else_is_wrong():
    route = {"match": [{"headers": {"x-test": {"exact": "1"}}}], "fault": {"abort": {"httpStatus": 500}}}
    objects = app("web")
    objects[2] = pod(objects[1], ready=False, since=3, statuses=[ended(137, "OOMKilled")])
    spec = {"hosts": ["web"], "http": [route]}
    fault = obj("VirtualService", "web", api="networking.istio.io/v1", spec=spec)
    found = OfflineReasoner().diagnose(asked("why is web failing?"), observed(*objects, fault))
    assert [one.finding.cause for one in found.causes] == ["oom-killed"]
    injected = [one for one in run(topology(*objects, fault)) if one.cause == "fault-injected"]
    assert [one.weight for one in injected] == [FOR_SOME]
