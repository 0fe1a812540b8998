"""Cilium, node pools and several clusters: what is allowed, under way or waiting for a person is no fault."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from agent.topology.cilium import refusal
from agent.topology.policies import end_of, outside
from tests.agent.builders import active, ago, app, asked, custom, event, measured, node, obj, observed, told, topology
from tests.agent.checks.cases_platform import (
    AGENT,
    CILIUM,
    agent,
    budget,
    calling,
    cilium_policy,
    cordoned,
    counters,
    ingress_from,
    machine,
    rising,
    torn,
)


def causes(*objects, logs=(), series=()):
    return active(run(topology(*objects, logs=logs, series=series)))


def refused(*policies, port=8080, target="api", protocol="TCP", spaces=True):
    """What keeps `web` from `api` (or from an address), with these policies."""
    objects, _ = calling()
    space = [obj("Namespace", "shop", namespace="", metadata={"labels": {"team": "a"}})] if spaces else []
    seen = topology(*objects, *space, *policies)
    other = end_of(seen, objects[7]) if target == "api" else outside(target)
    return refusal(seen, end_of(seen, objects[2]), other, port, protocol)


WEB, API = {"matchLabels": {"app": "web"}}, {"matchLabels": {"k8s:app": "api"}}
PORT = [{"ports": [{"port": "8080", "protocol": "TCP"}]}]


def rule(selector=API, **rest):
    return cilium_policy({"endpointSelector": selector, **rest})


@pytest.mark.parametrize(
    "policy",
    [
        rule(ingress=[{"fromEndpoints": [WEB]}]),
        rule(ingress=[{"fromEndpoints": [{}]}]),
        rule(ingress=[{"fromEndpoints": [WEB], "toPorts": PORT}]),
        rule(ingress=[{"toPorts": [{"ports": [{"port": "http"}]}]}]),
        rule(ingress=[{"toPorts": [{"ports": [{"port": "8000", "endPort": 9000, "protocol": "ANY"}]}]}]),
        rule(ingress=[{"fromEntities": ["cluster"]}]),
        rule(ingress=[{"fromEntities": ["all"]}]),
        rule(ingress=[{"fromEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "shop"}}]}]),
        rule(ingress=[{"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.namespace.labels.team": "a"}}]}]),
        rule(ingress=[{"fromEndpoints": [{"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}]}]),
        rule(ingress=[{"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "web"}}]}]),  # not evaluated
        rule({"matchLabels": {"app": "other"}}, ingress=[{}]),  # selects neither
        rule(egress=[{}]),  # the other direction of the target
        rule(ingress=[{"fromEndpoints": [{"matchLabels": {"app": "x"}}]}], enableDefaultDeny={"ingress": False}),
        rule(
            ingress=[{"fromEndpoints": [WEB], "toPorts": [{"ports": [{"port": "8080"}], "rules": {"http": [{"method": "GET"}]}}]}]
        ),
        rule(WEB, egress=[{"toEndpoints": [API]}, {"toFQDNs": [{"matchName": "example.com"}]}]),
        rule(WEB, egress=[{"toServices": [{"k8sService": {"serviceName": "api"}}]}]),  # not evaluated
        rule(ingressDeny=[{"fromEndpoints": [{"matchLabels": {"app": "x"}}]}], ingress=[{"fromEntities": ["all"]}]),
        obj(
            "CiliumClusterwideNetworkPolicy",
            "x",
            api=CILIUM,
            namespace="",
            spec={"endpointSelector": API, "ingress": [{"fromEndpoints": [WEB]}]},
        ),
        obj("CiliumNetworkPolicy", "x", api=CILIUM, namespace="elsewhere", spec={"endpointSelector": {}, "ingress": [{}]}),
    ],
)
def test_policies_that_let_it_through(policy):
    assert refused(policy) is None


@pytest.mark.parametrize(
    ("policy", "direction", "words"),
    [
        (rule(ingress=[{}]), "ingress", "allows no ingress at all"),
        (rule(ingress=[]), "ingress", "allows no ingress at all"),
        (rule(ingress=[{"fromEndpoints": [{"matchLabels": {"app": "x"}}]}]), "ingress", "app=x"),
        (rule(ingress=[{"fromEndpoints": [WEB], "toPorts": [{"ports": [{"port": "9090"}]}]}]), "ingress", "9090/ANY"),
        (
            rule(ingress=[{"fromEndpoints": [WEB], "toPorts": [{"ports": [{"port": "8080", "protocol": "UDP"}]}]}]),
            "ingress",
            "UDP",
        ),
        (rule(ingress=[{"fromEntities": ["world"]}]), "ingress", "world"),
        (rule(ingress=[{"fromCIDR": ["0.0.0.0/0"]}]), "ingress", "0.0.0.0/0"),
        (rule(WEB, egress=[{"toFQDNs": [{"matchName": "example.com"}]}]), "egress", "example.com"),
        (
            rule(WEB, egress=[{"toEndpoints": [{"matchLabels": {"app": "api", "k8s:io.kubernetes.pod.namespace": "prod"}}]}]),
            "egress",
            "prod",
        ),
        (rule(ingressDeny=[{"fromEndpoints": [WEB]}], ingress=[{"fromEntities": ["all"]}]), "ingress", "denies"),
        (rule({}, egress=[{"toPorts": [{"ports": [{"port": "53"}]}]}]), "egress", "53/ANY"),
    ],
)
def test_policies_that_refuse_it_and_why(policy, direction, words):
    found = refused(policy)
    assert found is not None
    assert found.direction == direction
    assert words in found.words


@pytest.mark.parametrize(
    ("entry", "open_"),
    [
        ({"toCIDR": ["203.0.113.0/24"]}, True),
        ({"toCIDRSet": [{"cidr": "203.0.113.0/24", "except": ["203.0.113.7/32"]}]}, False),
        ({"toEntities": ["world"]}, True),
        ({"toEntities": ["cluster"]}, True),  # the address may be a node's: not said
        ({"toEndpoints": [{}]}, False),
        ({"toFQDNs": [{"matchPattern": "*.example.com"}]}, True),  # which address a name has is not known here
    ],
)
def test_addresses_of_the_outside(entry, open_):
    assert (refused(rule(WEB, egress=[entry]), target="203.0.113.7") is None) is open_


def test_a_networkpolicy_that_allows_it_is_added_to_what_is_allowed():
    spec = {
        "podSelector": {"matchLabels": {"app": "api"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
    }
    plain = obj("NetworkPolicy", "api", api="networking.k8s.io/v1", spec=spec)
    assert refused(rule(ingress=[{}])) is not None
    assert refused(rule(ingress=[{}]), plain) is None


def test_a_label_of_a_namespace_that_was_not_seen_is_no_refusal():
    entry = {"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.namespace.labels.team": "b"}}]}
    assert refused(rule(ingress=[entry]), spaces=False) is None
    assert refused(rule(ingress=[entry])) is not None


def test_a_policy_that_blocks_nothing_that_is_wanted_is_no_finding():
    objects, _ = calling()
    assert causes(*objects, cilium_policy(ingress_from(to={"app": "api"}, app="frontend"))) == []


def test_calls_that_are_refused_by_the_other_side_are_not_the_policys():
    objects, logs = calling("ERROR Get http://api:80/v1: connection refused")
    found = causes(*objects, cilium_policy(ingress_from(to={"app": "api"}, app="frontend")), logs=logs)
    assert "cilium-policy-blocks" not in found


def test_a_young_agent_and_a_young_taint_are_no_fault():
    young = node(taints=[{"key": "node.cilium.io/agent-not-ready", "effect": "NoExecute", "timeAdded": ago(1)}])
    assert causes(young, *app("web")) == []
    assert causes(node(), *agent(), *app("web")) == []


@pytest.mark.parametrize(
    "series",
    [
        counters(Service_backend_not_found=0.2),
        counters(Policy_denied=30, Stale_or_unroutable_IP=4),
        [measured("cilium_bpf_map_pressure", [0.6] * 39 + [0.95], map_name="cilium_ct4_global", **AGENT)],
        [measured("cilium_unreachable_nodes", [0] * 38 + [1, 0], **AGENT)],
        [measured("cilium_clustermesh_remote_cluster_readiness_status", [1] * 40, target_cluster="west", **AGENT)],
        [measured("hubble_lost_events_total", rising(0.01), **AGENT)],
    ],
)
def test_metrics_of_a_data_plane_that_is_well(series):
    assert causes(*app("web"), *agent(), series=series) == []


@pytest.mark.parametrize(
    "objects",
    [
        [cordoned(), node("node-2"), *app("web"), budget(allowed=1)],
        [cordoned(), node("node-2"), *app("web"), *app("other"), budget()],  # others are there still: only a cordon
        [cordoned(minutes=1), node("node-2"), *app("web"), budget()],
        [node(), *app("web"), budget()],
    ],
)
def test_a_cordon_or_a_tight_budget_alone_is_no_blocked_drain(objects):
    assert "drain-blocked-by-budget" not in causes(*objects)


def test_an_eviction_that_was_refused_says_it_whatever_else_is_on_the_node():
    objects = [cordoned(minutes=1), node("node-2"), *app("web"), *app("other"), budget()]
    said = event(objects[4], "EvictionFailed", "Cannot evict pod as it would violate the pod's disruption budget.")
    assert "drain-blocked-by-budget" in causes(*objects, said)


def test_a_budget_that_is_tight_because_a_pod_is_ill_is_explained_by_the_pod():
    objects = app("web", ready=1)
    objects[2]["status"]["conditions"] = [{"type": "Ready", "status": "False", "lastTransitionTime": ago(30)}]
    objects[2]["status"]["containerStatuses"] = [
        {"name": "app", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName", "message": "bad"}}}
    ]
    seen = observed(cordoned(), node("node-2"), *objects, budget(healthy=1))
    found = OfflineReasoner().diagnose(asked("What is wrong in namespace shop?"), seen)
    assert [one.finding.cause for one in found.causes] == ["invalid-image-name"]


@pytest.mark.parametrize("versions", [("v1.34.2", "v1.31.0"), ("v1.34.2", "v1.34.1"), ("v1.33.0+rke2r1", "v1.33.0+rke2r1")])
def test_versions_within_what_is_supported_are_no_finding(versions):
    assert causes(machine("node-1", versions[0]), machine("node-2", versions[1]), *app("web")) == []


def test_a_kubelet_newer_than_the_api_server():
    server = obj("Pod", "kube-apiserver-a", namespace="kube-system", metadata={"labels": {"component": "kube-apiserver"}},
                 spec={"nodeName": "node-1", "containers": [{"name": "s", "image": "registry.k8s.io/kube-apiserver:v1.33.4"}]},
                 status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})  # fmt: skip
    (found,) = [one for one in run(topology(machine("node-1", "v1.34.0"), server, *app("web"))) if one.state == "active"]
    assert found.cause == "kubelet-version-skew"
    assert "newer than" in found.statement


@pytest.mark.parametrize("broken", [["web"], ["web", "api"]])
def test_one_workload_alone_accuses_no_image_and_two_images_are_needed(broken):
    same = [machine("node-1", "v1.33.5"), machine("node-2", "v1.33.5", minutes=55)]
    assert "new-node-image-breaks" not in causes(*same, *(one for name in broken for one in torn(name)))
    newer = [machine("node-1", "v1.33.5"), machine("node-2", "v1.34.0", minutes=55)]
    found = causes(*newer, *(one for name in broken for one in torn(name)))
    assert ("new-node-image-breaks" in found) is (len(broken) > 1)


def test_an_update_run_that_waits_for_approval_is_by_design():
    waits = told("Progressing", "False", "UpdateRunWaiting", "The updateRun is waiting for after-stage tasks")
    assert causes(custom("ClusterStagedUpdateRun", "r", waits, api="placement.kubernetes-fleet.io/v1beta1")) == []


def test_members_and_placements_that_are_well_or_young():
    member = custom("MemberCluster", "west", told("Joined", "True"), api="cluster.kubernetes-fleet.io/v1beta1",
                    status={"agentStatus": [{"lastReceivedHeartbeat": ago(0.5)}]})  # fmt: skip
    young = told("ClusterResourcePlacementApplied", "False", "ApplyPending", minutes=1)
    placement = custom("ClusterResourcePlacement", "apps", young, api="placement.kubernetes-fleet.io/v1")
    export = custom(
        "ServiceExport", "web", told("Valid", "True"), told("Conflict", "False"), api="multicluster.x-k8s.io/v1alpha1"
    )
    assert causes(member, placement, export, *app("web")) == []


def test_the_cluster_and_object_that_failed_are_named_for_karmada_too():
    said = told("FullyApplied", "False", "FullyAppliedFailed", "not all applied")
    status = {"aggregatedStatus": [{"clusterName": "west", "applied": False, "appliedMessage": "no matches for kind Widget"}]}
    found = run(
        topology(custom("ResourceBinding", "web-deployment", said, api="work.karmada.io/v1alpha2", status=status), *app("web"))
    )
    (mine,) = [one for one in found if one.cause == "placement-incomplete"]
    assert "west: no matches for kind Widget" in mine.statement


def test_an_ordinary_event_of_a_node_is_no_failed_upgrade():
    one = node()
    quiet = [event(one, "Drain", "Draining node", kind="Normal"), event(one, "Rebooted", "node was rebooted"),
             event(one, "UpgradeFailed", "failed to drain", minutes=500)]  # fmt: skip
    assert "node-upgrade-failed" not in causes(one, *app("web"), *quiet)


def test_a_flood_of_an_ordinary_reason_is_told_and_errors_of_encryption_too():
    assert causes(*app("web"), *agent(), series=counters(Stale_or_unroutable_IP=90)) == ["cilium-drops"]
    (found,) = run(
        topology(
            *app("web"), *agent(), series=[measured("cilium_ipsec_xfrm_error", rising(8), error="inbound_no_states", **AGENT)]
        )
    )
    assert "IPsec inbound_no_states" in found.statement


def test_members_and_placements_are_of_the_cluster():
    lost = custom(
        "MemberCluster", "west", told("Joined", "False", "Left", "gone"), api="cluster.kubernetes-fleet.io/v1beta1", namespace=""
    )
    found = [one for one in run(topology(lost, *app("web"))) if one.state == "active"]
    assert [(one.cause, str(one.subject)) for one in found if one.cause == "member-cluster-lost"] == [
        ("member-cluster-lost", "MemberCluster west")
    ]
