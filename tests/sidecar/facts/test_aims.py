"""What a plan writes to, and which lists are asked for because of it."""

import pytest

from sidecar.contract import (
    Action,
    ChangeFields,
    DeletePod,
    DrainNode,
    EvictPod,
    FieldChange,
    ObjectRef,
    RestartWorkload,
    ScaleWorkload,
)
from sidecar.facts.aims import AUTOSCALERS, BUDGETS, SERVICES, Aim, aims_of
from sidecar.facts.projection import key_of
from tests.fakes.sidecar_gate import plan


def ref(kind: str, name: str, *, namespace: str = "shop", api: str = "v1", uid: str = "") -> ObjectRef:
    return ObjectRef(api_version=api, kind=kind, namespace=namespace, name=name, uid=uid or f"uid-{name}")


def workload(kind: str = "Deployment", *, uid: str = "") -> ObjectRef:
    return ref(kind, "web", api="apps/v1", uid=uid)


def change(target: ObjectRef, *paths: str) -> ChangeFields:
    return ChangeFields(target=target, changes=tuple(FieldChange(path=path, before=1, after=2) for path in paths))


def aims(*actions: Action) -> dict[str, Aim]:
    return aims_of(plan(*[action.document() for action in actions]))


def lists(of: ObjectRef, *actions: Action) -> set[tuple[str, str]]:
    return {*aims(*actions)[key_of(of)].lists}


WEB, NODE = workload(), ref("Node", "worker-1", namespace="")
PODS = (ref("Pod", "web-1"), ref("Pod", "pay-1", namespace="pay"))


def test_steps_on_one_object_belong_together_however_often_the_plan_writes_it_down() -> None:
    (aim,) = aims(change(WEB, "/spec/paused"), change(WEB, "/spec/minReadySeconds")).values()

    assert [step.id for step in aim.steps] == ["step-1", "step-2"]


def test_of_two_of_one_name_the_last_counts() -> None:
    (aim,) = aims(ScaleWorkload(target=workload(uid="a"), replicas=3), RestartWorkload(target=workload(uid="b"))).values()

    assert (aim.ref.uid, [step.id for step in aim.steps]) == ("b", ["step-2"])
    assert {*aim.lists} == {BUDGETS, SERVICES}, "nobody counts the replicas of the last; pods are taken from its namespace"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet"])
def test_whoever_sets_a_number_of_replicas_sees_budgets_services_and_autoscalers(kind: str) -> None:
    target = workload(kind)
    everything = {BUDGETS, SERVICES, AUTOSCALERS}

    assert lists(target, ScaleWorkload(target=target, replicas=3)) == everything
    assert lists(target, change(target, "/spec/replicas")) == everything
    assert lists(target, change(target, "/spec/paused", "/spec/replicas")) == everything


@pytest.mark.parametrize("action", [RestartWorkload(target=WEB), change(WEB, "/spec/paused")])
def test_who_sets_none_sees_budgets_alone(action: Action) -> None:
    assert lists(WEB, action) == {BUDGETS}


@pytest.mark.parametrize(("target", "seen"), [(PODS[0], {BUDGETS, SERVICES}), (ref("ConfigMap", "flags"), set()), (NODE, set())])
def test_what_is_no_workload_has_no_autoscaler(target: ObjectRef, seen: set[tuple[str, str]]) -> None:
    assert lists(target, change(target, "/spec/replicas")) == seen


@pytest.mark.parametrize("action", [DeletePod(target=PODS[0]), EvictPod(target=PODS[0])])
def test_who_takes_a_pod_away_sees_the_services_of_its_namespace_alone(action: Action) -> None:
    far = workload().model_copy(update={"namespace": "pay"})

    assert lists(PODS[0], action) == {BUDGETS, SERVICES}
    assert lists(far, action, RestartWorkload(target=far)) == {BUDGETS}


@pytest.mark.parametrize("pod", PODS)
def test_a_drain_takes_pods_from_the_namespace_of_each(pod: ObjectRef) -> None:
    assert lists(pod, DrainNode(target=NODE, pods=PODS)) == {BUDGETS, SERVICES}
