"""DNS, Gateway API, Ingress, load balancers, slices, pods' networks: what is named, and what is as it should be."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, ago, app, asked, container, event, lines, log, node, obj, observed, service, topology
from tests.agent.checks.cases_dns import NOT_FOUND, UPSTREAM, asking, coredns_says, dns, stateful
from tests.agent.checks.cases_gateways import NO_IP, gateway, gateway_class, ingress, listener, route, way_in
from tests.agent.series import measured


def found(objects, logs=(), series=()):
    seen = run(topology(*objects, logs=logs, series=list(series)))
    return {one.cause: one for one in seen if one.state == "active" and not one.symptom_only}


def causes(objects, logs=(), question="What is wrong in namespace shop?"):
    diagnosis = OfflineReasoner().diagnose(asked(question), observed(*objects, logs=logs))
    return [(one.finding.cause, one.finding.subject.name) for one in diagnosis.causes]


# DNS.


def test_a_healthy_dns_is_no_finding():
    assert found([*app("web"), *dns()]) == {}


def test_why_dns_is_down_is_the_cause_where_it_is_seen():
    objects = [*app("web"), *dns(ready=False)]
    one = next(each for each in objects if each["kind"] == "Pod" and each["metadata"]["namespace"] == "kube-system")
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(1)}}
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    one["status"]["containerStatuses"] = [
        {"name": "coredns", "ready": False, "restartCount": 5, "state": state, "lastState": last}
    ]

    assert causes(objects) == [("oom-killed", "coredns")]


def test_a_wrong_corefile_under_pods_that_still_run():
    objects, logs = coredns_says(
        "[ERROR] Restart failed: /etc/coredns/Corefile:3 - Error during parsing: Unknown directive 'chache'"
    )
    finding = found(objects, logs)["dns-misconfigured"]
    assert "the pods that run still use the old one" in finding.statement
    assert "Unknown directive 'chache'" in finding.statement


def answers(rcode, *counts):
    return measured("coredns_dns_responses_total", *counts, rcode=rcode)


def test_one_late_answer_from_outside_is_ordinary():
    assert found(*coredns_says("[INFO] up", UPSTREAM)) == {}


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ([measured("coredns_forward_healthcheck_broken_total", 0, 0, 3)], ["dns-upstream-failing"]),
        ([answers("SERVFAIL", 0, 500), answers("NOERROR", 0, 900)], ["dns-upstream-failing"]),
        ([answers("SERVFAIL", 0, 5), answers("NOERROR", 0, 900)], []),
        ([answers("NXDOMAIN", *range(0, 90000, 1000)), answers("NOERROR", *range(0, 9000, 100))], []),
    ],
)
def test_what_dns_metrics_tell(series, expected):
    assert list(found([*app("web"), *dns()], series=series)) == expected


@pytest.mark.parametrize(
    ("pod_spec", "words"),
    [
        ({"hostNetwork": True}, "hostNetwork with dnsPolicy ClusterFirst"),
        ({"dnsPolicy": "Default"}, "the node's resolver"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}}, "servers of its own"),
    ],
)
def test_pods_that_ask_another_server(pod_spec, words):
    assert words in found(*asking(**pod_spec))["pod-dns-policy"].statement


@pytest.mark.parametrize(
    "pod_spec",
    [
        {},
        {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.96.0.10"]}},
    ],
)
def test_pods_that_ask_the_clusters_dns(pod_spec):
    assert "pod-dns-policy" not in found(*asking(**pod_spec))


def test_the_nodes_resolver_is_enough_for_names_of_the_outside():
    assert "pod-dns-policy" not in found(*asking(NOT_FOUND.replace("api", "api.example.com"), hostNetwork=True))


LOW = {"options": [{"name": "ndots", "value": "1"}]}


@pytest.mark.parametrize(
    ("host", "config", "told"),
    [
        ("api.shop", LOW, True),
        ("api.shop.svc", LOW, True),
        ("api", LOW, False),
        ("api.shop.svc.cluster.local", LOW, False),
        ("api.shop", {}, False),
    ],
)
def test_ndots_and_names_with_dots(host, config, told):
    assert ("dns-ndots-too-low" in found(*asking(NOT_FOUND.replace("api", host), dnsConfig=config))) is told


def test_a_short_name_of_a_service_in_another_namespace():
    boxes = [container(env=[{"name": "DB_HOST", "value": "postgres"}])]
    objects = app("web", containers=boxes)
    far = service("postgres")
    far["metadata"]["namespace"] = "data"
    finding = found([*objects, far], [log(objects[2], lines(*["ERROR lookup postgres: no such host"] * 5))])["wrong-service-name"]

    assert "is in namespace data (postgres.data)" in finding.statement
    assert finding.params["suggested_value"] == "postgres.data"


def test_peers_of_a_stateful_set():
    said = ["ERROR getaddrinfo ENOTFOUND db-1.db"] * 5
    unready, published = stateful(), stateful(publishes=True)
    assert "headless-peers-unready" in found([*unready, *dns()], [log(unready[1], lines(*said))])
    assert "headless-peers-unready" not in found([*published, *dns()], [log(published[1], lines(*said))])
    assert "headless-service-missing" not in found(stateful())


def test_a_resolver_file_of_the_node_that_is_too_long_is_not_the_pods_fault():
    objects = app("web")
    assert found([*objects, event(objects[2], "DNSConfigForming", "Search Line limits were exceeded")]) == {}


# Gateway API.


def test_a_way_in_that_works():
    assert found(way_in(gateway_class(), gateway(), route())[0]) == {}


HTTPS = listener("https", tls={"certificateRefs": [{"name": "cert"}]})
PAIR = {"tls.crt": "REDACTED", "tls.key": "REDACTED"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([gateway(listener(allowedRoutes={"namespaces": {"from": "All"}})), route()], []),
        ([gateway(listener(hostname="*.example.com")), route(hostnames=["shop.example.com"])], []),
        ([gateway(listener(hostname="shop.example.com")), route(hostnames=["pay.example.com"])], ["route-not-accepted"]),
        ([gateway(listener(hostname="*.example.com")), route(hostnames=["example.com"])], ["route-not-accepted"]),
        ([gateway(listener(allowedRoutes={"kinds": [{"kind": "GRPCRoute"}]})), route()], ["route-not-accepted"]),
        ([gateway(listener("a", hostname="x.org"), listener("b")), route(hostnames=["y.org"])], []),
        ([gateway(), route(parent={"name": "edge", "sectionName": "https"})], ["route-parent-missing"]),
        ([gateway(), route(to={"name": "web", "port": 8080})], ["route-backend-missing"]),
        ([gateway(), route(to={"kind": "Bucket", "group": "x", "name": "images"})], []),
        ([gateway(HTTPS), obj("Secret", "cert", data=PAIR), route()], []),
        ([gateway(HTTPS), obj("Secret", "cert", data={"ca.crt": "x"}), route()], ["gateway-certificate-missing"]),
    ],
)
def test_gateways_and_routes(more, expected):
    objects, _ = way_in(gateway_class(), *more)
    assert list(found(objects)) == expected


def selecting(**labels):
    return gateway(
        listener(allowedRoutes={"namespaces": {"from": "Selector", "selector": {"matchLabels": labels}}}), namespace="infra"
    )


def test_listeners_choose_namespaces_by_label():
    own = obj("Namespace", "shop", namespace="", metadata={"labels": {"team": "a"}})
    far = route(parent={"name": "edge", "namespace": "infra"})
    assert "route-not-accepted" not in found(way_in(gateway_class(), selecting(team="a"), far, own)[0])
    assert (
        "other labels than shop has"
        in found(way_in(gateway_class(), selecting(team="b"), far, own)[0])["route-not-accepted"].statement
    )
    assert "route-not-accepted" not in found(way_in(gateway_class(), selecting(team="b"), far)[0])  # its labels were not seen


def test_a_grant_lets_a_route_use_a_service_of_another_namespace():
    far = service("pay")
    far["metadata"]["namespace"] = "data"
    to = {"name": "pay", "namespace": "data", "port": 80}
    spec = {"from": [{"kind": "HTTPRoute", "namespace": "shop"}], "to": [{"kind": "Service", "name": "pay"}]}
    grant = obj("ReferenceGrant", "g", api="gateway.networking.k8s.io/v1beta1", namespace="data", spec=spec)
    assert found(way_in(gateway_class(), gateway(), far, route(to=to), grant)[0]) == {}
    grant["spec"]["to"][0]["name"] = "other"
    assert "reference-grant-missing" in found(way_in(gateway_class(), gateway(), far, route(to=to), grant)[0])


def test_a_class_that_nobody_uses_or_a_gateway_that_was_just_made():
    assert found(way_in(gateway_class(accepted="Unknown"))[0]) == {}
    new = gateway(cls="gone")
    new["metadata"]["creationTimestamp"] = ago(0.5)
    assert found(way_in(gateway_class(), new)[0]) == {}


def test_gateways_of_other_apis_are_not_ours():
    other = {**gateway(cls="gone"), "apiVersion": "networking.istio.io/v1"}
    assert "gateway-class-missing" not in found(way_in(gateway_class(), other)[0])


# Ingress, load balancers, slices.


def test_an_ingress_without_a_class_needs_a_default_one():
    nginx = obj("IngressClass", "nginx", namespace="")
    bare = ingress("front", "web")
    bare["spec"].pop("ingressClassName")
    assert "none is the default" in found([*app("web"), nginx, bare])["ingress-class-missing"].statement
    nginx["metadata"]["annotations"] = {"ingressclass.kubernetes.io/is-default-class": "true"}
    assert found([*app("web"), nginx, bare]) == {}
    nginx["metadata"]["annotations"] = {}
    bare["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "nginx"}
    assert found([*app("web"), nginx, bare]) == {}


def test_one_host_may_lead_to_one_service_twice_and_to_a_canary():
    twice = [ingress("a", "web"), ingress("b", "web")]
    canary = ingress("c", "api")
    canary["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/canary": "true"}
    assert found([*app("web"), *app("api"), *twice, canary]) == {}


def balanced(**status):
    objects = app("web")
    objects[-1]["spec"]["type"] = "LoadBalancer"
    objects[-1]["status"] = status
    return objects


def test_load_balancers_that_have_an_address_or_are_being_made():
    assert found(balanced(loadBalancer={"ingress": [{"ip": "203.0.113.9"}]})) == {}
    new = balanced()
    new[-1]["metadata"]["creationTimestamp"] = ago(2)
    assert found(new) == {}
    assert "no controller has made one" in found(balanced())["load-balancer-pending"].statement


def test_slices_that_list_some_of_the_pods_are_not_stale():
    objects = app("web")
    for number, one in enumerate(one for one in objects if one["kind"] == "Pod"):
        one["status"]["podIP"] = f"10.1.0.{number}"
    labels = {"kubernetes.io/service-name": "web"}
    some = obj("EndpointSlice", "web-1", metadata={"labels": labels}, endpoints=[{"addresses": ["10.1.0.1"]}])
    assert found([*objects, some]) == {}


def test_local_traffic_on_a_node_that_has_a_pod():
    caller, target = app("web"), app("api")
    target[-1]["spec"]["internalTrafficPolicy"] = "Local"
    said = [log(caller[2], lines(*['ERROR Get "http://api/x": dial tcp: i/o timeout'] * 4))]
    assert "traffic-policy-local" not in found([*caller, *target, node()], said)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (NO_IP, "pod-addresses-exhausted"),
        ("Failed to create pod sandbox: AddressAllocation: InsufficientFreeAddressesInSubnet", "pod-addresses-exhausted"),
        ('plugin type="azure-vnet" failed (add): IPAM Invoker Add failed: no available IP', "pod-addresses-exhausted"),
        ("network plugin is not ready: cni config uninitialized", "network-plugin-not-ready"),
        ("failed to setup network for sandbox: operation not permitted", "pod-network-failing"),
    ],
)
def test_what_a_sandbox_fails_with(said, cause):
    objects = app("web")
    objects[2]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert cause in found([*objects, event(objects[2], "FailedCreatePodSandBox", said)])


def test_a_sandbox_that_was_made_at_the_second_try():
    objects = app("web")
    assert active(run(topology(*objects, event(objects[2], "FailedCreatePodSandBox", NO_IP)))) == []
