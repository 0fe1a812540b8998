"""Incidents of the control plane: scheduler, controller manager, etcd, API server, certificates, versions that are not served."""

from datetime import timedelta
from typing import Any

from tests.agent.builders import NOW, ago, app, container, deployment, lines, log, node, obj, pod, replica_set
from tests.agent.certificates import pem
from tests.agent.checks.cases import World, case
from tests.agent.series import measured


def lease(name: str, *, minutes: float = 10) -> dict[str, Any]:
    spec = {"holderIdentity": "cp-1_4f", "leaseDurationSeconds": 15, "renewTime": ago(minutes).replace("Z", ".000000Z")}
    return obj("Lease", name, api="coordination.k8s.io/v1", namespace="kube-system", spec=spec)


def unplaced_pod() -> list[dict[str, Any]]:
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=10)
    one["status"]["conditions"] = []
    return [owner, set_, one]


def saying(words: str, *names: str, times: int = 6) -> World:
    """Healthy workloads whose logs all say it."""
    objects, logs = [], []
    for name in names:
        mine = app(name)
        objects += mine
        logs.append(log(mine[2], lines(*[words] * times)))
    return objects, logs


def etcd() -> dict[str, Any]:
    owners = [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "controller": True}]
    found = obj("Pod", "etcd-node-1", namespace="kube-system", metadata={"ownerReferences": owners})
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {**found, "spec": {"nodeName": "node-1", "containers": [container("etcd")]}, "status": ready}


@case("scheduler-down", "Lease/kube-scheduler")
def _() -> World:
    return [*unplaced_pod(), lease("kube-scheduler")], []


@case("controller-manager-down", "Lease/kube-controller-manager")
def _() -> World:
    objects = app("web")
    objects[0]["metadata"]["generation"] = 2
    return [*objects, lease("kube-controller-manager")], []


@case("controller-behind", "Deployment/web")
def _() -> World:
    objects = app("web")
    objects[0]["metadata"]["generation"] = 2
    return objects, []


@case("apiserver-unreachable", "Service/kubernetes")
def _() -> World:
    return saying('ERROR Get "https://kubernetes.default.svc:443/api/v1/pods": dial tcp 10.96.0.1:443: i/o timeout', "web", "api")


@case("api-throttled", "Service/kubernetes")
def _() -> World:
    return saying("ERROR the server has received too many requests and has asked us to try again later (get pods)", "web", "api")


@case("etcd-full", "Service/kubernetes")
def _() -> World:
    return saying("ERROR rpc error: code = ResourceExhausted desc = etcdserver: mvcc: database space exceeded", "web", "api")


@case("etcd-no-leader", "Service/kubernetes")
def _() -> World:
    return saying("ERROR rpc error: code = Unavailable desc = etcdserver: no leader", "web", "api")


@case("etcd-disk-slow", "Service/kubernetes")
def _() -> World:
    return saying("ERROR rpc error: code = Unavailable desc = etcdserver: request timed out", "web", "api")


@case("api-version-removed", "Deployment/web")
def _() -> World:
    return saying('ERROR no matches for kind "PodDisruptionBudget" in version "policy/v1beta1"', "web")


OLD = [
    measured("apiserver_requested_deprecated_apis", 1, 1, 1, group="policy", version="v1beta1", resource="podsecuritypolicies",
             removed_release="1.34"),
]  # fmt: skip


@case("api-version-going-away", "Service/kubernetes", series=OLD, question="What is wrong in the cluster?")
def _() -> World:
    made = node()
    made["status"]["nodeInfo"] = {"kubeletVersion": "v1.33.4"}
    return [*app("web"), made], []


@case("cluster-ca-expired", "ConfigMap/kube-root-ca.crt")
def _() -> World:
    return [
        *app("web"),
        obj("ConfigMap", "kube-root-ca.crt", data={"ca.crt": pem("kubernetes", ends=NOW - timedelta(days=1))}),
    ], []


BUCKET = "apiserver_client_certificate_expiration_seconds_bucket"


ENDING = [measured(BUCKET, 0, 0, 4, 9, le="86400")]


@case("client-certificate-expiring", "Service/kubernetes", series=ENDING, question="What is wrong in the cluster?")
def _() -> World:
    return app("web"), []


@case("kubelet-csr-pending", "Node/node-1")
def _() -> World:
    spec = {"signerName": "kubernetes.io/kubelet-serving", "username": "system:node:node-1"}
    return [*app("web"), obj("CertificateSigningRequest", "csr-x", namespace="", spec=spec, minutes=30)], []
