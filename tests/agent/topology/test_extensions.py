"""Custom resources in the graph: what they name, what they make, who waits for them; odd shapes are read as empty."""

import pytest

from agent.domain.objects import Ref
from agent.topology.extensions import held, manager_of, touches
from tests.agent.builders import app, container, custom, obj, owned_by, topology
from tests.agent.checks.cases_accelerators import claim, device_class
from tests.agent.checks.cases_gitops import SOURCE, application, flux, project
from tests.agent.checks.cases_operators import broker_secret, certificate, credentials, issuer, scaled


def ref(kind, name, namespace="shop"):
    return Ref(kind, namespace, name)


@pytest.mark.parametrize(
    ("objects", "source", "target"),
    [
        ([application(), project()], ref("Application", "web"), ref("AppProject", "team")),
        (
            [application(status={"resources": [{"kind": "Deployment", "namespace": "shop", "name": "web"}]}), *app("web")],
            ref("Application", "web"),
            ref("Deployment", "web"),
        ),
        ([flux("Kustomization", "apps", spec=SOURCE)], ref("Kustomization", "apps"), ref("GitRepository", "fleet")),
        (
            [flux("Kustomization", "apps", spec={**SOURCE, "dependsOn": [{"name": "base", "namespace": "infra"}]})],
            ref("Kustomization", "apps"),
            ref("Kustomization", "base", "infra"),
        ),
        (
            [flux("GitRepository", "fleet", spec={"secretRef": {"name": "deploy-key"}})],
            ref("GitRepository", "fleet"),
            ref("Secret", "deploy-key"),
        ),
        ([certificate(), issuer()], ref("Secret", "web-tls"), ref("Issuer", "letsencrypt")),
        (
            [certificate(issuer={"name": "ca", "kind": "ClusterIssuer"})],
            ref("Certificate", "web"),
            ref("ClusterIssuer", "ca", ""),
        ),
        ([scaled(), credentials(), broker_secret(), *app("web")], ref("ScaledObject", "worker"), ref("Deployment", "web")),
        ([scaled(), credentials(), broker_secret()], ref("ScaledObject", "worker"), ref("TriggerAuthentication", "broker")),
        ([claim(), device_class()], ref("ResourceClaim", "infer-gpu"), ref("DeviceClass", "gpu.example.com", "")),
        (
            [custom("Db", "d", api="x.example.com/v1", spec={"a": [{"passwordSecretRef": {"name": "pw"}}]})],
            ref("Db", "d"),
            ref("Secret", "pw"),
        ),
        (
            [custom("Db", "d", api="x.example.com/v1", spec={"tls": {"caConfigMapRef": {"name": "ca", "namespace": "certs"}}})],
            ref("Db", "d"),
            ref("ConfigMap", "ca", "certs"),
        ),
    ],
)
def test_what_a_resource_needs(objects, source, target):
    assert target in topology(*objects).depends_on(source)


def test_an_owner_depends_on_what_it_made_whatever_its_kind():
    top = custom("Platform", "p", api="example.com/v1")
    seen = topology(top, obj("Widget", "w", api="example.com/v1", metadata=owned_by(top)))
    assert ref("Widget", "w") in seen.depends_on(ref("Platform", "p"))


def test_pods_that_a_custom_resource_controls_are_its_own_and_their_needs_its_needs():
    ray = custom("RayCluster", "ray", api="ray.io/v1")
    spec = {"containers": [container(envFrom=[{"configMapRef": {"name": "settings"}}])]}
    seen = topology(ray, obj("Pod", "ray-head", metadata=owned_by(ray), spec=spec), obj("ConfigMap", "settings"))
    assert seen.unit(ref("Pod", "ray-head")) == ref("RayCluster", "ray")
    assert ref("ConfigMap", "settings") in seen.depends_on(ref("RayCluster", "ray"))


@pytest.mark.parametrize(
    "odd",
    [
        {"spec": {"dependsOn": "x", "sourceRef": [], "triggers": {}}},
        {"spec": {"issuerRef": "ca", "secretName": 3}},
        {"spec": None, "status": None},
        {"status": {"resources": [None, 1], "inventory": {"entries": ["x", {"id": 5}]}}},
        {"metadata": {"ownerReferences": [None, {"kind": 3}]}},
    ],
)
def test_odd_shapes_are_read_as_empty(odd):
    for kind, api in (
        ("Kustomization", "kustomize.toolkit.fluxcd.io/v1"),
        ("Application", "argoproj.io/v1alpha1"),
        ("Certificate", "cert-manager.io/v1"),
        ("ScaledObject", "keda.sh/v1alpha1"),
    ):
        assert topology(obj(kind, "odd", api=api, **odd)).objects


@pytest.mark.parametrize(
    ("metadata", "manager"),
    [
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
            ref("Kustomization", "apps", "flux-system"),
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "web:apps/Deployment:shop/web"}},
            ref("Application", "web", "argocd"),
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "team-a_web:apps/Deployment:shop/web"}},
            ref("Application", "web", "team-a"),
        ),
        ({}, None),
    ],
)
def test_who_manages_an_object(metadata, manager):
    assert manager_of(obj("Deployment", "web", api="apps/v1", metadata=metadata)) == manager


def test_gitops_objects_that_make_things_in_a_namespace():
    assert touches(application(), {"shop"})
    assert not touches(application(), {"other"})
    assert touches(flux("HelmRelease", "x", spec={"targetNamespace": "shop"}), {"shop"})
    assert touches(flux("GitRepository", "x"), {"anything"})
    assert not touches(obj("Application", "x", api="app.k8s.io/v1", spec={"destination": {"namespace": "shop"}}), {"shop"})


def test_an_annotation_that_says_false_holds_nothing():
    assert held(custom("X", "x", api="a.b/v1", metadata={"annotations": {"autoscaling.keda.sh/paused": "false"}})) == ""
    assert held(custom("X", "x", api="a.b/v1", metadata={"annotations": {"autoscaling.keda.sh/paused-replicas": "0"}}))
