"""Every scenario that a real cluster can play: `make test-cluster`.

Without more it builds a control plane once (etcd, kube-apiserver, controllers, scheduler), starts it on loopback and gives it
hollow nodes. LESTRADE_TEST_KUBECONFIG names a cluster of one's own instead, by an admin's kubeconfig, which may be used for tests
(two CPUs, images from Docker Hub). All that is made is marked and removed again, and what was there before is not touched.
"""

import warnings

import pytest

from lab.scenarios import load, names
from tests.cluster import holding
from tests.cluster.audited import AuditLog
from tests.cluster.bypass import HeldToPlans, delays
from tests.cluster.judging import assert_true_to
from tests.cluster.playing import play
from tests.cluster.under_test import GIVEN, WHY_NOT

# Not for a cluster of somebody's, because of its nodes and of what its programs notice; hollow nodes are and do as they are told.
ON_HOLLOW_NODES = ("cordoned-node", "node-selector", "database-down", "config-edit")
PLAYABLE = [name for name in names() if load(name).real_cluster or (not GIVEN and name in ON_HOLLOW_NODES)]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(45 * 60),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.usefixtures("governed"),
]


@pytest.mark.parametrize("name", PLAYABLE)
def test_a_scenario_ends_in_its_truth(cluster, name, tmp_path):
    scenario = load(name)
    log = AuditLog(cluster.plane.audit_log) if cluster.plane else None
    if cluster.nodes:
        cluster.nodes.play(scenario)

    played = play(cluster.admin, scenario, tmp_path, quiet=cluster.quiet)

    for what in played.left_out:
        warnings.warn(f"{name}: left out {what}", stacklevel=1)
    assert_true_to(played, log.entries() if log else None)


@pytest.fixture(scope="module")
def held_to_plans(cluster, governed):
    with HeldToPlans(cluster.admin):
        yield cluster.admin


def test_B4_on_a_cluster_the_token_of_a_lease_writes_what_its_plan_holds_and_nothing_else(held_to_plans, tmp_path):
    holding.b4(held_to_plans, tmp_path / "b4")


def test_E7_on_a_cluster_a_token_that_was_copied_out_is_refused_when_the_lease_is_over(held_to_plans, tmp_path):
    holding.e7(held_to_plans, tmp_path / "e7")


def test_plan_bound_admission_touches_nobody_else(held_to_plans):
    holding.others_are_let_alone(held_to_plans)


def test_how_long_publishing_and_withdrawing_take(held_to_plans, tmp_path):
    times = [delays(held_to_plans, tmp_path / str(number)) for number in range(12)]

    for name, found in zip(("published to enforced", "withdrawn to refused"), zip(*times, strict=True), strict=True):
        warnings.warn(f"{name}: median {sorted(found)[6]:.1f} ms, at most {max(found):.1f} ms", stacklevel=1)
        assert max(found) < 3000
