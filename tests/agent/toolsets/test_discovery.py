"""Custom resources of a live cluster: found by one request, read in one list a kind, whatever the operator is called."""

import pytest

from agent.toolsets.discovery import AT_MOST, extensions_in
from agent.toolsets.kubernetes import connect
from tests.agent.builders import custom, obj, told
from tests.agent.toolsets.test_kubernetes import kubeconfig
from tests.fakes.agent_cluster import FakeApi, serving


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cluster(api, tmp_path):
    with serving(api) as url:
        found = connect(kubeconfig=kubeconfig(tmp_path / "config", url))
        yield found
        found.close()


def row(kind, plural, *, namespaced=True, status=True, verbs=("get", "list", "watch")):
    return {
        "resource": plural,
        "responseKind": {"kind": kind},
        "scope": "Namespaced" if namespaced else "Cluster",
        "verbs": list(verbs),
        "subresources": [{"subresource": "status"}] if status else [],
    }


def discovery(**groups):
    """Groups by name (dots as __) with their rows, under v1; an older version is named as well and passed over."""
    items = [
        {
            "metadata": {"name": name.replace("__", ".").replace("_", "-")},
            "versions": [{"version": "v1", "resources": rows}, {"version": "v1beta1", "resources": rows}],
        }
        for name, rows in groups.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "items": items}


def kinds(document):
    return sorted(one.kind for one in extensions_in(document)[0])


def test_kinds_that_checks_know_are_read_with_or_without_a_status_and_others_with_one():
    document = discovery(
        keda__sh=[row("ScaledObject", "scaledobjects"), row("TriggerAuthentication", "triggerauthentications", status=False)],
        db__example__com=[
            row("Database", "databases"),
            row("Template", "templates", status=False),
            row("Login", "logins", verbs=["create"]),
        ],
    )
    assert kinds(document) == ["Database", "ScaledObject", "TriggerAuthentication"]


def test_what_is_read_anyway_or_countless_or_of_kubernetes_itself_is_passed_over():
    document = discovery(
        apps=[row("Deployment", "deployments")],
        metrics__k8s__io=[row("NodeMetrics", "nodes")],
        certificates__k8s__io=[row("CertificateSigningRequest", "certificatesigningrequests", namespaced=False)],
        cilium__io=[row("CiliumEndpoint", "ciliumendpoints"), row("CiliumNetworkPolicy", "ciliumnetworkpolicies")],
        lestrade__dev=[row("LeaseScope", "leasescopes")],
        resource__k8s__io=[row("ResourceSlice", "resourceslices", namespaced=False, status=False)],
    )
    assert kinds(document) == ["CiliumNetworkPolicy", "ResourceSlice"]


def test_of_countless_kinds_of_operators_some_are_read_and_the_rest_is_said():
    document = discovery(cloud__example__com=[row(f"Thing{n:03}", f"things{n:03}") for n in range(AT_MOST + 5)])
    found, left_out = extensions_in(document)
    assert len(found) == AT_MOST
    assert len(left_out) == 5


def test_a_server_without_aggregated_discovery_is_asked_for_known_kinds_in_its_own_version():
    groups = [
        {"name": "cert-manager.io", "preferredVersion": {"groupVersion": "cert-manager.io/v1alpha3"}},
        {"name": "db.example.com"},
    ]
    found, _ = extensions_in({"kind": "APIGroupList", "groups": groups})
    assert {one.api_version for one in found} == {"cert-manager.io/v1alpha3"}
    assert "Certificate" in {one.kind for one in found}


@pytest.mark.parametrize(
    "document", [{}, {"kind": "Status"}, {"kind": "APIGroupDiscoveryList", "items": [{}, {"versions": [{}]}]}]
)
def test_odd_documents_name_nothing(document):
    assert extensions_in(document) == ([], [])


async def test_custom_resources_come_in_one_list_a_kind_narrowed_to_the_namespaces(cluster, api):
    api.objects["/apis"] = discovery(db__example__com=[row("Database", "databases")])
    api.lists["/apis/db.example.com/v1/databases"] = [
        custom("Database", "mine", told("Ready", "False"), api="db.example.com/v1"),
        custom("Database", "other", api="db.example.com/v1", namespace="elsewhere"),
    ]

    seen = await cluster.overview(["shop"])

    assert [one["metadata"]["name"] for one in seen.objects if one["kind"] == "Database"] == ["mine"]
    assert len([path for path, _ in api.asked if "databases" in path]) == 1


async def test_a_gitops_object_of_another_namespace_that_makes_things_here_is_kept(cluster, api):
    rows = [row("Kustomization", "kustomizations")]
    api.objects["/apis"] = discovery(kustomize__toolkit__fluxcd__io=rows)
    made = {"inventory": {"entries": [{"id": "shop_web_apps_Deployment"}]}}
    group = "kustomize.toolkit.fluxcd.io/v1"
    api.lists[f"/apis/{group}/kustomizations"] = [
        custom("Kustomization", "apps", api=group, namespace="flux-system", status=made),
        custom("Kustomization", "infra", api=group, namespace="flux-system"),
    ]

    seen = await cluster.overview(["shop"])

    assert [one["metadata"]["name"] for one in seen.objects if one["kind"] == "Kustomization"] == ["apps"]


async def test_a_refusal_is_told_for_kinds_that_checks_know_and_tried_by_namespace_first(cluster, api):
    api.objects["/apis"] = discovery(
        cert_manager__io=[row("Certificate", "certificates"), row("Issuer", "issuers")],
        db__example__com=[row("Database", "databases")],
    )
    refused = (403, "you may not")
    for path in ("cert-manager.io/v1/certificates", "cert-manager.io/v1/issuers", "db.example.com/v1/databases",
                 "cert-manager.io/v1/namespaces/shop/issuers"):  # fmt: skip
        api.refuse[f"/apis/{path}"] = refused
    api.lists["/apis/cert-manager.io/v1/namespaces/shop/certificates"] = [obj("Certificate", "web", api="cert-manager.io/v1")]

    seen = await cluster.overview(["shop"])

    assert [one["kind"] for one in seen.objects if one["kind"] in ("Certificate", "Issuer")] == ["Certificate"]
    assert [gap.what for gap in seen.gaps if "Issuer" in gap.what or "Database" in gap.what] == ["Issuer objects in shop"]


async def test_a_refused_discovery_is_a_gap_and_no_failure(cluster, api):
    api.refuse["/apis"] = (403, "you may not")
    seen = await cluster.overview(["shop"])
    assert [gap.what for gap in seen.gaps] == ["custom resources"]
