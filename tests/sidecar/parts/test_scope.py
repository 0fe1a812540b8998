"""The least rights: always named, and never what no lease may hold."""

import pytest

from sidecar.credentials import BeyondCeiling, rights_for
from sidecar.credentials.manifests import probes
from tests.fakes.sidecar_gate import change, plan, ref, scale

CORE = {"api_version": "v1"}


def rights(*actions):
    return {
        (right.namespace, right.group, right.resource, right.verbs, right.names) for right in rights_for(plan(*actions).steps)
    }


def pod(name: str, namespace: str = "shop"):
    return ref("Pod", name, namespace, **CORE)


NODE = ref("Node", "n1", "", **CORE)
CREATE = {
    "kind": "create_object",
    "target": ref("ConfigMap", "settings", uid="new", **CORE),
    "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}},
}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (scale(5), {("shop", "apps", "deployments/scale", ("get", "patch"), ("web",))}),
        (
            {"kind": "restart_workload", "target": ref("StatefulSet", "db")},
            {("shop", "apps", "statefulsets", ("get", "patch"), ("db",))},
        ),
        (
            {"kind": "rollback_workload", "target": ref("Deployment", "web"), "to_revision": 2},
            {("shop", "apps", "deployments", ("get", "patch"), ("web",))},
        ),
        (change("/spec/replicas", 1, 2), {("shop", "apps", "deployments", ("get", "patch"), ("web",))}),
        ({"kind": "delete_pod", "target": pod("p")}, {("shop", "", "pods", ("delete",), ("p",))}),
        ({"kind": "evict_pod", "target": pod("p")}, {("shop", "", "pods/eviction", ("create",), ("p",))}),
        ({"kind": "cordon_node", "target": NODE}, {("", "", "nodes", ("get", "patch"), ("n1",))}),
        (
            {"kind": "drain_node", "target": NODE, "pods": [pod("p"), pod("q", "team")]},
            {
                ("", "", "nodes", ("get", "patch"), ("n1",)),
                ("shop", "", "pods/eviction", ("create",), ("p",)),
                ("team", "", "pods/eviction", ("create",), ("q",)),
            },
        ),
        (
            CREATE,
            {("shop", "", "configmaps", ("create",), ()), ("shop", "", "configmaps", ("delete",), ("settings",))},
        ),
        (
            {"kind": "rerun_job", "target": ref("Job", "load", api_version="batch/v1"), "new_name": "load-2"},
            {("shop", "batch", "jobs", ("create",), ()), ("shop", "batch", "jobs", ("delete",), ("load-2",))},
        ),
    ],
)
def test_an_action_gets_what_it_needs_and_no_more(action, expected):
    assert rights(action) == expected


def test_steps_on_like_objects_share_a_rule_that_names_both():
    assert rights(scale(5), scale(5, "api")) == {("shop", "apps", "deployments/scale", ("get", "patch"), ("api", "web"))}


@pytest.mark.parametrize(
    "target",
    [
        ref("Secret", "s", **CORE),
        ref("ServiceAccount", "s", **CORE),
        ref("Pod", "p", **CORE),
        ref("Namespace", "prod", "", **CORE),
        ref("Node", "n1", "", **CORE),
        ref("Role", "r", api_version="rbac.authorization.k8s.io/v1"),
        ref("ClusterRoleBinding", "r", "", api_version="rbac.authorization.k8s.io/v1"),
        ref("Deployment", "web", api_version="evil.example/v1"),
        ref("Deployment", "web", ""),
        ref("CustomResourceDefinition", "x", "", api_version="apiextensions.k8s.io/v1"),
        ref("ValidatingWebhookConfiguration", "x", "", api_version="admissionregistration.k8s.io/v1"),
    ],
)
def test_no_lease_changes_fields_of(target):
    with pytest.raises(BeyondCeiling):
        rights(change("/spec/x", None, 1, target))


@pytest.mark.parametrize("kind", ["Pod", "Secret", "ServiceAccount"])
def test_no_lease_creates(kind):
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "shop"}}
    with pytest.raises(BeyondCeiling) as caught:
        rights(scale(5), {"kind": "create_object", "target": ref(kind, "x", uid="new", **CORE), "manifest": manifest})
    assert caught.value.step == "step-2"


def test_a_probe_writes_nothing_even_where_it_still_passes():
    drain = {"kind": "drain_node", "target": NODE, "pods": [pod("p"), pod("q", "team")]}
    calls = probes(rights_for(plan(drain, CREATE).steps))
    assert len(calls) == 3
    assert all(("dryRun", "All") in call.query for call in calls)
