"""The sidecar's process against the laboratory: the whole way, and what may go wrong on it."""

import pytest

from tests.sidecar.process.harness import IDENTITY, Sidecar, good, running


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sidecar")) as sidecar:
        yield sidecar.start()


@pytest.fixture
def sidecar(shared):
    """The workload as at the beginning, whatever the test before left."""
    if shared.process.poll() is not None:
        shared.start()
    shared.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type="application/merge-patch+json")
    return shared


DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
COUNT = iter(range(1, 1000))


def target(sidecar: Sidecar, kind: str = "Deployment", name: str = "web", api_version: str = "apps/v1") -> dict:
    found = sidecar.lab.get(kind, "shop", name)
    return {"apiVersion": api_version, "kind": kind, "namespace": "shop", "name": name, "uid": found["metadata"]["uid"]}


def plan(sidecar: Sidecar, *actions: dict) -> dict:
    subject = target(sidecar)
    return {
        "incident": f"inc-{next(COUNT)}",
        "attempt": 1,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": subject},
        "hypothesis": "too small",
        "steps": [
            {"id": f"step-{number}", "action": action, "why": "so", "expect": "better"}
            for number, action in enumerate(actions, start=1)
        ],
    }


def scale(sidecar: Sidecar, replicas: int = 4) -> dict:
    return {"kind": "scale_workload", "target": target(sidecar), "replicas": replicas}


def replicas(sidecar: Sidecar) -> int:
    return sidecar.lab.get("Deployment", "shop", "web")["spec"]["replicas"]


def test_plan_review_approve_lease_perform_settle(sidecar):
    before = len(sidecar.lab.requests)
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    assert status["state"] == "waiting"
    assert "+  replicas: 4" in status["approval"]["changes"][0]["diff"]
    assert sidecar.agent.post(f"/v1/plans/{status['plan']}/lease").json()["code"] == "not-approved"

    good(sidecar.approve(status))
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    assert sidecar.perform(lease)["status"] == "performed"
    settlement = sidecar.settle(lease)

    assert replicas(sidecar) == 4
    assert (settlement["state"], settlement["refusal"]) == ("settled", "403")
    assert settlement["refused_after_ms"] < 1000
    assert sidecar.leftovers() == []
    writes = [entry for entry in sidecar.lab.requests[before:] if entry.is_write]
    account = "lestrade-leases/" + lease["identity"].rpartition(":")[2]
    assert {entry.identity for entry in writes if entry.namespace == "shop" and entry.resource == "deployments"} == {account}
    minted = {"serviceaccounts", "roles", "rolebindings"}
    assert {entry.resource for entry in writes if entry.identity == IDENTITY} <= minted
    assert sidecar.command("audit", "verify").returncode == 0
