"""Nodes' vital signs, packets that do not fit, the way out: what is near to them and is none of them."""

import pytest

from agent.checks import run
from agent.checks.images import classify
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import (
    active,
    app,
    asked,
    deployment,
    ended,
    lines,
    log,
    measured,
    node,
    obj,
    observed,
    pod,
    replica_set,
    told,
    topology,
)
from tests.agent.checks.cases import CASES, SERIES


def causes(objects, logs=(), series=()):
    return active(run(topology(*objects, logs=logs, series=series)))


@pytest.mark.parametrize("tunnel", [("flannel.1", 1450.0), ("vxlan.calico", 1450.0), ("tunl0", 1480.0), ("cilium_vxlan", 1500.0)])
def test_a_tunnel_that_leaves_room_for_what_it_adds_is_well(tunnel):
    objects, logs = CASES["network-mtu-mismatch"][1]()
    series = [
        measured("node_network_mtu_bytes", [1500.0] * 3, node="node-1", device="eth0"),
        measured("node_network_mtu_bytes", [tunnel[1]] * 3, node="node-1", device=tunnel[0]),
    ]
    assert "network-mtu-mismatch" not in causes(objects, logs, series)


def test_a_tunnel_that_is_too_large_is_no_fault_while_nothing_hangs():
    assert causes([*app("web"), node()], (), SERIES["network-mtu-mismatch"]) == []


def _hanging():
    objects, logs = CASES["network-mtu-mismatch"][1]()
    return [*objects, node("node-2"), node("node-3")], logs


def _device(of: str, size: float):
    return measured("node_network_mtu_bytes", [size] * 3, node=of, device="eth0")


ALIKE = [_device("node-2", 1500.0), _device("node-3", 1500.0)]
PLUGIN = {
    "calico-config": {"veth_mtu": "8951"},
    "cilium-config": {"mtu": "9000", "tunnel-protocol": "vxlan"},
    "kube-flannel-cfg": {"net-conf.json": '{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw", "MTU": 8951}}'},
}


@pytest.mark.parametrize(
    ("series", "subject", "says"),
    [
        ([_device("node-1", 1400.0), *ALIKE], "Node node-1", "an MTU of 1400, those of 2 other nodes 1500"),
        ([measured("node_netstat_Ip_FragFails", range(21), node="node-2")], "Node node-2", "Ip_FragFails +20"),
        (
            [measured("cilium_drop_count_total", range(21), reason="Fragmentation needed", node="node-3")],
            "Node node-3",
            "fragmentation needed",
        ),
    ],
)
def test_packets_that_do_not_fit_show_in_sizes_and_counters_of_nodes(series, subject, says):
    objects, logs = _hanging()
    found = [one for one in run(topology(*objects, logs=logs, series=series)) if one.cause == "network-mtu-mismatch"]
    assert [str(one.subject) for one in found] == [subject]
    assert says in found[0].statement


@pytest.mark.parametrize("name", sorted(PLUGIN))
def test_a_network_plugin_that_is_told_more_than_the_nodes_take_is_to_blame(name):
    objects, logs = _hanging()
    setting = obj("ConfigMap", name, namespace="kube-system", data=PLUGIN[name])
    found = [
        one
        for one in run(topology(*objects, setting, logs=logs, series=[_device("node-1", 1500.0), *ALIKE]))
        if one.cause == "network-mtu-mismatch"
    ]
    assert [str(one.subject) for one in found] == [f"ConfigMap kube-system/{name}"]


@pytest.mark.parametrize(
    "series",
    [
        [_device("node-1", 1500.0), *ALIKE],
        [_device("node-1", 9001.0), _device("node-2", 1500.0)],  # which of two is the odd one nobody can say
        [_device("node-1", 1500.0), _device("node-2", 1500.0), _device("node-3", 1400.0)],  # nobody that hangs is there
        [measured("node_netstat_Ip_FragFails", [5.0] * 21, node="node-2")],
    ],
)
def test_sizes_that_fit_and_counters_that_rest_are_no_finding(series):
    objects, logs = _hanging()
    setting = obj("ConfigMap", "calico-config", namespace="kube-system", data={"veth_mtu": "1380"})
    assert "network-mtu-mismatch" not in causes([*objects, setting], logs, series)


def test_a_clock_that_is_off_by_milliseconds_and_a_runtime_that_answers_at_once_are_well():
    quick = "kubelet_pleg_relist_duration_seconds_bucket"
    series = [
        measured("node_timex_offset_seconds", [0.004] * 5, node="node-1"),
        measured("node_timex_sync_status", [1.0] * 5, node="node-1"),
        *(measured(quick, [100.0 * n for n in range(21)], le=le, node="node-1") for le in ("0.25", "5", "+Inf")),
    ]
    assert causes([*app("web"), node()], (), series) == []


def test_one_host_outside_that_does_not_answer_is_that_host():
    objects, others = app("web"), app("api")
    said = lines(*["ERROR dial tcp a.example.com:443: i/o timeout"] * 8)
    assert causes([*objects, *others], [log(objects[2], said), log(others[2], said)]) == ["external-dependency-failing"]


def test_timeouts_inside_the_cluster_too_are_not_the_way_out():
    objects, logs = CASES["outbound-connections-failing"][1]()
    inside = log(objects[3], lines(*["ERROR dial tcp api:80: i/o timeout"] * 8))
    assert "outbound-connections-failing" not in causes(objects, [*logs, inside])


def test_the_counter_of_a_nat_gateway_says_that_its_ports_are_used_up():
    objects = app("web")
    said = log(objects[2], lines(*["ERROR dial tcp a.example.com:443: i/o timeout"] * 8))
    counter = measured("aws_natgateway_error_port_allocation_sum", [float(n) for n in range(21)])
    assert "outbound-connections-failing" in causes(objects, [said], [counter])


NAT = {"nat_gateway_id": "nat-0a1"}
ROOM = measured("azure_allocatedsnatports_average", [1024.0] * 9, **NAT)


@pytest.mark.parametrize(
    "series",
    [
        [measured("aws_natgateway_error_port_allocation_sum", range(21), **NAT)],
        [measured("azure_loadbalancer_snatconnectioncount_total", range(21), connectionstate="Failed", **NAT)],
        [measured("azure_usedsnatports_average", [1019.0] * 9, **NAT), ROOM],
        [measured("stackdriver_nat_gateway_router_googleapis_com_nat_dropped_sent_packets_count", range(21), **NAT)],
    ],
)  # fmt: skip
def test_the_way_out_that_counts_its_own_failures_is_named_though_no_log_was_seen(series):
    found = [one for one in run(topology(*app("web"), series=series)) if one.cause == "outbound-connections-failing"]
    assert [str(one.subject) for one in found] == ["NatGateway nat-0a1"]
    assert "(SNAT)" in found[0].statement


@pytest.mark.parametrize(
    "series",
    [
        [measured("aws_natgateway_error_port_allocation_sum", [7.0] * 21, **NAT)],
        [measured("azure_loadbalancer_snatconnectioncount_total", range(21), connectionstate="Successful", **NAT)],
        [measured("azure_usedsnatports_average", [200.0] * 9, **NAT), ROOM],
        [measured("app_destination_failures_total", range(21))],
        [measured("aws_natgateway_packets_drop_count_sum", [float(n // 10) for n in range(21)], **NAT)],
    ],
)  # fmt: skip
def test_a_way_out_with_ports_to_spare_is_well(series):
    assert causes(app("web"), series=series) == []


@pytest.mark.parametrize(
    "said",
    [
        "ERROR listen tcp 10.0.0.9:6379: bind: cannot assign requested address",
        "INFO retrying: EADDRNOTAVAIL is handled by the pool",
    ],
)
def test_an_address_that_is_not_the_pods_own_is_no_lack_of_ports(said):
    objects = app("web")
    assert "local-ports-exhausted" not in causes(objects, [log(objects[2], lines(*[said] * 4))])


def test_a_policy_that_lets_dns_answers_be_read_has_learned_the_name():
    objects, logs = CASES["cilium-name-not-learned"][1]()
    dns = {"toPorts": [{"ports": [{"port": "53"}], "rules": {"dns": [{"matchPattern": "*"}]}}]}
    objects[-1]["spec"]["egress"].append(dns)
    assert "cilium-name-not-learned" not in causes(objects, logs)


def test_conditions_of_nodes_that_say_well_are_no_trouble_and_those_that_nobody_knows_neither():
    said = [
        told("Ready", "True"),
        told("StorageReady", "True"),
        told("KernelDeadlock", "False"),
        told("EtcdIsVoter", "True"),
        told("ReservedRoom", "False"),
    ]
    assert causes([*app("web"), node(conditions=said)]) == []


def test_an_old_pod_evicted_without_a_trace_of_when_is_past():
    objects = app("web")
    gone = obj("Pod", f"{objects[1]['metadata']['name']}-gone1", minutes=60 * 24)
    gone["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": objects[1]["metadata"]["name"], "controller": True}]
    gone["spec"] = {"containers": []}
    gone["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    assert causes([*objects, gone]) == []


@pytest.mark.parametrize(
    "line",
    [
        "W0504 failed to renew lease kube-system/x: timed out waiting for the condition",
        "bind: address already in use, trying port 8081",
        "WARN client sent unknown option --fast",
    ],
)
def test_what_a_program_says_and_goes_on_is_no_reason_to_end(line):
    objects = app("web", minutes=600)
    assert causes(objects, [log(objects[2], lines(*[line] * 3))]) == []


def test_a_node_that_is_about_to_leave_accounts_for_no_crash_of_now():
    said = [told("Ready", "True"), told("RebootScheduled", "True", minutes=600)]
    objects, logs = CASES["wrong-arguments"][1]()
    found = OfflineReasoner().diagnose(asked("why is web failing?"), observed(*objects, node(conditions=said), logs=logs))
    assert [one.finding.cause for one in found.causes][:1] == ["wrong-arguments"]


def test_a_node_in_trouble_accounts_for_nothing_on_other_nodes():
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(1)], node="node-2")
    ill = node("node-1", conditions=[told("Ready", "True"), told("DiskPressure", "True", minutes=600)])
    found = OfflineReasoner().diagnose(asked("why is web failing?"), observed(owner, set_, one, ill, node("node-2")))
    assert "node-pressure" not in [one.finding.cause for one in found.causes]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            'failed to resolve reference "registry.example.com/web:403": registry.example.com/web:403: not found',
            "image-tag-not-found",
        ),
        ("reading manifest 500 in quay.io/acme/web: manifest unknown", "image-tag-not-found"),
        (
            "unexpected status from HEAD request to https://r.example.com/v2/web/manifests/1: 403 Forbidden",
            "image-pull-unauthorized",
        ),
        ("unexpected status code 401", "image-pull-unauthorized"),
        ("received unexpected HTTP status: 503 Service Unavailable", "registry-unreachable"),
        ("some plugin of the runtime is out of order", ""),
    ],
)
def test_what_a_registry_says_is_not_mistaken_for_the_tag(said, cause):
    assert classify(said) == cause


def test_who_makes_no_connection_does_not_suffer_from_packets_that_are_too_large():
    objects = app("web")
    said = lines(*["ERROR POST https://pay.example.com/charge: dial tcp 203.0.113.5:443: i/o timeout"] * 8)
    series = [measured("node_netstat_Ip_ReasmFails", range(21), node="node-2")]
    assert causes([*objects, node(), node("node-2")], [log(objects[2], said)], series) == ["external-dependency-failing"]


@pytest.mark.parametrize(
    "said",
    [
        "dial tcp [::1]:5432: connect: cannot assign requested address",
        "Error 99 connecting to localhost:6379. Cannot assign requested address.",
    ],
)
def test_a_pod_without_ipv6_has_its_ports(said):
    objects = app("web")
    assert "local-ports-exhausted" not in causes(objects, [log(objects[2], lines(*[f"WARN {said}"] * 5))])
