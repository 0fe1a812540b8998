"""Incidents of cert-manager and KEDA."""

from typing import Any

from tests.agent.builders import ago, app, custom, deployment, event, obj, owned_by, told
from tests.agent.checks.cases import World, case

Object = dict[str, Any]
ACME = "acme.cert-manager.io/v1"
CM = "cert-manager.io/v1"


def certificate(*conditions: Object, issuer: Object | None = None, status: Object | None = None, minutes: float = 60) -> Object:
    said = conditions or (told("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist"),)
    spec = {"secretName": "web-tls", "dnsNames": ["web.example.com"], "issuerRef": issuer or {"name": "letsencrypt"}}
    return custom("Certificate", "web", *said, api=CM, spec=spec, status=status or {}, minutes=minutes)


def issuer(*conditions: Object, name: str = "letsencrypt", kind: str = "Issuer") -> Object:
    return custom(
        kind, name, *(conditions or (told("Ready", "True"),)), api=CM, namespace="" if kind == "ClusterIssuer" else "shop"
    )


def chain(order: Object, challenge: Object | None = None, *, minutes: float = 50) -> list[Object]:
    """A Certificate with the request, order and challenge that it has made."""
    top = certificate()
    request = custom("CertificateRequest", "web-1", told("Ready", "False", "Pending", "Waiting on order"), api=CM,
                     metadata=owned_by(top), spec=top["spec"], minutes=minutes)  # fmt: skip
    made = obj("Order", "web-1-7", api=ACME, metadata=owned_by(request), spec=top["spec"], status=order, minutes=minutes)
    spec = {"type": "HTTP-01", "dnsName": "web.example.com"}
    last = obj("Challenge", "web-1-7-1", api=ACME, metadata=owned_by(made), spec=spec, status=challenge or {}, minutes=minutes)
    return [issuer(), top, request, made, *([last] if challenge else [])]


@case("issuer-missing", "ClusterIssuer/letsencrypt")
def _() -> World:
    return [certificate(issuer={"name": "letsencrypt", "kind": "ClusterIssuer"}), issuer()], []


@case("issuer-not-ready", "Issuer/letsencrypt")
def _() -> World:
    said = "Failed to register ACME account: 400 urn:ietf:params:acme:error:invalidContact"
    return [certificate(), issuer(told("Ready", "False", "ErrRegisterACMEAccount", said))], []


@case("acme-challenge-failing", "Challenge/web-1-7-1")
def _() -> World:
    said = "Waiting for HTTP-01 challenge propagation: wrong status code '404', expected '200'"
    return chain({"state": "pending"}, {"state": "pending", "reason": said, "presented": True}), []


@case("acme-order-failed", "Order/web-1-7")
def _() -> World:
    said = "429 urn:ietf:params:acme:error:rateLimited: too many certificates already issued"
    return chain({"state": "errored", "reason": said}), []


@case("certificate-request-failed", "CertificateRequest/web-1")
def _() -> World:
    top = certificate()
    said = (told("Denied", "True", "policy.cert-manager.io", "no policy approved"), told("Ready", "False", "Denied"))
    return [issuer(), top, custom("CertificateRequest", "web-1", *said, api=CM, metadata=owned_by(top), spec=top["spec"])], []


@case("certificate-expired", "Certificate/web")
def _() -> World:
    over = {"notAfter": ago(300), "renewalTime": ago(30000)}
    return [issuer(), certificate(told("Ready", "False", "Expired", "Certificate expired on Monday"), status=over)], []


@case("certificate-not-ready", "Certificate/web")
def _() -> World:
    said = told("Ready", "False", "SecretMismatch", "Existing private key is not up to date for spec: [spec.privateKey.size]")
    return [issuer(), certificate(said)], []


@case("certificate-renewal-overdue", "Certificate/web")
def _() -> World:
    due = {"notAfter": ago(-20000), "renewalTime": ago(2000)}
    return [issuer(), certificate(told("Ready", "True", "Ready"), status=due)], []


def scaled(*conditions: Object, name: str = "worker", spec: Object | None = None, **rest: Any) -> Object:
    trigger = {"type": "rabbitmq", "metadata": {"queueName": "jobs"}, "authenticationRef": {"name": "broker"}}
    body = {"scaleTargetRef": {"name": "web"}, "triggers": [trigger], **(spec or {})}
    said = conditions or (told("Ready", "True"), told("Active", "True"))
    return custom("ScaledObject", name, *said, api="keda.sh/v1alpha1", spec=body, **rest)


def credentials(secret: str = "broker") -> Object:
    wanted = [{"parameter": "host", "name": secret, "key": "url"}]
    return obj("TriggerAuthentication", "broker", api="keda.sh/v1alpha1", spec={"secretTargetRef": wanted})


def broker_secret(*keys: str) -> Object:
    return obj("Secret", "broker", data=dict.fromkeys(keys or ("url",), "REDACTED"))


def hpa_on(target: str, name: str) -> Object:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": target}, "maxReplicas": 10}
    return obj("HorizontalPodAutoscaler", name, api="autoscaling/v2", spec=spec, status={})


@case("keda-target-missing", "ScaledObject/worker")
def _() -> World:
    said = told("Ready", "False", "ScaledObjectCheckFailed", "ScaledObject doesn't have correct scaleTargetRef specification")
    return [scaled(said, spec={"scaleTargetRef": {"name": "wrker"}}), credentials(), broker_secret(), *app("web")], []


@case("keda-trigger-auth-missing", "TriggerAuthentication/broker")
def _() -> World:
    said = told("Ready", "False", "ScaledObjectCheckFailed", "Triggers defined in ScaledObject are not working correctly")
    one = scaled(said)
    words = 'triggerauthentications.keda.sh "broker" not found'
    return [one, event(one, "KEDAScalerFailed", words), *app("web")], []


@case("keda-hpa-conflict", "HorizontalPodAutoscaler/by-hand")
def _() -> World:
    return [scaled(), credentials(), broker_secret(), hpa_on("web", "keda-hpa-worker"), hpa_on("web", "by-hand"), *app("web")], []


@case("keda-scaler-failing", "ScaledObject/worker")
def _() -> World:
    failing = {"health": {"s0-rabbitmq-jobs": {"numberOfFailures": 14, "status": "Failing"}}}
    one = scaled(told("Ready", "False", "ScaledObjectCheckFailed", "Triggers defined in ScaledObject are not working correctly"),
                 status=failing)  # fmt: skip
    blind = hpa_on("web", "keda-hpa-worker")
    blind["status"] = {"conditions": [told("ScalingActive", "False", "FailedGetExternalMetric", "unable to get external metric")]}
    said = event(one, "KEDAScalerFailed", "error inspecting rabbitMQ: dial tcp: connection refused")
    return [one, credentials(), broker_secret(), blind, said, *app("web")], []


def idle(**spec: Any) -> list[Object]:
    """A workload at zero that KEDA keeps there."""
    return [
        scaled(told("Ready", "True"), told("Active", "False"), spec=spec),
        credentials(),
        broker_secret(),
        deployment("web", replicas=0),
    ]
