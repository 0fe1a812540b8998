"""Custom resources: what is suspended, young or on its way is no fault, and a check of its own kind outranks the general one."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, ago, app, asked, custom, obj, observed, owned_by, told, topology
from tests.agent.checks.cases_gitops import SOURCE, application, argo_said, flux, project


def causes(*objects, logs=()):
    return active(run(topology(*objects, logs=logs)))


def answer(*objects, logs=(), question="What is wrong in namespace shop?"):
    return OfflineReasoner().diagnose(asked(question), observed(*objects, logs=logs))


FAILED = told("Ready", "False", "BackendRefused", "no")


@pytest.mark.parametrize(
    "held",
    [
        {"spec": {"suspend": True}},
        {"spec": {"paused": True}},
        {"spec": {"running": False}},
        {"spec": {"replicas": 0}},
        {"metadata": {"annotations": {"cluster.x-k8s.io/paused": ""}}},
        {"metadata": {"annotations": {"crossplane.io/paused": "true"}}},
        {"status": {"conditions": [FAILED, told("Suspended", "True")]}},
    ],
)
def test_what_is_held_on_purpose_is_no_fault(held):
    assert causes(custom("Widget", "front", FAILED, api="example.com/v1", **held)) == []


@pytest.mark.parametrize(
    "condition",
    [
        told("Ready", "True"),
        told("Ready", "False", "BackendRefused", minutes=0.5),
        told("Ready", "False", "Provisioning", minutes=5),
        told("Degraded", "False"),
        told("Ready", "False", "Completed"),
        told("Succeeded", "False", "Running"),
        told("Weird", "False"),
        told("Ready", "Unknown", "Initializing"),
    ],
)
def test_a_condition_that_is_well_young_or_unknown_to_us_is_no_fault(condition):
    assert causes(custom("Widget", "front", condition, api="example.com/v1")) == []


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (told("Synced", "False", "ReconcileError", "cannot assume role"), "cannot assume role"),
        (told("Stalled", "True", "InvalidSize", "size must be odd"), "size must be odd"),
        (told("Ready", "False", "Provisioning", "still creating", minutes=45), "still creating"),
        (told("Available", "False", "NoQuorum", ""), "NoQuorum"),
    ],
)
def test_the_reason_and_message_are_repeated(condition, words):
    (found,) = run(topology(custom("Queue", "q1", condition, api="mq.example.org/v1beta1")))
    assert found.cause == "custom-resource-not-ready"
    assert words in found.statement
    assert "mq.example.org" in found.statement


def test_the_conditions_of_kubernetes_own_kinds_are_left_to_their_own_checks():
    service = obj("APIService", "v1.example", api="apiregistration.k8s.io/v1", status={"conditions": [FAILED]})
    assert "custom-resource-not-ready" not in causes(service)
    assert "custom-resource-not-ready" not in causes(
        *app("web"), obj("Thing", "x", api="apps/v1", status={"conditions": [FAILED]})
    )


def test_a_check_of_its_own_kind_outranks_the_general_one():
    said = told("Ready", "False", "BuildFailed", "no kustomization.yaml")
    found = answer(flux("Kustomization", "apps", said, spec=SOURCE), flux("GitRepository", "fleet", told("Ready", "True")))
    assert [one.finding.cause for one in found.causes] == ["flux-build-failed"]
    assert any(one.finding.cause == "custom-resource-not-ready" for one in found.ruled_out)


def test_the_resource_at_the_end_of_a_chain_of_owners_is_the_cause():
    owners = [{"apiVersion": "example.com/v1", "kind": "Platform", "name": "top", "controller": True}]
    top = custom("Platform", "top", told("Ready", "False", "ChildNotReady", "db is not ready"), api="example.com/v1")
    child = custom(
        "Database", "db", told("Synced", "False", "Denied", "403"), api="example.com/v1", metadata={"ownerReferences": owners}
    )
    found = answer(top, child)
    assert [str(one.finding.subject) for one in found.causes] == ["Database shop/db"]


def test_a_deletion_that_has_just_begun_or_waits_for_dependents_is_no_fault():
    young = {"deletionTimestamp": ago(1), "finalizers": ["example.com/clean-up"]}
    dependents = {"deletionTimestamp": ago(30), "finalizers": ["foregroundDeletion"]}
    assert causes(custom("Widget", "a", api="example.com/v1", metadata=young)) == []
    assert causes(custom("Widget", "b", api="example.com/v1", metadata=dependents)) == []


def test_an_application_that_is_out_of_sync_without_automation_waits_for_a_person():
    waits = {"sync": {"status": "OutOfSync"}, "operationState": {"phase": "Succeeded", "finishedAt": ago(90)}}
    assert causes(application(status=waits), project()) == []


@pytest.mark.parametrize("health", ["Progressing", "Suspended", "Healthy"])
def test_an_application_on_its_way_or_suspended_is_no_fault(health):
    assert causes(application(status={"health": {"status": health}}), project(), *app("web")) == []


def test_what_only_waits_to_be_pruned_by_a_person_is_no_drift():
    left = [{"kind": "ConfigMap", "namespace": "shop", "name": "old", "status": "OutOfSync", "requiresPruning": True}]
    status = {"sync": {"status": "OutOfSync"}, "operationState": {"phase": "Succeeded", "finishedAt": ago(90)}, "resources": left}
    assert causes(application(spec={"syncPolicy": {"automated": {}}}, status=status), project()) == []


def test_the_lists_of_a_project_are_evaluated_when_no_condition_says_so():
    unknown = application(status={"sync": {"status": "Unknown"}})
    (found,) = [
        one for one in run(topology(unknown, project(repos=["https://git.example.com/other/*"]))) if one.state == "active"
    ]
    assert found.cause == "argo-project-denied"
    assert "sourceRepos" in found.statement


@pytest.mark.parametrize("repos", [["*"], ["https://git.example.com/team/web"], ["https://git.example.com/**"]])
def test_a_project_that_permits_is_no_finding(repos):
    assert causes(application(), project(repos=repos)) == []


def test_a_degraded_application_is_explained_by_its_broken_workload():
    objects = app("web", replicas=1, ready=0)
    objects[2]["status"]["containerStatuses"] = [
        {"name": "app", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName", "message": "bad"}}}
    ]
    status = {
        "health": {"status": "Degraded"},
        "resources": [{"kind": "Deployment", "namespace": "shop", "name": "web", "health": {"status": "Degraded"}}],
    }
    found = answer(*objects, application(status=status), project())
    assert [one.finding.cause for one in found.causes] == ["invalid-image-name"]
    assert any(one.startswith("argo-degraded@") for one in found.causes[0].explains)


def test_an_error_of_another_group_that_is_called_application_too_is_not_argos():
    other = obj("Application", "web", api="app.k8s.io/v1beta1", status={"conditions": [argo_said("ComparisonError", "x")]})
    assert causes(other) == []


def test_a_suspended_kustomization_is_left_alone_and_its_dependants_point_to_nobody():
    said = told("Ready", "False", "BuildFailed", "broken")
    assert (
        causes(
            flux("Kustomization", "apps", said, spec={**SOURCE, "suspend": True}),
            flux("GitRepository", "fleet", told("Ready", "True")),
        )
        == []
    )


def test_of_a_chain_of_dependencies_the_first_that_fails_is_the_cause():
    source = flux("GitRepository", "fleet", told("Ready", "True"))
    base = flux("Kustomization", "base", told("Ready", "False", "ReconciliationFailed", "no matches for kind"), spec=SOURCE)
    needs = {**SOURCE, "dependsOn": [{"name": "base"}]}
    apps = flux(
        "Kustomization", "apps", told("Ready", "False", "DependencyNotReady", "dependency 'shop/base' is not ready"), spec=needs
    )
    found = answer(source, base, apps)
    assert [str(one.finding.subject) for one in found.causes] == ["Kustomization shop/base"]


def test_a_health_check_that_fails_leads_to_the_workload_that_is_broken():
    objects = app("web", replicas=1, ready=0)
    objects[2]["status"]["containerStatuses"] = [
        {"name": "app", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "InvalidImageName", "message": "bad"}}}
    ]
    said = told("Ready", "False", "HealthCheckFailed", "timeout waiting for: [Deployment/shop/web status: 'InProgress']")
    made = {"inventory": {"entries": [{"id": "shop_web_apps_Deployment", "v": "v1"}]}}
    source = flux("GitRepository", "fleet", told("Ready", "True"))
    found = answer(*objects, source, flux("Kustomization", "apps", said, spec=SOURCE, status=made))
    assert [one.finding.cause for one in found.causes] == ["invalid-image-name"]


def test_a_helm_release_that_is_being_upgraded_right_now_is_no_fault():
    labels = {"owner": "helm", "name": "cache", "status": "pending-upgrade", "version": "7"}
    assert (
        causes(obj("Secret", "sh.helm.release.v1.cache.v7", type="helm.sh/release.v1", minutes=2, metadata={"labels": labels}))
        == []
    )


def test_an_earlier_try_of_an_owner_that_is_ready_by_now_is_past():
    top = custom("Release", "r", told("Ready", "True"), api="example.com/v1")
    attempt = custom("Attempt", "r-1", told("Ready", "False", "Failed", "no"), api="example.com/v1", metadata=owned_by(top))
    assert causes(top, attempt) == []
    waiting = custom("Release", "r", told("Ready", "False", "AttemptFailed"), api="example.com/v1")
    assert "custom-resource-not-ready" in causes(waiting, attempt)


def test_a_canary_under_way_is_given_its_time():
    one = custom(
        "Rollout", "web", told("Healthy", "False", minutes=6), api="argoproj.io/v1alpha1", status={"phase": "Progressing"}
    )
    assert causes(one) == []


def test_a_claim_that_waits_for_its_pod_to_go_is_not_stuck():
    gone = {"deletionTimestamp": ago(30), "finalizers": ["kubernetes.io/pvc-protection"]}
    assert "custom-resource-stuck-deleting" not in causes(obj("PersistentVolumeClaim", "data", metadata=gone, spec={}))


def test_references_of_resources_that_work_are_not_called_missing():
    assert causes(flux("Kustomization", "apps", told("Ready", "True"), spec=SOURCE), *app("web")) == []
    assert causes(application(), project(repos=["https://git.example.com/other/*"])) == []
