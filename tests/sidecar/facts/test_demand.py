"""What each step adds to what the cluster has to give, reckoned step after step."""

from typing import Any

import pytest

from sidecar.contract import Action, ChangeFields, CreateObject, FieldChange, ObjectRef, RestartWorkload, ScaleWorkload, Step
from sidecar.facts.demand import added

NOTHING = {"cpu_millis": 0, "memory_mib": 0, "storage_mib": 0}
RESOURCES = "/spec/template/spec/containers/0/resources"


def ref(kind: str, name: str = "web", *, uid: str = "u") -> ObjectRef:
    return ObjectRef(api_version="v1", kind=kind, namespace="shop", name=name, uid=uid)


WEB, SCALER = ref("Deployment"), ref("HorizontalPodAutoscaler")


def workload(kind: str = "Deployment", *, replicas: int | None = 3, **resources: Any) -> dict[str, Any]:
    containers = [{"name": "main", "resources": resources or {"requests": {"cpu": "100m", "memory": "64Mi"}}}, {"name": "aside"}]
    return {"kind": kind, "spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}}}


def changed(target: ObjectRef, path: str, before: Any, after: Any) -> ChangeFields:
    return ChangeFields(target=target, changes=(FieldChange(path=path, before=before, after=after),))


def adds(*actions: Action, live: dict[str, Any] | None = None, scaled: dict[str, Any] | None = None) -> dict[str, Any]:
    """`live`, `scaled`: what is the plan's one target, or what that scales."""
    steps = [Step(id=f"step-{number}", action=action, why="w", expect="e") for number, action in enumerate(actions, 1)]
    target = actions[0].target
    key = f"{target.kind}/shop/{target.name}"
    return added(steps, {key: live} if live else {}, {key: scaled} if scaled else {})  # type: ignore[return-value]


def test_more_pods_ask_for_as_much_each_as_the_ones_before() -> None:
    found = adds(ScaleWorkload(target=WEB, replicas=5), live=workload())

    assert found == {"step-1": {"cpu_millis": 200, "memory_mib": 128, "storage_mib": 0}}


def test_a_step_is_reckoned_from_what_the_steps_before_it_leave() -> None:
    more = changed(WEB, f"{RESOURCES}/requests/cpu", "100m", "200m")

    found = adds(ScaleWorkload(target=WEB, replicas=5), more, ScaleWorkload(target=WEB, replicas=1), live=workload())

    assert [found[f"step-{number}"]["cpu_millis"] for number in (1, 2, 3)] == [200, 500, -800]


def test_a_limit_without_a_request_is_the_request() -> None:
    live = workload(limits={"cpu": "1", "memory": "1Gi"}, requests={"cpu": "250m"})

    assert adds(ScaleWorkload(target=WEB, replicas=4), live=live)["step-1"] == {
        "cpu_millis": 250,
        "memory_mib": 1024,
        "storage_mib": 0,
    }


def test_resources_that_were_not_there_are_added_by_the_change() -> None:
    live = workload()
    del live["spec"]["template"]["spec"]["containers"][0]["resources"]

    assert adds(changed(WEB, f"{RESOURCES}/limits/memory", None, "1Gi"), live=live)["step-1"]["memory_mib"] == 3 * 1024


def test_what_does_not_touch_an_amount_adds_nothing() -> None:
    assert adds(RestartWorkload(target=WEB), live=workload()) == {"step-1": NOTHING}


def test_a_workload_that_says_no_number_is_one_pod_and_a_daemon_set_as_many_as_it_has_places() -> None:
    daemons = ref("DaemonSet")
    everywhere = {**workload("DaemonSet"), "status": {"desiredNumberScheduled": 7}}

    assert adds(ScaleWorkload(target=WEB, replicas=2), live=workload(replicas=None))["step-1"]["cpu_millis"] == 100
    assert adds(changed(daemons, f"{RESOURCES}/requests/cpu", "100m", "110m"), live=everywhere)["step-1"]["cpu_millis"] == 70


def test_an_autoscaler_counts_with_its_upper_bound() -> None:
    live = {"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 4}}

    found = adds(changed(SCALER, "/spec/maxReplicas", 4, 10), live=live, scaled=workload())

    assert found["step-1"] == {"cpu_millis": 600, "memory_mib": 384, "storage_mib": 0}


def test_a_new_autoscaler_adds_what_it_may_grow_by() -> None:
    target = ref("HorizontalPodAutoscaler", uid="new")
    manifest = {
        "apiVersion": "v1",
        "kind": target.kind,
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"maxReplicas": 5},
    }

    found = adds(CreateObject(target=target, manifest=manifest), scaled=workload(replicas=3))

    assert found["step-1"]["cpu_millis"] == 200


def test_a_claim_asks_for_storage() -> None:
    claim = ref("PersistentVolumeClaim")
    live = {"kind": claim.kind, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}

    assert adds(changed(claim, "/spec/resources/requests/storage", "1Gi", "3Gi"), live=live)["step-1"]["storage_mib"] == 2048


@pytest.mark.parametrize(
    ("action", "live"),
    [
        (ScaleWorkload(target=WEB, replicas=4), workload(requests={"cpu": "much"})),
        (changed(WEB, f"{RESOURCES}/requests/cpu", "100m", "much"), workload()),
        (changed(WEB, "/spec/template/spec/containers/9/image", None, "x"), workload()),
        (changed(SCALER, "/spec/maxReplicas", None, 9), {"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 4}}),
    ],
    ids=["an amount nobody can read", "a new amount nobody can read", "no such place", "it is not known what is scaled"],
)
def test_a_sum_that_cannot_be_told_is_left_out(action: Action, live: dict[str, Any]) -> None:
    assert adds(action, live=live) == {}


def test_nothing_that_came_in_is_changed() -> None:
    live = workload()

    adds(ScaleWorkload(target=WEB, replicas=9), changed(WEB, f"{RESOURCES}/requests/cpu", "100m", "1"), live=live)

    assert live == workload()


def test_what_is_known_to_add_nothing_is_reckoned_all_the_same_where_another_step_is_about_the_object() -> None:
    place = "/spec/template/spec/containers/0/env/0/value"
    gone = changed(WEB, "/spec/template/spec/containers", None, [])
    steps = [
        Step(id=f"step-{n}", action=action, why="w", expect="e")
        for n, action in enumerate((gone, changed(WEB, place, "a", "b")), 1)
    ]
    live = {"Deployment/shop/web": workload()}

    assert added(steps[1:], live, {}, {"step-2"}) == {"step-2": NOTHING}
    assert "step-2" not in added(steps, live, {}, {"step-2"}), "its place is gone by then"
