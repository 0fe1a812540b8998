"""What was worked out from a look is of that look alone: it is gone with it, and never shown for a newer one."""

from typing import Any

import pytest

from sidecar.contract import ChangeFields, FieldChange, ObjectRef, Plan
from sidecar.execution import Looks, Recent
from sidecar.execution.recent import SECONDS
from sidecar.facts import ClusterFacts
from sidecar.ports import History
from tests.fakes.sidecar_cluster import FakeCluster

WEB = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="web", uid="uid-web")
OTHER = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="other", uid="uid-other")


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def workload(name: str, replicas: int) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    written = {"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "managedFields": [written]},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    for name in ("kube-system", "shop"):
        made.put("namespaces", {"metadata": {"name": name}})
    for name in ("web", "other"):
        made.put("deployments", workload(name, 3), "apps")
    return made


def plan(target: ObjectRef = WEB, *, before: int) -> Plan:
    change = FieldChange(path="/spec/replicas", before=before, after=before + 1)
    action = ChangeFields(target=target, changes=(change,))
    return Plan.model_validate(
        {
            "incident": "incident-1",
            "attempt": 1,
            "cluster": "lab",
            "cause": {"slug": "slow", "subject": WEB},
            "hypothesis": "too few",
            "steps": ({"id": "step-1", "action": action, "why": "w", "expect": "e"},),
        }
    )


def gathered(cluster: FakeCluster, of: Plan, recent: Recent) -> dict[str, Any]:
    found = ClusterFacts(cluster).gather(of, History(), through=Looks(cluster, recent=recent, reuse=True))
    assert found.missing == ()
    return found.document


def test_a_newer_look_is_shown_with_nothing_of_the_one_before_it(cluster: FakeCluster) -> None:
    clock = Clock()
    recent = Recent(now=clock)
    gathered(cluster, plan(before=3), recent)
    cluster.put("deployments", workload("web", 6), "apps")
    clock.seconds += SECONDS + 0.01

    found = gathered(cluster, plan(before=6), recent)

    assert found["targets"]["Deployment/shop/web"]["replicas"] == 6
    assert found["workloads"]["Deployment/shop/web"]["replicas"] == 6
    assert found["targets"]["Deployment/shop/web"]["live"]["fields"]["/spec/replicas"]["as_planned"] is True


def test_a_write_of_the_sidecar_ends_what_was_worked_out_too(cluster: FakeCluster) -> None:
    recent = Recent()
    gathered(cluster, plan(before=3), recent)
    cluster.put("deployments", workload("web", 6), "apps")
    recent.forget()

    assert gathered(cluster, plan(before=6), recent)["targets"]["Deployment/shop/web"]["replicas"] == 6


def test_what_the_plan_says_is_compared_anew_with_a_look_that_is_kept(cluster: FakeCluster) -> None:
    recent = Recent()
    right = gathered(cluster, plan(before=3), recent)["targets"]["Deployment/shop/web"]["live"]["fields"]["/spec/replicas"]
    wrong = gathered(cluster, plan(before=9), recent)["targets"]["Deployment/shop/web"]["live"]["fields"]["/spec/replicas"]

    assert (right["as_planned"], wrong["as_planned"]) == (True, False)
    assert right["managers"] == wrong["managers"] != []


def test_two_plans_by_one_look_are_told_the_same_as_by_a_look_each(cluster: FakeCluster) -> None:
    recent = Recent()
    gathered(cluster, plan(before=3), recent)

    for target in (WEB, OTHER):
        kept, fresh = (gathered(cluster, plan(target, before=3), of) for of in (recent, Recent()))
        assert {**kept, "now": "", "now_epoch": 0} == {**fresh, "now": "", "now_epoch": 0}
