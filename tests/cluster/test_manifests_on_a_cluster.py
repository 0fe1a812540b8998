"""The manifests as kustomize builds them, taken by a real API server: nothing refused, nothing unknown, no warning; and, on
hollow nodes, installed as the guide says, until the pods that the restricted standard admits are ready.
"""

import subprocess
import time

import pytest
import yaml

from tests.cluster.admin import Admin, ClusterSaid
from tests.cluster.stage import OURS
from tests.cluster.under_test import WHY_NOT
from tests.deploy.built import COMPONENTS, OVERLAYS, Document, built, kubectl

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
]
# Of operators that are not there; their kinds are nowhere defined on a bare control plane.
OF_OPERATORS = {"monitoring.coreos.com", "gateway.networking.k8s.io"}
BUILDS = [
    *((overlay, chosen) for overlay in OVERLAYS for chosen in ((), COMPONENTS)),
    *(("sqlite", (component,)) for component in COMPONENTS if component != "gateway-routes"),  # goes after the two pages only
]
SECRETS = {
    "sqlite": {"lestrade-agent-token": "token", "lestrade-webhook-token": "token", "lestrade-agent-session": "session.key"},
}
READY_WITHIN = 120.0


def of_kubernetes(documents: tuple[Document, ...]) -> list[Document]:
    return [one for one in documents if one["apiVersion"].split("/")[0] not in OF_OPERATORS]


def applied(cluster, documents: list[Document], *options: str) -> subprocess.CompletedProcess[str]:
    command = [kubectl(), f"--kubeconfig={cluster.kubeconfig}", "apply", "--validate=strict", *options, "-f", "-"]
    text = yaml.safe_dump_all(documents)
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("governed")
@pytest.mark.parametrize(("overlay", "components"), BUILDS, ids=lambda it: it if isinstance(it, str) else "+".join(it) or "alone")
def test_a_build_passes_the_dry_run_of_the_server(cluster, overlay, components):
    done = applied(cluster, of_kubernetes(built(overlay, components)), "--dry-run=server")

    assert done.returncode == 0, done.stderr
    assert warnings_of(done) == []


def warnings_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """But for what kubectl says because the suite made some of these objects itself."""
    said = [line for line in done.stderr.splitlines() if "last-applied-configuration" not in line]
    return [line for line in said if line.strip()]


def test_what_is_installed_gets_ready(cluster):
    """Admission is asked for each pod here, and the scheduler, and every object that a pod refers to."""
    if cluster.nodes is None:
        pytest.skip("the images of the manifests are nowhere: only hollow nodes run them")
    cluster.nodes.play(None)
    documents = of_kubernetes(built("sqlite"))
    try:
        for one in documents:
            if one["kind"] == "Namespace":
                one = {**one, "metadata": {**one["metadata"], "labels": {**one["metadata"]["labels"], OURS: "true"}}}
                cluster.admin.apply(one, manager="lestrade-tests")
        for name, key in SECRETS["sqlite"].items():
            cluster.admin.apply(secret(name, key), manager="lestrade-tests")
        for one in documents:
            if one["kind"] == "PersistentVolumeClaim":
                cluster.admin.apply(volume(one), manager="lestrade-tests")
        done = applied(cluster, documents)
        assert done.returncode == 0, done.stderr
        assert warnings_of(done) == []

        assert ready(cluster.admin), states(cluster.admin)
        [pod] = cluster.admin.request("GET", "/api/v1/namespaces/lestrade/pods")["items"]
        tokens = {
            container["name"]
            for container in pod["spec"]["containers"]
            for mount in container["volumeMounts"]
            if mount["mountPath"].startswith("/var/run/secrets/kubernetes.io")
        }
        assert tokens == {"sidecar"}
    finally:
        for one in documents:
            if not one["metadata"].get("namespace"):
                gone(cluster.admin, one)
            elif one["kind"] == "PersistentVolumeClaim":
                gone(cluster.admin, volume(one))
        await_gone(cluster.admin)


def secret(name: str, key: str) -> Document:
    metadata = {"name": name, "namespace": "lestrade"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {key: "0" * 64}}


def volume(claim: Document) -> Document:
    """There is no provisioner: a volume made for this claim."""
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{metadata['namespace']}-{metadata['name']}"},
        "spec": {
            "capacity": claim["spec"]["resources"]["requests"],
            "accessModes": claim["spec"]["accessModes"],
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": metadata["namespace"], "name": metadata["name"]},
        },
    }


def ready(admin: Admin) -> bool:
    deadline = time.monotonic() + READY_WITHIN
    path = "/apis/apps/v1/namespaces/lestrade/deployments/lestrade"
    while time.monotonic() < deadline:
        found = admin.get(path)
        if found and (found.get("status") or {}).get("availableReplicas") == found["spec"]["replicas"]:
            return True
        time.sleep(0.5)
    return False


def states(admin: Admin) -> list[str]:
    events = admin.request("GET", "/api/v1/namespaces/lestrade/events")["items"]
    return [f"{one['involvedObject']['kind']} {one['reason']}: {one['message']}" for one in events]


def gone(admin: Admin, manifest: Document) -> None:
    try:
        admin.request("DELETE", admin.path_of(manifest["apiVersion"], manifest["kind"], manifest["metadata"]))
    except ClusterSaid as exc:
        if exc.status != 404:
            raise


def await_gone(admin: Admin) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while admin.get("/api/v1/namespaces/lestrade") or admin.get("/api/v1/namespaces/lestrade-leases"):
        assert time.monotonic() < deadline, "the namespaces do not go"
        time.sleep(0.5)
