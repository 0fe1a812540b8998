"""The way back after the lease's time: under a lease of its own, once, within an hour, and never past a no."""

import pytest

from sidecar.errors import ClusterUnavailable
from sidecar.gate.lease import lease as lend
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.stop import stop
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_gate import World, deployment, make_world, plan, scale
from tests.sidecar.gate.test_races import in_a_thread, left, stopped
from tests.sidecar.gate.test_refusals import approve, leased

WEB = ("apps", "deployments", "shop", "web")


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    for name in ("web", "api"):
        world.cluster.put("deployments", deployment(name, replicas=3), "apps")
    return world


def performed(world: World, *actions) -> str:
    """A lease that ran out after its steps; the reaper has been there."""
    granted = leased(world, *actions)
    for number in range(1, len(actions) + 1):
        assert perform(granted.id, f"step-{number}", desk=world.desk).status == "performed"
    world.clock.advance(seconds=301)
    reap(desk=world.desk)
    assert world.cluster.names("rolebindings") == []
    return granted.id


def replicas(world: World, name: str = "web") -> int:
    return world.cluster.objects[("apps", "deployments", "shop", name)]["spec"]["replicas"]


def kinds(world: World) -> list[str]:
    return [str(record["kind"]) for record in world.desk.ledger.documents()]


def test_what_was_performed_is_taken_back_after_the_time_under_rights_of_its_own(world):
    lease = performed(world, scale(5), scale(6, "api"))
    before = len(world.cluster.writes())
    came = undo(lease, desk=world.desk)
    assert came.complete, came
    assert (replicas(world), replicas(world, "api")) == (3, 3)
    assert [result.step for result in came.steps] == ["step-2", "step-1"]
    late = came.steps[0].lease
    assert late != lease
    assert {r.identity for r in world.cluster.writes()[before:] if "/deployments/" in r.path} == {
        f"system:serviceaccount:lestrade-leases:lestrade-{late}"
    }
    assert world.cluster.names("rolebindings") == world.cluster.names("serviceaccounts") == []
    said = kinds(world)[kinds(world).index("lease-settled") + 1 :]
    assert said[:2] == ["lease-claimed", "lease-granted"]  # on record before it is made, as every lease
    assert said[-1] == "lease-settled"


def test_asked_again_it_is_not_done_again(world):
    lease = performed(world, scale(5))
    undo(lease, desk=world.desk)
    before = len(world.cluster.requests)
    again = undo(lease, desk=world.desk)
    assert again.complete
    assert all(result.repeated for result in again.steps)
    assert [r for r in world.cluster.requests[before:] if r.verb != "GET"] == []


def test_the_lease_for_going_back_goes_nowhere_else(world):
    lease = performed(world, scale(5))
    came = undo(lease, desk=world.desk)
    assert perform(came.steps[0].lease, "step-1", desk=world.desk).reason in ("lease-over", "not-next")
    assert undo(came.steps[0].lease, desk=world.desk).steps == ()


def test_a_target_that_somebody_else_changed_since_is_left_alone_and_the_rights_go(world):
    lease = performed(world, scale(5))
    world.cluster.edit(*WEB, replicas=9)
    came = undo(lease, desk=world.desk)
    assert [(result.status, result.reason) for result in came.steps] == [("refused", "target-changed")]
    assert replicas(world) == 9
    assert world.cluster.names("rolebindings") == []


def test_an_hour_after_the_time_a_person_has_to_look(world):
    lease = performed(world, scale(5))
    world.clock.advance(seconds=3601)
    came = undo(lease, desk=world.desk)
    assert [(result.status, result.reason) for result in came.steps] == [("refused", "lease-over")]
    assert replicas(world) == 5


@pytest.mark.parametrize("end", ["stopped", "denied", "helped"])
def test_after_a_stop_or_a_no_or_a_success_nothing_is_taken_back(world, end):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    if end == "stopped":
        stop(world.people.known["ada"], desk=world.desk)
    elif end == "denied":
        approve(world, granted.plan, verdict="deny")
    else:
        settle(granted.id, "helped", desk=world.desk)
    world.clock.advance(seconds=301)
    reap(desk=world.desk)
    came = undo(granted.id, desk=world.desk)
    assert [(result.status, result.reason) for result in came.steps] == [("refused", "lease-over")]
    assert replicas(world) == 5
    assert world.cluster.names("rolebindings") == []


def test_whoever_holds_the_target_by_now_comes_first(world):
    lease = performed(world, scale(5))
    second = submit(plan(scale(7), attempt=2, incident="inc-2"), desk=world.desk)
    approve(world, second.plan)
    other = lend(second.plan, desk=world.desk)
    assert undo(lease, desk=world.desk).steps[0].reason == "target-leased"
    settle(other.id, "not-performed", desk=world.desk)
    assert undo(lease, desk=world.desk).complete


def test_a_cluster_that_goes_away_on_the_way_back_is_waited_for(world):
    lease = performed(world, scale(5))

    def vanish(call, identity):
        if call.method == "PATCH" and call.path.endswith("/scale"):
            world.cluster.down = True
            raise ClusterUnavailable("the connection broke")

    world.cluster.after = vanish
    with pytest.raises(ClusterUnavailable):
        undo(lease, desk=world.desk)
    world.cluster.down, world.cluster.after = False, lambda *_: None
    world.restart()
    assert undo(lease, desk=world.desk).complete
    assert replicas(world) == 3
    assert world.cluster.names("rolebindings") == []


def test_nobody_comes_back_for_a_way_back_that_was_begun(world):
    lease = performed(world, scale(5))

    def vanish(call, identity):
        if call.method == "PATCH":
            world.cluster.down = True
            raise ClusterUnavailable("the connection broke")

    world.cluster.after = vanish
    with pytest.raises(ClusterUnavailable):
        undo(lease, desk=world.desk)
    world.cluster.down, world.cluster.after = False, lambda *_: None
    assert world.cluster.names("rolebindings") != []
    world.clock.advance(seconds=301)
    reap(desk=world.desk)
    assert world.cluster.names("rolebindings") == []


def test_what_an_interrupted_undo_left_is_finished_after_the_time(world):
    granted = leased(world, scale(5), scale(6, "api"))
    for number in (1, 2):
        perform(granted.id, f"step-{number}", desk=world.desk)
    seen: list[str] = []

    def vanish(call, identity):
        if call.method == "PATCH":
            seen.append(call.path)
            if len(seen) == 2:
                world.cluster.down = True
                raise ClusterUnavailable("the connection broke")

    world.cluster.after = vanish
    with pytest.raises(ClusterUnavailable):
        undo(granted.id, desk=world.desk)
    world.cluster.down, world.cluster.after = False, lambda *_: None
    world.clock.advance(seconds=301)
    reap(desk=world.desk)
    came = undo(granted.id, desk=world.desk)
    assert came.complete, came
    assert (replicas(world), replicas(world, "api")) == (3, 3)


def test_a_stop_while_the_rights_for_going_back_are_made_leaves_none_of_them(world):
    lease = performed(world, scale(5))
    threads = []

    def stop_at_the_role(call, identity):
        if call.path.endswith("/roles") and call.method == "POST" and not threads:
            threads.append(in_a_thread(lambda: stop(world.people.known["ada"], desk=world.desk), lambda: stopped(world)))

    world.cluster.before = stop_at_the_role
    came = undo(lease, desk=world.desk)
    threads[0].join()
    assert not came.complete
    assert replicas(world) == 5
    assert left(world) == []  # at once, and not when the reaper comes by


def test_a_clock_that_is_wrong_lends_no_rights_for_going_back(world):
    lease = performed(world, scale(5))
    world.clock.set(hours=-1)
    came = undo(lease, desk=world.desk)
    assert [(result.status, result.reason) for result in came.steps] == [("refused", "lease-over")]
    assert left(world) == []
    assert replicas(world) == 5
