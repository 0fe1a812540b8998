"""What happens between two looks: somebody stops everything, says no, or the answer of the cluster is lost."""

import dataclasses
import threading
import time
from contextlib import contextmanager

import pytest

from sidecar.approvals import store as approvals
from sidecar.approvals import switch
from sidecar.contract import Lease, Problem
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable, JournalUnavailable
from sidecar.gate.answer import answer
from sidecar.gate.desk import Turns
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.standing import standing
from sidecar.gate.stop import stop
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_gate import FakeFacts, deployment, make_world, plan, ref, scale
from tests.sidecar.gate.test_refusals import WEB, approve, approved, code, leased
from tests.sidecar.process.harness import wait_for

BOUND = ("serviceaccounts", "roles", "rolebindings", "clusterroles", "clusterrolebindings")


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


def left(world) -> list[str]:
    return [name for kind in BOUND for name in world.cluster.names(kind)]


def stopped(world) -> bool:
    with world.desk.ledger.read() as connection:
        return switch.stopped_by(connection) is not None


def in_a_thread(work, until) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 10
    while not until() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert until()
    return thread


def three_pods(world) -> dict:
    world.cluster.put("nodes", {"kind": "Node", "metadata": {"name": "n1", "uid": "uid-n1"}, "spec": {}})
    for name in ("p1", "p2", "p3"):
        world.cluster.put("pods", {"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": {"nodeName": "n1"}})
    node = ref("Node", "n1", namespace="", api_version="v1")
    return {"kind": "drain_node", "target": node, "pods": [ref("Pod", name, api_version="v1") for name in ("p1", "p2", "p3")]}


def test_a_stop_between_the_last_look_and_the_claim_leases_nothing(world):
    digest = approved(world, scale(5))

    class Stopping(FakeFacts):
        def gather(self, plan, history, **more):
            stop(world.people.known["ada"], desk=world.desk)
            return super().gather(plan, history, **more)

    assert code(lease(digest, desk=dataclasses.replace(world.desk, facts=Stopping()))) == "not-approved"
    assert left(world) == []


def test_a_stop_while_the_rights_are_being_made_leaves_none_of_them(world):
    digest = approved(world, scale(5))
    threads = []

    def stop_at_the_role(call, identity):
        if call.path.endswith("/roles") and call.method == "POST" and not threads:
            threads.append(in_a_thread(lambda: stop(world.people.known["ada"], desk=world.desk), lambda: stopped(world)))

    world.cluster.after = stop_at_the_role
    assert isinstance(lease(digest, desk=world.desk), Lease)
    threads[0].join(10)
    assert left(world) == []
    kinds = [record["kind"] for record in world.desk.ledger.documents()]
    assert kinds.index("lease-granted") < kinds.index("lease-settled")


@pytest.mark.parametrize("who", ["stop", "deny"])
def test_a_step_of_many_writes_goes_no_further_once_somebody_says_no(world, who):
    granted = leased(world, three_pods(world))
    ada = world.people.known["ada"]
    threads = []

    def say_no():
        if who == "stop":
            stop(ada, desk=world.desk)
        else:
            approve(world, granted.plan, "ada", "deny")

    def said() -> bool:
        return stopped(world) or standing(granted.plan, desk=world.desk).state == "refused"

    def after_the_first(call, identity):
        if call.path.endswith("/eviction") and not threads:
            threads.append(in_a_thread(say_no, said))

    world.cluster.after = after_the_first
    result = perform(granted.id, "step-1", desk=world.desk)
    threads[0].join(10)
    assert (result.status, result.reason) == ("refused", "lease-over")
    assert world.cluster.names("pods") == ["p2", "p3"]
    assert left(world) == []


def step_that_hangs(world, lease_id: str) -> tuple[threading.Thread, threading.Event]:
    """At the API server, at its first write, until the event is set."""
    hangs, ended = threading.Event(), threading.Event()

    def slow(call, identity):
        if call.method == "PATCH" and not hangs.is_set():
            hangs.set()
            assert ended.wait(60)

    world.cluster.before = slow
    step = threading.Thread(target=perform, args=(lease_id, "step-1"), kwargs={"desk": world.desk})
    step.start()
    assert hangs.wait(60)
    return step, ended


def test_a_stop_takes_the_rights_of_a_step_that_the_api_server_lets_hang(world):
    """A webhook of somebody's may take half a minute for one write: its lease has no rights meanwhile."""
    granted = leased(world, scale(5))
    step, ended = step_that_hangs(world, granted.id)
    stopping = threading.Thread(target=stop, args=(world.people.known["ada"],), kwargs={"desk": world.desk})
    stopping.start()
    try:
        wait_for(lambda: not world.cluster.names("rolebindings"), what="the rights are gone")
        assert stopping.is_alive()
        assert world.cluster.names("serviceaccounts")  # its end waits for its turn
    finally:
        ended.set()
        step.join(60)
        stopping.join(60)
    assert left(world) == []
    assert next(record for record in reversed(world.desk.ledger.documents()) if record["kind"] == "lease-settled")


def test_looks_that_hang_keep_no_rights_alive(world):
    """One drain looks at the labels of as many namespaces as its pods lie in."""
    granted = leased(world, scale(5))
    places = [f"place-{number}" for number in range(24)]
    world.cluster.put("nodes", {"kind": "Node", "metadata": {"name": "n1", "uid": "uid-n1"}, "spec": {}})
    for place in places:
        world.cluster.put("pods", {"kind": "Pod", "metadata": {"name": "p", "namespace": place}, "spec": {"nodeName": "n1"}})
    pods = [ref("Pod", "p", namespace=place, api_version="v1") for place in places]
    drain = {"kind": "drain_node", "target": ref("Node", "n1", namespace="", api_version="v1"), "pods": pods}
    second = submit(plan(drain, attempt=2), desk=world.desk).plan
    approve(world, second)
    other = lease(second, desk=world.desk)
    ended, looks = threading.Event(), []

    def slow(call, identity):
        if call.method == "GET" and "/namespaces/place-" in call.path and call.path.count("/") == 4:
            looks.append(call.path)
            assert ended.wait(60)

    world.cluster.before = slow
    step = threading.Thread(target=perform, args=(other.id, "step-1"), kwargs={"desk": world.desk})
    step.start()
    try:
        wait_for(lambda: len(looks) >= 16, what="every thread for looks has one")
        stopping = threading.Thread(target=stop, args=(world.people.known["ada"],), kwargs={"desk": world.desk})
        stopping.start()
        wait_for(lambda: not world.cluster.names("rolebindings"), what="the rights are gone, of which the drain has many")
        assert not world.cluster.names("clusterrolebindings")
        wait_for(lambda: granted.id in settled(world), what="the lease that nobody works under is settled")
    finally:
        ended.set()
        step.join(60)
        stopping.join(60)
    assert left(world) == []


def test_of_two_leases_that_are_over_the_one_whose_step_hangs_keeps_the_other_no_rights(world):
    world.cluster.put("deployments", deployment("api", replicas=3), "apps")
    hanging = leased(world, scale(5))
    second = submit(plan(scale(6, "api"), attempt=2), desk=world.desk).plan
    approve(world, second)
    other = lease(second, desk=world.desk)
    step, ended = step_that_hangs(world, hanging.id)
    world.clock.advance(seconds=60 * 60)
    reaping = threading.Thread(target=reap, kwargs={"desk": world.desk})
    reaping.start()
    try:
        wait_for(lambda: other.id in settled(world), what="the lease that nobody works under is settled")
        assert hanging.id not in settled(world)
    finally:
        ended.set()
        step.join(60)
        reaping.join(60)
    assert set(settled(world)) == {hanging.id, other.id}
    assert left(world) == []


def test_a_lease_that_is_over_ends_however_slowly_it_is_told_what_holds_the_others(world):
    world.cluster.put("deployments", deployment("api", replicas=3), "apps")
    first = leased(world, scale(5))
    world.clock.advance(seconds=60)
    second = submit(plan(scale(6, "api"), attempt=2), desk=world.desk).plan
    approve(world, second)
    other = lease(second, desk=world.desk)
    world.clock.advance(seconds=(first.expires_at - first.granted_at).total_seconds() - 30)
    admission = SlowAdmission()
    world.desk.issuer.plan_bound = admission
    reaping = threading.Thread(target=reap, kwargs={"desk": world.desk})
    reaping.start()
    try:
        assert admission.asked.wait(60)
        wait_for(lambda: first.id in settled(world), what="the lease that is over is settled")
        assert other.id not in settled(world)
    finally:
        admission.answered.set()
        reaping.join(60)
    assert settled(world) == [first.id, other.id]


class SlowAdmission:
    """Of a cluster whose API server takes its time, and then says that nothing holds a lease."""

    def __init__(self) -> None:
        self.asked, self.answered = threading.Event(), threading.Event()

    def missing(self) -> str:
        self.asked.set()
        assert self.answered.wait(60)
        return "the binding is gone"

    def withdraw(self, identity: str) -> str:
        return ""

    def published(self) -> list[tuple[str, str, int]]:
        return []


def settled(world) -> list[str]:
    return [record["lease"] for record in world.desk.ledger.documents() if record["kind"] == "lease-settled"]


def test_a_step_of_many_writes_ends_with_its_lease(world):
    granted = leased(world, three_pods(world))
    world.cluster.after = lambda call, identity: world.clock.advance(seconds=400) if call.path.endswith("/eviction") else None
    assert perform(granted.id, "step-1", desk=world.desk).reason == "lease-over"
    assert world.cluster.names("pods") == ["p2", "p3"]


def test_a_no_that_meets_the_lease_on_its_way_takes_the_rights_back(world):
    digest = approved(world, scale(5))

    class Late(Turns):
        """The lease is faster: it is there when the answer gets its turn."""

        @contextmanager
        def alone(self, name):
            if name == digest:
                assert isinstance(lease(digest, desk=world.desk), Lease)
            yield

    desk = dataclasses.replace(world.desk, turns=Late())
    said = answer(digest, person=world.people.known["ada"], verdict="deny", plan=digest, revision="rev-1", via="test", desk=desk)
    assert not isinstance(said, Problem), said
    assert standing(digest, desk=world.desk).state == "refused"
    assert left(world) == []


def test_a_no_whose_revocation_was_cut_short_is_finished_by_the_reaper(world):
    granted = leased(world, scale(5))
    with world.desk.ledger.write() as transaction:
        approvals.move(transaction.connection, granted.plan, was=("leased",), becomes="refused", reason="no")
    assert perform(granted.id, "step-1", desk=world.desk).reason == "not-approved"
    reap(desk=world.desk)
    assert left(world) == []


def test_a_write_whose_answer_was_lost_is_undone_too(world):
    granted = leased(world, scale(5))
    world.cluster.before = lambda call, identity: _lost(world, call, identity, granted.identity)
    with pytest.raises(ClusterUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.cluster.down, world.cluster.before = False, lambda call, identity: None
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 5
    came = undo(granted.id, desk=world.desk)
    assert [(step.step, step.status) for step in came.steps] == [("step-1", "performed")]
    assert came.complete
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 3


def _lost(world, call, identity, mine):
    """The write arrives, its answer does not."""
    if call.method == "PATCH" and identity == mine:
        world.cluster._patch(WEB, world.cluster.objects[WEB], "scale", call)
        world.cluster.down = True
        raise ClusterUnavailable("no answer")
    return


def test_a_step_that_never_arrived_is_nothing_to_undo_and_is_not_done_later(world):
    granted = leased(world, scale(5))

    def before_the_write(call, identity):
        if call.method == "PATCH" and identity == granted.identity:
            world.cluster.down = True
            raise ClusterUnavailable("no answer")

    world.cluster.before = before_the_write
    with pytest.raises(ClusterUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.cluster.down, world.cluster.before = False, lambda call, identity: None
    came = undo(granted.id, desk=world.desk)
    assert (came.steps, came.complete) == ((), True)
    assert perform(granted.id, "step-1", desk=world.desk).reason == "interrupted"
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 3


def test_an_approval_by_fewer_than_are_wanted_by_now_is_void(world):
    digest = approved(world, scale(5))
    world.judge.count = 2
    assert code(lease(digest, desk=world.desk)) == "policy-denies"
    assert standing(digest, desk=world.desk).state == "void"


def test_an_approval_by_others_than_are_wanted_by_now_is_void(world):
    digest = approved(world, scale(5))
    world.judge.roles = ("platform",)
    assert code(lease(digest, desk=world.desk)) == "policy-denies"


def test_an_approval_for_another_cluster_is_not_leased_here(world):
    digest = approved(world, scale(5))
    world.cluster.name = "another"
    assert code(lease(digest, desk=world.desk)) == "wrong-cluster"
    world.cluster.name = "lab"
    assert isinstance(lease(digest, desk=world.desk), Lease)


def test_labels_alone_do_not_make_an_object_the_reapers(world):
    labels = {"app.kubernetes.io/managed-by": "lestrade-sidecar", "lestrade.dev/lease": "x", "lestrade.dev/expires": "1"}
    for name, marks in (("somebodys", labels), ("lestrade-x", {k: v for k, v in labels.items() if "expires" not in k})):
        binding = {"kind": "RoleBinding", "metadata": {"name": name, "namespace": "shop", "labels": marks}}
        world.cluster.put("rolebindings", binding, "rbac.authorization.k8s.io")
    reap(desk=world.desk)
    assert world.cluster.names("rolebindings") == ["lestrade-x", "somebodys"]


def test_a_plan_that_gets_only_some_of_its_targets_keeps_none_of_them(world):
    world.cluster.put("deployments", deployment("api", replicas=3), "apps")
    first = leased(world, scale(5, "api"))
    both = submit(plan(scale(7), scale(7, "api"), attempt=2), desk=world.desk).plan
    approve(world, both)

    assert code(lease(both, desk=world.desk)) == "target-leased"

    third = submit(plan(scale(6), attempt=3), desk=world.desk).plan
    approve(world, third)
    web = lease(third, desk=world.desk)
    assert isinstance(web, Lease), web  # nobody holds it: the plan that did not get all of its targets has none
    settle(web.id, "not-performed", desk=world.desk)
    settle(first.id, "not-performed", desk=world.desk)
    assert isinstance(lease(both, desk=world.desk), Lease)


def half_minted(world) -> tuple[str, str]:
    """A plan whose lease is on record, and whose rights the API server's silence left half made: plan and lease."""
    digest = approved(world, scale(5))

    def vanish(call, identity):
        if call.method == "POST" and call.path.endswith("/roles"):
            world.cluster.down = True
            raise ClusterUnavailable("the connection broke")

    world.cluster.after = vanish
    with pytest.raises(ClusterUnavailable):
        lease(digest, desk=world.desk)
    world.cluster.down, world.cluster.after = False, lambda *_: None
    world.cluster.requests.clear()  # a token may have been asked for beside the role: it was lost with the rest
    return digest, standing(digest, desk=world.desk).lease


def mints(world) -> list[str]:
    return [request.path for request in world.cluster.requests if request.verb == "POST" and "/token" in request.path]


def test_rights_that_were_half_made_are_not_finished_after_a_stop_whose_process_died(world):
    digest, _ = half_minted(world)
    with world.desk.ledger.write() as transaction:  # that far it came
        switch.stop(transaction.connection, by="ada", at=transaction.now, reason="")
    assert code(lease(digest, desk=world.desk)) == "stopped"
    assert mints(world) == []
    reap(desk=world.desk)
    assert left(world) == []


def test_rights_that_were_half_made_are_not_finished_after_a_no_whose_process_died(world):
    digest, _ = half_minted(world)
    with world.desk.ledger.write() as transaction:
        approvals.move(transaction.connection, digest, was=("leased",), becomes="refused", reason="ada said no")
    assert code(lease(digest, desk=world.desk)) == "not-approved"
    assert mints(world) == []


def test_rights_that_were_half_made_are_not_finished_by_a_clock_that_is_wrong(world):
    digest, _ = half_minted(world)
    world.clock.set(hours=-1)
    assert code(lease(digest, desk=world.desk)) == "clock-unsure"
    assert mints(world) == []


def test_rights_that_nobody_goes_on_making_are_gone_after_a_minute_and_what_nobody_holds_is_free(world):
    _, half = half_minted(world)
    reap(desk=world.desk)
    assert left(world) != []  # somebody may still ask again
    world.clock.advance(seconds=61)
    reap(desk=world.desk)
    assert left(world) == []
    with world.desk.ledger.read() as connection:
        ended = leases.get(connection, half)
    assert (ended.lease.state, ended.outcome) == ("settled", "not-performed")


def test_an_approval_that_runs_out_while_everything_is_looked_at_once_more_is_not_used(world):
    digest = approved(world, scale(5))

    class Slow(FakeFacts):
        def gather(self, plan, history, **more):
            world.clock.advance(seconds=16 * 60)
            return super().gather(plan, history, **more)

    assert code(lease(digest, desk=dataclasses.replace(world.desk, facts=Slow()))) == "expired"
    assert left(world) == []
    assert standing(digest, desk=world.desk).state == "void"


def test_a_stop_is_no_fault_when_one_lease_is_at_work_elsewhere(world):
    world.cluster.put("deployments", deployment("api", replicas=3), "apps")
    first = leased(world, scale(5))
    second = submit(plan(scale(6, "api"), attempt=2), desk=world.desk).plan
    approve(world, second)
    other = lease(second, desk=world.desk)

    class Busy(Turns):
        @contextmanager
        def alone(self, name):
            if name == first.id:
                raise JournalUnavailable("another sidecar is at work")
            with Turns.alone(self, name):
                yield

    busy = dataclasses.replace(world.desk, turns=Busy())
    done = stop(world.people.known["ada"], desk=busy)
    assert done.stopped
    assert [settlement.lease for settlement in done.settlements] == [other.id]
    assert perform(first.id, "step-1", desk=world.desk).status == "refused"

    lost = reap(desk=busy)  # neither does it keep the reaper from the others
    assert lost == 0
    assert reap(desk=world.desk) == 1
    assert left(world) == []
