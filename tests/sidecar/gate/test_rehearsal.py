"""Before people are asked, the API server is: what its dry runs change in what is shown, judged and denied."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.contract import ApprovalsWanted, Decision, Plan, Reason
from sidecar.errors import ClusterUnavailable
from sidecar.gate.submit import submit
from sidecar.ports import ApiAnswer, ApiCall, Facts, nothing
from tests.fakes.sidecar_cluster import status
from tests.fakes.sidecar_gate import FakeJudge, World, change, deployment, make_world, plan, ref, scale

MAIN = "/spec/template/spec/containers/0"
POD = ref("Pod", "web-1", api_version="v1")
NODE = ref("Node", "node-a", namespace="", api_version="v1")
JOB = ref("Job", "nightly", api_version="batch/v1")
QUOTA = ref("ResourceQuota", "limits", api_version="v1")
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": "shop"}, "data": {"a": "b"}}
MEMORY = change(f"{MAIN}/resources", None, {"limits": {"memory": "1024Mi"}})


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path)
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    pod = {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"}, "spec": {"nodeName": "node-a"}}
    world.cluster.put("pods", {"apiVersion": "v1", **pod})
    world.cluster.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}, "spec": {}})
    template = {"metadata": {"labels": {"job-name": "nightly"}}, "spec": {"containers": []}}
    job = {"kind": "Job", "metadata": {"name": "nightly", "namespace": "shop"}, "spec": {"template": template}}
    world.cluster.put("jobs", {"apiVersion": "batch/v1", **job}, "batch")
    quota = {"kind": "ResourceQuota", "metadata": {"name": "limits", "namespace": "shop"}, "spec": {"hard": {"pods": "1"}}}
    world.cluster.put("resourcequotas", {"apiVersion": "v1", **quota})
    return world


def answered(world: World, answer: ApiAnswer | Exception, *, method: str = "PATCH", path: str = "") -> None:
    """What the API server says to dry runs of this kind."""

    def scripted(call: ApiCall, identity: str) -> ApiAnswer | None:
        if call.method != method or ("dryRun", "All") not in call.query or path not in call.path:
            return None
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.cluster.before = scripted


def stored(world: World, **containers: object) -> ApiAnswer:
    """The Deployment as a dry run would show it, its one container completed."""
    body = world.cluster.objects[("apps", "deployments", "shop", "web")]
    container = {**body["spec"]["template"]["spec"]["containers"][0], **containers}
    template = {**body["spec"]["template"], "spec": {"containers": [container]}}
    return ApiAnswer(status=200, body={**body, "spec": {**body["spec"], "template": template}})


def rules(came) -> list[str]:
    return [reason.rule for reason in came.decision.reasons]


@pytest.mark.parametrize(
    ("action", "method"),
    [
        (scale(5), "PATCH"),
        (MEMORY, "PATCH"),
        ({"kind": "restart_workload", "target": ref("Deployment", "web")}, "PATCH"),
        ({"kind": "cordon_node", "target": NODE}, "PATCH"),
        ({"kind": "delete_pod", "target": POD}, "DELETE"),
        ({"kind": "evict_pod", "target": POD}, "POST"),
        ({"kind": "create_object", "target": ref("ConfigMap", "made", api_version="v1", uid="new"), "manifest": MAP}, "POST"),
        ({"kind": "rerun_job", "target": JOB, "new_name": "nightly-again"}, "POST"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else value,
)
def test_each_step_is_sent_as_a_dry_run_by_the_sidecar_itself_and_nothing_is_written(world, action, method):
    came = submit(plan(action), desk=world.desk)

    assert came.state == "waiting", rules(came)
    (sent,) = [request for request in world.cluster.requests if request.verb != "GET"]
    assert (sent.verb, sent.dry, sent.identity) == (method, True, "sidecar")
    assert world.cluster.writes() == []
    assert came.approval.dry_run == "every diff is of the API server's own dry run"
    options = sent.body.get("deleteOptions", sent.body) if isinstance(sent.body, dict) else {}
    if options.get("preconditions"):  # an API server reads the options of a deletion from its body alone
        assert options["dryRun"] == ["All"]


def test_a_drain_is_reckoned_and_says_so(world):
    came = submit(plan({"kind": "drain_node", "target": NODE, "pods": [POD]}), desk=world.desk)
    assert came.state == "waiting", rules(came)
    assert "step-1 (it is more than one request)" in came.approval.dry_run
    assert [request for request in world.cluster.requests if request.verb != "GET"] == []


def test_a_plan_that_nobody_is_asked_about_is_not_rehearsed(world):
    world.judge.verdict = "allow"
    assert submit(plan(scale(5)), desk=world.desk).state == "approved"
    assert [request for request in world.cluster.requests if request.verb != "GET"] == []


def test_every_object_is_looked_at_once_for_facts_effects_and_card(world):
    submit(plan(scale(5), MEMORY), desk=world.desk)
    looks = Counter(request.path for request in world.cluster.requests if request.verb == "GET")
    assert looks["/apis/apps/v1/namespaces/shop/deployments/web"] == 1


def test_what_the_api_server_refuses_is_denied_with_its_words_escaped_and_cut(world):
    answered(world, status(403, "denied by policy \u202efine\u202c\x1b[2J " + "x" * 2000))
    came = submit(plan(MEMORY), desk=world.desk)
    (reason,) = [reason for reason in came.decision.reasons if reason.rule == "dry-run-refused"]
    assert came.state == "denied"
    assert reason.step == "step-1"
    assert "denied by policy \\u202efine" in reason.message
    assert reason.message.isprintable()
    assert len(reason.message) <= 500


@pytest.mark.parametrize(
    "answer", [ClusterUnavailable("no answer"), status(500, "internal"), status(503, "later"), status(401, "")]
)
def test_no_dry_run_is_a_no(world, answer):
    answered(world, answer)
    came = submit(plan(MEMORY), desk=world.desk)
    assert (came.state, rules(came)) == ("denied", ["dry-run-failed"])
    assert came.decision.reasons[0].fix.op == "wait"


def test_a_budget_that_is_spent_for_now_can_be_waited_for(world):
    answered(world, status(429, "would violate the pod's disruption budget"), method="POST")
    came = submit(plan({"kind": "evict_pod", "target": POD}), desk=world.desk)
    assert rules(came) == ["dry-run-refused"]
    assert came.decision.reasons[0].fix.op == "wait"


def test_a_webhook_that_takes_no_dry_runs_leaves_the_diff_to_the_sidecar(world):
    answered(world, status(400, 'admission webhook "old.example.com" does not support dry run'))
    came = submit(plan(MEMORY), desk=world.desk)
    assert came.state == "waiting"
    assert "step-1 (an admission webhook takes no dry runs)" in came.approval.dry_run
    assert "memory: 1024Mi" in came.approval.changes[0].diff


def test_a_refusal_that_an_earlier_step_may_lift_is_said_and_is_no_denial(world):
    more = change("/spec/hard/pods", "1", "9", QUOTA)
    answered(world, status(403, "exceeded quota: limits"), path="deployments")
    assert submit(plan(MEMORY, more), desk=world.desk).state == "denied"
    came = submit(plan(more, MEMORY, attempt=2), desk=world.desk)
    assert came.state == "waiting", rules(came)
    assert "step-2 (before the steps ahead of it the API server refuses it: exceeded quota: limits)" in came.approval.dry_run


class Choosy(FakeJudge):
    """Judges plans by what they change: paths of `forbidden` never, paths of `dear` by two people."""

    forbidden: tuple[str, ...] = ()
    dear: tuple[str, ...] = ()

    def decide(self, plan: Plan, facts: Facts, *, meanwhile: Callable[[], None] = nothing) -> Decision:
        decision = super().decide(plan, facts, meanwhile=meanwhile)
        changes = [c for step in plan.steps if step.action.kind == "change_fields" for c in step.action.changes]
        replicas = [str(step.action.replicas) for step in plan.steps if step.action.kind == "scale_workload"]
        touched = [f"{c.path} {c.after}" for c in changes] + replicas
        if any(word in text for word in self.forbidden for text in touched):
            reasons = (Reason(rule="not-permitted", message="not this"),)
            return decision.model_copy(update={"verdict": "deny", "reasons": reasons, "approvals": None, "lease_seconds": 0})
        if any(word in text for word in self.dear for text in touched):
            wanted = ApprovalsWanted(count=2, roles=("approver",), expires_seconds=600)
            return decision.model_copy(update={"approvals": wanted})
        return decision


@pytest.fixture
def choosy(world):
    judge = Choosy()
    world.desk = replace(world.desk, judge=judge)
    return world, judge


RESOURCES = {"limits": {"memory": "1024Mi"}}


def test_what_comes_along_is_judged_and_denied(choosy):
    world, judge = choosy
    judge.forbidden = ("privileged",)
    answered(world, stored(world, resources=RESOURCES, securityContext={"privileged": True}))
    came = submit(plan(MEMORY), desk=world.desk)
    assert (came.state, rules(came)) == ("denied", ["more-than-planned"])
    assert f"{MAIN}/securityContext" in came.decision.reasons[0].message
    assert "not this" in came.decision.reasons[0].message


def test_what_comes_along_below_a_planned_field_is_judged_too(choosy):
    world, judge = choosy
    judge.forbidden = ("claims",)
    answered(world, stored(world, resources={**RESOURCES, "claims": [{"name": "gpu"}]}))
    assert rules(submit(plan(MEMORY), desk=world.desk)) == ["more-than-planned"]


def test_what_comes_along_may_want_more_people(choosy):
    world, judge = choosy
    judge.dear = ("/command",)
    answered(world, stored(world, resources=RESOURCES, command=["sh"]))
    came = submit(plan(MEMORY), desk=world.desk)
    assert (came.state, came.approval.count) == ("waiting", 2)
    assert "+      - command:" in came.approval.changes[0].diff


def test_a_quantity_in_other_words_is_not_more_than_planned(choosy):
    world, judge = choosy
    judge.forbidden = ("1Gi",)
    answered(world, stored(world, resources={"limits": {"memory": "1Gi"}}))
    came = submit(plan(MEMORY), desk=world.desk)
    assert came.state == "waiting"
    assert "memory: 1Gi" in came.approval.changes[0].diff


def test_another_number_of_replicas_than_planned_is_judged(choosy):
    world, judge = choosy
    judge.forbidden = ("50",)
    answered(world, ApiAnswer(status=200, body={"kind": "Scale", "spec": {"replicas": 50}}))
    assert rules(submit(plan(scale(5)), desk=world.desk)) == ["more-than-planned"]


def test_a_change_that_would_not_stay_is_a_denial(choosy):
    world, _ = choosy
    answered(world, stored(world))
    came = submit(plan(MEMORY), desk=world.desk)
    assert rules(came) == ["more-than-planned"]
    assert "it cannot be said as a plan" in came.decision.reasons[0].message
