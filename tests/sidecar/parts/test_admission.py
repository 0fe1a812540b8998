"""The documents of plan-bound admission: what is shipped covers the ceiling exactly, and what counts as shipped."""

import copy
import itertools
from datetime import UTC, datetime

import pytest
import yaml

from sidecar.credentials.admission import ENFORCED, UNKNOWN, created, difference, entry, replaced, shipped, update
from sidecar.ports import Resource
from tests.sidecar.process.harness import ROOT

DEPLOYMENTS = Resource(group="apps", version="v1", plural="deployments")
VERBS = {"patch": "UPDATE", "create": "CREATE", "delete": "DELETE"}


def documents(*parts):
    return list(yaml.safe_load_all((ROOT / "deploy").joinpath(*parts).read_text()))


def named(name, kind="ValidatingAdmissionPolicy"):
    return next(d for d in documents("admission", "30-policies.yaml") if (d["kind"], d["metadata"]["name"]) == (kind, name))


def ceiling():
    """Operation and resource of every write that a lease can be granted."""
    role = next(
        d for d in documents("rbac", "sidecar.yaml") if (d["kind"], d["metadata"]["name"]) == ("ClusterRole", "lestrade-ceiling")
    )
    return {
        f"{VERBS[verb]} {group}/{resource}"
        for rule in role["rules"]
        for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
        if verb in VERBS
    }


def matched(policy):
    return {
        f"{operation} {group}/{resource}"
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for group, resource, operation in itertools.product(rule["apiGroups"], rule["resources"], rule["operations"])
    }


def test_the_policy_with_params_matches_every_write_of_the_ceiling_and_no_other():
    found = matched(named("lestrade-plan-bound"))

    assert found == ceiling()


def test_the_policy_of_kinds_names_what_the_policy_with_params_matches():
    expression = named("lestrade-lease-kinds")["spec"]["validations"][0]["expression"]
    listed = {part for part in expression.split("'") if part.split(" ")[0] in VERBS.values()}

    assert listed == matched(named("lestrade-plan-bound"))


def test_no_policy_but_the_one_on_our_own_objects_touches_anybody_but_leases():
    for name in ("lestrade-lease-kinds", "lestrade-plan-bound"):
        [condition] = named(name)["spec"]["matchConditions"]
        assert "startsWith('system:serviceaccount:lestrade-leases:')" in condition["expression"]
        assert condition["expression"].startswith("has(request.userInfo.username) && ")


def test_what_the_sidecar_listens_for_is_what_the_policy_says():
    messages = [rule["message"] for rule in named("lestrade-plan-bound")["spec"]["validations"]]

    assert messages[0] == UNKNOWN
    assert messages[1].startswith(ENFORCED)


def test_params_are_of_a_kind_of_ours_in_one_named_object():
    binding = named("lestrade-plan-bound", "ValidatingAdmissionPolicyBinding")["spec"]

    assert named("lestrade-plan-bound")["spec"]["paramKind"] == {"apiVersion": "lestrade.dev/v1", "kind": "LeasedWrites"}
    assert binding["paramRef"] == {"name": "lestrade", "parameterNotFoundAction": "Allow"}


def test_another_namespace_of_leases_is_expected_in_the_conditions():
    found = shipped("elsewhere")
    conditions = [
        c["expression"] for d in found.values() for c in d["spec"].get("matchConditions", ()) if c["name"] == "leases-only"
    ]

    assert len(conditions) == 2
    assert all(":elsewhere:" in condition for condition in conditions)
    assert set(found) == set(shipped("lestrade-leases"))
    assert len(found) == 7


ALTERED = {
    "a value": lambda spec: spec.update(failurePolicy="Ignore"),
    "one less": lambda spec: spec["validations"].pop(),
    "one more": lambda spec: spec["validations"].append({"expression": "true"}),
    "a field more": lambda spec: spec.update(somethingNew={"a": 1}),
    "an expression": lambda spec: spec["validations"][0].update(expression="true"),
    "a field less": lambda spec: spec.pop("matchConstraints"),
}


@pytest.mark.parametrize("how", ALTERED)
def test_whatever_is_altered_is_not_as_shipped(how):
    manifest = named("lestrade-plan-bound")
    live = {"metadata": {"name": "x", "uid": "1"}, "spec": copy.deepcopy(manifest["spec"]), "status": {"observedGeneration": 1}}
    assert difference(live, manifest) == ""

    ALTERED[how](live["spec"])

    assert difference(live, manifest).startswith("spec.")


def test_what_is_empty_says_nothing_and_what_is_going_is_not_there():
    manifest = named("lestrade-lease-kinds")
    live = {"metadata": {}, "spec": {**copy.deepcopy(manifest["spec"]), "auditAnnotations": [], "paramKind": None}}
    assert difference(live, manifest) == ""

    assert (
        difference({**live, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, manifest) == "metadata.deletionTimestamp"
    )
    assert difference(None, manifest).startswith("spec")


def live(**spec):
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "labels": {"a": "1", "b": "2"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec, "status": {"x": 1}}


def test_an_update_names_what_changes_and_what_goes_and_nothing_else():
    after = live(replicas=3, template={"x": 2})
    after["metadata"] = {**after["metadata"], "labels": {"a": "1"}, "resourceVersion": "9", "generation": 4}
    write = update(DEPLOYMENTS, live(replicas=3, template={"x": 1}, paused=True), after).document()

    assert {section: value for section, value in write["becomes"].items() if value} == {"spec": {"template": {"x": 2}}}
    assert {section: value for section, value in write["gone"].items() if value} == {"spec": ["paused"], "labels": ["b"]}
    assert (write["operation"], write["resource"], write["namespace"], write["name"], write["uid"]) == (
        "UPDATE",
        "deployments",
        "shop",
        "web",
        "u",
    )


def test_a_new_service_has_an_address_that_nobody_can_know_and_one_that_was_asked_for_is_held_to():
    services = Resource(group="", version="v1", plural="services")
    stored = {"metadata": {"name": "s", "namespace": "shop"}, "spec": {"clusterIP": "10.0.0.7", "ports": []}}

    any_address = created(services, {"metadata": {"name": "s"}, "spec": {"ports": []}}, stored).document()
    that_address = created(services, {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.7"}}, stored).document()

    assert (any_address["free"]["spec"], any_address["becomes"]["spec"]) == (["clusterIP"], {"ports": []})
    assert (that_address["free"]["spec"], that_address["becomes"]["spec"]["clusterIP"]) == ([], "10.0.0.7")


def test_entries_are_changed_only_in_the_version_that_was_read():
    holder = {"metadata": {"resourceVersion": "7"}, "spec": {"leases": {}}}
    name = "system:serviceaccount:lestrade-leases:lestrade-a"

    put = replaced(holder, name, {"writes": []}).body
    taken = replaced({**holder, "spec": {"leases": {name: {}}}}, name, None).body
    first = replaced({"metadata": {"resourceVersion": "7"}}, name, {"writes": []}).body

    test = {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert put == [test, {"op": "add", "path": f"/spec/leases/{name}", "value": {"writes": []}}]
    assert taken == [test, {"op": "remove", "path": f"/spec/leases/{name}"}]
    assert first == [test, {"op": "add", "path": "/spec", "value": {"leases": {name: {"writes": []}}}}]


def test_the_same_write_twice_is_one():
    write = update(DEPLOYMENTS, live(replicas=1), live(replicas=2))

    assert len(entry("l", "p", datetime(2026, 1, 1, tzinfo=UTC), [write, write])["writes"]) == 1
