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


@pytest.mark.parametrize("name", scenarios.names())
def test_bystanders_stay_well(name: str) -> None:
    with played(name) as lab:
        ready = {
            f"{d['metadata']['namespace']}/{d['metadata']['name']}": d["status"].get("readyReplicas", 0) == d["spec"]["replicas"]
            for d in lab.request("GET", "/apis/apps/v1/deployments")["items"]
        }
        assert any(ready.values())


def _do(lab: Laboratory, deeds: tuple[Fix, ...]) -> None:
    for deed in deeds:
        deed(lab)
