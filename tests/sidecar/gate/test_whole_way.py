"""The whole way of a plan through the gate, on fakes: submit, answer, lease, perform, settle."""

import json

import pytest

from sidecar.contract import Lease, PlanStatus, Problem, Settlement, StepResult
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.settle import settle
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_gate import World, change, deployment, make_world, plan, scale


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


def approve(world: World, status: PlanStatus, name: str = "ada"):
    return answer(
        status.plan,
        person=world.people.known[name],
        verdict="approve",
        plan=status.plan,
        revision=status.decision.revision,
        via="test",
        desk=world.desk,
    )


def leased(world: World, *actions) -> Lease:
    status = submit(plan(*actions), desk=world.desk)
    approve(world, status)
    granted = lease(status.plan, desk=world.desk)
    assert isinstance(granted, Lease), granted
    return granted


def test_a_plan_is_judged_approved_leased_performed_and_settled(world):
    status = submit(plan(scale(5)), desk=world.desk)
    assert status.state == "waiting"
    assert "-  replicas: 3" in status.approval.changes[0].diff
    assert "+  replicas: 5" in status.approval.changes[0].diff

    assert approve(world, status).state == "approved"
    granted = lease(status.plan, desk=world.desk)
    assert isinstance(granted, Lease)
    assert granted.state == "live"
    result = perform(granted.id, "step-1", desk=world.desk)
    assert isinstance(result, StepResult), result
    assert result.status == "performed", result
    assert (result.before, result.after) == ({"/spec/replicas": 3}, {"/spec/replicas": 5})
    settlement = settle(granted.id, "helped", desk=world.desk)

    assert isinstance(settlement, Settlement)
    assert (settlement.state, settlement.outcome, settlement.refusal) == ("settled", "helped", "403")
    assert world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]["replicas"] == 5
    assert not (world.cluster.names("roles") + world.cluster.names("rolebindings") + world.cluster.names("serviceaccounts"))
    assert world.desk.ledger.verify()[1] is None


def test_only_the_lease_writes_to_the_target(world):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    settle(granted.id, "helped", desk=world.desk)
    writers = {request.identity for request in world.cluster.writes() if "deployments" in request.path}
    assert writers == {granted.identity}


def test_nothing_is_leased_before_somebody_said_yes(world):
    status = submit(plan(scale(5)), desk=world.desk)
    refused = lease(status.plan, desk=world.desk)
    assert isinstance(refused, Problem)
    assert refused.code == "not-approved"
    assert world.cluster.writes() == []


def test_a_target_that_somebody_else_changed_is_left_alone(world):
    granted = leased(world, scale(5))
    world.cluster.edit("apps", "deployments", "shop", "web", replicas=9)
    result = perform(granted.id, "step-1", desk=world.desk)
    assert (result.status, result.reason) == ("refused", "target-changed")
    assert world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]["replicas"] == 9


def test_what_was_performed_is_undone_last_first(world):
    granted = leased(world, scale(5), change("/spec/template/spec/nodeSelector/disk", None, "ssd"))
    for step in ("step-1", "step-2"):
        assert perform(granted.id, step, desk=world.desk).status == "performed"
    back = undo(granted.id, desk=world.desk)
    assert back.complete
    assert [step.step for step in back.steps] == ["step-2", "step-1"]
    spec = world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]
    assert spec == deployment(replicas=3)["spec"]


def test_a_step_asked_for_again_is_not_done_again(world):
    granted = leased(world, scale(5))
    first = perform(granted.id, "step-1", desk=world.desk)
    writes = len(world.cluster.writes())
    second = perform(granted.id, "step-1", desk=world.desk)
    assert second.repeated
    assert second.model_copy(update={"repeated": False}) == first
    assert len(world.cluster.writes()) == writes


def test_a_value_that_stands_beside_the_change_is_in_no_record(world):
    secret = [{"name": "DB_PASSWORD", "value": "hunter2"}]
    world.cluster.put("deployments", deployment(replicas=3, env=secret), "apps")
    added = change("/spec/template/spec/containers/0/env/1", None, {"name": "LEVEL", "value": "info"})
    granted = leased(world, added)
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    assert undo(granted.id, desk=world.desk).complete
    assert "hunter2" not in json.dumps(world.desk.ledger.documents())
    kept = world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]["template"]["spec"]["containers"][0]
    assert kept["env"] == secret


def test_what_the_agent_says_cannot_move_the_cursor_of_who_reads_it(world):
    shown = submit(plan(scale(5), hypothesis="too small\x1b[2J\u202e"), desk=world.desk).approval
    assert shown.hypothesis == "too small\\u001b[2J\\u202e"
