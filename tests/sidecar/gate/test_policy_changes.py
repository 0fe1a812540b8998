"""The policy is replaced, or its engine is away, between an approval and its lease (D3)."""

import pytest

from sidecar.contract import Lease, Problem, Reason
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.standing import standing
from sidecar.gate.submit import submit
from tests.fakes.sidecar_gate import FakeJudge, World, deployment, make_world, plan, scale


class ReplacedMeanwhile(FakeJudge):
    """Shows the old revision, and answers by the new one."""

    def decide(self, plan, facts, **more):
        return super().decide(plan, facts, **more).model_copy(update={"revision": "rev-2"})


@pytest.fixture
def world(tmp_path) -> World:
    world = make_world(tmp_path)
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


def approved(world: World) -> str:
    digest = submit(plan(scale(5)), desk=world.desk).plan
    person = world.people.known["ada"]
    answer(digest, person=person, verdict="approve", plan=digest, revision="rev-1", via="test", desk=world.desk)
    return digest


def test_a_policy_replaced_between_the_last_look_and_its_verdict_voids_the_approval(world):
    digest = approved(world)
    world.judge = ReplacedMeanwhile()
    world.restart()

    came = lease(digest, desk=world.desk)

    assert isinstance(came, Problem)
    assert came.code == "policy-changed"
    assert standing(digest, desk=world.desk).state == "void"
    assert world.cluster.writes() == []


def test_an_engine_that_is_away_at_the_lease_costs_no_approval(world):
    digest = approved(world)
    world.judge.verdict, world.judge.reasons = "deny", (Reason(rule="policy-unavailable", message="no verdict: it is away"),)

    came = lease(digest, desk=world.desk)

    assert isinstance(came, Problem)
    assert (came.status, came.code) == (503, "policy-unavailable")
    assert standing(digest, desk=world.desk).state == "approved"
    assert world.cluster.writes() == []

    world.judge.verdict, world.judge.reasons = "review", ()
    assert isinstance(lease(digest, desk=world.desk), Lease)
