"""Nodes' vital signs, the way out of the cluster, and the same failure in several clusters."""

from tests.agent.builders import ago, app, custom, ended, lines, log, measured, node, obj, owned_by, pod
from tests.agent.checks.cases import World, case

KUBELET = "kubelet_pleg_relist_duration_seconds_bucket"
SLOW = [
    measured(KUBELET, [100.0 * n for n in range(21)], le="0.25", node="node-1"),
    measured(KUBELET, [100.0 * n for n in range(21)], le="5", node="node-1"),
    measured(KUBELET, [110.0 * n for n in range(21)], le="10", node="node-1"),
    measured(KUBELET, [110.0 * n for n in range(21)], le="+Inf", node="node-1"),
]


@case("pleg-slow", "Node/node-1", series=SLOW, question="what is wrong with node-1?")
def _() -> World:
    return [*app("web"), node()], []


@case(
    "node-clock-off",
    "Node/node-1",
    series=[measured("node_timex_offset_seconds", [-2.5] * 5, node="node-1")],
    question="is node-1 ok?",
)
def _() -> World:
    return [*app("web"), node()], []


MTU = [
    measured("node_network_mtu_bytes", [1500.0] * 3, node="node-1", device="eth0"),
    measured("node_network_mtu_bytes", [1500.0] * 3, node="node-1", device="flannel.1"),
]


@case("network-mtu-mismatch", "Node/node-1", series=MTU)
def _() -> World:
    objects = app("web")
    said = ["ERROR GET https://billing.example.com/v1: net/http: TLS handshake timeout"] * 6
    return [*objects, node()], [log(objects[2], lines(*said))]


@case("outbound-connections-failing", "Deployment/web")
def _() -> World:
    objects, others = app("web"), app("api")
    logs = [
        log(pod, lines(*[f"ERROR dial tcp {host}:443: i/o timeout" for host in hosts for _ in range(6)]))
        for pod, hosts in ((objects[2], ("a.example.com", "b.example.org")), (others[2], ("c.example.net",)))
    ]
    return [*objects, *others], logs


@case("cilium-name-not-learned", "CiliumNetworkPolicy/names")
def _() -> World:
    objects = app("web")
    spec = {"endpointSelector": {"matchLabels": {"app": "web"}}, "egress": [{"toFQDNs": [{"matchPattern": "*.example.com"}]}]}
    policy = obj("CiliumNetworkPolicy", "names", api="cilium.io/v2", spec=spec)
    said = ["ERROR dial tcp: connect to api.example.com:443: i/o timeout"] * 6
    return [*objects, policy], [log(objects[2], lines(*said))]


@case("same-failure-in-many-clusters", "ApplicationSet/shop")
def _() -> World:
    owner = obj("ApplicationSet", "shop", api="argoproj.io/v1alpha1")
    made = []
    for cluster in ("eu", "us"):
        one = custom("Application", f"shop-{cluster}", api="argoproj.io/v1alpha1")
        one["metadata"] |= owned_by(owner)
        one["spec"] = {"source": {"repoURL": "https://git.example.com/shop", "path": "app"}, "destination": {"name": cluster}}
        one["status"] = {
            "sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"},
            "operationState": {"phase": "Failed", "message": f"admission webhook denied pod-{len(made)}", "finishedAt": ago(10)},
        }  # fmt: skip
        made.append(one)
    return [owner, *made], []


RACE = [measured("node_nf_conntrack_stat_insert_failed", [3.0 * n for n in range(21)], node="node-1")]


@case("dns-lookups-dropped", "Node/node-1", series=RACE)
def _() -> World:
    objects = app("web")
    said = ["ERROR getaddrinfo EAI_AGAIN cart"] * 5
    return [*objects, *app("cart"), node()], [log(objects[2], lines(*said))]


@case("local-ports-exhausted", "Deployment/web")
def _() -> World:
    objects = app("web")
    return objects, [log(objects[2], lines(*["ERROR dial tcp 10.0.0.9:6379: connect: cannot assign requested address"] * 4))]


@case("workload-lookups-failing", "Deployment/web")
def _() -> World:
    objects = app("web")
    said = [f"ERROR dial tcp: lookup {host} on 10.96.0.10:53: server misbehaving" for host in ("api", "pay.example.com") * 4]
    return [*objects, *app("api")], [log(objects[2], lines(*said))]


@case("workload-clock-off", "Deployment/web")
def _() -> World:
    objects = app("web")
    said = "ERROR x509: certificate is not yet valid: current time 2024-05-04T08:00:00Z is before 2026-01-01T00:00:00Z"
    return objects, [log(objects[2], lines(*[said] * 4))]


@case("image-changed-in-place", "Pod/web-00001abcde-axyz0")
def _() -> World:
    objects = app("web")
    objects[2] = pod(objects[1], ready=False, since=4, statuses=[ended(0, "Completed", restarts=1, minutes=4, up=True)])
    objects[2]["spec"] = {
        **objects[2]["spec"],
        "containers": [{**objects[2]["spec"]["containers"][0], "image": "k8s.io/pause:3.9"}],
    }
    objects[0]["status"] |= {"readyReplicas": 1, "availableReplicas": 1}
    return objects, []
