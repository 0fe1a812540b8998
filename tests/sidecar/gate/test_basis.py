"""What a plan says that it rests on: people see it, and it is not taken back by saying otherwise."""

import pytest

from sidecar.gate.submit import submit
from tests.fakes.sidecar_gate import change, deployment, make_world, plan, ref, scale

OTHER_CAUSE = {"slug": "image-missing", "subject": ref("Deployment", "api")}


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    for name in ("web", "api"):
        world.cluster.put("deployments", deployment(name), "apps")
    return world


def test_people_see_that_a_model_is_behind_a_plan(world):
    assert submit(plan(scale(5), basis="model"), desk=world.desk).approval.basis == "model"
    assert submit(plan(scale(6), incident="inc-2"), desk=world.desk).approval.basis == "checks"


def test_what_was_a_models_word_once_does_not_become_the_checks_own(world):
    world.judge.verdict = "deny"
    assert submit(plan(scale(5), basis="model"), desk=world.desk).state == "denied"
    world.judge.verdict = "allow"
    laundered = (
        plan(scale(5), attempt=2),
        plan(change("/spec/paused", None, True), attempt=3),  # another action for the same cause
        plan(scale(7), attempt=4, cause=OTHER_CAUSE),  # the same action for another cause
    )
    for one in laundered:
        (reason,) = submit(one, desk=world.desk).decision.reasons
        assert (reason.rule, reason.fix.path, reason.fix.value) == ("basis-changed", "/basis", "model")
    unlike = plan(scale(5, "api"), attempt=5, cause=OTHER_CAUSE)
    assert submit(unlike, desk=world.desk).state == "approved", "another cause, another action: the checks' own"
    assert submit(plan(scale(5), incident="inc-2"), desk=world.desk).state == "approved"
