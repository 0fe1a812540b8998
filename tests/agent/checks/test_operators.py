"""cert-manager and KEDA: the deepest link is the cause, and what is by design is none."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, ago, app, asked, custom, event, obj, observed, owned_by, told, topology
from tests.agent.checks.cases_operators import (
    ACME,
    CM,
    broker_secret,
    certificate,
    chain,
    credentials,
    hpa_on,
    idle,
    issuer,
    scaled,
)


def causes(*objects, logs=()):
    return active(run(topology(*objects, logs=logs)))


def answer(*objects, question="What is wrong in namespace shop?"):
    return OfflineReasoner().diagnose(asked(question), observed(*objects))


@pytest.mark.parametrize(
    "objects",
    [
        [issuer(), certificate(told("Ready", "True"))],
        [issuer(), certificate(told("Ready", "False", "DoesNotExist", minutes=4), minutes=4)],
        [issuer(), certificate(told("Ready", "True"), told("Issuing", "True", "Renewing", minutes=1))],
        [certificate(told("Ready", "True"), issuer={"name": "gone"}), issuer()],  # fails at the next renewal, not now
        [certificate(told("Ready", "True"), issuer={"name": "x", "kind": "AWSPCAIssuer", "group": "awspca.cert-manager.io"})],
        [custom("Certificate", "web", told("Weird", "False"), api="networking.internal.knative.dev/v1alpha1")],
    ],
)
def test_certificates_that_are_well_young_or_somebody_elses(objects):
    assert causes(*objects) == []


def test_an_issuer_of_another_group_that_is_not_in_view_is_not_called_missing():
    assert "issuer-missing" not in causes(
        certificate(issuer={"name": "pca", "kind": "AWSPCAIssuer", "group": "awspca.cert-manager.io"})
    )


def test_the_wrong_kind_of_issuer_is_named():
    (found,) = answer(certificate(issuer={"name": "ca", "kind": "ClusterIssuer"}), issuer(name="ca")).causes
    assert "issuerRef.kind is wrong" in found.finding.statement


def test_a_pod_that_waits_for_the_secret_is_explained_by_the_challenge():
    objects = app("web", replicas=1, ready=0, pod={"volumes": [{"name": "tls", "secret": {"secretName": "web-tls"}}]})
    objects[2]["status"]["containerStatuses"] = [
        {"name": "app", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}
    ]
    mount = event(objects[2], "FailedMount", 'MountVolume.SetUp failed for volume "tls" : secret "web-tls" not found')
    found = answer(
        *chain({"state": "pending"}, {"state": "pending", "reason": "404"}),
        *objects,
        mount,
        question="why is web not starting in shop?",
    )
    assert [one.finding.cause for one in found.causes] == ["acme-challenge-failing"]


def test_a_later_try_of_the_same_trouble_is_as_old_as_the_certificates_own_condition():
    found = answer(*chain({"state": "pending"}, {"state": "pending", "reason": "404"}, minutes=8))
    assert [one.finding.cause for one in found.causes] == ["acme-challenge-failing"]
    assert any(one.startswith("custom-resource-not-ready@Certificate/") for one in found.causes[0].explains)


def test_an_ingress_without_its_certificate_is_explained():
    spec = {"tls": [{"secretName": "web-tls"}], "rules": []}
    ingress = obj("Ingress", "web", api="networking.k8s.io/v1", spec=spec)
    found = answer(ingress, certificate(), issuer(told("Ready", "False", "ErrInitIssuer", "no key pair")))
    assert [one.finding.cause for one in found.causes] == ["issuer-not-ready"]


def test_a_finished_challenge_of_an_earlier_order_is_nothing():
    top = certificate(told("Ready", "True"))
    owner = {"ownerReferences": [{"kind": "Order", "name": "old", "controller": True}]}
    old = obj("Challenge", "old-1", api=ACME, metadata=owner, status={"state": "valid"}, minutes=900)
    assert causes(top, issuer(), old, obj("Order", "old", api=ACME, status={"state": "valid"})) == []


def test_who_waits_for_approval_only_is_told_as_not_ready():
    top = certificate()
    said = told("Ready", "False", "Pending", "not approved yet")
    request = custom("CertificateRequest", "web-1", said, api=CM, metadata=owned_by(top), spec=top["spec"])
    assert causes(issuer(), top, request)[0] in ("certificate-not-ready", "custom-resource-not-ready")
    assert [one.finding.cause for one in answer(issuer(), top, request).causes] == ["certificate-not-ready"]


@pytest.mark.parametrize(
    "objects",
    [
        [scaled(), credentials(), broker_secret(), hpa_on("web", "keda-hpa-worker"), *app("web")],
        [scaled(told("Ready", "True"), told("Active", "False")), credentials(), broker_secret(), *app("web")],
        [scaled(told("Ready", "False", "X"), metadata={"annotations": {"autoscaling.keda.sh/paused": "true"}}), *app("web")],
        [scaled(told("Ready", "False", "X"), told("Paused", "True")), *app("web")],
        [scaled(spec={"triggers": [{"type": "cron", "metadata": {}}]}), *app("web")],
        [scaled(spec={"scaleTargetRef": {"kind": "Rollout", "name": "canary"}}), credentials(), broker_secret()],
    ],
)
def test_scaled_objects_that_work_rest_or_are_paused(objects):
    assert causes(*objects) == []


def test_an_idle_workload_that_keda_keeps_at_zero_is_by_design():
    objects = idle()
    down = event(objects[-1], "ScalingReplicaSet", "Scaled down replica set web-1 from 2 to 0", kind="Normal")
    assert causes(*objects, down) == []


def test_a_workload_at_zero_by_hand_is_still_told():
    objects = idle(minReplicaCount=1)
    down = event(objects[-1], "ScalingReplicaSet", "Scaled down replica set web-1 from 2 to 0", kind="Normal")
    assert "scaled-to-zero" in causes(*objects, down)


@pytest.mark.parametrize(("secret", "words"), [(None, "does not exist"), (broker_secret("uri"), "has no key url")])
def test_the_secret_or_key_behind_the_authentication_is_named(secret, words):
    objects = [scaled(told("Ready", "False", "ScaledObjectCheckFailed", "no")), credentials(), *app("web")]
    (found,) = answer(*objects, *([secret] if secret else [])).causes
    assert found.finding.cause == "keda-trigger-auth-missing"
    assert words in found.finding.statement
    assert str(found.finding.subject) == "Secret shop/broker"


def test_two_scaled_objects_on_one_workload():
    objects = [scaled(), scaled(name="worker-2"), credentials(), broker_secret(), *app("web")]
    (found,) = answer(*objects).causes
    assert found.finding.cause == "keda-hpa-conflict"
    assert "ScaledObject shop/worker-2" in found.finding.statement


def test_the_fallback_is_told():
    said = (told("Ready", "True"), told("Fallback", "True", "FallbackExists", "At least one trigger is falling back"))
    (found,) = answer(scaled(*said, spec={"fallback": {"replicas": 6}}), credentials(), broker_secret(), *app("web")).causes
    assert "fallback of 6 replicas" in found.finding.statement


def test_an_expired_certificate_names_when():
    (found,) = answer(issuer(), certificate(told("Ready", "True"), status={"notAfter": ago(60 * 24)})).causes
    assert found.finding.cause == "certificate-expired"
    assert "2026-05-03" in found.finding.statement
