"""`kill -9` of the real process after each of its records, then started again: the same end, nothing twice, nothing left."""

import httpx
import pytest

from sidecar.gate.opening import open_record
from sidecar.settings import Settings
from tests.sidecar.process.harness import Sidecar, good, running, wait_for
from tests.sidecar.process.test_lab_way import plan, replicas, scale

RECORDS = 8  # plan, answer, lease claimed, lease granted, step began, step performed, lease ending, lease settled


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    with running(tmp_path_factory.mktemp("killed")) as sidecar:
        yield sidecar


def whole_way(sidecar: Sidecar, document: dict) -> dict:
    """What an agent and a person do; safe to repeat from the beginning."""
    status = sidecar.submit(document)
    if status["state"] == "waiting":
        good(sidecar.approve(status))
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    if lease["state"] == "live":
        assert sidecar.perform(lease)["status"] == "performed"
    return sidecar.settle(lease)


@pytest.mark.parametrize("record", range(1, RECORDS + 1))
def test_a_kill_after_each_record(calm, tmp_path, record):
    calm.lab.request(
        "PATCH",
        "/apis/apps/v1/namespaces/shop/deployments/web",
        {"spec": {"replicas": 2}},
        content_type="application/merge-patch+json",
    )
    sidecar = Sidecar(lab=calm.lab, folder=tmp_path)
    document = {**plan(calm, scale(calm)), "incident": f"killed-{record}"}
    before = len(calm.lab.requests)
    try:
        sidecar.arguments = ("-m", "tests.sidecar.process.crashing", str(record + 1))  # the first says which policy was loaded
        sidecar.start()
        with pytest.raises(httpx.HTTPError):
            whole_way(sidecar, document)
        assert sidecar.process.wait(10) == -9

        sidecar.arguments = ("-m", "sidecar.cli", "serve")
        sidecar.start()
        settlement = whole_way(sidecar, document)

        assert (settlement["state"], settlement["outcome"], replicas(sidecar)) == ("settled", "helped", 4)
        scaled = [r for r in calm.lab.requests[before:] if r.is_write and r.resource == "deployments" and r.identity != "admin"]
        assert len([r for r in scaled if r.identity.startswith("lestrade-leases/")]) == 1
        wait_for(lambda: sidecar.leftovers() == [], what="nothing is left over")
        assert open_record(Settings(state=tmp_path)).verify()[1] is None
    finally:
        sidecar.kill()


def test_what_a_kill_left_goes_though_nobody_comes_back(calm, tmp_path):
    sidecar = Sidecar(lab=calm.lab, folder=tmp_path)
    document = {**plan(calm, scale(calm, 3)), "incident": "abandoned"}
    try:
        lease = sidecar.start().leased(document)
        assert len(sidecar.leftovers()) == 3
        sidecar.kill()
        assert len(sidecar.leftovers()) == 3
        sidecar.start()
        assert sidecar.perform(lease)["status"] == "performed"  # it lives on, with a fresh token of the same account
        with sidecar.person("ada") as people:
            good(people.post("/v1/stop", json={"reason": "done"}))
        assert sidecar.leftovers() == []
    finally:
        sidecar.kill()
