"""The same failure in many clusters: by whatever manages them, and what only looks like it."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, ago, app, asked, custom, observed, told, topology
from tests.agent.checks.cases import CASES


def causes(objects):
    return active(run(topology(*objects)))


def test_applications_that_fail_each_in_its_own_way_are_each_their_own():
    objects, _ = CASES["same-failure-in-many-clusters"][1]()
    objects[1]["status"]["operationState"]["message"] = "namespace shop not found"
    assert "same-failure-in-many-clusters" not in causes(objects)


def test_a_placement_that_two_members_refuse_alike_is_one_incident():
    refused = {
        "kind": "Deployment",
        "namespace": "shop",
        "name": "web",
        "condition": told("Applied", "False", "ApplyFailed", "no kind Gadget"),
    }
    placement = custom(
        "ClusterResourcePlacement",
        "shop",
        told("Applied", "False", "ApplyFailed", minutes=30),
        api="placement.kubernetes-fleet.io/v1",
    )
    placement["status"]["placementStatuses"] = [{"clusterName": name, "failedPlacements": [refused]} for name in ("eu", "us")]
    placement["metadata"]["creationTimestamp"] = ago(90)
    found = [one for one in run(topology(placement)) if one.cause == "same-failure-in-many-clusters"]
    assert [one.params["clusters"] for one in found] == [["eu", "us"]]
    placement["status"]["placementStatuses"].pop()
    assert "same-failure-in-many-clusters" not in causes([placement])


def _bound(*members):
    binding = custom("ResourceBinding", "web-deployment", api="work.karmada.io/v1alpha2")
    binding["spec"] = {"resource": {"kind": "Deployment", "namespace": "shop", "name": "web"}}
    binding["status"]["aggregatedStatus"] = [{"clusterName": name, **said} for name, said in members]
    return [binding]


def _each(kind, api, said, *, words=("quota exceeded", "quota exceeded"), minutes=(30, 30), **spec):
    """One object for each of two clusters."""
    made = []
    for number, (space, said_there, when) in enumerate(zip(("eu", "us"), words, minutes, strict=True)):
        one = custom(kind, "web", told(said, "False", "Failed", said_there, minutes=when), api=api)
        one["metadata"]["namespace"] = space
        if spec:
            one["metadata"] |= {"namespace": "fleet", "name": f"web-{space}"}
            one["spec"] = {**spec, "kubeConfig": {"secretRef": {"name": f"kubeconfig-{number}"}}}
        made.append(one)
    return made


WORK = ("ManifestWork", "work.open-cluster-management.io/v1", "Applied")
FLUX = {"path": "./apps", "sourceRef": {"kind": "GitRepository", "name": "shop"}}
REFUSED = {"applied": False, "appliedMessage": "admission webhook denied web-7f"}


@pytest.mark.parametrize(
    "objects",
    [
        _bound(("eu", REFUSED), ("us", REFUSED), ("ap", {"applied": True, "health": "Healthy"})),
        _bound(("eu", {"applied": True, "health": "Unhealthy"}), ("us", {"applied": True, "health": "Unhealthy"})),
        _each(*WORK),
        _each("BundleDeployment", "fleet.cattle.io/v1alpha1", "Deployed"),
        _each("Kustomization", "kustomize.toolkit.fluxcd.io/v1", "Ready", **FLUX),
    ],
    ids=["karmada-refused", "karmada-unhealthy", "ocm", "rancher", "flux"],
)
def test_what_fails_alike_in_two_clusters_has_one_cause(objects):
    found = OfflineReasoner().diagnose(asked("what is wrong in the cluster?"), observed(*app("web"), *objects)).causes
    assert found[0].finding.cause == "same-failure-in-many-clusters"
    assert found[0].finding.params["count"] == 2


@pytest.mark.parametrize(
    "objects",
    [
        _bound(("eu", REFUSED), ("us", {"applied": True, "health": "Healthy"})),
        _bound(("eu", REFUSED), ("us", {"applied": False, "appliedMessage": "no such namespace"})),
        _each(*WORK, words=("quota exceeded", "no such kind")),
        _each(*WORK, minutes=(30, 600)),
        _each("Kustomization", "kustomize.toolkit.fluxcd.io/v1", "Ready", **FLUX)[:1],
    ],
    ids=["one-member", "other-words", "other-reasons", "other-times", "one-cluster"],
)
def test_what_fails_in_one_cluster_or_each_in_its_own_way_is_no_common_failure(objects):
    assert "same-failure-in-many-clusters" not in causes([*app("web"), *objects])
