"""The sidecar's RBAC files hold everything that a lease may be made of, and nothing that no identity of ours may have."""

from itertools import product
from pathlib import Path

import pytest
import yaml

from sidecar.credentials.scope import CHANGEABLE, CREATABLE, RESTARTABLE, SCALABLE
from sidecar.ports.resources import RESOURCES

RBAC = Path(__file__).resolve().parents[3] / "deploy" / "rbac"
NEVER_VERBS = {"*", "escalate", "bind", "impersonate", "deletecollection", "update", "approve", "sign"}
NEVER_RESOURCES = {"*", "secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "nodes/proxy", "services/proxy"}


def rules(file: str, role: str | None = None) -> list[dict]:
    documents = yaml.safe_load_all((RBAC / file).read_text())
    return [
        rule
        for document in documents
        if document["kind"] in ("Role", "ClusterRole") and role in (None, document["metadata"]["name"])
        for rule in document["rules"]
    ]


def holds(group: str, resource: str, verb: str) -> bool:
    return any(
        group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]
        for rule in rules("sidecar.yaml", "lestrade-ceiling")
    )


def granted() -> set[tuple[str, str, str]]:
    """Everything that scope can ask for."""
    wanted = set()
    for (_, kind), resource in RESOURCES.items():
        if kind in RESTARTABLE | CHANGEABLE:
            wanted |= {(resource.group, resource.plural, verb) for verb in ("get", "patch")}
        if kind in SCALABLE:
            wanted |= {(resource.group, f"{resource.plural}/scale", verb) for verb in ("get", "patch")}
        if kind in CREATABLE | {"Job"}:
            wanted |= {(resource.group, resource.plural, verb) for verb in ("create", "delete")}
    return wanted | {("", "pods", "delete"), ("", "pods/eviction", "create"), ("", "nodes", "get"), ("", "nodes", "patch")}


def test_every_right_that_a_lease_may_need_is_under_the_ceiling():
    assert [right for right in sorted(granted()) if not holds(*right)] == []


def test_nothing_is_under_the_ceiling_that_no_lease_needs():
    held = {
        right
        for rule in rules("sidecar.yaml", "lestrade-ceiling")
        for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    assert held - granted() == set()


@pytest.mark.parametrize("file", ["sidecar.yaml", "reader.yaml"])
def test_no_identity_of_ours_has_a_wildcard_a_secret_or_a_verb_of_escalation(file):
    for rule in rules(file):
        assert not NEVER_VERBS & set(rule["verbs"])
        assert not NEVER_RESOURCES & set(rule["resources"])


def test_the_reader_only_reads():
    assert {verb for rule in rules("reader.yaml") for verb in rule["verbs"]} == {"get", "list", "watch"}
