"""Incidents of custom resources in general, Argo CD and Flux."""

from typing import Any

from tests.agent.builders import ago, app, custom, obj, told
from tests.agent.checks.cases import World, case

Object = dict[str, Any]


@case("custom-resource-not-ready", "Widget/front")
def _() -> World:
    said = told("Ready", "False", "BackendRefused", "the backend answered 402")
    return [custom("Widget", "front", said, api="example.com/v1")], []


@case("custom-resource-stuck-deleting", "Widget/front")
def _() -> World:
    gone = {"deletionTimestamp": ago(30), "finalizers": ["example.com/clean-up"]}
    return [custom("Widget", "front", api="example.com/v1", metadata=gone)], []


@case("custom-resource-not-observed", "Widget/front")
def _() -> World:
    written = {"manager": "kubectl", "time": ago(40), "fieldsV1": {"f:spec": {"f:size": {}}}}
    metadata = {"generation": 4, "managedFields": [written]}
    return [custom("Widget", "front", api="example.com/v1", metadata=metadata, status={"observedGeneration": 3})], []


def application(*conditions: Object, name: str = "web", spec: Object | None = None, status: Object | None = None) -> Object:
    source = {"repoURL": "https://git.example.com/team/web.git", "path": "deploy", "targetRevision": "main"}
    target = {"server": "https://kubernetes.default.svc", "namespace": "shop"}
    body = {"project": "team", "source": source, "destination": target, **(spec or {})}
    base = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}, "conditions": list(conditions), **(status or {})}
    return obj("Application", name, api="argoproj.io/v1alpha1", spec=body, status=base)


def argo_said(kind: str, message: str) -> Object:
    return {"type": kind, "message": message, "lastTransitionTime": ago(30)}


def project(repos: list[str] | None = None, namespace: str = "shop") -> Object:
    where = [{"server": "https://kubernetes.default.svc", "namespace": namespace}]
    spec = {"sourceRepos": repos or ["https://git.example.com/team/*"], "destinations": where}
    return obj("AppProject", "team", api="argoproj.io/v1alpha1", spec=spec)


@case("argo-project-denied", "Application/web")
def _() -> World:
    said = "application destination server 'https://kubernetes.default.svc' and namespace 'shop' do not match any of the allowed"
    return [application(argo_said("InvalidSpecError", f"{said} destinations in project 'team'")), project(namespace="other")], []


@case("argo-comparison-error", "Application/web")
def _() -> World:
    said = "Failed to load target state: failed to generate manifest: deploy: app path does not exist"
    return [application(argo_said("ComparisonError", said), status={"sync": {"status": "Unknown"}}), project()], []


@case("argo-sync-failed", "Application/web")
def _() -> World:
    refused = {
        "kind": "Service",
        "name": "web",
        "namespace": "shop",
        "status": "SyncFailed",
        "message": "spec.clusterIP: field is immutable",
    }
    operation = {
        "phase": "Failed",
        "message": "one or more objects failed to apply",
        "finishedAt": ago(30),
        "syncResult": {"resources": [refused]},
    }
    return [application(status={"sync": {"status": "OutOfSync"}, "operationState": operation}), project(), *app("web")], []


@case("argo-sync-hangs", "Application/web")
def _() -> World:
    operation = {"phase": "Running", "message": "waiting for completion of hook batch/Job/migrate", "startedAt": ago(50)}
    return [application(status={"operationState": operation}), project()], []


@case("argo-out-of-sync", "Application/web")
def _() -> World:
    drift = [{"kind": "Deployment", "namespace": "shop", "name": "web", "status": "OutOfSync"}]
    status = {
        "sync": {"status": "OutOfSync"},
        "operationState": {"phase": "Succeeded", "finishedAt": ago(90)},
        "resources": drift,
    }
    return [application(spec={"syncPolicy": {"automated": {"prune": True}}}, status=status), project(), *app("web")], []


def flux(kind: str, name: str, *conditions: Object, spec: Object | None = None, **rest: Any) -> Object:
    group = {"Kustomization": "kustomize", "HelmRelease": "helm"}.get(kind, "source")
    return custom(kind, name, *conditions, api=f"{group}.toolkit.fluxcd.io/v1", spec=spec, **rest)


SOURCE = {"sourceRef": {"kind": "GitRepository", "name": "fleet"}}


@case("flux-source-failed", "GitRepository/fleet")
def _() -> World:
    said = (
        "failed to checkout and determine revision: unable to list remote for 'ssh://git@git.example.com/fleet':"
        " authentication required"
    )
    waits = told("Ready", "False", "ArtifactFailed", "Source artifact not found, retrying in 30s")
    source = flux(
        "GitRepository",
        "fleet",
        told("Ready", "False", "GitOperationFailed", said),
        spec={"url": "ssh://git@git.example.com/fleet"},
    )
    return [source, flux("Kustomization", "apps", waits, spec=SOURCE)], []


@case("flux-source-missing", "Kustomization/apps")
def _() -> World:
    said = told("Ready", "False", "ArtifactFailed", 'GitRepository.source.toolkit.fluxcd.io "fleet" not found')
    return [flux("Kustomization", "apps", said, spec=SOURCE), flux("GitRepository", "fleet-infra", told("Ready", "True"))], []


@case("flux-build-failed", "Kustomization/apps")
def _() -> World:
    said = told(
        "Ready", "False", "BuildFailed", "kustomize build failed: accumulating resources: 'deployment.yaml' doesn't exist"
    )
    return [flux("Kustomization", "apps", said, spec=SOURCE), flux("GitRepository", "fleet", told("Ready", "True"))], []


@case("flux-apply-failed", "Kustomization/apps")
def _() -> World:
    said = told(
        "Ready",
        "False",
        "ReconciliationFailed",
        "Service/shop/web dry-run failed (Invalid): spec.ports[0].port: Invalid value: 0",
    )
    return [flux("Kustomization", "apps", said, spec=SOURCE), flux("GitRepository", "fleet", told("Ready", "True"))], []


@case("helm-release-failed", "HelmRelease/cache")
def _() -> World:
    said = told(
        "Ready",
        "False",
        "UpgradeFailed",
        'Helm upgrade failed: cannot patch "cache" with kind StatefulSet: updates are forbidden',
    )
    chart = {"chart": {"spec": {"chart": "cache", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}}
    return [flux("HelmRelease", "cache", said, spec=chart), flux("HelmRepository", "charts", told("Ready", "True"))], []


@case("helm-release-pending", "Secret/sh.helm.release.v1.cache.v7")
def _() -> World:
    def record(version: int, status: str) -> Object:
        labels = {"owner": "helm", "name": "cache", "status": status, "version": str(version)}
        name = f"sh.helm.release.v1.cache.v{version}"
        return obj("Secret", name, type="helm.sh/release.v1", minutes=60 - version, metadata={"labels": labels})

    return [record(6, "deployed"), record(7, "pending-upgrade")], []
