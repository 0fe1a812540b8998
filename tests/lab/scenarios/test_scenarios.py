"""Every scenario shows its fault, is healed by the right fix and not by a plausible wrong one, all through the API."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import scenarios
from lab.laboratory import Laboratory
from tests.lab.scenarios.fixes import FIXES, Fix


@contextmanager
def played(name: str) -> Iterator[Laboratory]:
    with Laboratory.start(scenarios.load(name), speed=0.0) as lab:
        lab.play()
        yield lab
        assert lab.world.errors == []
        assert lab.server.faults == []


def test_every_scenario_has_its_fixes_and_every_fix_its_scenario() -> None:
    assert set(FIXES) == set(scenarios.names())


@pytest.mark.parametrize("name", scenarios.names())
def test_the_symptoms_are_visible_after_play(name: str) -> None:
    with played(name) as lab:
        FIXES[name].shows(lab)
        assert _well(lab), "something healthy stands beside the fault"


@pytest.mark.parametrize("name", [n for n in scenarios.names() if FIXES.get(n) and FIXES[n].right])
def test_the_right_fix_heals(name: str) -> None:
    with played(name) as lab:
        assert not lab.healed()
        _do(lab, FIXES[name].right)
        lab.advance(FIXES[name].seconds)
        assert lab.healed()


@pytest.mark.parametrize("name", [n for n in scenarios.names() if FIXES.get(n) and FIXES[n].wrong])
def test_a_plausible_wrong_fix_does_not_heal(name: str) -> None:
    with played(name) as lab:
        _do(lab, FIXES[name].wrong)
        lab.advance(FIXES[name].seconds)
        assert not lab.healed()


def _do(lab: Laboratory, deeds: tuple[Fix, ...]) -> None:
    for deed in deeds:
        deed(lab)


def _well(lab: Laboratory) -> list[str]:
    found = lab.request("GET", "/apis/apps/v1/deployments")["items"]
    return [d["metadata"]["name"] for d in found if d["status"].get("readyReplicas", 0) == d["spec"]["replicas"]]


def test_someone_else_is_faster_just_before_the_first_write() -> None:
    with played("edited-meanwhile") as lab:
        path = "/apis/apps/v1/namespaces/inventory/deployments/stock-api"
        seen = lab.request("GET", path)
        body = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": seen["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "128Mi"},
        ]
        kind = "application/json-patch+json"

        dry, _ = lab.server.call("PATCH", f"{path}?dryRun=All", body, content_type=kind)
        first, _ = lab.server.call("PATCH", path, body, content_type=kind)
        body[0]["value"] = lab.request("GET", path)["metadata"]["resourceVersion"]
        second, after = lab.server.call("PATCH", path, body, content_type=kind)

        assert (dry, first, second) == (200, 422, 200)
        writers = [(w.identity, w.body) for w in lab.writes() if w.status == 200]
        assert len(writers) == 2, "the colleague's edit, and the one that took it into account"
        assert after["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "128Mi"


def test_the_request_log_begins_after_play() -> None:
    with played("memory-limit") as lab:
        assert lab.requests == []
        container_fix = FIXES["memory-limit"].right[0]
        container_fix(lab)
        assert [(w.identity, w.verb, w.resource, w.name) for w in lab.writes()] == [
            ("admin", "patch", "deployments", "price-index")
        ]
