"""What the gate does not do: every no has its reason, and nothing is written."""

import dataclasses

import pytest

from sidecar.contract import Lease, Problem
from sidecar.credentials import Issuer, PlanBound
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable, JournalUnavailable
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.standing import standing
from sidecar.gate.stop import lift, stop
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from sidecar.ports import ApiAnswer
from tests.fakes.sidecar_alertmanager import silence
from tests.fakes.sidecar_cluster import status
from tests.fakes.sidecar_gate import World, change, deployment, make_world, plan, ref, scale

WEB = ("apps", "deployments", "shop", "web")


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


def approve(world: World, digest: str, name: str = "ada", verdict: str = "approve"):
    known = world.people.known[name]
    return answer(digest, person=known, verdict=verdict, plan=digest, revision="rev-1", via="test", desk=world.desk)


def approved(world: World, *actions) -> str:
    digest = submit(plan(*actions), desk=world.desk).plan
    assert approve(world, digest).state == "approved"
    return digest


def leased(world: World, *actions) -> Lease:
    granted = lease(approved(world, *actions), desk=world.desk)
    assert isinstance(granted, Lease), granted
    return granted


def code(came) -> str:
    assert isinstance(came, Problem), came
    return came.code


def test_what_a_target_holds_cannot_keep_a_denial_from_being_said(world):
    """A number that no canonical form has: the effect of a restart cannot be reckoned of it."""
    world.judge.verdict = "deny"
    world.cluster.put("deployments", deployment(weight=2**60), "apps")
    came = submit(plan({"kind": "restart_workload", "target": ref("Deployment", "web")}), desk=world.desk)
    assert came.state == "denied"
    assert world.desk.ledger.documents()[-1]["plan"] == came.plan


def test_an_allowed_plan_is_leased_at_once(world):
    world.judge.verdict = "allow"
    came = submit(plan(scale(5)), desk=world.desk)
    assert (came.state, came.approval) == ("approved", None)
    assert isinstance(lease(came.plan, desk=world.desk), Lease)


def test_a_denied_plan_is_judged_again_when_it_comes_again(world):
    world.judge.verdict = "deny"
    assert submit(plan(scale(5)), desk=world.desk).state == "denied"
    world.judge.verdict = "review"
    assert submit(plan(scale(5)), desk=world.desk).state == "waiting"


def test_nobody_answered_is_expired_and_stays_so_though_the_clock_goes_back(world):
    came = submit(plan(scale(5)), desk=world.desk)
    world.clock.advance(seconds=601)
    assert standing(came.plan, desk=world.desk).state == "expired"
    world.clock.set(seconds=-3600)
    assert code(approve(world, came.plan)) == "expired"
    assert standing(came.plan, desk=world.desk).reason == "nobody answered in time"


def test_a_clock_that_was_set_back_lengthens_no_deadline(world):
    came = submit(plan(scale(5)), desk=world.desk)
    world.clock.advance(seconds=590)
    submit(plan(scale(6), attempt=2), desk=world.desk)  # a record at this time
    world.clock.set(seconds=-500)
    assert world.desk.ledger.now() >= came.approval.requested_at
    assert (came.approval.expires_at - world.desk.ledger.now()).total_seconds() <= 10


def test_a_yes_that_is_not_used_in_time_is_void(world):
    digest = approved(world, scale(5))
    world.clock.advance(minutes=16)
    assert code(lease(digest, desk=world.desk)) == "expired"
    assert standing(digest, desk=world.desk).state == "void"


def test_another_policy_voids_the_approval(world):
    digest = approved(world, scale(5))
    world.judge.revision = "rev-2"
    assert code(lease(digest, desk=world.desk)) == "policy-changed"
    assert standing(digest, desk=world.desk).state == "void"
    assert world.cluster.writes() == []


def test_a_policy_that_says_no_by_now_voids_the_approval(world):
    digest = approved(world, scale(5))
    world.judge.verdict = "deny"
    assert code(lease(digest, desk=world.desk)) == "policy-denies"


def test_another_policy_under_the_lease_stops_the_next_step(world):
    granted = leased(world, scale(5), change("/spec/paused", None, True))
    perform(granted.id, "step-1", desk=world.desk)
    world.judge.revision = "rev-2"
    assert perform(granted.id, "step-2", desk=world.desk).reason == "plan-void"


def test_an_approver_who_lost_the_role_counts_no_longer(world):
    digest = approved(world, scale(5))
    world.people.add("ada", "viewer")
    assert code(lease(digest, desk=world.desk)) == "approval-lapsed"


def test_an_approver_who_lost_the_role_under_the_lease_stops_the_steps(world):
    granted = leased(world, scale(5))
    world.people.add("ada", "viewer")
    assert perform(granted.id, "step-1", desk=world.desk).reason == "not-approved"


def test_a_plan_for_another_cluster_is_denied(world):
    came = submit(plan(scale(5), cluster="prod"), desk=world.desk)
    assert [reason.rule for reason in came.decision.reasons] == ["wrong-cluster"]


def test_a_plan_that_no_lease_can_hold_is_denied_at_once(world):
    world.cluster.put("secrets", {"kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}, "data": {"a": "b"}})
    came = submit(plan(change("/data/a", "b", "c", ref("Secret", "s", api_version="v1"))), desk=world.desk)
    assert came.state == "denied"
    assert "beyond-ceiling" in [reason.rule for reason in came.decision.reasons]


def test_a_policy_that_wants_nobody_in_particular_is_no_policy(world):
    world.judge.roles = ()
    assert submit(plan(scale(5)), desk=world.desk).state == "denied"


def test_too_many_cards_are_not_dealt(world):
    world.judge.expires_seconds = 3600
    for attempt in range(1, 21):
        assert submit(plan(scale(5), attempt=attempt), desk=world.desk).state == "waiting"
        world.clock.advance(seconds=10)
    assert submit(plan(scale(5), attempt=21), desk=world.desk).decision.reasons[0].rule == "too-many-waiting"


def test_a_lease_that_is_over_performs_nothing_and_is_reaped(world):
    granted = leased(world, scale(5))
    world.clock.advance(seconds=301)
    assert perform(granted.id, "step-1", desk=world.desk).reason == "lease-over"
    assert reap(desk=world.desk) >= 1
    assert settle(granted.id, "helped", desk=world.desk).outcome in ("unknown", "not-performed")
    assert not world.cluster.names("serviceaccounts")


def test_a_status_that_moved_the_version_does_not_stop_a_step(world):
    granted = leased(world, change("/spec/paused", None, True))
    nudges = iter(range(3))

    def nudge(call, identity):
        if call.method == "PATCH" and identity != "sidecar" and next(nudges, None) is not None:
            world.cluster.edit(*WEB, status={"readyReplicas": 1})  # a controller was faster; nothing that matters
        return

    world.cluster.before = nudge
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"


def test_what_the_api_server_does_not_want_is_a_failure_and_not_a_conflict(world):
    granted = leased(world, change("/spec/paused", None, True))
    world.cluster.before = lambda call, identity: status(422, "spec.paused: no") if call.method == "PATCH" else None
    result = perform(granted.id, "step-1", desk=world.desk)
    assert (result.status, result.reason, result.message) == ("failed", "invalid", "spec.paused: no")
    assert perform(granted.id, "step-1", desk=world.desk).repeated


def test_a_right_that_needs_a_moment_is_waited_for(world):
    granted = leased(world, scale(5))
    refusals = iter(range(3))
    world.cluster.before = lambda call, identity: (
        status(403, "not yet") if call.method == "PATCH" and next(refusals, None) is not None else None
    )
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"


def test_a_lost_answer_is_looked_for_and_not_sent_again(world):
    granted = leased(world, scale(5))
    lost = iter([True])

    def lose(call, identity):
        if call.method == "PATCH" and next(lost, False):
            raise ClusterUnavailable("the connection broke")

    world.cluster.after = lose
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    assert len([r for r in world.cluster.writes() if r.path.endswith("/scale")]) == 1


def test_a_cluster_that_is_gone_leaves_the_step_open_until_it_is_back(world):
    granted = leased(world, scale(5))

    def vanish(call, identity):
        if call.method == "PATCH":
            world.cluster.down = True
            raise ClusterUnavailable("the connection broke")

    world.cluster.after = vanish
    with pytest.raises(ClusterUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.cluster.down, world.cluster.after = False, lambda *_: None
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    assert len([r for r in world.cluster.writes() if r.path.endswith("/scale")]) == 1


def test_rights_beyond_the_sidecars_own_are_not_half_made(world):
    digest = approved(world, scale(5))
    world.cluster.before = lambda call, identity: (
        status(403, "attempting to grant RBAC permissions not currently held")
        if call.method == "POST" and call.path.endswith("/roles")
        else None
    )
    assert code(lease(digest, desk=world.desk)) == "beyond-ceiling"
    assert not world.cluster.names("serviceaccounts")
    assert standing(digest, desk=world.desk).state == "void"


def test_a_revocation_that_cannot_be_seen_is_pending_until_it_can(world):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    world.cluster.before = lambda call, identity: status(500, "etcd") if call.method == "DELETE" else None
    assert settle(granted.id, "helped", desk=world.desk).state == "revocation_pending"
    second = submit(plan(scale(6), attempt=2), desk=world.desk)
    approve(world, second.plan)
    assert code(lease(second.plan, desk=world.desk)) == "target-leased"
    world.cluster.before = lambda call, identity: None
    reap(desk=world.desk)
    ended = settle(granted.id, "unknown", desk=world.desk)
    assert (ended.state, ended.outcome, ended.refusal) == ("settled", "helped", "403")


def test_two_leases_never_hold_one_target(world):
    granted = leased(world, scale(5))
    second = submit(plan(scale(6), attempt=2), desk=world.desk)
    approve(world, second.plan)
    assert code(lease(second.plan, desk=world.desk)) == "target-leased"
    assert world.facts.asked[-1].leased[0]["name"] == "web"
    settle(granted.id, "helped", desk=world.desk)
    assert isinstance(lease(second.plan, desk=world.desk), Lease)


def test_nothing_is_written_that_could_not_be_recorded(world):
    granted = leased(world, scale(5))
    before = len(world.cluster.writes())
    (world.folder / "journal.anchor").unlink()
    (world.folder / "journal.anchor").mkdir()
    (world.folder / "journal.anchor" / "x").touch()  # the head of the journal cannot be kept
    with pytest.raises(JournalUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    assert len(world.cluster.writes()) == before


def test_a_database_that_lost_its_tail_is_not_opened(world, database):
    submit(plan(scale(5)), desk=world.desk)
    anchor = (world.folder / "journal.anchor").read_text()
    world.desk.ledger.close()
    for name in ("sidecar.db", "sidecar.db-wal", "sidecar.db-shm"):
        (world.folder / name).unlink(missing_ok=True)
    world.url = database() or world.url
    (world.folder / "journal.anchor").write_text(anchor)
    with pytest.raises(JournalUnavailable, match="anchor says 1"):
        world.restart()


def test_an_anchor_that_is_gone_is_on_record(world):
    submit(plan(scale(5)), desk=world.desk)
    world.desk.ledger.close()
    (world.folder / "journal.anchor").unlink()
    world.restart()
    assert world.desk.ledger.documents()[-1]["kind"] == "anchor-missing"
    assert world.desk.ledger.verify()[1] is None


def test_an_undo_that_no_longer_fits_stops_there(world):
    granted = leased(world, change("/spec/paused", None, True), scale(5))
    for step in ("step-1", "step-2"):
        perform(granted.id, step, desk=world.desk)
    world.cluster.edit(*WEB, replicas=9)
    back = undo(granted.id, desk=world.desk)
    assert not back.complete
    assert [(result.step, result.reason) for result in back.steps] == [("step-2", "target-changed"), ("step-1", "held")]
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 9


def test_no_step_is_performed_once_undoing_began(world):
    granted = leased(world, scale(5), change("/spec/paused", None, True))
    perform(granted.id, "step-1", desk=world.desk)
    assert undo(granted.id, desk=world.desk).complete
    assert perform(granted.id, "step-2", desk=world.desk).reason == "not-next"


def test_a_stop_ends_everything_and_holds_over_a_restart(world):
    granted = leased(world, scale(5))
    waiting = submit(plan(scale(6, "web"), attempt=2), desk=world.desk)
    stopped = stop(world.people.known["ada"], reason="enough", desk=world.desk)
    assert [settlement.state for settlement in stopped.settlements] == ["settled"]
    assert standing(waiting.plan, desk=world.desk).state == "void"
    world.restart()
    assert perform(granted.id, "step-1", desk=world.desk).reason == "lease-over"
    assert submit(plan(scale(7), attempt=3), desk=world.desk).state == "denied"
    assert code(lift(world.people.known["ada"], desk=world.desk)) == "no-role"
    assert lift(world.people.add("bob", "operator"), desk=world.desk).lifting == ("bob",)
    assert lift(world.people.known["bob"], desk=world.desk).stopped, "one person is not two"
    assert submit(plan(scale(7), attempt=3), desk=world.desk).state == "denied"
    assert not lift(world.people.add("dan", "operator"), desk=world.desk).stopped
    assert submit(plan(scale(7), attempt=3), desk=world.desk).state == "waiting"


def test_leftovers_of_a_lost_database_are_swept_when_they_have_expired(world):
    granted = leased(world, scale(5))
    world.desk.ledger.close()
    for found in world.folder.iterdir():
        found.unlink()
    world.restart()
    reap(desk=world.desk)
    assert world.cluster.names("rolebindings") == [f"lestrade-{granted.id}"]
    world.clock.advance(seconds=301)
    reap(desk=world.desk)
    assert world.cluster.names("rolebindings") + world.cluster.names("serviceaccounts") + world.cluster.names("roles") == []


def test_an_eviction_that_a_budget_forbids_fails_and_says_so(world):
    pod = world.cluster.put("pods", {"kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}, "spec": {}})
    assert pod["metadata"]["uid"] == "uid-p"
    granted = leased(world, {"kind": "evict_pod", "target": ref("Pod", "p", api_version="v1")})
    world.cluster.before = lambda call, identity: (
        ApiAnswer(status=429, body={"message": "Cannot evict pod as it would violate the pod's disruption budget."})
        if call.path.endswith("/eviction")
        else None
    )
    result = perform(granted.id, "step-1", desk=world.desk)
    assert (result.status, result.reason) == ("failed", "disruption-budget")
    assert "p" in world.cluster.names("pods")


def test_a_no_after_the_lease_takes_the_rights_back_at_once(world):
    granted = leased(world, scale(5), change("/spec/paused", None, True))
    perform(granted.id, "step-1", desk=world.desk)
    world.people.add("eve", "viewer")
    assert code(approve(world, granted.plan, "eve", "deny")) == "no-role"
    approve(world, granted.plan, "ada", "deny")
    assert standing(granted.plan, desk=world.desk).state == "refused"
    assert perform(granted.id, "step-2", desk=world.desk).reason == "lease-over"
    assert not world.cluster.names("rolebindings")


def test_an_alert_is_not_silenced_by_a_sidecar_that_cannot(world):
    world.alerts.absent = "no Alertmanager is configured"
    (reason,) = submit(plan(silence()), desk=world.desk).decision.reasons
    assert (reason.rule, reason.message) == ("unsupported", "no Alertmanager is configured")


@pytest.mark.parametrize("answered", [401, 429, 500, 503])
@pytest.mark.parametrize("what", ["serviceaccounts", "roles", "rolebindings", "token"])
def test_an_api_server_that_is_busy_or_broken_has_refused_no_right(world, what, answered):
    digest = approved(world, scale(5))

    def busy(call, identity):
        return status(answered, "later") if call.method == "POST" and call.path.endswith(f"/{what}") else None

    world.cluster.before = busy
    with pytest.raises(ClusterUnavailable):
        lease(digest, desk=world.desk)
    assert "lease-refused" not in [record["kind"] for record in world.desk.ledger.documents()]

    world.cluster.before = lambda call, identity: None
    granted = lease(digest, desk=world.desk)
    assert (granted.state, perform(granted.id, "step-1", desk=world.desk).status) == ("live", "performed")


@pytest.mark.parametrize("answered", [401, 429, 500, 503])
def test_nobody_can_tell_from_a_busy_api_server_that_leases_are_not_held_to_their_plans(world, answered):
    bound = PlanBound(world.cluster, namespace="lestrade-leases", clock=world.clock)
    desk = dataclasses.replace(
        world.desk, issuer=Issuer(world.cluster, namespace="lestrade-leases", clock=world.clock, plan_bound=bound)
    )
    granted = leased(world, scale(5))
    world.cluster.before = lambda call, identity: status(answered, "later") if "apiextensions" in call.path else None
    reap(desk=desk)
    with world.desk.ledger.read() as connection:
        assert leases.get(connection, granted.id).lease.state == "live"
    world.cluster.before = lambda call, identity: status(404, "gone") if "apiextensions" in call.path else None
    reap(desk=desk)
    with world.desk.ledger.read() as connection:
        assert leases.get(connection, granted.id).lease.state in ("settled", "revocation_pending")


def test_whoever_answers_too_late_is_on_record_by_name_each_time(world):
    digest = submit(plan(scale(5)), desk=world.desk).plan
    world.clock.advance(seconds=601)
    for _ in range(2):
        assert approve(world, digest).code == "expired"
    kinds = [(record["kind"], record["actor"]) for record in world.desk.ledger.documents()]
    assert kinds.count(("answer-refused", "ada")) == 2
    assert kinds.count(("plan-expired", "sidecar")) == 1
