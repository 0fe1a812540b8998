"""NetworkPolicies evaluated: isolation by direction, peers, ports, names of ports, ranges, addresses; and the explanation."""

import pytest

from agent.topology import build
from agent.topology.dns import allows_dns, ndots, resolver_of
from agent.topology.policies import allows, end_of, outside
from tests.agent.builders import NOW, container, deployment, obj, pod, replica_set, service


def policy(name="limits", *, namespace="shop", select=None, **spec):
    return obj("NetworkPolicy", name, api="networking.k8s.io/v1", namespace=namespace, spec={"podSelector": select or {}, **spec})


def one_pod(name="web", *, namespace="shop", labels=None, ip="10.1.0.5", **spec):
    owner = deployment(name, labels=labels or {"app": name}, pod=spec)
    found = pod(replica_set(owner), status={"podIP": ip, "podIPs": [{"ip": ip}]})
    found["metadata"]["namespace"] = namespace
    return found


def space(name, **labels):
    return obj("Namespace", name, namespace="", metadata={"labels": labels})


WEB, API = one_pod("web"), one_pod("api", ip="10.1.0.6")
SPACES = (space("shop", team="a"), space("data", team="b"), space("kube-system"))


def judged(*policies, source=WEB, target=API, port=8080, protocol="TCP", spaces=SPACES, unseen=None):
    topology = build(NOW, [source, target, *spaces, *policies], unseen=unseen)
    return allows(topology, end_of(topology, source), end_of(topology, target), port, protocol)


def answer(*policies, **rest):
    return judged(*policies, **rest).answer


def frm(*peers, **rule):
    return {"policyTypes": ["Ingress"], "ingress": [{"from": list(peers), **rule}]}


PODS = {"podSelector": {"matchLabels": {"app": "web"}}}


def test_without_a_policy_everything_is_allowed():
    assert answer() == "allowed"
    assert judged().explanation == "no policy isolates either end"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "refused"),  # no types, no rules: ingress of all pods is isolated
        ({"policyTypes": ["Egress"]}, "refused"),
        ({"policyTypes": ["Ingress"], "ingress": [{}]}, "allowed"),
        ({"egress": [{}]}, "refused"),  # egress rules add a direction, they do not take ingress away
        ({"egress": [{}], "ingress": [{}]}, "allowed"),
    ],
)
def test_directions_and_default_deny(spec, expected):
    assert answer(policy(**spec)) == expected


def test_only_pods_that_are_selected_are_isolated():
    assert answer(policy(select={"matchLabels": {"app": "other"}})) == "allowed"
    assert answer(policy(select={"matchLabels": {"app": "api"}})) == "refused"
    assert answer(policy(namespace="data")) == "allowed"


def test_both_sides_have_to_allow():
    deny_out = policy("out", select={"matchLabels": {"app": "web"}}, policyTypes=["Egress"])
    allow_in = policy("in", select={"matchLabels": {"app": "api"}}, **frm(PODS))

    assert judged(deny_out, allow_in).direction == "egress"
    assert answer(allow_in) == "allowed"


def test_rules_of_all_policies_add_up():
    assert answer(policy("deny"), policy("allow", **frm(PODS))) == "allowed"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (PODS, "allowed"),
        ({"podSelector": {}}, "allowed"),
        ({"podSelector": {"matchLabels": {"app": "wep"}}}, "refused"),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "web"]}]}}, "allowed"),
        ({"namespaceSelector": {}}, "allowed"),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, "refused"),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}, **PODS}, "allowed"),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, "allowed"),
        ({"ipBlock": {"cidr": "10.1.0.0/16"}}, "allowed"),
        ({"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.1.0.0/24"]}}, "refused"),
        ({"ipBlock": {"cidr": "nonsense"}}, "refused"),
        ({}, "refused"),
    ],
)
def test_peers(peer, expected):
    assert answer(policy(**frm(peer))) == expected


def test_a_pod_selector_alone_speaks_of_its_own_namespace():
    far = one_pod("web", namespace="data", ip="10.1.0.9")
    assert answer(policy(**frm(PODS)), source=far) == "refused"
    assert answer(policy(**frm({"namespaceSelector": {}, **PODS})), source=far) == "allowed"


@pytest.mark.parametrize(
    ("ports", "port", "protocol", "expected"),
    [
        ([], 8080, "TCP", "allowed"),
        ([{"port": 8080}], 8080, "TCP", "allowed"),
        ([{"port": 8080}], 8080, "UDP", "refused"),
        ([{"protocol": "UDP"}], 8080, "UDP", "allowed"),
        ([{"port": 80}], 8080, "TCP", "refused"),
        ([{"port": "http"}], 8080, "TCP", "allowed"),
        ([{"port": "http"}], 9090, "TCP", "refused"),
        ([{"port": "grpc"}], 8080, "TCP", "refused"),
        ([{"port": 8000, "endPort": 8100}], 8080, "TCP", "allowed"),
        ([{"port": 8000, "endPort": 8079}], 8080, "TCP", "refused"),
        ([{"port": 53}, {"port": 8080}], 8080, "TCP", "allowed"),
    ],
)
def test_ports(ports, port, protocol, expected):
    assert answer(policy(**frm(PODS, ports=ports)), port=port, protocol=protocol) == expected


def test_egress_to_the_outside_goes_by_address():
    topology = build(NOW, [WEB, policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}])])
    mine = end_of(topology, WEB)

    assert allows(topology, mine, outside("203.0.113.7"), 443).answer == "allowed"
    assert allows(topology, mine, outside("198.51.100.7"), 443).answer == "refused"


def test_a_pod_on_the_nodes_network_is_not_held_and_not_matched_by_selectors():
    host = one_pod("web", hostNetwork=True, ip="192.168.1.4")
    assert answer(policy(select={"matchLabels": {"app": "web"}}, policyTypes=["Egress"]), source=host) == "allowed"
    assert answer(policy(**frm(PODS)), source=host) == "refused"
    assert answer(policy(**frm({"ipBlock": {"cidr": "192.168.1.0/24"}})), source=host) == "allowed"


def test_what_hangs_on_a_namespace_that_was_not_seen_is_not_known():
    far = one_pod("web", namespace="elsewhere", ip="10.1.0.9")
    asks = policy(**frm({"namespaceSelector": {"matchLabels": {"team": "z"}}}))
    by_name = policy(**frm({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}))

    assert answer(asks, source=far) == "unknown"
    assert answer(by_name, source=far) == "allowed"
    assert answer(policy(), source=far) == "refused"
    assert answer(unseen={"NetworkPolicy": "no rights"}) == "unknown"


def test_policies_of_other_engines_are_not_read_as_ours():
    other = policy()
    other["apiVersion"] = "crd.projectcalico.org/v1"
    assert answer(other) == "allowed"


def test_the_explanation_names_the_nearest_policy_and_what_it_lacks():
    verdict = judged(
        policy("deny"),
        policy("slip", **frm({"podSelector": {"matchLabels": {"app": "wep"}}})),
        policy("narrow", **frm(PODS, ports=[{"port": 80}])),
    )

    assert [(one.policy.name, one.lack) for one in verdict.refusals] == [
        ("narrow", "port"),
        ("slip", "peer"),
        ("deny", "denies-all"),
    ]
    assert "on port 80/TCP only, not port 8080/TCP" in verdict.explanation
    assert "pods with app=wep of its own namespace only" in verdict.explanation
    assert "allows no ingress at all" in verdict.explanation


def dns_pod(**labels):
    found = one_pod("coredns", namespace="kube-system", labels=labels or {"k8s-app": "kube-dns"}, ip="10.1.0.53")
    found["spec"]["containers"][0]["ports"] = [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    return found


def dns_service():
    found = service("kube-dns", selector={"k8s-app": "kube-dns"})
    found["metadata"]["namespace"] = "kube-system"
    return found


UDP53 = {"protocol": "UDP", "port": 53}
SYSTEM = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}


@pytest.mark.parametrize(
    ("egress", "expected"),
    [
        ([], "refused"),
        ([{"to": [PODS]}], "refused"),
        ([{"ports": [UDP53]}], "allowed"),
        ([{"ports": [{"protocol": "TCP", "port": 53}]}], "refused"),
        ([{"to": [SYSTEM], "ports": [UDP53]}], "allowed"),
        ([{"to": [{**SYSTEM, "podSelector": {"matchLabels": {"k8s-app": "coredns"}}}], "ports": [UDP53]}], "refused"),
    ],
)
@pytest.mark.parametrize("seen", [True, False])
def test_names_are_asked_of_the_clusters_dns(egress, expected, seen):
    system = [dns_pod(), dns_service(), *SPACES] if seen else []
    topology = build(NOW, [WEB, *system, policy(policyTypes=["Egress"], egress=egress)])
    assert allows_dns(topology, end_of(topology, WEB)).answer == expected


def test_whom_a_pod_asks_for_names():
    topology = build(NOW, [dns_service(), dns_pod()])

    assert resolver_of(topology, {}) == "cluster"
    assert resolver_of(topology, {"hostNetwork": True}) == "node"
    assert resolver_of(topology, {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}) == "cluster"
    assert resolver_of(topology, {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"]}}) == "own"
    assert resolver_of(topology, {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.9"]}}) == "cluster"
    assert ndots({}) == 5
    assert ndots({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}) == 1


def test_odd_policies_do_not_break_it():
    odd = [
        policy("a", policyTypes="Ingress", ingress="no"),
        policy("b", ingress=[{"from": [None], "ports": [None, {"port": []}]}]),
        obj("NetworkPolicy", "c", api="networking.k8s.io/v1"),
    ]
    assert answer(*odd) == "refused"


def test_a_workload_is_judged_as_its_next_pod_would_be():
    owner = deployment("web", containers=[container()])
    topology = build(NOW, [owner, API, policy(select={"matchLabels": {"app": "api"}}, **frm(PODS))])
    assert allows(topology, end_of(topology, owner), end_of(topology, API), 8080).answer == "allowed"
