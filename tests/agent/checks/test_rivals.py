"""Two who undo each other, certificates that are served, load balancers without a pod behind them, GPUs held back."""

from dataclasses import replace

import pytest

from agent.checks import run
from agent.domain.incident import Window
from agent.reasoning.offline import OfflineReasoner
from agent.stages.gather import read_metrics
from agent.toolsets.redaction import without_secrets
from agent.toolsets.snapshot import Snapshot, SnapshotCluster
from tests.agent.builders import (
    NOW,
    active,
    ago,
    app,
    asked,
    container,
    deployment,
    ended,
    lines,
    log,
    measured,
    obj,
    observed,
    pod,
    replica_set,
    told,
    topology,
)
from tests.agent.checks.cases import CASES, SERIES
from tests.agent.checks.cases_accelerators import dcgm, healthy_gpus
from tests.agent.checks.cases_rivals import behind_a_balancer, healing, quarrel, serving


def causes(*objects, logs=(), series=()):
    return active(run(topology(*objects, logs=logs, series=series)))


def found(cause, *objects, logs=(), series=()):
    return next(one for one in run(topology(*objects, logs=logs, series=series)) if one.cause == cause)


def test_who_wrote_the_template_is_named():
    said = found("changes-undone", *quarrel("2,4", "1,3,5")).statement
    assert "argocd-controller" in said
    assert "kubectl-edit" in said


def test_one_rollback_and_one_new_try_are_no_quarrel():
    assert causes(*quarrel("1", count=1)) == []


def test_turns_of_long_ago_are_no_quarrel():
    objects = [one for one in quarrel("2,4", "1,3,5") if one["kind"] != "Event"]
    assert causes(*objects) == []


def test_an_application_that_heals_itself_over_and_over_names_what_drifts():
    one = found("changes-undone", *app("web"), healing())
    assert one.subject.kind == "Application"
    assert [str(ref) for ref in one.affects] == ["ConfigMap shop/flags"]
    assert "changes-undone" not in causes(*app("web"), healing(tries=1))


@pytest.mark.parametrize(("days", "over"), [(-0.1, True), (20, False)])
def test_a_certificate_is_judged_by_its_public_part_which_is_all_that_is_kept(days, over):
    objects = [without_secrets(one) for one in serving(days=days)]
    secret = next(one for one in objects if one["kind"] == "Secret")

    assert set(secret["data"].values()) == {"REDACTED"}
    assert secret["certificate"]["names"] == ["shop.example.com", "*.cdn.example.com"]
    assert causes(*objects) == (["serving-certificate-expired"] if over else [])
    assert without_secrets(dict(secret)) == secret  # once more, as a snapshot is read


@pytest.mark.parametrize(
    ("host", "fits"), [("a.cdn.example.com", True), ("a.b.cdn.example.com", False), ("cdn.example.com", False)]
)
def test_a_wildcard_stands_for_one_label(host, fits):
    objects = [without_secrets(one) for one in serving(host=host)]
    assert causes(*objects) == ([] if fits else ["serving-certificate-unusable"])


def test_a_secret_that_nobody_serves_may_be_over():
    objects = [without_secrets(one) for one in serving(days=-3) if one["kind"] != "Ingress"]
    assert causes(*objects) == []


def test_what_the_controller_says_of_the_end_counts():
    said = 'W0504 11:59:00 7 controller.go:1] SSL certificate for server "shop.example.com" is about to expire ({} +0000 UTC)'
    controller = app("ingress-nginx", replicas=1)
    objects = [*serving(cert=False), *controller]
    assert causes(*objects, logs=[log(controller[2], lines(said.format("2026-05-04 11:00:00")))]) == [
        "serving-certificate-expired"
    ]
    assert causes(*objects, logs=[log(controller[2], lines(said.format("2026-05-08 11:00:00")))]) == []


def test_a_balancer_that_reaches_no_node_with_a_pod_is_found():
    one = found("traffic-policy-local", *behind_a_balancer())
    assert "node-1" in one.statement
    assert "excluded from load balancers" in one.statement


@pytest.mark.parametrize("rest", [{"left_out": False}, {"policy": "Cluster"}, {"target": "ip"}])
def test_nodes_without_a_pod_are_by_design(rest):
    assert causes(*behind_a_balancer(**rest)) == []


def test_a_caller_of_a_node_port_meets_no_pod_there():
    objects = behind_a_balancer(left_out=False)
    balanced = next(one for one in objects if one["kind"] == "Service")
    balanced["spec"]["ports"][0]["nodePort"] = 30080
    other = next(one for one in objects if one["metadata"]["name"] == "node-2")
    other["status"]["addresses"] = [{"type": "InternalIP", "address": "192.168.0.12"}]
    caller = app("probe", replicas=1)
    said = ["ERROR GET http://192.168.0.12:30080/: dial tcp 192.168.0.12:30080: i/o timeout"] * 6

    one = found("traffic-policy-local", *objects, *caller, logs=[log(caller[2], lines(*said))])

    assert "port 30080 of Node node-2" in one.statement


@pytest.mark.parametrize("bits", [0x0, 0x1, 0x4])
def test_a_gpu_that_idles_or_draws_all_the_power_it_may_works_as_designed(bits):
    assert causes(*healthy_gpus(), series=[dcgm("CLOCKS_EVENT_REASONS", *[float(bits)] * 20)]) == []


def test_link_errors_of_long_ago_are_no_fault_and_one_that_comes_is():
    assert causes(*healthy_gpus(), series=[dcgm("NVLINK_RECOVERY_ERROR_COUNT_TOTAL", *[9.0] * 40)]) == []
    late = dcgm("NVLINK_RECOVERY_ERROR_COUNT_TOTAL", *[9.0] * 30, *[10.0] * 10)
    assert causes(*healthy_gpus(), series=[late]) == ["gpu-link-failing"]


def late_tokens(after, waiting=2.0):
    where = {"pod": "web-00001abcde-axyz0"}
    counts = [30.0 * n for n in range(40)]
    sums = [0.3 * min(count, 600) + after * max(0.0, count - 600) for count in counts]
    return [
        measured("vllm:time_to_first_token_seconds_sum", sums, **where),
        measured("vllm:time_to_first_token_seconds_count", counts, **where),
        measured("vllm:num_requests_waiting", [waiting] * 40, **where),
    ]


def test_first_tokens_that_come_late_tell_of_a_queue_that_is_short():
    assert "after 6.0 s (before 0.3 s)" in found("inference-queue-growing", *app("web"), series=late_tokens(6)).statement
    assert causes(*app("web"), series=late_tokens(0.4)) == []


def test_spire_that_is_down_is_the_cause_of_identities_that_are_missing():
    objects = app("web", pod={"volumes": [{"name": "spiffe", "csi": {"driver": "csi.spiffe.io"}}]})
    agent = deployment("spire-agent", containers=[container(image="ghcr.io/spiffe/spire-agent:1.9")])
    server = deployment("spire-server", replicas=1, ready=0, containers=[container(image="ghcr.io/spiffe/spire-server:1.9")])
    set_ = replica_set(server, ready=0)
    down = pod(set_, ready=False, statuses=[ended(137, "OOMKilled")], minutes=30)
    said = ['level=error msg="could not fetch X509 SVID" error="PermissionDenied: no identity issued"'] * 3
    seen = observed(*objects, agent, server, set_, down, logs=[log(objects[2], lines(*said))])

    answer = OfflineReasoner().diagnose(asked("What is wrong in namespace shop?"), seen)

    assert [(one.finding.cause, one.finding.subject.name) for one in answer.causes] == [("oom-killed", "spire-server")]


async def test_every_metric_that_tells_of_a_cause_is_asked_for():
    """Causes that metrics tell of would never be seen where Prometheus is read, unless somebody asks for their series."""
    known = {one.name: one for series in SERIES.values() for one in series}
    known.pop("node_cpu_seconds_total")  # a series for each core and mode: the sum over the node's pods stands for it
    everywhere = [replace(one, labels={**one.labels, "namespace": "shop"}) for one in known.values()]
    metrics = SnapshotCluster(Snapshot(name="test", now=NOW, objects=(), series=tuple(everywhere)))
    start = min(one.samples[0][0] for one in everywhere)
    window = Window(start=NOW.fromtimestamp(start - 1, NOW.tzinfo), end=NOW)

    series, gaps = await read_metrics(["shop"], window, metrics=metrics)

    assert gaps == ()
    assert {one.name for one in everywhere} - {one.name for one in series} == set()


def test_somebody_who_edits_once_is_nobody_to_quarrel_with():
    objects = app("web")
    objects[0]["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "time": ago(5), "fieldsV1": {"f:spec": {"f:template": {}}}}
    ]
    assert causes(*objects, obj("ConfigMap", "other")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"conditions": [told("AllInjected", "True"), told("AllRecovered", "True")]},
        {"conditions": [told("Paused", "True"), told("AllInjected", "False")]},
        {"experiment": {"desiredPhase": "Run", "containerRecords": []}},
    ],
)
def test_an_experiment_that_is_over_paused_or_not_begun_is_no_fault(change):
    objects, _ = CASES["fault-injected"][1]()
    objects[-1]["status"] |= change
    assert "fault-injected" not in causes(*objects)


def test_a_route_that_injects_nothing_is_no_fault():
    route = {"route": [{"destination": {"host": "web"}}], "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 0}}}}
    mesh = obj("VirtualService", "web", api="networking.istio.io/v1", spec={"hosts": ["web"], "http": [route]})
    assert causes(*app("web"), mesh) == []
    route["fault"]["abort"]["percentage"]["value"] = 50
    assert causes(*app("web"), mesh) == ["fault-injected"]


def test_another_name_for_a_host_that_resolves_is_no_fault():
    alias = obj("Service", "billing", spec={"type": "ExternalName", "externalName": "billing.example.com"})
    assert causes(*app("web"), alias) == []


def test_a_server_that_tells_of_a_clients_slip_is_not_the_one_that_made_it():
    server = app("db", containers=[container(image="postgres:16")])
    assert causes(*server, logs=[log(server[2], lines('FATAL:  database "ordrs" does not exist'))]) == []


def test_a_configuration_that_a_server_cannot_read_is_told_with_its_place():
    said = 'nginx: [emerg] unknown directive "prox_pass" in /etc/nginx/conf.d/default.conf:7'
    owner = deployment("edge", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(1)], minutes=20)
    assert "default.conf:7" in found("configuration-invalid", owner, set_, one, logs=[log(one, lines(said))]).statement
