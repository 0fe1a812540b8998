"""Edges that no spec states: what selects, limits, binds, grants and carries an object; addresses; calls that logs speak of."""

from agent.domain.objects import Ref
from agent.topology.calls import hosts_in_log
from tests.agent.builders import app, container, deployment, lines, log, node, obj, pod, replica_set, service, topology

WEB = Ref("Deployment", "shop", "web")
RBAC = "rbac.authorization.k8s.io/v1"
GATEWAY = "gateway.networking.k8s.io/v1"


def needs(source, *objects, logs=()):
    return topology(*objects, logs=logs).depends_on(source)


def test_a_workload_is_held_by_policies_that_select_it_and_by_limit_ranges():
    mine = obj("NetworkPolicy", "mine", spec={"podSelector": {"matchLabels": {"app": "web"}}})
    other = obj("NetworkPolicy", "other", spec={"podSelector": {"matchLabels": {"app": "api"}}})
    needed = needs(WEB, *app("web"), mine, other, obj("LimitRange", "sizes"))

    assert {Ref("NetworkPolicy", "shop", "mine"), Ref("LimitRange", "shop", "sizes")} <= needed
    assert Ref("NetworkPolicy", "shop", "other") not in needed


def test_a_workload_stands_on_the_bindings_and_roles_of_its_account():
    subjects = [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}]
    bound = obj("RoleBinding", "reading", api=RBAC, roleRef={"kind": "Role", "name": "reader"}, subjects=subjects)
    account = obj("ServiceAccount", "web", imagePullSecrets=[{"name": "pull"}])
    needed = needs(WEB, *app("web", pod={"serviceAccountName": "web"}), account, bound, obj("Role", "reader", api=RBAC))

    names = {("RoleBinding", "reading"), ("Role", "reader"), ("Secret", "pull"), ("ServiceAccount", "web")}
    assert names <= {(one.kind, one.name) for one in needed}


def test_a_service_stands_on_its_slices_and_they_on_their_pods():
    labels = {"kubernetes.io/service-name": "manual"}
    objects = app("web")
    target = {"kind": "Pod", "namespace": "shop", "name": objects[2]["metadata"]["name"]}
    slice_ = obj("EndpointSlice", "manual-1", metadata={"labels": labels}, endpoints=[{"targetRef": target}])
    bare = service("manual")
    bare["spec"].pop("selector")
    needed = needs(Ref("Service", "shop", "manual"), *objects, bare, slice_)

    assert {WEB, Ref("EndpointSlice", "shop", "manual-1")} <= needed


def test_a_claim_or_ingress_without_a_class_stands_on_the_default_one():
    yes = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    also = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    classes = [obj("StorageClass", "fast", namespace="", metadata=yes), obj("StorageClass", "slow", namespace="")]
    classes.append(obj("IngressClass", "nginx", namespace="", metadata=also))
    objects = [*classes, obj("PersistentVolumeClaim", "data", spec={}), obj("Ingress", "front", spec={})]

    assert needs(Ref("PersistentVolumeClaim", "shop", "data"), *objects) == {Ref("StorageClass", "", "fast")}
    assert needs(Ref("Ingress", "shop", "front"), *objects) == {Ref("IngressClass", "", "nginx")}
    named = obj("PersistentVolumeClaim", "data", spec={"storageClassName": "slow"})
    assert needs(Ref("PersistentVolumeClaim", "shop", "data"), *classes, named) == {Ref("StorageClass", "", "slow")}


def test_a_route_stands_on_its_gateway_class_certificate_backend_and_grant():
    rules = [{"backendRefs": [{"name": "web", "namespace": "data", "port": 80}]}]
    route = obj("HTTPRoute", "front", api=GATEWAY, spec={"parentRefs": [{"name": "edge"}], "rules": rules})
    tls = [{"name": "https", "tls": {"certificateRefs": [{"name": "cert"}]}}]
    gate = obj("Gateway", "edge", api=GATEWAY, spec={"gatewayClassName": "envoy", "listeners": tls})
    grant = {"from": [{"kind": "HTTPRoute", "namespace": "shop"}], "to": [{"kind": "Service"}]}
    allowed = obj("ReferenceGrant", "from-shop", api=GATEWAY, namespace="data", spec=grant)
    other = obj("ReferenceGrant", "other", api=GATEWAY, namespace="data", spec={**grant, "to": [{"kind": "Secret"}]})
    needed = needs(Ref("HTTPRoute", "shop", "front"), route, gate, allowed, other)

    assert needed == {
        Ref("Gateway", "shop", "edge"),
        Ref("GatewayClass", "", "envoy"),
        Ref("Secret", "shop", "cert"),
        Ref("Service", "data", "web"),
        Ref("ReferenceGrant", "data", "from-shop"),
    }


def test_an_autoscaler_stands_on_the_api_that_its_metrics_come_from():
    behind = {"name": "ms", "namespace": "kube-system"}
    apis = [
        obj("APIService", "v1beta1.metrics.k8s.io", namespace="", spec={"group": "metrics.k8s.io", "service": behind}),
        obj("APIService", "v1beta1.external.metrics.k8s.io", namespace="", spec={"group": "external.metrics.k8s.io"}),
    ]
    scaler = obj("HorizontalPodAutoscaler", "web", spec={"metrics": [{"type": "Resource"}]})
    needed = needs(Ref("HorizontalPodAutoscaler", "shop", "web"), *apis, scaler)

    assert {Ref("APIService", "", "v1beta1.metrics.k8s.io"), Ref("Service", "kube-system", "ms")} <= needed
    assert Ref("APIService", "", "v1beta1.external.metrics.k8s.io") not in needed


def test_a_namespace_that_cannot_be_emptied_stands_on_apis_that_do_not_answer():
    told = {"conditions": [{"type": "NamespaceDeletionDiscoveryFailure", "status": "True"}]}
    gone = obj("Namespace", "old", namespace="", metadata={"deletionTimestamp": "2026-05-04T11:00:00Z"}, status=told)
    down = obj("APIService", "v1.x.io", namespace="", status={"conditions": [{"type": "Available", "status": "False"}]})
    up = obj("APIService", "v1.y.io", namespace="", status={"conditions": [{"type": "Available", "status": "True"}]})

    assert needs(Ref("Namespace", "", "old"), gone, down, up) == {Ref("APIService", "", "v1.x.io")}


def test_addresses_are_those_who_have_them():
    objects = app("web")
    objects[2]["status"]["podIP"] = "10.1.0.7"
    host = pod(replica_set(deployment("agent", pod={"hostNetwork": True})), status={"podIP": "192.168.0.1"})
    seen = topology(*objects, host, node(), service("db"))

    assert seen.host("10.1.0.7", "shop") == Ref("Pod", "shop", objects[2]["metadata"]["name"])
    assert seen.host("10.0.0.9", "elsewhere") in (Ref("Service", "shop", "web"), Ref("Service", "shop", "db"))
    assert seen.host("192.168.0.1", "shop") is None
    assert seen.host("db", "shop") == Ref("Service", "shop", "db")


def test_an_address_in_the_environment_is_a_call_too():
    db = service("db")
    db["spec"]["clusterIP"] = "10.0.0.77"
    boxes = [container(env=[{"name": "DB_HOST", "value": "10.0.0.77"}])]
    assert Ref("Service", "shop", "db") in needs(WEB, *app("web", containers=boxes), db)


def test_what_a_log_names_as_target_is_a_call_and_its_own_service_is_not():
    objects = [*app("web"), *app("db")]
    told = log(objects[2], lines("GET http://db:80/items 200", "listening on http://web:8080", "POST https://api.example.com/x"))
    needed = needs(WEB, *objects, logs=[told])

    assert Ref("Service", "shop", "db") in needed
    assert WEB not in topology(*objects, logs=[told]).depends_on(Ref("Deployment", "shop", "db"))


def test_hosts_in_a_log_and_who_only_sent_it():
    said = 'POST http://pay/charge ok\n"GET /" 200 referer="http://front/x" up\ndial tcp db:5432 refused\nat main.py:12'
    assert {"pay", "db"} <= hosts_in_log(said)
    assert "front" not in hosts_in_log(said)
    assert "late" in hosts_in_log("x\n" * 300_000 + "http://late/")


def test_a_static_pod_is_its_own_workload():
    owners = [{"apiVersion": "v1", "kind": "Node", "name": "cp-1", "controller": True}]
    static = obj("Pod", "etcd-cp-1", namespace="kube-system", metadata={"ownerReferences": owners}, spec={"nodeName": "cp-1"})
    ref = Ref("Pod", "kube-system", "etcd-cp-1")
    seen = topology(static, node("cp-1"))

    assert seen.unit(ref) == ref
    assert Ref("Node", "", "cp-1") in seen.depends_on(ref)
