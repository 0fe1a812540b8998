"""The control plane: whom its leases, words and metrics accuse, who has to say it to be believed, and what is ordinary."""

from datetime import timedelta

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from agent.signals.readings import growth, last, quantile
from tests.agent.builders import NOW, active, ago, app, asked, event, lines, log, obj, observed, topology
from tests.agent.certificates import pem
from tests.agent.checks.cases_controlplane import etcd, lease, saying, unplaced_pod
from tests.agent.series import measured


def found(objects, logs=(), series=()):
    seen = run(topology(*objects, logs=logs, series=list(series)))
    return {one.cause: one for one in seen if one.state == "active" and not one.symptom_only}


def test_a_lease_that_is_renewed_accuses_nobody():
    fresh = [lease("kube-scheduler", minutes=0.2), lease("kube-controller-manager", minutes=0.5)]
    assert found([*app("web"), *fresh]) == {}


def test_a_stale_lease_names_the_schedulers_own_pod_where_there_is_one():
    owners = [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "controller": True}]
    own = obj("Pod", "kube-scheduler-node-1", namespace="kube-system", metadata={"ownerReferences": owners})
    finding = found([*unplaced_pod(), lease("kube-scheduler"), own])["scheduler-down"]

    assert str(finding.subject) == "Pod kube-system/kube-scheduler-node-1"
    assert "renewed last at 2026-05-04 11:50:00Z" in finding.statement
    assert "Deployment shop/web waits to be placed" in finding.statement


def test_pods_that_no_scheduler_has_spoken_of_tell_of_it_without_a_lease():
    assert "has not said a word" in found(unplaced_pod())["scheduler-down"].statement


@pytest.mark.parametrize("change", ["told", "event", "new", "other-scheduler", "events-unseen", "lease-fresh"])
def test_pods_that_wait_for_another_reason_do_not(change):
    objects = unplaced_pod()
    one, unseen = objects[-1], {}
    match change:
        case "told":
            one["status"]["conditions"] = [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}
            ]
        case "event":
            objects.append(event(one, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."))
        case "new":
            one["metadata"]["creationTimestamp"] = ago(1)
        case "other-scheduler":
            one["spec"]["schedulerName"] = "mine"
        case "events-unseen":
            unseen = {"Event": "no rights"}
        case "lease-fresh":
            objects.append(lease("kube-scheduler", minutes=0.1))
    assert "scheduler-down" not in {one.cause for one in run(topology(*objects, unseen=unseen))}


def test_a_scheduler_that_is_down_concerns_a_question_about_any_namespace():
    objects = [*app("web"), lease("kube-scheduler")]
    diagnosis = OfflineReasoner().diagnose(asked("What is wrong in namespace shop?"), observed(*objects))
    assert [one.finding.cause for one in diagnosis.causes] == ["scheduler-down"]


def test_a_controller_that_looked_or_has_only_just_been_asked_is_not_behind():
    objects = app("web")
    objects[0]["metadata"]["generation"] = 2
    objects[0]["metadata"]["managedFields"] = [{"manager": "kubectl", "time": ago(1), "fieldsV1": {"f:spec": {}}}]
    assert found(objects) == {}
    objects[0]["metadata"]["managedFields"][0]["time"] = ago(20)
    objects[0]["status"]["observedGeneration"] = 2
    assert found(objects) == {}


def test_a_controller_manager_that_is_down_explains_what_is_behind():
    objects = app("web")
    objects[0]["metadata"]["generation"] = 2
    diagnosis = OfflineReasoner().diagnose(
        asked("why is web not updated?"), observed(*objects, lease("kube-controller-manager", minutes=70))
    )
    assert [one.finding.cause for one in diagnosis.causes] == ["controller-manager-down"]


FULL = "ERROR rpc error: etcdserver: mvcc: database space exceeded"


def test_one_application_alone_is_not_believed_about_the_cluster():
    assert "etcd-full" not in found(*saying(FULL, "web"))
    assert "etcd-full" in found(*saying(FULL, "web", "api"))


def test_etcds_own_pod_is_believed_and_named():
    objects = [*app("web"), etcd()]
    finding = found(objects, [log(etcd(), lines(FULL), container="etcd")])["etcd-full"]
    assert str(finding.subject) == "Pod kube-system/etcd-node-1"


def test_words_of_long_ago_are_not_told():
    objects, logs = saying("x", "web", "api")
    old = [log(one, lines(FULL, minutes=90)) for one in objects if one["kind"] == "Pod"]
    assert logs
    assert found(objects, old) == {}


@pytest.mark.parametrize(
    ("series", "cause"),
    [
        ([measured("etcd_server_has_leader", 1, 1, 0, instance="a")], "etcd-no-leader"),
        ([measured("etcd_mvcc_db_total_size_in_bytes", 7.9e9), measured("etcd_server_quota_backend_bytes", 8e9)], "etcd-full"),
        ([measured("up", 1, 0, job="apiserver")], "apiserver-unreachable"),
        ([measured("apiserver_flowcontrol_rejected_requests_total", 0, 40, 90, priority_level="workload-low")], "api-throttled"),
        ([measured("apiserver_client_certificate_expiration_seconds_bucket", 5, 9, le="3600")], "client-certificate-expiring"),
    ],
)
def test_what_metrics_alone_tell(series, cause):
    assert list(found(app("web"), series=series)) == [cause]


@pytest.mark.parametrize(
    "series",
    [
        [measured("etcd_server_has_leader", 0, 1, 1)],
        [measured("etcd_mvcc_db_total_size_in_bytes", 2e9), measured("etcd_server_quota_backend_bytes", 8e9)],
        [measured("etcd_mvcc_db_total_size_in_bytes", 2e9)],
        [measured("up", 1, 0, job="apiserver", instance="a"), measured("up", 1, 1, job="apiserver", instance="b")],
        [measured("apiserver_flowcontrol_rejected_requests_total", 900, 900, 901)],
        [measured("apiserver_client_certificate_expiration_seconds_bucket", 5, 5, le="3600")],
        [measured("apiserver_client_certificate_expiration_seconds_bucket", 5, 50, le="7.776e+06")],
        [measured("etcd_server_has_leader", float("nan"))],
    ],
)
def test_what_metrics_of_a_healthy_control_plane_look_like(series):
    assert found(app("web"), series=series) == {}


def wal(slow):
    name = "etcd_disk_wal_fsync_duration_seconds_bucket"
    counts = {"0.004": 0 if slow else 990, "0.128": 0 if slow else 1000, "0.512": 1000, "+Inf": 1000}
    return [measured(name, 0, count, le=bound) for bound, count in counts.items()]


def test_a_slow_disk_of_etcd_by_its_histogram():
    finding = found(app("web"), series=wal(slow=True))["etcd-disk-slow"]
    assert "99th percentile" in finding.statement
    assert found(app("web"), series=wal(slow=False)) == {}


def test_numbers_out_of_series():
    assert growth(measured("x", 1, 5, 2, 4)) == 4 + 2 + 2  # it began anew at 2
    assert growth(measured("x", *range(0, 400, 10)), ending=600) == 190
    assert last(measured("x", 1, 2, float("nan"))) == 2
    assert last(measured("x")) is None
    assert quantile([], 0.99) is None
    assert quantile([measured("b", 0, 50, le="1"), measured("b", 0, 100, le="2"), measured("b", 0, 100, le="+Inf")], 0.75) == 1.5


def test_one_workload_that_cannot_reach_the_api_server_may_be_its_own_fault():
    said = 'ERROR Get "https://kubernetes.default.svc:443/api": dial tcp: connect: connection refused'
    assert "apiserver-unreachable" not in found(*saying(said, "web"))
    assert "apiserver-unreachable" in found(*saying(said, "web", "api"))


def test_a_certificate_authority_that_holds():
    held = obj("ConfigMap", "kube-root-ca.crt", data={"ca.crt": pem("kubernetes", ends=NOW + timedelta(days=900))})
    assert found([*app("web"), held]) == {}
    assert found([*app("web"), obj("ConfigMap", "kube-root-ca.crt", data={"ca.crt": "nonsense"})]) == {}


@pytest.mark.parametrize(
    ("minutes", "status", "signer", "told"),
    [
        (30, {}, "kubelet-serving", True),
        (30, {"conditions": [{"type": "Approved"}, {"type": "Failed"}]}, "kube-apiserver-client-kubelet", True),
        (1, {}, "kubelet-serving", False),
        (30, {"certificate": "x", "conditions": [{"type": "Approved"}]}, "kubelet-serving", False),
        (30, {"conditions": [{"type": "Denied"}]}, "kubelet-serving", False),
        (30, {}, "legacy-unknown", False),
    ],
)
def test_signing_requests_of_kubelets(minutes, status, signer, told):
    spec = {"signerName": f"kubernetes.io/{signer}", "username": "system:node:node-1"}
    request = obj("CertificateSigningRequest", "csr-1", namespace="", spec=spec, status=status, minutes=minutes)
    assert ("kubelet-csr-pending" in found([*app("web"), request])) is told


def test_a_claim_that_nobody_uses_or_that_was_just_deleted():
    gone = {"deletionTimestamp": ago(30), "finalizers": ["kubernetes.io/pvc-protection"]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    assert "claim-still-used" not in found([obj("PersistentVolumeClaim", "data", metadata=gone)])
    new = {**gone, "deletionTimestamp": ago(2)}
    assert "claim-still-used" not in found(
        [*app("web", pod={"volumes": volumes}), obj("PersistentVolumeClaim", "data", metadata=new)]
    )


def test_odd_leases_and_requests_do_not_break_it():
    odd = [
        obj("Lease", "kube-scheduler", namespace="kube-system", spec={"renewTime": "soon", "leaseDurationSeconds": "x"}),
        obj("Lease", "kube-controller-manager", namespace="kube-system"),
        obj("CertificateSigningRequest", "c", namespace="", spec=None, status=[]),
        obj("APIService", "a", namespace="", spec={"service": 5}, status={"conditions": [None]}),
    ]
    assert active(run(topology(*app("web"), *odd))) == []
