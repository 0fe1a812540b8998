"""Incidents of what the API server asks others for: admission and conversion webhooks, aggregated APIs."""

from typing import Any

from tests.agent.builders import ago, app, obj
from tests.agent.checks.cases import World, case, refused

ADMISSION = "admissionregistration.k8s.io/v1"


def webhook(
    name: str = "guard.example.com",
    *,
    service: str = "guard",
    namespace: str = "shop",
    kind: str = "ValidatingWebhookConfiguration",
    policy: str = "Fail",
    bundle: str = "",
    port: int = 80,
) -> dict[str, Any]:
    client = {"service": {"name": service, "namespace": namespace, "port": port}, "caBundle": bundle}
    hook = {"name": name, "clientConfig": client, "failurePolicy": policy, "timeoutSeconds": 5}
    return obj(kind, "guard", api=ADMISSION, namespace="", webhooks=[hook])


def failing(reason: str, *more: dict[str, Any]) -> World:
    said = f'Internal error occurred: failed calling webhook "guard.example.com": {reason}'
    return refused(said, *more)


def unready(name: str = "guard") -> list[dict[str, Any]]:
    objects = app(name)
    for one in objects:
        if one["kind"] == "Pod":
            one["status"]["conditions"] = [{"type": "Ready", "status": "False", "lastTransitionTime": ago(10)}]
    return objects


REFUSED = (
    'failed to call webhook: Post "https://guard.shop.svc:443/v?timeout=5s": dial tcp 10.0.0.9:443: connect: connection refused'
)
UNKNOWN = 'Post "https://guard.shop.svc:443/v": tls: failed to verify certificate: x509: certificate signed by unknown authority'
LATE = 'failed to call webhook: Post "https://guard.shop.svc:443/v?timeout=5s": context deadline exceeded'


@case("webhook-backend-missing", "ValidatingWebhookConfiguration/guard")
def _() -> World:
    return failing('Post "https://gard.shop.svc:443/v": service "gard" not found', webhook(service="gard"), *app("guard"))


@case("webhook-backend-down", "ValidatingWebhookConfiguration/guard")
def _() -> World:
    return failing(REFUSED, webhook(), *unready())


@case("webhook-certificate-invalid", "ValidatingWebhookConfiguration/guard")
def _() -> World:
    return failing(UNKNOWN, webhook(bundle="bm9uZQ=="), *app("guard"))


@case("conversion-webhook-failing", "CustomResourceDefinition/widgets.example.com")
def _() -> World:
    webhook = {"clientConfig": {"service": {"name": "gone", "namespace": "shop", "path": "/convert"}}}
    spec = {
        "group": "example.com",
        "names": {"kind": "Widget", "plural": "widgets"},
        "conversion": {"strategy": "Webhook", "webhook": webhook},
    }
    crd = obj("CustomResourceDefinition", "widgets.example.com", api="apiextensions.k8s.io/v1", namespace="", spec=spec)
    said = 'conversion webhook for example.com/v1, Kind=Widget failed: Post "https://gone.shop.svc:443/convert": not found'
    objects, logs = refused(said, crd, *app("api"))
    return objects, logs


@case("admission-denied", "Deployment/web")
def _() -> World:
    return refused(
        'admission webhook "validate.kyverno.svc-fail" denied the request: resource Pod/shop/web was blocked: no owner label'
    )


def api_service(
    group: str = "metrics.k8s.io", *, service: str = "metrics-server", reason: str = "MissingEndpoints"
) -> dict[str, Any]:
    said = {
        "type": "Available",
        "status": "False",
        "reason": reason,
        "message": "endpoints have no addresses",
        "lastTransitionTime": ago(9),
    }
    spec = {"group": group, "version": "v1beta1", "service": {"name": service, "namespace": "shop", "port": 80}}
    return obj(
        "APIService", f"v1beta1.{group}", api="apiregistration.k8s.io/v1", namespace="", spec=spec, status={"conditions": [said]}
    )


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}


def scaler(reason: str = "FailedGetResourceMetric") -> dict[str, Any]:
    said = {"type": "ScalingActive", "status": "False", "reason": reason, "lastTransitionTime": ago(8), "message": "no metrics"}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": [CPU]}
    return obj("HorizontalPodAutoscaler", "web", api="autoscaling/v2", spec=spec, status={"conditions": [said]})


@case("apiservice-unavailable", "APIService/v1beta1.metrics.k8s.io")
def _() -> World:
    return [*app("web"), api_service(), scaler(), *unready("metrics-server")], []


@case("namespace-stuck", "Namespace/shop")
def _() -> World:
    words = "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: custom.io/v1"
    said = {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": words, "lastTransitionTime": ago(20)}
    return [obj("Namespace", "shop", namespace="", metadata={"deletionTimestamp": ago(21)}, status={"conditions": [said]})], []


@case("claim-still-used", "PersistentVolumeClaim/data")
def _() -> World:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    gone = {"deletionTimestamp": ago(30), "finalizers": ["kubernetes.io/pvc-protection"]}
    return [
        *app("web", pod={"volumes": volumes}),
        obj("PersistentVolumeClaim", "data", metadata=gone, spec={"volumeName": "pv-1"}),
    ], []
