"""Incidents of names: the cluster's DNS is down, misconfigured or cut off; pods ask the wrong server, wrongly, or too early."""

from typing import Any

from agent.domain.objects import ContainerLog
from tests.agent.builders import ago, app, container, deployment, event, lines, log, obj, pod, replica_set
from tests.agent.checks.cases import World, case
from tests.agent.series import measured

NOT_FOUND = "ERROR dial tcp: lookup api on 169.254.169.253:53: no such host"
CONFIG = {"name": "config", "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}}


def dns(*, ready: bool = True, minutes: float = 30) -> list[dict[str, Any]]:
    """CoreDNS as clusters run it, with its Service and configuration."""
    labels = {"k8s-app": "kube-dns"}
    box = container(
        "coredns", image="registry.k8s.io/coredns:1.12", ports=[{"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    )
    owner = deployment("coredns", labels=labels, containers=[box], pod={"volumes": [CONFIG]}, ready=None if ready else 0)
    set_ = replica_set(owner)
    ports = [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"}]
    svc = obj(
        "Service", "kube-dns", metadata={"labels": labels}, spec={"selector": labels, "ports": ports, "clusterIP": "10.96.0.10"}
    )
    edited = [{"manager": "kubectl-edit", "time": ago(minutes), "fieldsV1": {"f:data": {}}}]
    config = obj(
        "ConfigMap",
        "coredns",
        metadata={"managedFields": edited},
        data={"Corefile": ".:53 {\n    forward . /etc/resolv.conf\n}\n"},
    )
    found = [owner, set_, pod(set_, ready=ready, since=20), svc, config]
    for one in found:
        one["metadata"]["namespace"] = "kube-system"
    return found


def coredns_says(*words: str, ready: bool = True) -> World:
    objects = [*app("web"), *dns(ready=ready)]
    one = next(each for each in objects if each["kind"] == "Pod" and each["metadata"]["namespace"] == "kube-system")
    return objects, [log(one, lines(*words), container="coredns")]


def asking(said: str = NOT_FOUND, **pod_spec: Any) -> tuple[list[dict[str, Any]], list[ContainerLog]]:
    """`web` looks for `api` in vain; the cluster's DNS works."""
    objects = app("web", pod=pod_spec)
    return [*objects, *app("api"), *dns()], [log(objects[2], lines(*[said] * 5))]


@case("cluster-dns-down", "Deployment/coredns")
def _() -> World:
    objects = app("web")
    said = "ERROR getaddrinfo EAI_AGAIN api"
    return [*objects, *app("api"), *dns(ready=False)], [log(objects[2], lines(*[said] * 5))]


@case("dns-misconfigured", "ConfigMap/coredns")
def _() -> World:
    return coredns_says("/etc/coredns/Corefile:6 - Error during parsing: Unknown directive 'forwardd'", ready=False)


@case("dns-loop", "ConfigMap/coredns")
def _() -> World:
    return coredns_says(
        '[FATAL] plugin/loop: Loop (127.0.0.1:55953 -> :53) detected for zone ".", see https://coredns.io', ready=False
    )


UPSTREAM = "[ERROR] plugin/errors: 2 pay.example.com. A: read udp 10.1.0.4:5353->192.0.2.53:53: i/o timeout"


@case("dns-upstream-failing", "Deployment/coredns", question="Is DNS in kube-system well?")
def _() -> World:
    return coredns_says(*[UPSTREAM] * 5)


@case("pod-dns-policy", "Deployment/web")
def _() -> World:
    return asking(hostNetwork=True)


@case("dns-ndots-too-low", "Deployment/web")
def _() -> World:
    return asking("ERROR getaddrinfo ENOTFOUND api.shop", dnsConfig={"options": [{"name": "ndots", "value": "1"}]})


def stateful(*, publishes: bool = False, service: str = "db") -> list[dict[str, Any]]:
    """A StatefulSet of two under a headless Service, not ready."""
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [container()]}}
    owner = obj("StatefulSet", "db", api="apps/v1", spec={"replicas": 2, "serviceName": service, "template": template}, status={})
    pods = [pod(owner, number=number, ready=False, since=9, minutes=10) for number in range(2)]
    spec = {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 5432}], "publishNotReadyAddresses": publishes}
    return [owner, *pods, obj("Service", "db", spec=spec)]


@case("headless-peers-unready", "Service/db")
def _() -> World:
    objects = stateful()
    return [*objects, *dns()], [log(objects[1], lines(*["ERROR getaddrinfo ENOTFOUND db-1.db"] * 5))]


@case("headless-service-missing", "StatefulSet/db")
def _() -> World:
    return stateful(service="db-headless"), []


@case("dns-config-too-long", "Deployment/web")
def _() -> World:
    servers = {"nameservers": ["1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4"]}
    objects = app("web", pod={"dnsPolicy": "None", "dnsConfig": servers})
    said = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1"
    return [*objects, event(objects[2], "DNSConfigForming", said)], []


STORM = [
    measured("coredns_dns_responses_total", *range(0, 1000, 50), *range(1000, 21000, 1000), rcode="NXDOMAIN"),
    measured("coredns_dns_responses_total", *range(0, 4000, 100), rcode="NOERROR"),
]


@case("nxdomain-storm", "Service/kube-dns", series=STORM, question="Is DNS in kube-system well?")
def _() -> World:
    return [*app("web"), *dns()], []
