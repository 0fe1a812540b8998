"""Whatever a plan asks for: the rights of its lease are within the plan, and the plan's within the sidecar's own."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sidecar.contract import Action, Step, target_of
from sidecar.credentials import BeyondCeiling, rights_for
from sidecar.ports.resources import RESOURCES
from tests.sidecar.parts.test_ceiling import NEVER_RESOURCES, NEVER_VERBS, rules

CEILING = {
    right
    for rule in rules("sidecar.yaml", "lestrade-ceiling")
    for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])
}
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,12}[a-z0-9])?", fullmatch=True)
NAMESPACES = st.sampled_from(["shop", "bank", "kube-system", ""])
KINDS = st.sampled_from([*RESOURCES, ("evil.example/v1", "Deployment"), ("v1", "secret"), ("v2", "Secret"), ("apps/v1", "Pod")])
NEVER = {*NEVER_VERBS, "watch", "list", "update", "proxy"}
NEVER_GRANTED = NEVER_RESOURCES | {
    *("serviceaccounts", "serviceaccounts/token", "roles", "rolebindings", "clusterroles", "clusterrolebindings", "namespaces"),
    *("customresourcedefinitions", "validatingwebhookconfigurations", "pods/ephemeralcontainers", "storageclasses", "leases"),
}
WORKLOADS = {"deployments", "statefulsets", "daemonsets", "replicasets", "cronjobs", "pods", "replicationcontrollers"}


WORKLOAD = [("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet")]
PODS, NODES, JOBS = [("v1", "Pod")], [("v1", "Node")], [("batch/v1", "Job")]
SETTINGS = [("v1", "ConfigMap"), ("v1", "Service"), ("autoscaling/v2", "HorizontalPodAutoscaler")]
FITTING = {  # kinds that an action is meant for; it is tried on every other as well
    "restart_workload": WORKLOAD,
    "rollback_workload": WORKLOAD,
    "scale_workload": WORKLOAD,
    "delete_pod": PODS,
    "evict_pod": PODS,
    "cordon_node": NODES,
    "uncordon_node": NODES,
    "drain_node": NODES,
    "change_fields": SETTINGS,
    "create_object": SETTINGS,
    "rerun_job": JOBS,
}


@st.composite
def targets(draw, fitting=()):
    api_version, kind = draw(st.sampled_from(fitting)) if fitting else draw(KINDS)
    namespaced = RESOURCES[(api_version, kind)].namespaced if (api_version, kind) in RESOURCES else True
    namespace = draw(NAMESPACES) if draw(st.integers(0, 9)) == 0 else "shop" if namespaced else ""
    return {"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": draw(NAMES), "uid": draw(NAMES)}


@st.composite
def actions(draw):
    kind = draw(st.sampled_from(sorted(FITTING)))
    target = draw(targets(FITTING[kind] if draw(st.integers(0, 3)) else ()))
    pods = st.lists(targets().map(lambda pod: {**pod, "apiVersion": "v1", "kind": "Pod", "namespace": "shop"}), max_size=3)
    manifest = {
        "apiVersion": target["apiVersion"],
        "kind": target["kind"],
        "metadata": {"name": target["name"], **({"namespace": target["namespace"]} if target["namespace"] else {})},
    }
    more = {
        "rollback_workload": {"to_revision": 1},
        "scale_workload": {"replicas": 3},
        "change_fields": {"changes": [{"path": "/spec/x", "before": None, "after": 1}]},
        "drain_node": {"pods": draw(pods)},
        "create_object": {"manifest": manifest},
        "rerun_job": {"new_name": draw(NAMES)},
    }.get(kind, {})
    named = {**target, "uid": "new"} if kind == "create_object" else target
    return {"kind": kind, "target": named, **more}


@st.composite
def plans(draw):
    found = []
    for document in draw(st.lists(actions(), min_size=1, max_size=6)):
        try:
            found.append(TypeAdapter(Action).validate_python(document, strict=False))
        except ValueError:
            continue  # not even a plan
    return [Step(id=f"step-{n}", action=action, why="so", expect="better") for n, action in enumerate(found, start=1)]


def within(steps) -> int:
    """Asserts it; how many steps were given any right."""
    granted = []
    for step in steps:
        try:
            granted.append((step, rights_for([step])))
        except BeyondCeiling:
            continue
    for step, rights in granted:
        mine = target_of(step.action)
        names = {target.name for target in mine} | {str(getattr(step.action, "new_name", ""))}
        for right in rights:
            assert right.namespace in {target.namespace for target in mine}
            assert set(right.names) <= names
            assert right.names or right.verbs == ("create",), "only making something has no name beforehand"
            assert not NEVER & set(right.verbs)
            assert right.resource not in NEVER_GRANTED
            assert not (right.verbs == ("create",) and right.resource in WORKLOADS)
            assert {(right.group, right.resource, verb) for verb in right.verbs} <= CEILING, right
    together = [step for step, _ in granted]
    whole = {(r.namespace, r.group, r.resource, verb, name) for r in rights_for(together) for verb in r.verbs for name in r.names}
    single = {
        (r.namespace, r.group, r.resource, verb, name)
        for _, rights in granted
        for r in rights
        for verb in r.verbs
        for name in r.names
    }
    assert whole == single, "all together give no more than each by itself"
    return len(granted)


def test_the_rights_of_a_lease_are_within_its_plan_and_within_the_sidecars():
    seen = []

    @settings(max_examples=60, deadline=None)
    @given(plans())
    def every(steps):
        seen.append(within(steps))

    every()
    assert sum(seen) > 60  # else it says nothing


@settings(max_examples=25, deadline=None)
@given(plans())
def test_a_plan_with_one_step_that_no_lease_can_hold_has_no_rights_at_all(steps):
    beyond = [step for step in steps if _is_beyond(step)]
    if beyond:
        with pytest.raises(BeyondCeiling) as caught:
            rights_for(steps)
        assert caught.value.step == beyond[0].id


def _is_beyond(step) -> bool:
    try:
        rights_for([step])
    except BeyondCeiling:
        return True
    return False
