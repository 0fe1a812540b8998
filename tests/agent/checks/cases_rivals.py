"""Incidents of two who undo each other, of certificates that are served, of nodes left out, and of GPUs that are held back."""

from datetime import timedelta
from typing import Any

from tests.agent.builders import NOW, ago, app, custom, event, lines, log, measured, node, obj, told
from tests.agent.certificates import bundle
from tests.agent.checks.cases import World, case
from tests.agent.machines import dcgm, gpu_node, plugin, using

Object = dict[str, Any]
HISTORY = "deployment.kubernetes.io/revision-history"


def quarrel(*histories: str, count: int = 2) -> list[Object]:
    """A Deployment whose two ReplicaSets were the newest in turns."""
    objects = app("web")
    newest = objects[1]
    older = {**newest, "metadata": {**newest["metadata"], "name": "web-00000older", "uid": "older"}}
    older["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "7"}
    for one, history in zip((newest, older), histories, strict=False):
        one["metadata"]["annotations"] = {**one["metadata"]["annotations"], HISTORY: history}
    older |= {"spec": {**older["spec"], "replicas": 0}, "status": {"replicas": 0}}
    names = (newest["metadata"]["name"], "web-00000older")
    said = [event(objects[0], "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 1", kind="Normal", count=count)
            for name in names]  # fmt: skip
    wrote = [{"manager": who, "time": ago(5), "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}}}
             for who in ("argocd-controller", "kubectl-edit")]  # fmt: skip
    objects[0]["metadata"]["managedFields"] = wrote
    return [*objects, older, *said]


@case("changes-undone", "Deployment/web")
def _() -> World:
    return quarrel("2,4", "1,3,5"), []


def healing(*, tries: int = 6) -> Object:
    sync = {"revision": "abc", "selfHealAttemptsCount": tries}
    return custom(
        "Application", "shop", api="argoproj.io/v1alpha1", namespace="argocd",
        spec={"syncPolicy": {"automated": {"selfHeal": True}}, "destination": {"namespace": "shop"}},
        status={"operationState": {"phase": "Succeeded", "operation": {"sync": sync}}, "sync": {"status": "Synced"},
                "health": {"status": "Healthy"},
                "resources": [{"kind": "ConfigMap", "namespace": "shop", "name": "flags", "status": "OutOfSync"}]},
    )  # fmt: skip


def serving(*, host: str = "shop.example.com", days: float = 30, cert: bool = True) -> list[Object]:
    """A web shop behind an Ingress with a certificate."""
    data = {"tls.crt": bundle("shop", ends=NOW + timedelta(days=days), names=("shop.example.com", "*.cdn.example.com"))}
    data["tls.key"] = "UkVEQUNURUQ="
    rule = {"host": host, "http": {"paths": [{"path": "/", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}
    spec = {"ingressClassName": "nginx", "tls": [{"hosts": [host], "secretName": "shop-tls"}], "rules": [rule]}
    return [
        *app("web"),
        obj("IngressClass", "nginx", api="networking.k8s.io/v1", namespace=""),
        obj("Ingress", "web", api="networking.k8s.io/v1", spec=spec),
        obj("Secret", "shop-tls", type="kubernetes.io/tls", data=data if cert else {}),
    ]


@case(
    "serving-certificate-expired",
    "Secret/shop-tls",
    series=[
        measured(
            "nginx_ingress_controller_ssl_expire_time_seconds",
            [NOW.timestamp() - 3600] * 5,
            secret_name="shop-tls",
            host="shop.example.com",
        )
    ],
)
def _() -> World:
    return serving(cert=False), []


@case("serving-certificate-unusable", "Secret/shop-tls")
def _() -> World:
    said = (
        'W0504 11:59:00.000000 7 controller.go:1200] Unexpected error validating SSL certificate "shop/shop-tls" for server'
        ' "shop.example.com": x509: certificate is valid for old.example.com, not shop.example.com'
    )
    controller = app("ingress-nginx", replicas=1)
    return [*serving(cert=False), *controller], [log(controller[2], lines(said))]


@case("gpu-held-back", "Node/node-1", series=[dcgm("CLOCK_THROTTLE_REASONS", *[0.0] * 10, *[float(0x40)] * 10)])
def _() -> World:
    return [gpu_node(), *plugin(), *using()], []


@case("gpu-link-failing", "Node/node-1", series=[dcgm("PCIE_REPLAY_COUNTER", *[10.0 * n for n in range(30)])])
def _() -> World:
    return [gpu_node(), *plugin(), *using()], []


def behind_a_balancer(*, left_out: bool = True, policy: str = "Local", target: str = "") -> list[Object]:
    objects = app("web")
    labels = {"node.kubernetes.io/exclude-from-external-load-balancers": ""} if left_out else {}
    objects[-1]["spec"] |= {"type": "LoadBalancer", "externalTrafficPolicy": policy}
    objects[-1]["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    if target:
        objects[-1]["metadata"]["annotations"] = {"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": target}
    return [node("node-1", labels=labels), node("node-2"), *objects]


@case("fault-injected", "NetworkChaos/web-delay")
def _() -> World:
    objects = app("web")
    records = [{"id": f"shop/{objects[2]['metadata']['name']}/app", "phase": "Injected", "selectorKey": "."}]
    return [
        *objects,
        custom(
            "NetworkChaos", "web-delay", told("AllInjected", "True"), told("AllRecovered", "False"),
            api="chaos-mesh.org/v1alpha1", spec={"action": "delay"},
            status={"experiment": {"desiredPhase": "Run", "containerRecords": records}},
        ),
    ], []  # fmt: skip


@case("external-name-unresolved", "Service/billing")
def _() -> World:
    objects = app("web")
    said = "ERROR dial tcp: lookup billing on 10.96.0.10:53: no such host"
    return [*objects, obj("Service", "billing", spec={"type": "ExternalName", "externalName": "billing.exmaple.net"})], [
        log(objects[2], lines(said, said))
    ]


@case("database-missing", "Deployment/web")
def _() -> World:
    objects = app("web")
    return objects, [log(objects[2], lines('ERROR FATAL:  database "ordrs" does not exist'))]
