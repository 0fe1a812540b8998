"""Every scenario that a real cluster can play, on the cluster that LESTRADE_TEST_KUBECONFIG names: `make test-cluster`.

It needs a cluster that may be used for tests (two CPUs, images from Docker Hub) and an admin's kubeconfig. All that is made is
marked and removed again, and what was there before is not touched.
"""

import os
import warnings
from pathlib import Path

import pytest

from lab.scenarios import load, names
from tests.cluster.admin import Admin
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
