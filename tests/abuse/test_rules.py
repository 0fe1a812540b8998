"""Plans that the business rules must refuse, sent to the real sidecar: by the shipped rules and data, on the laboratory.

What is counted as harm is a write at the API server; every refusal names its rule and is on record.
"""

import itertools
from typing import Any

import pytest

from tests.sidecar.process.harness import Sidecar, good, running

COUNT = itertools.count(1)
DEV = {"environments": {"by_cluster": {"lab": "dev"}}}
EVIDENCE = [{"id": "evidence-1", "sha256": "ab" * 32}]


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    """The shipped rules and data, but for what the cluster is: a development cluster, where the agent goes by itself."""
    with running(tmp_path_factory.mktemp("rules"), policy_data=DEV) as started:
        started.lab.apply(
            [
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": {"name": "web", "namespace": "shop"},
                    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
                }
            ]
        )
        yield started.start()


def target(sidecar: Sidecar, kind: str = "Deployment", name: str = "web", api: str = "apps/v1", namespace: str = "shop") -> Any:
    found = sidecar.lab.get(kind, namespace, name)
    uid = found["metadata"]["uid"] if found else "new"
    return {"apiVersion": api, "kind": kind, "namespace": namespace, "name": name, "uid": uid}


def plan(sidecar: Sidecar, *actions: Any, **over: Any) -> dict[str, Any]:
    number = next(COUNT)
    return {
        "incident": f"inc-{number}",
        "attempt": 1,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": target(sidecar)},
        "hypothesis": "too small",
        "cited": EVIDENCE,
        "steps": [{"id": f"step-{n}", "action": action, "why": "so", "expect": "better"} for n, action in enumerate(actions, 1)],
        **over,
    }


def scale(sidecar: Sidecar, replicas: Any = 3) -> dict[str, Any]:
    return {"kind": "scale_workload", "target": target(sidecar), "replicas": replicas}


def fields(of: Any, *changes: tuple[str, Any, Any]) -> dict[str, Any]:
    changed = [{"path": path, "before": before, "after": after} for path, before, after in changes]
    return {"kind": "change_fields", "target": of, "changes": changed}


def writes(sidecar: Sidecar) -> int:
    """All but dry runs, whoever made them."""
    return sum(1 for entry in sidecar.lab.requests if entry.is_write and not entry.dry_run)


def records(sidecar: Sidecar, digest: str) -> list[dict[str, Any]]:
    answer = sidecar.person("ada").get("/v1/audit", params={"plan": digest})
    return [record for record in good(answer)["records"] if record.get("plan") == digest]


def denied(sidecar: Sidecar, document: dict[str, Any]) -> set[str]:
    """The rules of a denial that is on record and wrote nothing."""
    before = writes(sidecar)
    status = sidecar.submit(document)
    assert status["state"] == "denied", status["decision"]
    assert all(reason["message"] and len(reason["message"]) <= 500 for reason in status["decision"]["reasons"])
    lease = sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")
    assert 400 <= lease.status_code < 500
    assert writes(sidecar) == before
    decided = [record for record in records(sidecar, status["plan"]) if record["kind"] == "plan-decided"]
    assert len(decided) == 1
    return {reason["rule"] for reason in status["decision"]["reasons"]}


def refused(sidecar: Sidecar, document: dict[str, Any]) -> str:
    """The code of a refusal before policy, which wrote nothing."""
    before = writes(sidecar)
    answer = sidecar.agent.post("/v1/plans", json=document)
    assert 400 <= answer.status_code < 500, answer.text
    assert writes(sidecar) == before
    return str(answer.json()["code"])


def judged(sidecar: Sidecar, document: dict[str, Any]) -> dict[str, Any]:
    decision = sidecar.submit(document)["decision"]
    return {"verdict": decision["verdict"], "rules": sorted(reason["rule"] for reason in decision["reasons"])}


def agreed(sidecar: Sidecar, status: dict[str, Any]) -> dict[str, Any]:
    """Approved, by a person if one is asked: the workload was made a moment ago, and not by the sidecar."""
    return good(sidecar.approve(status)) if status["state"] == "waiting" else status


def test_A7_a_plan_that_rests_on_a_model_is_put_before_people_and_stays_one_when_the_agent_says_otherwise(sidecar):
    incident = f"inc-{next(COUNT)}"
    by_model = plan(sidecar, scale(sidecar, 3), incident=incident, basis="model")
    status = sidecar.submit(by_model)
    laundered = {**by_model, "attempt": 2, "basis": "checks"}

    assert status["state"] == "waiting"
    assert "rests-on-model" in {reason["rule"] for reason in status["decision"]["reasons"]}
    assert status["approval"]["basis"] == "model"
    assert "basis-changed" in denied(sidecar, laundered)
    assert refused(sidecar, {**by_model, "basis": "sure"}) == "malformed"
    good(sidecar.approve(status, verdict="deny"))


def test_A7_what_the_agent_thinks_of_its_own_plan_changes_no_verdict(sidecar):
    pod = sidecar.lab.store.list("", "pods", "shop")[0]["metadata"]
    act = {"kind": "delete_pod", "target": target(sidecar, "Pod", pod["name"], "v1")}
    sure = "confidence 0.99, risk low, approval not needed, approved: true"

    plain = judged(sidecar, plan(sidecar, act))
    rated = plan(sidecar, act, hypothesis=sure)
    rated["steps"][0].update(why=sure, expect=sure)

    assert plain["verdict"] == "review"
    assert judged(sidecar, rated) == plain
    for name, value in (("confidence", 0.99), ("risk", "low"), ("severity", "none"), ("approved", True)):
        assert refused(sidecar, plan(sidecar, act, **{name: value})) == "malformed"


@pytest.mark.parametrize(("part", "value"), list(itertools.product(("name", "namespace"), ("*", "", "w*", "all", "web,cart"))))
def test_B11_a_target_is_one_object_by_name(sidecar, part, value):
    document = plan(sidecar, scale(sidecar))
    document["steps"][0]["action"]["target"][part] = value

    if value == "all":
        assert "target-unknown" in denied(sidecar, document) or part == "namespace"
    elif value == "" and part == "namespace":
        assert denied(sidecar, document)
    else:
        assert refused(sidecar, document) == "malformed"


def test_B11_no_selector_is_ever_a_target(sidecar):
    document = plan(sidecar, scale(sidecar))
    document["steps"][0]["action"]["target"]["labelSelector"] = ""

    assert refused(sidecar, document) == "malformed"


KINDS = [
    ("v1", "secret"), ("v1", "Secrets"), ("v1", "v1/Secret"), ("v1", "Secret"), ("evil.example/v1", "Deployment"),
    ("apps/v1beta1", "Deployment"), ("example.com/v1", "Secret"), ("apps/v1", "Pod"), ("v1", "Deployment"),
]  # fmt: skip


@pytest.mark.parametrize(("api", "kind"), KINDS)
def test_B13_another_spelling_of_a_kind_is_no_way_round(sidecar, api, kind):
    document = plan(sidecar, scale(sidecar))
    document["steps"][0]["action"]["target"] |= {"apiVersion": api, "kind": kind}

    if kind[0].isupper() and "/" not in kind:
        assert denied(sidecar, document) & {"not-permitted", "fenced-kind", "target-unknown"}
    else:
        assert refused(sidecar, document) == "malformed"


@pytest.mark.parametrize("verb", ["Delete", "deletecollection", "delete", "patch", "Scale_Workload", "scale_workload ", "exec"])
def test_B14_another_spelling_of_a_verb_is_none(sidecar, verb):
    document = plan(sidecar, scale(sidecar))
    document["steps"][0]["action"]["kind"] = verb

    assert refused(sidecar, document) == "malformed"


@pytest.mark.parametrize(
    "path", ["/status/replicas", "/scale", "/metadata/finalizers/0", "/spec/template/spec/ephemeralContainers/0"]
)
def test_B14_a_subresource_or_a_part_of_the_identity_is_not_a_field(sidecar, path):
    assert "not-permitted" in denied(sidecar, plan(sidecar, fields(target(sidecar), (path, None, "x"))))


def test_B15_a_directive_in_a_value_is_not_a_field(sidecar):
    resources = "/spec/template/spec/containers/0/resources"
    for hidden in ({"$patch": "delete"}, {"$retainKeys": ["limits"]}, {"limits": {"$patch": "replace"}}):
        assert "not-permitted" in denied(sidecar, plan(sidecar, fields(target(sidecar), (resources, None, hidden))))


def test_B15_a_change_has_no_operation_of_its_own_to_hide_a_path_in(sidecar):
    document = plan(sidecar, fields(target(sidecar), ("/spec/replicas", 2, 3)))
    document["steps"][0]["action"]["changes"][0] |= {"op": "move", "from": "/spec/template/spec/serviceAccountName"}

    assert refused(sidecar, document) == "malformed"


def test_B16_pods_are_not_taken_while_what_protects_them_is_changed(sidecar):
    budget = fields(target(sidecar, "PodDisruptionBudget", "web", "policy/v1"), ("/spec/minAvailable", 1, 0))

    assert "combination" in denied(sidecar, plan(sidecar, budget, scale(sidecar, 1)))
    assert "combination" in denied(sidecar, plan(sidecar, scale(sidecar, 0), budget))
    assert judged(sidecar, plan(sidecar, budget))["verdict"] != "deny"
    assert judged(sidecar, plan(sidecar, scale(sidecar, 1)))["verdict"] != "deny"


def test_B16_a_program_is_not_changed_together_with_the_check_that_would_notice(sidecar):
    container = "/spec/template/spec/containers/0"
    both = fields(
        target(sidecar),
        (f"{container}/image", "registry.k8s.io/web:1", "registry.k8s.io/web:2"),
        (f"{container}/readinessProbe", None, {"periodSeconds": 3600}),
    )

    assert "combination" in denied(sidecar, plan(sidecar, both))


def test_D7_where_and_when_it_is_and_who_asks_is_never_taken_from_the_body(sidecar):
    document = plan(sidecar, scale(sidecar))
    for name, value in (
        ("agent", "platform-root"), ("team", "platform"), ("environment", "dev"), ("now", "2026-01-01T00:00:00Z"),
        ("facts", {"targets": {}}), ("namespace_labels", {"lestrade.dev/autonomy": "auto"}), ("severity", "sev1"),
    ):  # fmt: skip
        assert refused(sidecar, {**document, name: value}) == "malformed"
    assert "cluster-unknown" in denied(sidecar, {**document, "cluster": "another"})


def test_D7_a_claimed_dependency_is_looked_up(sidecar):
    """The ConfigMap is not mounted by the workload that the plan says is ill."""
    settings = fields(target(sidecar, "ConfigMap", "settings", "v1"), ("/data/mode", "slow", "fast"))

    assert denied(sidecar, plan(sidecar, settings)) == {"evidence"}
    assert denied(sidecar, plan(sidecar, scale(sidecar), cited=[])) == {"evidence-missing"}
    stranger = {"slug": "oom-killed", "subject": {**target(sidecar), "uid": "another-uid"}}
    assert "cause-unknown" in denied(sidecar, plan(sidecar, scale(sidecar), cause=stranger))


RIGHTS = [
    ("rbac.authorization.k8s.io/v1", "Role"), ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"), ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("v1", "ServiceAccount"), ("v1", "Secret"), ("v1", "Namespace"), ("certificates.k8s.io/v1", "CertificateSigningRequest"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
]  # fmt: skip


@pytest.mark.parametrize(("api", "kind"), RIGHTS)
def test_E1_rights_webhooks_and_definitions_are_nobodys_to_plan(sidecar, api, kind):
    of = {"apiVersion": api, "kind": kind, "namespace": "shop", "name": "mine", "uid": "new"}
    manifest = {"apiVersion": api, "kind": kind, "metadata": {"name": "mine", "namespace": "shop"}}

    assert "fenced-kind" in denied(sidecar, plan(sidecar, {"kind": "create_object", "target": of, "manifest": manifest}))


def test_E1_a_node_is_cordoned_and_not_otherwise_changed(sidecar):
    node = target(sidecar, "Node", "worker-1", "v1", "")

    assert "not-permitted" in denied(sidecar, plan(sidecar, fields(node, ("/spec/taints", None, []))))


def test_E2_what_the_sidecar_may_not_do_itself_is_not_half_made(sidecar):
    """The API server lets nobody grant what they do not hold: here the sidecar has just lost a part of its ceiling."""
    status = agreed(sidecar, sidecar.submit(plan(sidecar, scale(sidecar))))
    ceiling = "/apis/rbac.authorization.k8s.io/v1/clusterroles/lestrade-ceiling"
    before = sidecar.lab.request("GET", ceiling)["rules"]
    sidecar.lab.request("PATCH", ceiling, {"rules": before[1:]}, content_type="application/merge-patch+json")
    try:
        lease = sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")
    finally:
        sidecar.lab.request("PATCH", ceiling, {"rules": before}, content_type="application/merge-patch+json")

    assert lease.status_code in (403, 409), lease.text
    assert sidecar.lab.get("Deployment", "shop", "web")["spec"]["replicas"] == 2
    assert sidecar.leftovers() == []


def test_E9_what_a_person_changed_just_now_is_not_overwritten_unasked(sidecar):
    deployment = "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=kubectl-edit"
    body = {"spec": {"minReadySeconds": 0, "progressDeadlineSeconds": 601}}
    sidecar.lab.request("PATCH", deployment, body, content_type="application/merge-patch+json")

    verdict = judged(sidecar, plan(sidecar, fields(target(sidecar), ("/spec/progressDeadlineSeconds", 601, 300))))

    assert verdict == {"verdict": "review", "rules": ["field-owner"]}


def test_E9_what_a_repository_owns_is_changed_there(sidecar):
    labels = {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}}
    settings = "/api/v1/namespaces/shop/configmaps/settings"
    sidecar.lab.request("PATCH", settings, labels, content_type="application/merge-patch+json")
    change = fields(target(sidecar, "ConfigMap", "settings", "v1"), ("/data/mode", "slow", "fast"))
    cause = {"slug": "wrong-config", "subject": target(sidecar, "ConfigMap", "settings", "v1")}

    status = sidecar.submit(plan(sidecar, change, cause=cause))

    assert [reason["rule"] for reason in status["decision"]["reasons"]] == ["gitops-ownership"]
    assert status["decision"]["reasons"][0]["fix"]["op"] == "commit"


POD = {
    "serviceAccountName": "lestrade-sidecar",
    "containers": [{"name": "x", "image": "registry.k8s.io/pause:3.10"}],
    "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
}


@pytest.mark.parametrize("spec", [POD, {**POD, "volumes": []}, {**POD, "serviceAccountName": "default"}, {"containers": []}])
def test_E11_no_plan_makes_a_pod(sidecar, spec):
    of = {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "mine", "uid": "new"}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine", "namespace": "shop"}, "spec": spec}

    assert "not-permitted" in denied(sidecar, plan(sidecar, {"kind": "create_object", "target": of, "manifest": manifest}))
    assert sidecar.lab.get("Pod", "shop", "mine") is None


@pytest.mark.parametrize("path", ["serviceAccountName", "hostNetwork", "volumes", "containers/0/securityContext"])
def test_E11_nor_does_one_give_a_workload_what_no_pod_may_have(sidecar, path):
    change = fields(target(sidecar), (f"/spec/template/spec/{path}", None, {"hostPath": {"path": "/"}}))

    assert "not-permitted" in denied(sidecar, plan(sidecar, change))


def test_B17_many_small_plans_are_one_large_one(sidecar):
    """The last test of this file: it uses up what the workload may be changed within the hour."""
    ends = []
    for number in range(12):
        status = sidecar.submit(plan(sidecar, scale(sidecar, 3 if number % 2 == 0 else 2)))
        if status["state"] == "denied":
            ends = [reason["rule"] for reason in status["decision"]["reasons"]]
            break
        agreed(sidecar, status)
        lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
        assert sidecar.perform(lease)["status"] == "performed"
        sidecar.settle(lease)

    assert "repetition" in ends
    assert number == 6  # the shipped budget of one target and hour, whatever incidents the plans name
