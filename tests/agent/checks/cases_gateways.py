"""Incidents of the way in: Gateway API, Ingress, load balancers, slices, readiness gates; and of the pods' own network."""

from typing import Any

from tests.agent.builders import ago, app, container, event, lines, log, node, obj, service, waiting
from tests.agent.checks.cases import World, case, stuck

API = "gateway.networking.k8s.io/v1"


def gateway_class(*, accepted: str = "True") -> dict[str, Any]:
    told = [
        {
            "type": "Accepted",
            "status": accepted,
            "reason": "Waiting",
            "message": "Waiting for controller",
            "lastTransitionTime": ago(50),
        }
    ]
    spec = {"controllerName": "example.com/gateway"}
    return obj("GatewayClass", "envoy", api=API, namespace="", spec=spec, status={"conditions": told})


def listener(name: str = "http", **rest: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, "protocol": "HTTP", **rest}


def gateway(*listeners: dict[str, Any], cls: str = "envoy", programmed: str = "True", namespace: str = "shop") -> dict[str, Any]:
    said = {
        "type": "Programmed",
        "status": programmed,
        "reason": "AddressNotAssigned",
        "message": "no address",
        "lastTransitionTime": ago(20),
    }
    spec = {"gatewayClassName": cls, "listeners": list(listeners or [listener()])}
    return obj("Gateway", "edge", api=API, namespace=namespace, spec=spec, status={"conditions": [said]})


def route(*, parent: dict[str, Any] | None = None, to: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    backend = to or {"name": "web", "port": 80}
    rules = [{"backendRefs": [backend]}]
    return obj("HTTPRoute", "front", api=API, spec={"parentRefs": [parent or {"name": "edge"}], "rules": rules, **spec})


def way_in(*more: dict[str, Any]) -> World:
    return [*app("web"), *more], []


@case("gateway-class-missing", "Gateway/edge")
def _() -> World:
    return way_in(gateway_class(), gateway(cls="envoi"), route())


@case("gateway-class-not-accepted", "GatewayClass/envoy")
def _() -> World:
    return way_in(gateway_class(accepted="Unknown"), gateway(), route())


@case("gateway-certificate-missing", "Gateway/edge")
def _() -> World:
    secure = listener("https", tls={"certificateRefs": [{"name": "cert"}]})
    return way_in(gateway_class(), gateway(secure), route())


@case("gateway-not-programmed", "Gateway/edge")
def _() -> World:
    return way_in(gateway_class(), gateway(programmed="False"), route())


@case("route-parent-missing", "HTTPRoute/front")
def _() -> World:
    return way_in(gateway_class(), gateway(), route(parent={"name": "edges"}))


@case("route-not-accepted", "HTTPRoute/front")
def _() -> World:
    far = gateway(namespace="infra")
    return way_in(gateway_class(), far, route(parent={"name": "edge", "namespace": "infra"}))


@case("route-backend-missing", "HTTPRoute/front")
def _() -> World:
    return way_in(gateway_class(), gateway(), route(to={"name": "wed", "port": 80}))


@case("reference-grant-missing", "HTTPRoute/front")
def _() -> World:
    far = service("pay")
    far["metadata"]["namespace"] = "data"
    return way_in(gateway_class(), gateway(), far, route(to={"name": "pay", "namespace": "data", "port": 80}))


@case("load-balancer-pending", "Service/web")
def _() -> World:
    objects = app("web")
    objects[-1]["spec"]["type"] = "LoadBalancer"
    said = "Error syncing load balancer: failed to ensure load balancer: quota exceeded for public addresses"
    return [*objects, event(objects[-1], "SyncLoadBalancerFailed", said)], []


@case("traffic-policy-local", "Service/api")
def _() -> World:
    caller, target = app("web"), app("api")
    target[-1]["spec"]["internalTrafficPolicy"] = "Local"
    for one in target:
        if one["kind"] == "Pod":
            one["spec"]["nodeName"] = "node-2"
    return [*caller, *target, node("node-1"), node("node-2")], [
        log(caller[2], lines(*['ERROR Get "http://api/x": dial tcp: i/o timeout'] * 4))
    ]


@case("endpoints-stale", "Service/web")
def _() -> World:
    objects = app("web")
    for number, one in enumerate(one for one in objects if one["kind"] == "Pod"):
        one["status"]["podIP"] = f"10.1.0.{number + 2}"
    labels = {"kubernetes.io/service-name": "web"}
    old = obj("EndpointSlice", "web-1", metadata={"labels": labels}, addressType="IPv4", endpoints=[{"addresses": ["10.1.9.9"]}])
    return [*objects, old], []


@case("readiness-gate-unmet", "Deployment/web")
def _() -> World:
    objects = app("web", pod={"readinessGates": [{"conditionType": "target-health.example.com/lb"}]})
    for one in objects:
        if one["kind"] == "Pod":
            said = {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "lastTransitionTime": ago(9)}
            one["status"]["conditions"] = [said, {"type": "ContainersReady", "status": "True"}]
    objects[0]["status"]["readyReplicas"] = 0
    return objects, []


def ingress(name: str, to: str, *, minutes: float = 60, **spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": to, "port": {"number": 80}}}
    rules = [{"host": "shop.example.com", "http": {"paths": [{"path": "/", "backend": backend}]}}]
    return obj(
        "Ingress", name, api="networking.k8s.io/v1", minutes=minutes, spec={"ingressClassName": "nginx", "rules": rules, **spec}
    )


@case("ingress-host-conflict", "Ingress/second")
def _() -> World:
    return [*app("web"), *app("api"), ingress("first", "web", minutes=90), ingress("second", "api")], []


NO_IP = (
    'Failed to create pod sandbox: plugin type="host-local" failed (add): failed to allocate for range 0:'
    " no IP addresses available in range set: 10.1.0.1-10.1.0.254"
)


@case("pod-addresses-exhausted", "Node/node-1")
def _() -> World:
    objects, logs = stuck(waiting("ContainerCreating"), ("FailedCreatePodSandBox", NO_IP))
    return [*objects, node()], logs


@case("network-plugin-not-ready", "Node/node-1")
def _() -> World:
    said = "network is not ready: NetworkReady=false message:Network plugin returns error: cni plugin not initialized"
    objects, logs = stuck(waiting("ContainerCreating"), ("NetworkNotReady", said))
    return [*objects, node()], logs


@case("pod-network-failing", "Node/node-1")
def _() -> World:
    said = 'Failed to create pod sandbox: plugin type="bridge" failed (add): could not set bridge: operation not permitted'
    objects, logs = stuck(waiting("ContainerCreating"), ("FailedCreatePodSandBox", said), containers=[container()])
    return [*objects, node()], logs
