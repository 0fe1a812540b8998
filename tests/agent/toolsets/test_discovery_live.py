"""The laboratory's API server, with a definition of an operator's kind: found, read and diagnosed like any other."""

import pytest

from agent.reasoning.offline import OfflineReasoner
from agent.toolsets.kubernetes import connect
from lab.laboratory import Laboratory
from tests.agent.builders import asked

GROUP = "db.example.com"
NAMES = {"plural": "databases", "singular": "database", "kind": "Database", "listKind": "DatabaseList"}
SCHEMA = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"databases.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": NAMES,
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA, "subresources": {"status": {}}}],
    },
}
FAILED = {
    "type": "Ready",
    "status": "False",
    "reason": "NoQuorum",
    "message": "2 of 3 members are gone",
    "lastTransitionTime": "2020-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def lab():
    with Laboratory.start(None) as lab:
        lab.apply([DEFINITION])
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        one = {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Database",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": {"members": 3},
        }
        lab.apply([space, one])
        path = f"/apis/{GROUP}/v1/namespaces/shop/databases/orders"
        lab.request("PATCH", f"{path}/status", {"status": {"conditions": [FAILED]}}, content_type="application/merge-patch+json")
        yield lab


async def test_a_kind_that_only_discovery_names_is_read_and_diagnosed(lab):
    cluster = connect(kubeconfig=lab.kubeconfig())
    try:
        seen = await cluster.overview(["shop"])
    finally:
        cluster.close()

    assert [gap.what for gap in seen.gaps] == []
    found = OfflineReasoner().diagnose(asked("What is wrong in namespace shop?"), seen)
    assert [str(one.finding.subject) for one in found.causes] == ["Database shop/orders"]
    assert "2 of 3 members are gone" in found.statement
