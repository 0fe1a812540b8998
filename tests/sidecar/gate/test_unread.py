"""Facts that no rule reads are left out of verdict and record, and shown to people all the same."""

import dataclasses

import pytest

from sidecar.gate.lease import lease
from sidecar.gate.policies import considered
from sidecar.gate.submit import submit
from sidecar.ports import Facts
from tests.fakes.sidecar_gate import FakeFacts, World, change, deployment, make_world, plan

LEFT_OUT = frozenset({"labels", "adds"})


class Keeping(FakeFacts):
    """Keeps what it was asked to leave out, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out: list[frozenset[str]] = []

    def gather(self, plan, history, *, unread=frozenset(), **more) -> Facts:
        self.left_out.append(unread)
        found = super().gather(plan, history, unread=unread, **more)
        return Facts(
            document={**found.document, **({} if "adds" in unread else {"adds": {}})},
            missing=(),
            gathered_at=found.gathered_at,
            unread=unread,
        )


@pytest.fixture
def world(tmp_path) -> World:
    world = make_world(tmp_path, verdict="allow")
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    world.facts = Keeping()
    world.desk = dataclasses.replace(world.desk, facts=world.facts)
    return world


def decided(world: World) -> dict:
    return next(record for record in reversed(world.desk.ledger.documents()) if record["kind"] == "plan-decided")


def test_what_is_allowed_rests_on_what_the_rules_read_and_the_record_says_what_that_leaves_out(world):
    world.judge.unread = LEFT_OUT

    status = submit(plan(change("/spec/replicas", 3, 4)), desk=world.desk)

    assert status.state == "approved"
    assert world.facts.left_out == [LEFT_OUT]
    body = decided(world)["body"]
    assert (body["facts"], body["unread"]) == ({"cluster": {"name": "lab"}}, ["adds", "labels"])
    assert world.desk.ledger.verify()[1] is None


def test_where_everything_is_read_the_record_has_it_whole_and_says_no_more(world):
    submit(plan(change("/spec/replicas", 3, 4)), desk=world.desk)

    body = decided(world)["body"]
    assert body["facts"] == {"cluster": {"name": "lab"}, "adds": {}}
    assert "unread" not in body


def test_people_are_shown_by_everything_and_the_verdict_is_by_what_is_read(world):
    world.judge.unread, world.judge.verdict = LEFT_OUT, "review"

    status = submit(plan(change("/spec/replicas", 3, 4)), desk=world.desk)

    assert status.state == "waiting"
    assert world.facts.left_out[-1] == frozenset()
    assert world.facts.left_out[0] == LEFT_OUT
    assert "adds" not in decided(world)["body"]["facts"]


def test_a_lease_and_whoever_asks_why_look_at_everything(world):
    world.judge.unread = LEFT_OUT
    status = submit(plan(change("/spec/replicas", 3, 4)), desk=world.desk)
    world.facts.left_out.clear()

    lease(status.plan, desk=world.desk)
    considered(plan(change("/spec/replicas", 3, 5)), desk=world.desk)

    assert world.facts.left_out
    assert set(world.facts.left_out) == {frozenset()}
