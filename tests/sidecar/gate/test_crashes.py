"""The sidecar dies after any record and after any request: started again, everything ends as it would have."""

from contextlib import suppress

import pytest

from sidecar.contract import Lease, PlanStatus
from sidecar.errors import JournalUnavailable
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.ledger import Ledger
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_gate import World, change, deployment, make_world, plan, ref, scale
from tests.sidecar.gate.test_refusals import WEB, leased


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Fuse:
    """Counts what happens, and blows at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def touch(self, *_: object) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise Crash


def dying_ledger(fuse: Fuse) -> type[Ledger]:
    class Dying(Ledger):
        def committed(self, head):
            super().committed(head)
            fuse.touch()

    return Dying


IMAGE = "/spec/template/spec/containers/0/image"
ENDS = ("helped", "undone")


def agent(world: World, end: str) -> None:
    """What an agent does; every call is safe to repeat, so it starts over from the beginning."""
    restart = {"kind": "restart_workload", "target": ref("Deployment", "api")}
    create = {
        "kind": "create_object",
        "target": ref("ConfigMap", "extra", api_version="v1", uid="new"),
        "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "namespace": "shop"}, "data": {}},
    }
    proposed = plan(scale(5), change(IMAGE, "shop/web:1", "shop/web:2"), create, *([restart] if end == "helped" else []))
    status = submit(proposed, desk=world.desk)
    assert isinstance(status, PlanStatus)
    if status.state == "waiting":
        answer(
            status.plan,
            person=world.people.known["ada"],
            verdict="approve",
            plan=status.plan,
            revision="rev-1",
            via="test",
            desk=world.desk,
        )
    granted = lease(status.plan, desk=world.desk)
    assert isinstance(granted, Lease), granted
    if granted.state == "live":
        for step in proposed.steps:
            assert perform(granted.id, step.id, desk=world.desk).status == "performed"
        if end == "undone":
            assert undo(granted.id, desk=world.desk).complete
    assert settle(granted.id, end, desk=world.desk).state == "settled"


def points(database, most: int) -> range:
    """Every point on SQLite; on PostgreSQL, where each world costs a database, one in eight."""
    return range(1, most, 1 if database() == "" else 8)


def furnished(folder, database) -> World:
    world = make_world(folder, database())
    for name in ("web", "api"):
        world.cluster.put("deployments", deployment(name), "apps")
    return world


def outcome(world: World) -> dict:
    spec = world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]
    image = spec["template"]["spec"]["containers"][0]["image"]
    return {"replicas": spec["replicas"], "image": image, "extra": "extra" in world.cluster.names("configmaps")}


EXPECTED = {
    "helped": {"replicas": 5, "image": "shop/web:2", "extra": True},
    "undone": {"replicas": 3, "image": "shop/web:1", "extra": False},
}
TARGETS = ("deployments", "configmaps")


def check(world: World, end: str) -> None:
    assert outcome(world) == EXPECTED[end]
    writes = [(r.verb, r.path) for r in world.cluster.writes() if any(f"/{kind}" in r.path for kind in TARGETS)]
    once_each = 4 if end == "helped" else 6
    assert len(writes) == once_each, writes
    left = [kind for kind in ("serviceaccounts", "roles", "rolebindings") if world.cluster.names(kind)]
    assert left == []
    assert world.desk.ledger.verify()[1] is None


@pytest.mark.parametrize("end", ENDS)
def test_a_death_after_any_record(tmp_path, database, end):
    blown = 0
    for at in points(database, 60):
        folder = tmp_path / str(at)
        folder.mkdir()
        world, fuse = furnished(folder, database), Fuse(at)
        world.restart(dying_ledger(fuse))
        try:
            agent(world, end)
        except Crash:
            blown += 1
            world.restart()
            reap(desk=world.desk)
            agent(world, end)
        else:
            break
        check(world, end)
    assert blown >= (14 if database() == "" else 2)


@pytest.mark.parametrize("end", ENDS)
def test_a_death_after_any_request_to_the_cluster(tmp_path, database, end):
    blown = 0
    for at in points(database, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        world, fuse = furnished(folder, database), Fuse(at)
        world.cluster.after = fuse.touch
        try:
            agent(world, end)
        except Crash:
            blown += 1
            world.cluster.after = lambda *_: None
            world.restart()
            reap(desk=world.desk)
            agent(world, end)
        else:
            break
        check(world, end)
    assert blown >= (25 if database() == "" else 4)  # every read, mint, write and revocation of the way


def test_what_a_death_left_is_taken_away_though_no_agent_ever_comes_back(tmp_path, database):
    for at in points(database, 30):
        folder = tmp_path / str(at)
        folder.mkdir()
        world, fuse = furnished(folder, database), Fuse(at)
        world.restart(dying_ledger(fuse))
        try:
            agent(world, "helped")
        except Crash:
            world.clock.advance(hours=2)
            world.restart()
            reap(desk=world.desk)
            reap(desk=world.desk)
            assert not world.cluster.names("serviceaccounts")
            assert not world.cluster.names("rolebindings")
            assert not world.cluster.names("roles")
            assert world.desk.ledger.verify()[1] is None
        else:
            return
    raise AssertionError("the agent's way has no end")


def test_a_death_in_the_middle_of_revoking_ends_in_a_settled_lease(tmp_path, database):
    world = furnished(tmp_path, database)

    def die(call, identity):
        if call.method == "DELETE" and "rolebindings" in call.path:
            raise Crash

    world.cluster.after = die
    with pytest.raises(Crash):
        agent(world, "helped")
    world.cluster.after = lambda *_: None
    world.restart()
    assert reap(desk=world.desk) >= 1
    agent(world, "helped")
    check(world, "helped")


def full_after(writes: int) -> type[Ledger]:
    """A journal that takes so many more transactions, and then none."""
    left = iter(range(writes))

    class Full(Ledger):
        def write(self):
            if next(left, None) is None:
                raise JournalUnavailable("the disk is full")
            return super().write()

    return Full


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_step_that_did_not_fit_when_the_journal_gave_out_is_never_sent_without_its_record(tmp_path, database, writes):
    """Somebody scaled the target, the sidecar saw that and got no further, and somebody scaled it back."""
    world = furnished(tmp_path, database)
    granted = leased(world, scale(5))
    world.cluster.edit(*WEB, replicas=9)
    world.restart(full_after(writes))
    with suppress(JournalUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.restart()
    world.cluster.edit(*WEB, replicas=3)
    came = perform(granted.id, "step-1", desk=world.desk)
    kinds = [record["kind"] for record in world.desk.ledger.documents()]
    written = [request for request in world.cluster.writes() if request.path.endswith("/scale")]
    assert len(written) == kinds.count("step-began"), came
    assert (came.status == "performed") is (writes == 0)
