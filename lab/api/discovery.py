"""What the server offers: API groups and resources in both forms, version, health checks, the OpenAPI documents kubectl reads."""

from typing import Any

from lab.api.cluster import Cluster
from lab.api.media import DISCOVERY, negotiate
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import no_such_resource, page_not_found

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
    "gitTreeState": "clean",
    "buildDate": "2026-07-23T00:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_HOOKS = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-wait-for-first-sync",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
]
_LATE_HOOKS = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def answer(cluster: Cluster, call: Call) -> Answer:
    """Everything that names no resource. ApiError 404 (text) for what is not there."""
    path = call.path.rstrip("/") or "/"
    parts = path.strip("/").split("/")
    match parts:
        case [""]:
            return Answer(body={"paths": _paths(cluster)})
        case ["version"]:
            return Answer(body=VERSION)
        case ["healthz" | "livez" | "readyz", *rest]:
            return _health(call, parts[0], rest)
        case ["api"]:
            return _aggregated(cluster, call, core=True) or Answer(body=_versions(cluster))
        case ["apis"]:
            return _aggregated(cluster, call, core=False) or Answer(body=_groups(cluster))
        case ["api", "v1"]:
            return Answer(body=_resources(cluster, "", "v1"))
        case ["apis", group] if group in cluster.resources.groups():
            return Answer(body={"kind": "APIGroup", "apiVersion": "v1"} | _group(cluster, group))
        case ["apis", group, version] if group in cluster.resources.groups():
            if version not in cluster.resources.versions(group):
                raise no_such_resource()
            return Answer(body=_resources(cluster, group, version))
        case ["openapi", *rest]:
            return _openapi(cluster, call, rest)
        case _:
            raise page_not_found()


def _paths(cluster: Cluster) -> list[str]:
    out = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/"]
    for group in sorted(cluster.resources.groups()):
        out.append(f"/apis/{group}")
        out += [f"/apis/{group}/{v}" for v in cluster.resources.versions(group)]
    for name in ("healthz", "livez", "readyz"):
        out += [f"/{name}", *(f"/{name}/{c}" for c in _checks(name))]
    out += [
        "/flagz",
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/openid/v1/jwks",
        "/statusz",
        "/version",
    ]
    return sorted(out)


def _checks(name: str) -> list[str]:
    first = ["ping", "log", *(["informer-sync"] if name == "readyz" else ["loopback-serving-certificate", "etcd"])]
    hooks = [f"poststarthook/{h}" for h in _HOOKS] + ["autoregister-completion"] + [f"poststarthook/{h}" for h in _LATE_HOOKS]
    return first + hooks + (["shutdown"] if name == "readyz" else [])


def _health(call: Call, name: str, rest: list[str]) -> Answer:
    checks = _checks(name)
    if rest:
        if "/".join(rest) not in checks:
            raise page_not_found()
        return Answer(body=b"ok", media="text/plain; charset=utf-8")
    if any(k == "verbose" for k, _ in call.query):
        text = "".join(f"[+]{c} ok\n" for c in checks) + f"{name} check passed\n"
        return Answer(body=text.encode(), media="text/plain; charset=utf-8")
    return Answer(body=b"ok", media="text/plain; charset=utf-8")


def _versions(cluster: Cluster) -> dict[str, Any]:
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": cluster.address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def _group(cluster: Cluster, group: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in cluster.resources.versions(group)]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _groups(cluster: Cluster) -> dict[str, Any]:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(cluster, g) for g in cluster.resources.groups()]}


def _resources(cluster: Cluster, group: str, version: str) -> dict[str, Any]:
    rows = []
    for r in sorted(cluster.resources.of(group, version), key=lambda r: r.plural):
        row: dict[str, Any] = {
            "name": r.plural,
            "singularName": r.singular,
            "namespaced": r.namespaced,
            "kind": r.kind,
            "verbs": list(r.verbs),
        }
        row |= {k: list(v) for k, v in (("shortNames", r.short_names), ("categories", r.categories)) if v}
        if r.version_hash:
            row["storageVersionHash"] = r.version_hash
        rows.append(row)
        for s in r.subresources:
            sub: dict[str, Any] = {"name": f"{r.plural}/{s.name}", "singularName": "", "namespaced": r.namespaced}
            sub |= {k: v for k, v in (("group", s.group), ("version", s.version)) if v}
            rows.append(sub | {"kind": s.kind, "verbs": list(s.verbs)})
    head = {"kind": "APIResourceList", "apiVersion": "v1"} if group else {"kind": "APIResourceList"}
    return head | {"groupVersion": f"{group}/{version}" if group else version, "resources": rows}


def _aggregated(cluster: Cluster, call: Call, *, core: bool) -> Answer | None:
    accepted = negotiate(call.header("accept"), shapes=(DISCOVERY,))
    if accepted.shape != DISCOVERY or accepted.version != "v2":
        return None
    groups = [""] if core else cluster.resources.groups()
    items = []
    for group in groups:
        versions = []
        for version in cluster.resources.versions(group):
            rows = [_aggregated_row(r) for r in cluster.resources.of(group, version)]
            versions.append({"version": version, "resources": rows, "freshness": "Current"})
        items.append({"metadata": {"name": group} if group else {}, "versions": versions})
    body = {"kind": DISCOVERY, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    return Answer(body=body, media=AGGREGATED)


def _aggregated_row(r: Resource) -> dict[str, Any]:
    group, version = (r.group, r.version) if r.custom is not None else ("", "")
    row: dict[str, Any] = {
        "resource": r.plural,
        "responseKind": {"group": group, "version": version, "kind": r.kind},
        "scope": "Namespaced" if r.namespaced else "Cluster",
        "singularResource": r.singular,
        "verbs": list(r.verbs),
    }
    row |= {k: list(v) for k, v in (("shortNames", r.short_names), ("categories", r.categories)) if v}
    if r.subresources:
        row["subresources"] = [
            {
                "subresource": s.name,
                "responseKind": {"group": s.group or group, "version": s.version or version, "kind": s.kind},
                "verbs": list(s.verbs),
            }
            for s in r.subresources
        ]
    return row


def _openapi(cluster: Cluster, call: Call, rest: list[str]) -> Answer:
    """v3: an index, and per group version the paths with the query parameters that kubectl looks for; no schemas."""
    if rest == ["v2"]:
        return Answer(
            body={
                "swagger": "2.0",
                "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
                "paths": {},
                "definitions": {},
            }
        )
    if rest == ["v3"]:
        names = ["api/v1", *(f"apis/{g}/{v}" for g in cluster.resources.groups() for v in cluster.resources.versions(g))]
        return Answer(
            body={"paths": {n: {"serverRelativeURL": f"/openapi/v3/{n}"} for n in names}}, media="text/plain; charset=utf-8"
        )
    if rest[:1] == ["v3"]:
        group, version = ("", rest[2]) if rest[1:2] == ["api"] else (rest[2], rest[3])
        return Answer(body=_document(cluster, group, version))
    raise page_not_found()


def _document(cluster: Cluster, group: str, version: str) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    found = cluster.resources.of(group, version)
    if not found:
        raise page_not_found()
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for r in found:
        where = f"{base}/namespaces/{{namespace}}/{r.plural}" if r.namespaced else f"{base}/{r.plural}"
        gvk = {"group": group, "version": version, "kind": r.kind}
        parameters = [
            {"name": n, "in": "query", "schema": {"type": "string"}} for n in ("dryRun", "fieldManager", "fieldValidation")
        ]
        paths[f"{where}/{{name}}"] = {
            method: {
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": gvk,
                "parameters": parameters,
                "responses": {},
            }
            for method, action in (("patch", "patch"), ("put", "put"))
        }
        paths[where] = {
            "post": {
                "x-kubernetes-action": "post",
                "x-kubernetes-group-version-kind": gvk,
                "parameters": parameters,
                "responses": {},
            }
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": {}},
    }
