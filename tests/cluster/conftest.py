"""One cluster for all files of this folder, and Lestrade's rights on it for one file at a time."""

from collections.abc import Iterator

import pytest

from tests.cluster.stage import Governance
from tests.cluster.under_test import Cluster, standing


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standing(tmp_path_factory.mktemp("controlplane")) as found:
        yield found
        found.admin.close()


@pytest.fixture(scope="module")
def governed(cluster: Cluster) -> Iterator[None]:
    with Governance(cluster.admin):
        yield
