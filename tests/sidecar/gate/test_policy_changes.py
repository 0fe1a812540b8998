"""The policy is replaced, or its engine is away, between an approval and its lease (D3)."""

import pytest

from sidecar.contract import Lease, Problem, Reason
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.standing import standing
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from sidecar.ports import ApiAnswer
from tests.fakes.sidecar_gate import FakeJudge, World, deployment, make_world, plan, scale

WEB = ("apps", "deployments", "shop", "web")


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


def test_a_lease_lasts_no_longer_than_the_verdict_at_its_claim_holds(world):
    person = world.people.known["ada"]
    digest = submit(plan(scale(5), scale(6)), desk=world.desk).plan
    answer(digest, person=person, verdict="approve", plan=digest, revision="rev-1", via="test", desk=world.desk)
    world.judge.lease_seconds = 40  # a freeze is near: the policy says how near
    held = lease(digest, desk=world.desk)
    assert (held.expires_at - world.clock.now()).total_seconds() == 39

    first = perform(held.id, "step-1", desk=world.desk)
    world.clock.advance(seconds=39)
    second = perform(held.id, "step-2", desk=world.desk)

    assert (first.status, second.status, second.reason) == ("performed", "refused", "lease-over")
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 5


def test_where_the_time_for_changes_ends_at_the_claim_nothing_is_lent_and_the_approval_stays(world):
    digest = approved(world)
    world.judge.lease_seconds = 1

    came = lease(digest, desk=world.desk)

    assert isinstance(came, Problem)
    assert came.code == "policy-denies"
    assert standing(digest, desk=world.desk).state == "approved"
    assert world.cluster.writes() == []


def test_a_policy_replaced_between_two_requests_of_a_step_stops_the_second(world):
    digest = approved(world)
    held = lease(digest, desk=world.desk)

    def replaced_after_the_first(call, identity):
        if identity == held.identity and world.judge.revision == "rev-1":
            world.judge.revision = "rev-2"
            return ApiAnswer(status=403, body={"message": "not there yet"})
        return None

    world.cluster.before = replaced_after_the_first

    came = perform(held.id, "step-1", desk=world.desk)

    assert (came.status, came.reason) == ("refused", "lease-over")
    assert "another one since the plan was judged" in came.message
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 3


def test_what_was_done_under_a_policy_that_was_replaced_since_can_be_taken_back(world):
    held = lease(approved(world), desk=world.desk)
    assert perform(held.id, "step-1", desk=world.desk).status == "performed"
    world.judge.revision = "rev-2"

    assert undo(held.id, desk=world.desk).complete

    assert world.cluster.objects[WEB]["spec"]["replicas"] == 3
