"""In how many rounds the cluster is asked: whatever can go out at once does."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sidecar.contract import (
    Action,
    Cause,
    ChangeFields,
    CordonNode,
    CreateObject,
    DrainNode,
    FieldChange,
    ObjectRef,
    Plan,
    ScaleWorkload,
    Step,
)
from sidecar.execution import Looks
from sidecar.facts import ClusterFacts
from sidecar.ports import ApiCall, History
from tests.fakes.sidecar_cluster import FakeCluster


@dataclass(slots=True)
class Noted(Looks):
    """Notes what was asked for ahead of time, round by round, and what was not."""

    rounds: list[list[str]] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def ahead(self, calls: Iterable[ApiCall]) -> None:
        known = {path for made in self.rounds for path in made}
        new = {_named(call): call for call in calls}
        if fresh := sorted(set(new) - known):
            self.rounds.append(fresh)

    def send(self, call: ApiCall, credential: Any = None) -> Any:
        if not any(_named(call) in made for made in self.rounds):
            self.late.append(call.path)
        return Looks.send(self, call, credential)


def _named(call: ApiCall) -> str:
    """Such as deployments/web, or pods app=web for a list that is picked."""
    short = call.path.rpartition("/namespaces/shop/")[2].removeprefix("/api/v1/")
    return " ".join([short, *(value for name, value in call.query if name == "labelSelector")])


def ref(kind: str, name: str, api: str = "apps/v1", *, namespace: str = "shop", uid: str = "") -> ObjectRef:
    return ObjectRef(api_version=api, kind=kind, namespace=namespace, name=name, uid=uid or f"uid-{name}")


WEB, POD = ref("Deployment", "web"), ref("Pod", "web-1-a", "v1")
FLAGS, INGRESS = ref("ConfigMap", "flags", "v1"), ref("Ingress", "front", "networking.k8s.io/v1")
NODE = ref("Node", "worker-1", "v1", namespace="")
SCALER = ref("HorizontalPodAutoscaler", "web", "autoscaling/v2")


def world() -> FakeCluster:
    made = FakeCluster()
    for name in ("kube-system", "shop"):
        made.put("namespaces", {"metadata": {"name": name}})
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": []}}}
    made.put("deployments", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}, "apps")
    made.put("replicasets", {"metadata": _owned("web-1", "Deployment", "web"), "spec": {}}, "apps")
    made.put("pods", {"metadata": _owned("web-1-a", "ReplicaSet", "web-1"), "spec": {}})
    made.put("configmaps", {"metadata": {"name": "flags", "namespace": "shop"}, "data": {}})
    made.put("ingresses", {"metadata": {"name": "front", "namespace": "shop"}, "spec": {}}, "networking.k8s.io")
    made.put("nodes", {"metadata": {"name": "worker-1"}, "spec": {}})
    scaled = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    made.put("horizontalpodautoscalers", {"metadata": {"name": "web", "namespace": "shop"}, "spec": scaled}, "autoscaling")
    return made


def _owned(name: str, kind: str, owner: str) -> dict[str, Any]:
    above = {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}
    return {"name": name, "namespace": "shop", "ownerReferences": [above]}


def gathered(*actions: Action, subject: ObjectRef = WEB) -> Noted:
    plan = Plan(
        incident="incident-1",
        attempt=1,
        cluster="lab",
        cause=Cause(slug="oom-killed", subject=subject),
        hypothesis="h",
        steps=tuple(Step(id=f"step-{number}", action=action, why="w", expect="e") for number, action in enumerate(actions, 1)),
    )
    looks = Noted(world())
    facts = ClusterFacts(looks.cluster).gather(plan, History(), through=looks)
    assert facts.missing == ()
    return looks


def test_what_the_plan_alone_tells_goes_out_at_once() -> None:
    looks = gathered(ScaleWorkload(target=WEB, replicas=2))

    lists = ["horizontalpodautoscalers", "poddisruptionbudgets", "services"]
    assert looks.rounds == [["deployments/web", *lists[:1], "namespaces/kube-system", "namespaces/shop", *lists[1:]]]
    assert looks.late == []


def test_what_stands_above_objects_takes_one_round_a_level_for_all_of_them() -> None:
    looks = gathered(DrainNode(target=NODE, pods=(POD,)), subject=POD)

    assert "nodes/worker-1" in looks.rounds[0]
    assert looks.rounds[1:] == [["replicasets/web-1"], ["deployments/web"]]
    assert looks.late == []


def test_what_an_autoscaler_scales_is_asked_for_in_the_second_round() -> None:
    bound = ChangeFields(target=SCALER, changes=(FieldChange(path="/spec/maxReplicas", before=3, after=4),))

    looks = gathered(bound, subject=SCALER)

    assert looks.rounds[1:] == [["deployments/web"]]
    assert looks.late == []


def test_what_a_new_autoscaler_scales_is_told_by_the_plan() -> None:
    target = ref("HorizontalPodAutoscaler", "more", "autoscaling/v2", uid="new")
    scaled = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    manifest = {"apiVersion": target.api_version, "kind": target.kind, "metadata": {"name": "more", "namespace": "shop"}}

    looks = gathered(CreateObject(target=target, manifest={**manifest, "spec": scaled}), subject=SCALER)

    assert "deployments/web" in looks.rounds[0]
    assert looks.late == []


def test_the_pods_between_a_workload_and_a_node_are_asked_for_when_both_are_known() -> None:
    looks = gathered(ScaleWorkload(target=WEB, replicas=2), subject=NODE)

    assert looks.rounds[1:] == [["pods app=web"]]
    assert looks.late == []


BETWEEN = [
    (CordonNode(target=NODE), "pods app=web"),
    (ChangeFields(target=INGRESS, changes=(FieldChange(path="/spec/ingressClassName", before=None, after="it"),)), "services"),
]


@pytest.mark.parametrize(("action", "lists"), BETWEEN)
def test_what_lies_between_a_target_and_the_cause_is_asked_for_whichever_of_them_runs_pods(action: Action, lists: str) -> None:
    looks = gathered(action, subject=WEB)

    assert looks.rounds[1:] == [[lists]]
    assert looks.late == []


@pytest.mark.parametrize(("action", "lists"), BETWEEN)
def test_a_target_with_nothing_between_leaves_none_of_the_next_ones_lists_out(action: Action, lists: str) -> None:
    flag = ChangeFields(target=FLAGS, changes=(FieldChange(path="/data/slow", before=None, after="no"),))

    looks = gathered(flag, action, subject=WEB)

    assert looks.rounds[1:] == [[lists]]
    assert looks.late == []
