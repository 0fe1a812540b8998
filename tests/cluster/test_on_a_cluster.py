"""Every scenario that a real cluster can play, on the cluster that LESTRADE_TEST_KUBECONFIG names: `make test-cluster`.

It needs a cluster that may be used for tests (two CPUs, images from Docker Hub) and an admin's kubeconfig. All that is made is
marked and removed again, and what was there before is not touched.
"""

import os
import warnings
from pathlib import Path

import pytest

from lab.scenarios import load, names
from tests.cluster import holding
from tests.cluster.admin import Admin
from tests.cluster.bypass import HeldToPlans, delays
from tests.cluster.judging import assert_true_to
from tests.cluster.playing import play
from tests.cluster.stage import Governance

VARIABLE = "LESTRADE_TEST_KUBECONFIG"
PLAYABLE = [name for name in names() if load(name).real_cluster]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(45 * 60),
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"no cluster: name an admin's kubeconfig with {VARIABLE}"),
]


@pytest.fixture(scope="module")
def admin():
    found = Admin(Path(os.environ[VARIABLE]))
    with Governance(found):
        yield found
    found.close()


@pytest.mark.parametrize("name", PLAYABLE)
def test_a_scenario_ends_in_its_truth(admin, name, tmp_path):
    played = play(admin, load(name), tmp_path)

    for what in played.left_out:
        warnings.warn(f"{name}: left out {what}", stacklevel=1)
    assert_true_to(played)


@pytest.fixture(scope="module")
def held_to_plans(admin):
    with HeldToPlans(admin):
        yield admin


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
