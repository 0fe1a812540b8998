"""Whose hand is on a field, and whether it is as the plan says."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.contract import ChangeFields, CordonNode, FieldChange, ObjectRef, RollbackWorkload, ScaleWorkload, Step
from sidecar.facts.fields import found_at, managers_of
from sidecar.facts.managing import as_planned
from sidecar.facts.portrait import Portrait

WEB = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="web", uid="u")
NINE = int(datetime(2026, 11, 18, 9, tzinfo=UTC).timestamp())
VALUE = "/spec/containers/0/env/1/value"


def entry(manager: str, fields: dict[str, Any], time: str = "2026-11-18T09:00:00Z") -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}


def live(*managed: dict[str, Any]) -> dict[str, Any]:
    env = [{"name": "A", "value": "1"}, {"name": "MODE", "value": "slow"}]
    ports = [{"containerPort": 80, "protocol": "TCP"}]
    return {
        "metadata": {"generation": 4, "managedFields": [*managed], "finalizers": ["a", "b"]},
        "spec": {"replicas": 3, "containers": [{"name": "main", "image": "web:1", "env": env, "ports": ports}]},
    }


def hands(path: str, fields: dict[str, Any]) -> bool:
    return managers_of(live(entry("someone", fields)), path.split("/")[1:]) != []


MAIN = 'k:{"name":"main"}'


@pytest.mark.parametrize(
    ("path", "fields", "reached"),
    [
        ("/spec/replicas", {"f:spec": {"f:replicas": {}}}, True),
        ("/spec/replicas", {"f:spec": {"f:paused": {}}}, False),
        ("/spec/replicas", {}, True),  # a leaf: the whole object as one field
        ("/spec/replicas", {"f:spec": {}}, True),
        ("/spec", {"f:spec": {"f:replicas": {}}}, True),  # something below it
        (VALUE, {"f:spec": {"f:containers": {MAIN: {"f:env": {'k:{"name":"MODE"}': {"f:value": {}}}}}}}, True),
        (VALUE, {"f:spec": {"f:containers": {MAIN: {"f:env": {'k:{"name":"A"}': {"f:value": {}}}}}}}, False),
        (VALUE, {"f:spec": {"f:containers": {'k:{"name":"other"}': {}}}}, False),
        (VALUE, {"f:spec": {"f:containers": {MAIN: {"f:env": {'k:{"name":': {"f:value": {}}}}}}}, False),
        (
            "/spec/containers/0/ports/0/name",
            {"f:spec": {"f:containers": {MAIN: {"f:ports": {'k:{"containerPort":80}': {}}}}}},
            True,
        ),
        ("/metadata/finalizers/1", {"f:metadata": {"f:finalizers": {'v:"b"': {}}}}, True),
        ("/metadata/finalizers/1", {"f:metadata": {"f:finalizers": {'v:"a"': {}}}}, False),
        ("/metadata/finalizers/1", {"f:metadata": {"f:finalizers": {"i:1": {}}}}, True),
        ("/metadata/finalizers/7", {"f:metadata": {"f:finalizers": {"i:7": {}}}}, False),
        ("/spec/containers/-", {"f:spec": {"f:containers": {MAIN: {}}}}, False),
    ],
)
def test_a_hand_is_on_a_field_as_the_api_server_writes_it_down(path: str, fields: dict[str, Any], reached: bool) -> None:
    assert hands(path, fields) is reached


def test_the_latest_hand_comes_first_and_one_without_a_time_last() -> None:
    spec = {"f:spec": {"f:replicas": {}}}
    seen = live(entry("old", spec), entry("undated", spec, time="some day"), entry("new", spec, time="2026-11-18T10:00:00+00:00"))

    found = managers_of(seen, ["spec", "replicas"])

    assert [(one["manager"], one["at_epoch"]) for one in found] == [  # type: ignore[index, call-overload]
        ("new", NINE + 3600),
        ("old", NINE),
        ("undated", None),
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [(VALUE, "MODE"), ("/spec/containers/0/image", "main"), ("/spec/replicas", ""), ("/spec/containers/5/image", "")],
)
def test_a_field_in_a_list_is_called_by_the_innermost_element(path: str, name: str) -> None:
    assert found_at(live(), path.split("/")[1:])[1] == name


@pytest.mark.parametrize(
    ("path", "before", "there", "same"),
    [
        (VALUE, "slow", True, True),
        (VALUE, "fast", True, False),
        ("/spec/replicas", 3, True, True),
        ("/spec/replicas", "3", True, False),
        ("/spec/paused", None, False, True),
        ("/spec/paused", True, False, False),
    ],
)
def test_a_field_is_compared_with_what_the_plan_says_and_its_value_stays_out(
    path: str, before: Any, there: bool, same: bool
) -> None:
    change = ChangeFields(target=WEB, changes=(FieldChange(path=path, before=before, after="other"),))

    found = as_planned(Portrait(live()), [Step(id="step-1", action=change, why="w", expect="e")])

    field = found["fields"][path]  # type: ignore[index, call-overload]
    assert (found["generation"], field["present"], field["as_planned"]) == (4, there, same)
    assert "slow" not in str(found)


def test_a_step_that_names_no_value_has_the_field_that_it_is_about() -> None:
    node = ObjectRef(api_version="v1", kind="Node", namespace="", name="n", uid="u")
    actions = (ScaleWorkload(target=WEB, replicas=4), RollbackWorkload(target=WEB, to_revision=1), CordonNode(target=node))

    found = as_planned(
        Portrait(live()),
        [Step(id=f"step-{number}", action=action, why="w", expect="e") for number, action in enumerate(actions, 1)],
    )

    assert found["fields"] == {
        "/spec/replicas": {"managers": []},
        "/spec/template/spec": {"managers": []},
        "/spec/unschedulable": {"managers": []},
    }
