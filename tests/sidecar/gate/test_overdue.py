"""The reaper expires what was not answered or not used in time, however much of it there is, and reads nothing else."""

from dataclasses import replace

from sidecar.approvals import store as approvals
from sidecar.gate.intake import Intake
from sidecar.gate.reap import reap
from sidecar.gate.submit import LEASED_WITHIN, submit
from tests.fakes.sidecar_gate import deployment, make_world, plan, scale

MANY = 205  # more than a list of plans holds


def test_however_many_approvals_lie_unused_all_of_them_end_in_time(tmp_path):
    world = make_world(tmp_path, verdict="allow")
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    desk = replace(world.desk, intake=Intake(a_minute=MANY))
    for attempt in range(1, MANY + 1):
        assert submit(plan(scale(4), incident=f"inc-{attempt}"), desk=desk).state == "approved"
    world.clock.advance(seconds=LEASED_WITHIN.total_seconds() + 1)

    reap(desk=world.desk)

    with world.desk.ledger.read() as connection:
        assert list(approvals.listed(connection, ("approved",))) == []


def test_an_approval_that_may_still_be_used_is_left_alone(tmp_path):
    world = make_world(tmp_path, verdict="allow")
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    submit(plan(scale(4)), desk=world.desk)
    world.clock.advance(seconds=LEASED_WITHIN.total_seconds() - 1)

    reap(desk=world.desk)

    with world.desk.ledger.read() as connection:
        assert len(list(approvals.listed(connection, ("approved",)))) == 1
