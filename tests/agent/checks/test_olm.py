"""The Operator Lifecycle Manager: what waits for a person, is on its way or copied is no fault."""

import pytest

from agent.checks import run
from tests.agent.builders import active, app, obj, told, topology
from tests.agent.checks.cases_olm import OLM, catalog, contested, csv, group, subscription


def causes(*objects):
    return active(run(topology(*objects)))


@pytest.mark.parametrize(
    "one",
    [
        csv("Succeeded"),
        csv("Installing", minutes=3),
        csv("Failed", "x", labels={"olm.copiedFrom": "operators"}),
        obj("InstallPlan", "install-x", api=OLM, spec={"approved": False}, status={"phase": "RequiresApproval"}),
        obj("InstallPlan", "install-x", api=OLM, spec={}, status={"phase": "Complete"}),
        subscription(told("CatalogSourcesUnhealthy", "False"), told("InstallPlanPending", "True", "RequiresApproval")),
        catalog("READY"),
        catalog("CONNECTING"),
        group("only"),
        obj("Subscription", "s", api="messaging.knative.dev/v1", status={"conditions": [told("ResolutionFailed", "True")]}),
    ],
)
def test_what_works_waits_or_is_somebody_elses(one):
    assert causes(one) == []


def test_an_operator_that_is_installing_for_long_is_told():
    assert "operator-not-installed" in causes(csv("Installing", "waiting for deployment queue-operator", minutes=60))


@pytest.mark.parametrize(
    "objects", [contested(ups=6, downs=0), contested(ups=1, downs=1), contested(manager="kube-controller-manager"), app("web")]
)
def test_replicas_that_follow_the_load_or_have_one_master(objects):
    assert "replicas-contested" not in causes(*objects)
