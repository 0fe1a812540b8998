"""What is said to be read by no rule is not looked for: the same as everything looked up, and that taken away."""

from typing import get_args

import pytest

from sidecar.contract import ChangeFields, DeletePod, FieldChange, Plan, ScaleWorkload, SilenceAlert
from sidecar.contract.actions import Matcher
from sidecar.facts import ClusterFacts
from sidecar.policy.unread import SECTIONS, Unread, told
from sidecar.ports import Facts, History
from tests.fakes.sidecar_cluster import FakeCluster
from tests.sidecar.facts.test_finder import CHECKOUT, NOW, POD, budget, cluster, plan_of  # noqa: F401  a fixture

NAMES = get_args(Unread)


def whole_plan() -> Plan:
    """Something of everything: a number of replicas, a field, a pod, a silence."""
    change = FieldChange(path="/spec/template/spec/containers/0/env/0/value", before="x", after="y")
    return plan_of(
        ScaleWorkload(target=CHECKOUT, replicas=6),
        ChangeFields(target=CHECKOUT, changes=(change,)),
        DeletePod(target=POD),
        SilenceAlert(target=CHECKOUT, matchers=(Matcher(name="alertname", value="Slow"),), minutes=30),
    )


def gathered(cluster: FakeCluster, *unread: str) -> Facts:  # noqa: F811
    cluster.put("poddisruptionbudgets", budget("one", {"matchLabels": {"app": "checkout"}}, 1), "policy")
    return ClusterFacts(cluster, now=lambda: NOW).gather(whole_plan(), History(), unread=frozenset(unread))


@pytest.mark.parametrize("name", NAMES)
def test_it_alone_is_left_out(cluster: FakeCluster, name: str) -> None:  # noqa: F811
    whole, less = gathered(cluster), gathered(cluster, name)

    target = whole.document["targets"]["Deployment/shop/checkout"]  # type: ignore[index, call-overload]
    assert name in (whole.document if name in SECTIONS else target), "else nothing is shown here"
    assert less.document == told(whole.document, frozenset({name})) != whole.document
    assert (less.unread, whole.unread) == (frozenset({name}), frozenset())
    assert less.missing == whole.missing


def test_of_all_that_can_be_left_out_a_target_keeps_that_it_is_there_and_which_one_it_is(cluster: FakeCluster) -> None:  # noqa: F811
    found = gathered(cluster, *NAMES).document

    assert found["targets"]["Deployment/shop/checkout"] == {"exists": True, "uid": "uid-checkout"}  # type: ignore[index, call-overload]
    assert {"cluster", "namespaces", "cause", "history", "leased", "now"} >= set(found) - {"targets", "now_epoch"}
