"""How long a token that was copied out goes on working after its lease, on a real API server and by RBAC alone: row E4 of the
abuse list, measured. What E4 demands is tested in tests/abuse/test_leases.py, there too.
"""

import warnings

import pytest

from tests.cluster.bypass import Shops, revocation
from tests.cluster.under_test import WHY_NOT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.usefixtures("governed"),
]


def test_on_a_cluster_writes_are_refused_at_once_and_the_token_soon_after(cluster, tmp_path):
    with Shops(cluster.admin):
        found = [revocation(cluster.admin, tmp_path / str(number)) for number in range(5)]

    for name in ("write_refused", "token_refused", "recorded"):
        seconds = sorted(getattr(one, name) for one in found)
        warnings.warn(f"revocation, {name}: median {seconds[2]:.3f} s, at most {seconds[-1]:.3f} s", stacklevel=1)
    assert max(one.write_refused for one in found) <= 1.0
    assert max(one.token_refused for one in found) <= 11.0
