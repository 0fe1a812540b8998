"""What the API server asks others for: who is blamed when a webhook or an aggregated API does not answer, and when nobody is."""

from datetime import timedelta

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from agent.topology.certificates import all_over, read_bundle, read_pem
from tests.agent.builders import (
    NOW,
    active,
    ago,
    app,
    asked,
    custom,
    deployment,
    event,
    lines,
    log,
    obj,
    observed,
    replica_set,
    told,
    topology,
)
from tests.agent.certificates import bundle, pem
from tests.agent.checks.cases import CASES, refused
from tests.agent.checks.cases_network import policy
from tests.agent.checks.cases_webhooks import LATE, REFUSED, UNKNOWN, api_service, failing, scaler, unready, webhook
from tests.agent.series import measured


def found(objects, logs=()):
    return {one.cause: one for one in run(topology(*objects, logs=logs)) if one.state == "active" and not one.symptom_only}


def causes(objects, logs=(), question="What is wrong in namespace shop?"):
    diagnosis = OfflineReasoner().diagnose(asked(question), observed(*objects, logs=logs))
    return [(one.finding.cause, one.finding.subject.name) for one in diagnosis.causes]


@pytest.mark.parametrize(
    ("reason", "hook", "behind", "cause", "words"),
    [
        ("not found", webhook(service="gone"), app("guard"), "webhook-backend-missing", "Service shop/gone does not exist"),
        (REFUSED, webhook(), unready(), "webhook-backend-down", "none of the 2 pods of Deployment shop/guard"),
        (REFUSED, webhook(), [deployment("guard", replicas=0), app("guard")[-1]], "webhook-backend-down", "is scaled to 0"),
        (REFUSED, webhook(port=8443), app("guard"), "webhook-backend-missing", "does not offer port 8443"),
        (UNKNOWN, webhook(), app("guard"), "webhook-certificate-invalid", "it has no caBundle"),
        (UNKNOWN, webhook(bundle="bm8="), app("guard"), "webhook-certificate-invalid", "does not fit the certificate"),
        (LATE, webhook(), app("guard"), "webhook-refuses", "does not answer within 5 s"),
        (REFUSED, webhook(kind="MutatingWebhookConfiguration"), app("guard"), "webhook-refuses", "calling it fails"),
    ],
)  # fmt: skip
def test_why_a_webhook_does_not_answer(reason, hook, behind, cause, words):
    objects, _ = failing(reason, hook, *behind)
    finding = found(objects)[cause]

    assert words in finding.statement
    assert "requests for Deployment shop/web fail" in finding.statement
    assert (finding.subject.kind, finding.subject.name) == (hook["kind"], "guard")


def test_a_bundle_that_has_ended():
    hook = webhook(bundle=bundle("guard-ca", ends=NOW - timedelta(days=3)))
    finding = found([hook, *app("guard")])["webhook-certificate-invalid"]
    assert "its caBundle ended on 2026-05-01 (CN=guard-ca)" in finding.statement


def test_a_policy_that_keeps_the_api_server_out_of_the_webhook():
    objects, _ = failing(LATE, webhook(), *app("guard"), policy("only-web", ingress=[{"from": [{"podSelector": {}}]}]))
    finding = found(objects)["networkpolicy-blocks"]

    assert finding.subject.name == "only-web"
    assert "does not let the API server reach the pods behind Service shop/guard" in finding.statement
    open_to_all = policy("open", ingress=[{"ports": [{"port": 8080}]}])
    assert "networkpolicy-blocks" not in found(failing(LATE, webhook(), *app("guard"), open_to_all)[0])


def test_with_failure_policy_ignore_nothing_is_stopped():
    finding = found([webhook(policy="Ignore"), *unready()])["webhook-backend-down"]
    assert "requests pass without it" in finding.statement


@pytest.mark.parametrize(
    "objects",
    [
        [webhook(), *app("guard")],
        [webhook(bundle=bundle("ca", ends=NOW + timedelta(days=300))), *app("guard")],
        [webhook(namespace="elsewhere")],  # its namespace was not read
        [webhook(namespace="elsewhere"), obj("ConfigMap", "kube-root-ca.crt", namespace="elsewhere")],  # nor was this all of it
    ],
)
def test_a_webhook_that_works_or_was_not_seen_is_no_finding(objects):
    assert found(objects) == {}


def test_a_webhook_called_by_url_is_judged_by_what_is_told():
    hook = webhook()
    hook["webhooks"][0]["clientConfig"] = {"url": "https://guard.example.com/v"}
    assert found([hook]) == {}
    assert "calling it fails" in found(failing(REFUSED, hook)[0])["webhook-refuses"].statement


def test_failures_of_other_objects_and_in_logs_count_while_they_are_new():
    objects = [*app("web"), webhook(), *app("guard")]
    said = f'Internal error occurred: failed calling webhook "guard.example.com": {REFUSED}'
    one = event(obj("Service", "web"), "UpdateFailed", said, minutes=2)
    assert "webhook-refuses" in found([*objects, one])
    assert "webhook-refuses" in found(objects, [log(objects[2], lines(f"ERROR reconcile: {said}"))])
    assert "webhook-refuses" not in found([*objects, event(obj("Service", "web"), "UpdateFailed", said, minutes=90)])


def test_a_broken_release_of_the_webhook_is_the_cause_of_all_of_it():
    behind = unready()
    set_ = next(one for one in behind if one["kind"] == "ReplicaSet")
    one = next(each for each in behind if each["kind"] == "Pod")
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}
    one["status"]["containerStatuses"] = [{"name": "app", "ready": False, "restartCount": 0, "state": state}]
    said = 'Failed to pull image "registry.example.com/app:1.0": manifest unknown: not found'
    objects, _ = failing(REFUSED, webhook(), *behind, event(one, "Failed", said))

    assert set_["metadata"]["ownerReferences"][0]["name"] == "guard"
    assert causes(objects) == [("image-tag-not-found", "guard")]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('admission webhook "v.gatekeeper.sh" denied the request: [owner] missing label owner', "missing label owner"),
        (
            "ValidatingAdmissionPolicy 'limits' with binding 'all' denied request: too many replicas",
            "ValidatingAdmissionPolicy limits",
        ),
    ],
)
def test_an_answer_that_says_no_is_quoted(said, words):
    objects, _ = refused(said)
    assert words in found(objects)["admission-denied"].statement
    assert "webhook-refuses" not in found(objects)


# Aggregated APIs.


def test_a_missing_service_behind_an_api():
    finding = found([api_service(service="gone"), *app("web")])["apiservice-unavailable"]
    assert "Service shop/gone does not exist" in finding.statement


def test_an_autoscaler_without_metrics_is_a_symptom_of_the_api_that_is_down():
    objects = [*app("web"), scaler(), api_service(), *unready("metrics-server")]
    assert causes(objects) == [("apiservice-unavailable", "v1beta1.metrics.k8s.io")]
    assert causes([*app("web"), scaler()]) == [("hpa-metrics-unavailable", "web")]


def test_a_namespace_that_does_not_go_is_a_symptom_of_the_api_that_is_down():
    told = {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": "Discovery failed: metrics.k8s.io/v1beta1"}
    gone = obj("Namespace", "old", namespace="", metadata={"deletionTimestamp": ago(30)}, status={"conditions": [told]})
    objects = [gone, obj("ConfigMap", "left", namespace="old"), api_service(), *unready("metrics-server")]

    assert causes(objects, question="Why is namespace old not deleted?") == [("apiservice-unavailable", "v1beta1.metrics.k8s.io")]


def test_an_api_that_is_available_or_has_only_just_gone():
    up = api_service()
    up["status"]["conditions"][0]["status"] = "True"
    new = api_service()
    new["status"]["conditions"][0]["lastTransitionTime"] = ago(1)
    assert found([up]) == {}
    assert found([new]) == {}


def test_a_kind_that_is_served_by_now_or_was_never_installed():
    versions = [{"name": "v1", "served": True}, {"name": "v1beta1", "served": False}]
    spec = {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "versions": versions}
    crd = obj("CustomResourceDefinition", "widgets.example.com", namespace="", spec=spec)
    objects = app("web")

    def asked_for(version):
        return found([*objects, crd], [log(objects[2], lines(f'ERROR no matches for kind "Widget" in version "{version}"'))])

    assert "serves v1" in asked_for("example.com/v1beta1")["api-version-removed"].statement
    assert asked_for("example.com/v1") == {}
    assert "no CustomResourceDefinition" in asked_for("other.com/v1")["api-version-removed"].statement


@pytest.mark.parametrize(
    "level", ["2026-05-04T11:59:00Z INFO", "I0504 11:59:00.000000       1", 'level=info msg="gateway API disabled:']
)
def test_an_operator_that_does_without_an_optional_kind_says_so_and_is_well(level):
    objects = app("web")
    said = f'{level} no matches for kind "Gateway" in version "gateway.networking.k8s.io/v1"'
    assert found(objects, [log(objects[2], said)]) == {}


NO_KIND = 'resource mapping not found for name: "web": no matches for kind "Ingress" in version "extensions/v1beta1"'
ARGO = "The Kubernetes API could not find policy/PodSecurityPolicy for requested resource shop/web. Make sure the CRD is there"


def _application(phase, words):
    result = {"resources": [{"kind": "Ingress", "name": "web", "status": "SyncFailed", "message": words}]}
    operation = {"phase": phase, "finishedAt": ago(9), "message": "failed", "syncResult": result}
    spec = {"source": {"repoURL": "https://git.example.com"}}
    status = {"sync": {"status": "OutOfSync"}, "operationState": operation}
    return obj("Application", "shop", api="argoproj.io/v1alpha1", spec=spec, status=status)


def _flux(kind, api, words, status="False"):
    return custom(kind, "shop", told("Ready", status, "ReconciliationFailed", words), api=api)


@pytest.mark.parametrize(
    "manifest",
    [
        _application("Failed", NO_KIND),
        _application("Failed", ARGO),
        _flux("Kustomization", "kustomize.toolkit.fluxcd.io/v1", NO_KIND),
        _flux("HelmRelease", "helm.toolkit.fluxcd.io/v2", NO_KIND),
        _flux("Object", "kubernetes.crossplane.io/v1alpha2", NO_KIND),
    ],
    ids=lambda one: one["kind"],
)
def test_what_applies_manifests_says_that_a_version_is_not_served(manifest):
    found = OfflineReasoner().diagnose(asked("what is wrong in shop?"), observed(*app("web"), manifest)).causes
    assert [one.finding.cause for one in found] == ["api-version-removed"]
    assert found[0].finding.subject.name == "shop"


@pytest.mark.parametrize("manifest", [_application("Succeeded", NO_KIND),
                                      _flux("Kustomization", "kustomize.toolkit.fluxcd.io/v1", NO_KIND, "True")])  # fmt: skip
def test_what_was_applied_in_the_end_asks_for_nothing(manifest):
    assert "api-version-removed" not in found([*app("web"), manifest])


@pytest.mark.parametrize(("removed", "value"), [("1.36", 1), ("1.34", 0), ("", 1)])
def test_a_version_that_stays_for_now_is_no_finding(removed, value):
    objects, _ = CASES["api-version-going-away"][1]()
    series = measured("apiserver_requested_deprecated_apis", *[value] * 3, group="x", version="v1", removed_release=removed)
    assert active(run(topology(*objects, series=[series]))) == []


# Certificates.


def test_certificates_are_read_and_nonsense_is_none():
    (one,) = read_pem(pem("a", ends=NOW))
    assert (one.subject, one.not_after) == ("CN=a", NOW)
    assert read_bundle("") == read_bundle("%%%") == read_bundle("bm9uZQ==") == read_pem("-----BEGIN CERTIFICATE-----\nx") == []
    assert all_over([], NOW) is None


def test_one_certificate_that_holds_is_enough_of_a_bundle():
    both = pem("old", ends=NOW - timedelta(days=1)) + pem("new", ends=NOW + timedelta(days=1))
    assert all_over(read_pem(both), NOW) is None


def test_a_deployment_that_is_whole_does_not_complain_of_old_refusals():
    owner = deployment("web")
    set_ = replica_set(owner)
    said = event(set_, "FailedCreate", f'failed calling webhook "guard.example.com": {REFUSED}', minutes=30)
    assert active(run(topology(*app("web"), said))) == []
