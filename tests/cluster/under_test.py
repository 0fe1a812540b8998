"""The cluster that a run of the suite is about: somebody's, or one of its own. Knows no scenario."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.cluster.admin import Admin
from tests.cluster.nodes import Nodes
from tests.cluster.server import ControlPlane
from tests.cluster.stage import QUIET

GIVEN, BUILT = os.environ.get("LESTRADE_TEST_KUBECONFIG"), os.environ.get("LESTRADE_TEST_CONTROLPLANE")
WHY_NOT = "" if GIVEN or BUILT else "no cluster: `make test-cluster` starts one of its own, or that of LESTRADE_TEST_KUBECONFIG"
# No image is fetched and no program takes its time on hollow nodes: what has not moved for so long will not move.
HOLLOW_QUIET = timedelta(seconds=8)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """`plane` and `nodes` are None where it is somebody else's."""

    admin: Admin
    kubeconfig: Path
    plane: ControlPlane | None = None
    nodes: Nodes | None = None
    quiet: timedelta = QUIET


@contextmanager
def standing(logs: Path) -> Iterator[Cluster]:
    if GIVEN:
        path = Path(GIVEN)
        yield Cluster(admin=Admin(path), kubeconfig=path)
        return
    with ControlPlane(str(BUILT)) as plane:
        try:
            with Nodes(plane) as nodes:
                admin = Admin(plane.kubeconfig)
                yield Cluster(admin=admin, kubeconfig=plane.kubeconfig, plane=plane, nodes=nodes, quiet=HOLLOW_QUIET)
        finally:
            plane.keep_logs(logs)
