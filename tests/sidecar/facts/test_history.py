"""What was done lately, counted for one plan."""

from datetime import UTC, datetime
from typing import Any

from sidecar.contract import Action, DeletePod, ObjectRef
from sidecar.facts.history import counts
from sidecar.ports import History
from tests.fakes.sidecar_gate import plan

NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
NODE = ObjectRef(api_version="v1", kind="Node", name="worker-1", uid="uid-worker-1")
PODS = [ObjectRef(api_version="v1", kind="Pod", namespace="shop", name=f"web-{n}", uid=f"uid-web-{n}") for n in (1, 2)]
DRAINED = {"at": "2026-11-18T09:50:00Z", "incident": "incident-1", "kind": "drain_node", "target": NODE.document()}


def targets(*performed: dict[str, Any], actions: tuple[Action, ...]) -> Any:
    asked = plan(*[action.document() for action in actions])
    return counts(asked, History(performed=performed), now=NOW)["targets"]


def test_a_pod_that_only_a_drain_touched_was_touched_but_not_moved() -> None:
    drained = {**DRAINED, "pods": ["shop/web-1"]}

    assert targets(drained, actions=(DeletePod(target=PODS[0]),)) == {
        "Pod/shop/web-1": {"hour": 1, "day": 1, "replicas": 0, "fields": 0}
    }


def test_whoever_changes_what_is_counted_of_one_changes_nothing_of_another() -> None:
    untouched = {"hour": 0, "day": 0, "replicas": 0, "fields": 0}
    found = targets(actions=tuple(DeletePod(target=pod) for pod in PODS))

    found["Pod/shop/web-1"]["hour"] = 7

    assert found["Pod/shop/web-2"] == untouched
    assert targets(actions=(DeletePod(target=PODS[0]),)) == {"Pod/shop/web-1": untouched}
