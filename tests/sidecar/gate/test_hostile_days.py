"""What goes wrong at the worst moment: many ask at once, an answer comes late or never, the record cannot be written."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sidecar.approvals import Person
from sidecar.contract import Lease, Plan
from sidecar.errors import ClusterUnavailable, JournalUnavailable
from sidecar.gate.desk import CardLimits
from sidecar.gate.halt import NAME as HALT
from sidecar.gate.halt import Halt
from sidecar.gate.intake import Intake
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap, reap_for_ever
from sidecar.gate.settle import settle
from sidecar.gate.stop import state_of_stop, stop
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from sidecar.ports import Facts
from tests.fakes.sidecar_cluster import status
from tests.fakes.sidecar_gate import FakeFacts, FakeJudge, change, deployment, make_world, plan, ref, scale
from tests.sidecar.gate.test_refusals import WEB, approve, code, leased

IMAGE = "/spec/template/spec/containers/0/image"


@pytest.fixture
def world(tmp_path):
    """One database is enough: what is looked at here is not the database."""
    world = make_world(tmp_path)
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


class Counted(FakeFacts):
    """Says how many steps the record has."""

    def gather(self, plan, history, **more):
        found = super().gather(plan, history, **more)
        return Facts(document={**found.document, "done": len(history.performed)}, missing=(), gathered_at=found.gathered_at)


class OneAnHour(FakeJudge):
    def decide(self, plan, facts, **more):
        self.verdict = "deny" if int(facts.document["done"]) > 0 else "allow"  # type: ignore[arg-type]
        return super().decide(plan, facts, **more)


def sparing(world) -> list[Plan]:
    """Four plans on four workloads, each allowed as long as nothing was done within the hour."""
    world.judge = OneAnHour()
    world.desk = dataclasses.replace(world.desk, judge=world.judge, facts=Counted())
    plans = []
    for name in ("a", "b", "c", "d"):
        world.cluster.put("deployments", deployment(name), "apps")
        plans.append(plan(scale(5, name), incident=f"inc-{name}"))
        assert submit(plans[-1], desk=world.desk).state == "approved"
    return plans


def test_what_was_lent_counts_before_it_is_done(world):
    first, second, *_ = sparing(world)
    granted = lease(first.digest, desk=world.desk)
    assert isinstance(granted, Lease)
    assert code(lease(second.digest, desk=world.desk)) == "policy-denies"
    settle(granted.id, "unknown", desk=world.desk)  # nothing was done, and nothing can be any more
    assert submit(plan(scale(5, "b"), attempt=2), desk=world.desk).state == "approved"


def test_whoever_finds_the_target_taken_may_ask_again_and_has_not_lost_the_approval(world):
    """Though the policy would say no: it counts what is lent."""
    first, *_ = sparing(world)
    second = plan(scale(6, "a"), attempt=2)
    assert submit(second, desk=world.desk).state == "approved"
    granted = lease(first.digest, desk=world.desk)
    assert isinstance(granted, Lease)
    assert code(lease(second.digest, desk=world.desk)) == "target-leased"
    settle(granted.id, "unknown", desk=world.desk)
    assert isinstance(lease(second.digest, desk=world.desk), Lease)


def test_however_many_ask_at_once_no_more_is_lent_than_the_policy_would_lend_one_by_one(world):
    plans = sparing(world)
    together = threading.Barrier(len(plans), timeout=10)
    seen = threading.local()

    class Together(Counted):
        """All have looked before the first of them claims."""

        def gather(self, plan, history, **more):
            if not getattr(seen, "looked", False):
                seen.looked = True
                together.wait()
            return super().gather(plan, history, **more)

    desk = dataclasses.replace(world.desk, facts=Together())
    with ThreadPoolExecutor(len(plans)) as pool:
        came = list(pool.map(lambda one: lease(one.digest, desk=desk), plans))
    assert sorted(type(one).__name__ for one in came) == ["Lease", "Problem", "Problem", "Problem"]


def half_drained(world) -> Lease:
    """A node that is closed, with one of its two pods gone; a budget keeps the other."""
    world.cluster.put("nodes", {"kind": "Node", "metadata": {"name": "n1", "uid": "uid-n1"}, "spec": {}})
    for name in ("p1", "p2"):
        world.cluster.put("pods", {"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": {"nodeName": "n1"}})
    node, pods = ref("Node", "n1", namespace="", api_version="v1"), [ref("Pod", name, api_version="v1") for name in ("p1", "p2")]
    granted = leased(world, {"kind": "drain_node", "target": node, "pods": pods})
    world.cluster.before = lambda call, identity: status(429, "budget") if call.path.endswith("/p2/eviction") else None
    return granted


def test_pods_that_a_drain_took_before_it_failed_count(world):
    """Else whoever keeps one pod from going could drain again and again."""
    granted = half_drained(world)
    assert perform(granted.id, "step-1", desk=world.desk).status == "failed"
    settle(granted.id, "did-not-help", desk=world.desk)
    submit(plan(scale(5), attempt=2), desk=world.desk)
    assert [done["pods"] for done in world.facts.asked[-1].performed] == [["shop/p1", "shop/p2"]]


def test_a_drain_that_failed_half_way_is_not_said_to_be_nothing(world):
    granted = half_drained(world)
    perform(granted.id, "step-1", desk=world.desk)
    ended = settle(granted.id, "not-performed", desk=world.desk)
    assert "step-1 is half-done" in ended.observed
    assert ended.contradictions == ('it is said to be "not-performed", but step-1 is half-done',)


def test_a_node_that_a_drain_closed_is_opened_whyever_the_drain_ended(world):
    granted = half_drained(world)
    world.cluster.before = lambda call, identity: status(403, "no") if call.path.endswith("/p2/eviction") else None
    assert perform(granted.id, "step-1", desk=world.desk).reason == "forbidden"
    assert world.cluster.objects[("", "nodes", "", "n1")]["spec"]["unschedulable"] is True
    came = undo(granted.id, desk=world.desk)
    assert (came.complete, [step.status for step in came.steps]) == (True, ["performed"])
    assert not world.cluster.objects[("", "nodes", "", "n1")]["spec"].get("unschedulable")


def test_a_drain_asks_people_about_the_namespaces_of_its_pods_too(world):
    """Else a namespace is spared no card by going through its nodes."""
    world.desk = dataclasses.replace(world.desk, limits=CardLimits(an_hour=1))
    half_drained(world)
    second = submit(plan(scale(5), incident="inc-2"), desk=world.desk)
    assert [reason.rule for reason in second.decision.reasons] == ["too-many-cards"]


def test_plans_of_a_megabyte_fill_no_disk():
    """What is judged is on record for ever: a large plan counts as many."""
    moment = [0.0]
    intake = Intake(120, now=lambda: moment[0])
    taken = 0
    for second in range(600):
        moment[0] = float(second)
        taken += 1_000_000 if intake.wait(1_000_000) == 0 else 0
    assert taken <= 21_000_000
    moment[0] += 60
    assert [intake.wait(4_000) for _ in range(120)] == [0] * 120


def test_what_others_did_before_a_lost_answer_was_looked_for_is_not_the_steps_and_is_not_taken_back(world):
    granted = leased(world, change(IMAGE, "shop/web:1", "shop/web:2"))

    def written_and_lost(call, identity):
        if call.method == "PATCH" and identity == granted.identity:
            world.cluster.edit("apps", "deployments", "shop", "web", replicas=9)  # an autoscaler, while nobody answers
            raise ClusterUnavailable("no answer in time")

    world.cluster.after = written_and_lost
    result = perform(granted.id, "step-1", desk=world.desk)
    world.cluster.after = lambda *_: None
    assert (result.status, result.before, result.after) == ("performed", {IMAGE: "shop/web:1"}, {IMAGE: "shop/web:2"})
    assert undo(granted.id, desk=world.desk).complete
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 9
    assert image(world) == "shop/web:1"


def test_a_value_that_somebody_put_over_a_write_whose_answer_was_lost_stays(world):
    paused = {"path": "/spec/paused", "before": None, "after": True}
    action = change(IMAGE, "shop/web:1", "shop/web:2")
    granted = leased(world, {**action, "changes": [*action["changes"], paused]})

    def written_and_lost(call, identity):
        if call.method == "PATCH" and identity == granted.identity:
            template = world.cluster.objects[WEB]["spec"]["template"]
            container = {**template["spec"]["containers"][0], "image": "shop/web:3"}
            world.cluster.edit("apps", "deployments", "shop", "web", template={**template, "spec": {"containers": [container]}})
            raise ClusterUnavailable("no answer in time")

    world.cluster.after = written_and_lost
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    world.cluster.after = lambda *_: None
    assert [step.reason for step in undo(granted.id, desk=world.desk).steps] == ["target-changed"]
    assert image(world) == "shop/web:3"


@pytest.mark.parametrize("hand", ["nobody's", "somebody's", "somebody's, who took a part out"])
def test_what_the_api_server_made_of_a_lost_write_is_taken_back_unless_another_hand_was_on_it(world, hand):
    resources = "/spec/template/spec/containers/0/resources"
    limits = f"{resources}/limits"
    wanted = {"cpu": "1000m", "memory": "1Gi"}
    granted = leased(world, change(limits, None, wanted))

    def written_and_lost(call, identity):
        if call.method != "PATCH" or identity != granted.identity:
            return
        found = world.cluster.objects[WEB]
        kept = {"cpu": "1", "memory": "1Gi"} if hand != "somebody's, who took a part out" else {"cpu": "1"}
        found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = kept
        mine = {"f:memory": {}} if hand == "somebody's" else {f"f:{name}": {} for name in kept}
        hands = [(f"lestrade-{granted.id}-step-1", mine)]
        hands += [("kubectl-edit", {"f:cpu": {}})] if hand == "somebody's" else []
        found["metadata"]["managedFields"] = [
            {"manager": manager, "operation": "Update", "fieldsV1": below(limits, fields)} for manager, fields in hands
        ]
        raise ClusterUnavailable("no answer in time")

    world.cluster.after = written_and_lost
    result = perform(granted.id, "step-1", desk=world.desk)
    world.cluster.after = lambda *_: None
    container = world.cluster.objects[WEB]["spec"]["template"]["spec"]["containers"][0]
    assert result.status == "performed"
    if hand == "nobody's":
        assert result.after[resources]["limits"] == {"cpu": "1", "memory": "1Gi"}
        assert undo(granted.id, desk=world.desk).complete
    else:
        assert result.after[resources]["limits"] == wanted
        assert [step.reason for step in undo(granted.id, desk=world.desk).steps] == ["target-changed"]
        assert container["resources"]["limits"]["cpu"] == "1"


def below(pointer, fields):
    """As fieldsV1 says it, of a container by its name."""
    for segment in reversed(pointer.split("/")[1:]):
        fields = {'k:{"name":"main"}' if segment == "0" else f"f:{segment}": fields}
    return fields


def test_the_one_change_since_the_write_is_the_write(world):
    """What the API server made of it is known, then, though its answer was lost."""
    world.cluster.put("deployments", deployment("many"), "apps")
    key = ("apps", "deployments", "shop", "many")
    world.cluster.objects[key]["metadata"]["generation"] = 1
    granted = leased(world, change("/spec/strategy", None, {"type": "Recreate"}, ref("Deployment", "many")))

    def defaulted_and_lost(call, identity):
        if call.method == "PATCH" and identity == granted.identity:
            world.cluster.objects[key]["metadata"]["generation"] = 2
            world.cluster.objects[key]["spec"]["revisionHistoryLimit"] = 10
            raise ClusterUnavailable("no answer in time")

    world.cluster.after = defaulted_and_lost
    result = perform(granted.id, "step-1", desk=world.desk)
    assert result.after["/spec/revisionHistoryLimit"] == 10
    assert result.before["/spec/revisionHistoryLimit"] is None


def test_the_one_change_of_the_spec_is_not_a_write_that_makes_none(world):
    world.cluster.objects[WEB]["metadata"]["generation"] = 1
    granted = leased(world, change("/metadata/labels/tier", None, "front"))

    def scaled_and_lost(call, identity):
        if call.method == "PATCH" and identity == granted.identity:
            world.cluster.edit("apps", "deployments", "shop", "web", replicas=9)
            world.cluster.objects[WEB]["metadata"]["generation"] = 2
            raise ClusterUnavailable("no answer in time")

    world.cluster.after = scaled_and_lost
    assert perform(granted.id, "step-1", desk=world.desk).after == {"/metadata/labels/tier": "front"}


def image(world) -> str:
    return world.cluster.objects[WEB]["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.mark.parametrize("said", [(504, "gateway timeout"), (500, "etcdserver: request timed out")])
def test_a_write_that_may_land_yet_is_not_said_to_have_failed(world, said):
    granted = leased(world, scale(5))
    world.cluster.before = lambda call, identity: status(*said) if call.method == "PATCH" else None
    with pytest.raises(ClusterUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.cluster.before = lambda *_: None
    world.cluster.edit("apps", "deployments", "shop", "web", replicas=5)  # there it is
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    assert undo(granted.id, desk=world.desk).complete
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 3


MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": "shop"}, "data": {"a": "b"}}


@pytest.mark.parametrize(
    "action",
    [
        scale(5),
        change(IMAGE, "shop/web:1", "shop/web:2"),
        {"kind": "create_object", "target": ref("ConfigMap", "made", api_version="v1", uid="new"), "manifest": MAP},
    ],
    ids=["scale", "change", "create"],
)
def test_a_write_that_lands_between_the_look_and_the_second_try_is_the_steps_own(world, action):
    granted = leased(world, action)
    late = []

    def lost(call, identity):
        if identity == granted.identity and call.method in ("PATCH", "POST"):
            late.append(call)
            raise ClusterUnavailable("no answer in time")

    def landing(call, identity):
        if identity == granted.identity and call.method in ("PATCH", "POST") and late:
            world.cluster.before = lambda *_: None
            world.cluster.send(late.pop(), world.desk.issuer.credential(granted.id).credential)

    world.cluster.before = lost
    with pytest.raises(ClusterUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.cluster.before = landing
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    assert undo(granted.id, desk=world.desk).complete
    assert world.cluster.names("configmaps") == []
    assert (world.cluster.objects[WEB]["spec"]["replicas"], image(world)) == (3, "shop/web:1")


def test_what_the_api_server_could_not_do_is_a_failure(world):
    granted = leased(world, scale(5))
    world.cluster.before = lambda call, identity: status(500, "failed calling webhook") if call.method == "PATCH" else None
    assert perform(granted.id, "step-1", desk=world.desk).reason == "server-error"


def test_a_workload_with_a_number_that_json_of_doubles_has_not_is_restarted_as_any_other(world):
    patient = deployment("patient")
    patient["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2**63 - 1  # "never kill it"
    world.cluster.put("deployments", patient, "apps")
    granted = leased(world, {"kind": "restart_workload", "target": ref("Deployment", "patient")})
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    assert settle(granted.id, "helped", desk=world.desk).state == "settled"


def test_a_pod_that_is_still_there_was_not_evicted_whatever_a_conflict_says(world):
    world.cluster.put("pods", {"kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}, "spec": {}})
    granted = leased(world, {"kind": "evict_pod", "target": ref("Pod", "p", api_version="v1")})
    world.cluster.before = lambda call, identity: status(409, "modified") if call.path.endswith("/eviction") else None
    result = perform(granted.id, "step-1", desk=world.desk)
    assert (result.status, world.cluster.names("pods")) == ("refused", ["p"])


def full_disk(world) -> None:
    """Records are read, and none can be written."""

    def refuse(*_, **__):
        raise JournalUnavailable("database or disk is full")

    world.desk.ledger._journal.append = refuse


def test_a_full_disk_keeps_no_rights_alive_that_are_over_or_stopped(world):
    granted = leased(world, scale(5))
    full_disk(world)
    with pytest.raises(JournalUnavailable, match="the rights of all leases were taken away; the stop will be on record"):
        stop(world.people.known["ada"], desk=world.desk)
    assert world.cluster.names("rolebindings") == []
    with pytest.raises((ClusterUnavailable, JournalUnavailable)):
        perform(granted.id, "step-1", desk=world.desk)
    assert world.cluster.objects[WEB]["spec"]["replicas"] == 3


def test_a_stop_that_could_not_be_recorded_holds_and_is_recorded_as_soon_as_it_can_be(world):
    digest = submit(plan(scale(5)), desk=world.desk).plan
    approve(world, digest)
    record = world.desk.ledger._journal.append
    full_disk(world)
    with pytest.raises(JournalUnavailable):
        stop(world.people.known["ada"], reason="enough", desk=world.desk)
    with pytest.raises(JournalUnavailable):
        lease(digest, desk=world.desk)
    world.desk.ledger._journal.append = record  # there is room again
    assert code(lease(digest, desk=world.desk)) == "not-approved"
    last = world.desk.ledger.documents()[-1]
    assert (last["kind"], last["actor"], last["body"]["reason"]) == ("stopped", "ada", "enough")
    assert state_of_stop(desk=world.desk).stopped


@pytest.mark.parametrize("note", ["whole", "spoilt"])
def test_a_stop_that_could_not_be_recorded_outlives_its_process(world, note):
    digest = submit(plan(scale(5)), desk=world.desk).plan
    approve(world, digest)
    full_disk(world)
    with pytest.raises(JournalUnavailable):
        stop(world.people.known["ada"], reason="enough", desk=world.desk)
    if note == "spoilt":
        (world.folder / HALT).write_text('{"by"')
    world.restart()
    assert code(lease(digest, desk=world.desk)) == "not-approved"
    stopped = state_of_stop(desk=world.desk)
    assert stopped.stopped
    assert note == "spoilt" or (stopped.by, stopped.reason) == ("ada", "enough")
    assert not (world.folder / HALT).exists()
    world.restart()
    assert world.desk.halt.by is None
    assert state_of_stop(desk=world.desk).stopped, "as any other stop"


class Waits(threading.Event):
    """No time passes. During the second wait something happens, the third is the last."""

    def __init__(self, meanwhile) -> None:
        super().__init__()
        self.meanwhile, self.asked = meanwhile, []

    def wait(self, timeout=None) -> bool:
        self.asked.append(timeout)
        if len(self.asked) == 2:
            self.meanwhile()
        return len(self.asked) == 3


def test_a_stop_is_put_on_record_within_seconds_however_seldom_the_reaper_comes_round(world):
    """Until then another process on the same database goes on lending."""

    def stopped_without_a_record() -> None:
        record = world.desk.ledger._journal.append
        full_disk(world)
        with pytest.raises(JournalUnavailable):
            stop(world.people.known["ada"], desk=world.desk)
        world.desk.ledger._journal.append = record

    ended = Waits(stopped_without_a_record)
    reap_for_ever(world.desk, 600, ended)
    assert state_of_stop(desk=world.desk).stopped
    assert sum(ended.asked) < 30


def test_however_many_try_to_record_a_stop_at_once_its_note_is_whole(tmp_path):
    halt = Halt.found(tmp_path / HALT)
    people = [Person(name="ada" * times, roles=frozenset()) for times in range(1, 5)]
    with ThreadPoolExecutor(8) as pool:
        said = set(pool.map(lambda turn: halt.hold(people[turn % 4], "enough"), range(64)))
    assert said == {""}
    assert Halt.found(tmp_path / HALT).by == halt.by


def test_a_lease_that_is_over_loses_its_rights_though_nothing_can_be_recorded(world):
    leased(world, scale(5))
    world.clock.advance(seconds=400)
    full_disk(world)
    reap(desk=world.desk)
    assert [world.cluster.names(kind) for kind in ("rolebindings", "roles", "serviceaccounts")] == [[], [], []]
    world.restart()
    reap(desk=world.desk)
    ended = [record["kind"] for record in world.desk.ledger.documents()]
    assert ended[-2:] == ["lease-ending", "lease-settled"]


def test_rights_whose_time_is_over_go_though_the_database_cannot_even_be_asked(world):
    leased(world, scale(5))
    world.clock.advance(seconds=400)

    class Gone(type(world.desk.ledger)):
        def read(self):
            raise JournalUnavailable("no database")

        write = read

    world.desk.ledger.__class__ = Gone
    reap(desk=world.desk)
    assert world.cluster.names("rolebindings") == []


def test_a_stop_takes_no_rights_of_another_sidecars_leases(world):
    leased(world, scale(5))
    theirs = {
        key: found for key, found in world.cluster.objects.items() if key[1] in ("roles", "rolebindings", "serviceaccounts")
    }
    for (group, kind, namespace, _), found in theirs.items():
        labels = {**found["metadata"]["labels"], "lestrade.dev/lease": "other"}
        metadata = {"name": "lestrade-other", "namespace": namespace, "labels": labels}
        if kind == "serviceaccounts":
            metadata["namespace"] = "other-leases"
        world.cluster.put(kind, {"kind": kind, "metadata": metadata}, group)
    full_disk(world)
    with pytest.raises(JournalUnavailable):
        stop(world.people.known["ada"], desk=world.desk)
    assert world.cluster.names("rolebindings") == ["lestrade-other"]


def test_a_sidecar_that_may_not_list_every_namespace_still_takes_its_accounts_away(world):
    """Without its account no token of a lease is taken any more."""
    leased(world, scale(5))
    lists = ("/rolebindings", "/roles", "/clusterrolebindings", "/clusterroles")

    def forbidden(call, identity):
        return status(403, "no") if call.method == "GET" and call.path.endswith(lists) else None

    world.cluster.before = forbidden
    full_disk(world)
    with pytest.raises(JournalUnavailable):
        stop(world.people.known["ada"], desk=world.desk)
    assert world.cluster.names("serviceaccounts") == []
