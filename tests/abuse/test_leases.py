"""Leases under abuse, in the real process against the laboratory: what was approved and nothing else, once, in order, on the
objects that were approved; and rights that are gone when they are over, however it ended."""

import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sidecar.gate.opening import open_record
from sidecar.settings import Settings
from tests.sidecar.process.harness import Sidecar, good, ready_replicas, running, wait_for
from tests.sidecar.process.test_kill import whole_way
from tests.sidecar.process.test_lab_way import DEPLOYMENT, plan, replicas, scale, target

MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with running(tmp_path_factory.mktemp("leases")) as sidecar:
        yield sidecar.start()


@pytest.fixture
def sidecar(shared):
    """The workload as at the beginning, whatever the test before left."""
    if shared.process.poll() is not None:
        shared.start()
    shared.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type=MERGE)
    yield shared
    if shared.process.poll() is None:
        for lease in good(shared.person("ada").get("/v1/leases"))["leases"]:
            if lease["state"] != "settled":
                shared.settle(lease, "unknown")


def records(sidecar: Sidecar, about: str) -> list[dict]:
    with sidecar.person("ada") as people:
        return good(people.get(f"/v1/audit?limit=1000&about={about}"))["records"]


def kinds(sidecar: Sidecar, about: str) -> list[str]:
    return [record["kind"] for record in records(sidecar, about)]


def account(lease: dict) -> str:
    return "lestrade-leases/" + lease["identity"].rpartition(":")[2]


def written_by(sidecar: Sidecar, lease: dict) -> list:
    return [entry for entry in sidecar.lab.writes() if entry.identity == account(lease)]


def metric(sidecar: Sidecar, line: str) -> float:
    with sidecar.person("ada") as people:
        text = people.get("/metrics").text
    return next((float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(line)), 0.0)


# what was approved, and nothing else


@pytest.mark.parametrize("body", [b'{"replicas": 60}', b'{"target": {"name": "api"}}', b"60", b'{"namespace": "kube-system"}'])
def test_B4_an_approved_step_with_other_values_is_refused_and_nothing_is_written(sidecar, body):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    came = sidecar.agent.post(f"/v1/leases/{lease['id']}/steps/step-1?replicas=60&name=api", content=body)
    assert (came.status_code, came.json()["code"]) == (400, "malformed")
    assert written_by(sidecar, lease) == []
    assert replicas(sidecar) == 2
    wait_for(lambda: "refused" in str(sidecar.person("ada").get("/v1/audit?limit=1000").text), what="it is on record")


def test_B4_the_rights_of_a_lease_reach_nothing_but_what_was_approved(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    copied = bearer_of(sidecar, lease)
    others = [
        ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web", {"spec": {"replicas": 60}}),
        ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/api/scale", {"spec": {"replicas": 4}}),
        ("PATCH", "/apis/apps/v1/namespaces/kube-system/deployments/web/scale", {"spec": {"replicas": 4}}),
        ("PATCH", "/apis/apps/v1/namespaces/shop/statefulsets/web/scale", {"spec": {"replicas": 4}}),
        ("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web", None),
        ("GET", "/api/v1/namespaces/shop/secrets", None),
        ("GET", "/apis/apps/v1/namespaces/shop/deployments?watch=true", None),
        ("POST", "/api/v1/namespaces/shop/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}),
        ("POST", "/api/v1/namespaces/lestrade-leases/serviceaccounts/lestrade-x/token", {}),
    ]
    for method, path, content in others:
        assert direct(sidecar, copied, method, path, content) in (401, 403), (method, path)
    scaled = direct(sidecar, copied, "PATCH", f"{DEPLOYMENT}/scale?dryRun=All", {"spec": {"replicas": 4}})
    assert scaled == 200  # else the refusals above would prove nothing


def bearer_of(sidecar: Sidecar, lease: dict) -> str:
    """A token of the lease's own account, as if one had been copied out of the sidecar."""
    return sidecar.lab.server.mint(account(lease), seconds=600)


def direct(sidecar: Sidecar, bearer: str, method: str, path: str, content: object = None) -> int:
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": MERGE if method == "PATCH" else "application/json"}
    trusted = ssl.create_default_context(cafile=sidecar.lab.ca_file)
    with httpx.Client(base_url=sidecar.lab.url, verify=trusted, headers=headers, timeout=10) as client:
        return client.request(method, path, content=json.dumps(content) if content is not None else None).status_code


def test_B5_a_step_that_is_not_in_the_plan_suspends_it(sidecar):
    restart = {"kind": "restart_workload", "target": target(sidecar)}
    lease = sidecar.leased(plan(sidecar, scale(sidecar), restart))
    assert sidecar.perform(lease)["status"] == "performed"
    came = sidecar.agent.post(f"/v1/leases/{lease['id']}/steps/step-3")
    assert (came.status_code, came.json()["code"]) == (404, "unknown-step")
    assert "propose the plan again" in came.json()["fix"]
    after = sidecar.perform(lease, "step-2")
    assert (after["status"], after["reason"]) == ("refused", "plan-void")
    assert len(written_by(sidecar, lease)) == 1
    assert kinds(sidecar, lease["id"]).count("step-turned-away") == 2
    assert sidecar.undo(lease)["complete"]  # the way back stays open
    assert sidecar.settle(lease, "undone")["state"] == "settled"
    assert sidecar.agent.post("/v1/leases/nobody-0/steps/step-1").json()["code"] == "unknown-lease"


def test_B6_a_step_is_done_once_however_often_and_from_wherever_it_is_asked_for(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: sidecar.perform(lease), range(6)))
    assert {result["status"] for result in results} == {"performed"}
    assert sorted(result["repeated"] for result in results) == [False] + [True] * 5
    assert len(written_by(sidecar, lease)) == 1


def test_B6_two_who_ask_for_the_lease_get_the_same(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    good(sidecar.approve(status))
    with ThreadPoolExecutor(6) as pool:
        leases = list(pool.map(lambda _: good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")), range(6)))
    assert len({lease["id"] for lease in leases}) == 1
    assert kinds(sidecar, leases[0]["id"]).count("lease-claimed") == 1


def test_B7_steps_are_performed_in_order_only(sidecar):
    restart = {"kind": "restart_workload", "target": target(sidecar)}
    lease = sidecar.leased(plan(sidecar, scale(sidecar), restart))
    early = sidecar.perform(lease, "step-2")
    assert (early["status"], early["reason"]) == ("refused", "not-next")
    assert written_by(sidecar, lease) == []
    assert kinds(sidecar, lease["id"]).count("step-turned-away") == 1
    assert sidecar.perform(lease, "step-1")["status"] == "performed"
    assert sidecar.perform(lease, "step-2")["status"] == "performed"
    sidecar.undo(lease)
    assert sidecar.perform(lease, "step-2")["repeated"]  # what is undone is not done again


def test_B8_a_target_that_changed_after_the_approval_is_refused_before_any_right_is_made(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    good(sidecar.approve(status))
    sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type=MERGE)
    refused = sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")
    assert (refused.status_code, refused.json()["code"]) == (409, "target-changed")
    assert good(sidecar.agent.get(f"/v1/plans/{status['plan']}"))["state"] == "void"
    assert replicas(sidecar) == 3
    assert sidecar.leftovers() == []
    assert kinds(sidecar, status["plan"]).count("plan-void") == 1


def test_B8_a_target_that_changed_under_the_lease_is_left_alone(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type=MERGE)
    result = sidecar.perform(lease)
    assert (result["status"], result["reason"]) == ("refused", "target-changed")
    assert written_by(sidecar, lease) == []
    assert replicas(sidecar) == 3
    assert sidecar.settle(lease)["outcome"] == "not-performed"


@pytest.mark.parametrize("when", ["before the lease", "under the lease"])
def test_B9_a_target_made_anew_under_its_name_is_another(sidecar, when):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    good(sidecar.approve(status))
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")) if when == "under the lease" else None
    before = sidecar.lab.get("Deployment", "shop", "web")
    sidecar.lab.request("DELETE", DEPLOYMENT)
    wait_for(lambda: sidecar.lab.get("Deployment", "shop", "web") is None, what="it is gone")
    made = {name: value for name, value in before.items() if name != "status"}
    made["metadata"] = {"name": "web", "namespace": "shop"}
    sidecar.lab.apply([made])
    assert sidecar.lab.get("Deployment", "shop", "web")["metadata"]["uid"] != before["metadata"]["uid"]
    if lease is None:
        refused = sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")
        assert (refused.status_code, refused.json()["code"]) == (409, "target-changed")
    else:
        result = sidecar.perform(lease)
        assert (result["status"], result["reason"]) == ("refused", "target-changed")
        assert written_by(sidecar, lease) == []
    assert replicas(sidecar) == 2
    wait_for(lambda: ready_replicas(sidecar.lab) == 2, what="the new one is ready")


# crashes


@pytest.mark.parametrize(
    ("made", "comes_back"),
    [
        (("serviceaccounts", ""), False),
        (("roles", ""), True),
        (("rolebindings", ""), False),
        (("serviceaccounts", "token"), True),
        (("serviceaccounts", "token"), False),
    ],
)
def test_E3_a_crash_at_each_step_of_minting_leaves_nothing(shared, tmp_path, made, comes_back):
    shared.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type=MERGE)
    sidecar = Sidecar(lab=shared.lab, folder=tmp_path)
    document = {**plan(shared, scale(shared)), "incident": f"crash-{'-'.join(made)}-{comes_back}"}
    try:
        sidecar.start()
        status = sidecar.submit(document)
        good(sidecar.approve(status))
        with KilledAt(sidecar, made), pytest.raises(httpx.HTTPError):
            raise AssertionError(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease").text)
        assert sidecar.process.wait(10) == -9
        sidecar.start()
        if comes_back:
            assert whole_way(sidecar, document)["state"] == "settled"
        else:
            with sidecar.person("ada") as people:
                good(people.post("/v1/stop", json={"reason": "nobody comes back"}))
        wait_for(lambda: sidecar.leftovers() == [], what="nothing is left over")
        said = [record["kind"] for record in records(sidecar, status["plan"])]
        assert said.index("lease-claimed") < said.index("lease-settled")
        assert open_record(Settings(state=tmp_path)).verify()[1] is None
    finally:
        sidecar.kill()


class KilledAt:
    """The process dies when the API server has just been asked for this."""

    def __init__(self, sidecar: Sidecar, made: tuple[str, str]) -> None:
        self._sidecar, self._made, self._armed = sidecar, made, True

    def __enter__(self) -> None:
        self._sidecar.lab.on_request(self._seen)

    def __exit__(self, *_: object) -> None:
        self._armed = False

    def _seen(self, call) -> None:
        asked = (call.target.resource, call.target.subresource or "")
        if self._armed and call.method == "POST" and asked == self._made:
            self._armed = False
            os.kill(self._sidecar.process.pid, signal.SIGKILL)


def test_F11_plans_under_way_are_where_they_were_after_a_restart(sidecar):
    waiting = sidecar.submit(plan(sidecar, {"kind": "restart_workload", "target": target(sidecar)}))
    leased = sidecar.leased(plan(sidecar, scale(sidecar)))
    assert sidecar.perform(leased)["status"] == "performed"
    sidecar.kill()
    sidecar.start()
    assert good(sidecar.agent.get(f"/v1/plans/{waiting['plan']}"))["state"] == "waiting"
    again = sidecar.perform(leased)
    assert (again["status"], again["repeated"]) == ("performed", True)
    assert len(written_by(sidecar, leased)) == 1
    assert sidecar.undo(leased)["complete"]
    assert replicas(sidecar) == 2
    assert sidecar.settle(leased, "undone")["state"] == "settled"
    assert good(sidecar.approve(waiting))["state"] == "approved"


# the end


@pytest.mark.parametrize("end", ["done", "failed", "refused by a person", "stopped", "killed"])
def test_E4_the_old_credential_is_refused_within_a_second_and_gone_within_eleven(sidecar, end):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    copied = bearer_of(sidecar, lease)
    if end == "failed":
        sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type=MERGE)
    assert sidecar.perform(lease)["status"] == ("refused" if end == "failed" else "performed")
    scaled = (f"{DEPLOYMENT}/scale?dryRun=All", {"spec": {"replicas": 9}})
    assert direct(sidecar, copied, "PATCH", *scaled) == 200
    if end == "killed":
        sidecar.kill()
        sidecar.start()
    second = a_second(lambda: direct(sidecar, copied, "PATCH", *scaled))
    began = time.monotonic()
    ending = threading.Thread(target=ended, args=(sidecar, lease, end))
    ending.start()
    try:
        wait_for(lambda: direct(sidecar, copied, "PATCH", *scaled) in (401, 403), seconds=60, what="refused")
        assert time.monotonic() - began < second
        if end == "done":  # the others differ in who ends it, not in what is done
            wait_for(lambda: direct(sidecar, copied, "PATCH", *scaled) == 401, seconds=60, what="the token is gone")
            assert time.monotonic() - began < 11 * second
        ending.join()
        wait_for(lambda: "lease-settled" in kinds(sidecar, lease["id"]), what="the record says so")
    finally:  # whatever comes next does not begin where everything is stopped
        ending.join()
        for name in ("bob", "dan") if end == "stopped" else ():
            with sidecar.person(name) as people:
                people.post("/v1/stop", json={"lift": True})
    said = next(record for record in records(sidecar, lease["id"]) if record["kind"] == "lease-settled")["body"]["settlement"]
    assert 0 < said["refused_after_ms"] < 1000 * second
    assert said["refusal"] == "403"
    assert sidecar.leftovers() == []


def a_second(ask: Callable[[], object]) -> float:
    """Where a question takes up to 20 ms; in proportion where the machine is busy with something else. What it takes where
    nothing else goes on, `make bench` measures."""
    began = time.monotonic()
    for _ in range(5):
        ask()
    return max(1.0, (time.monotonic() - began) / 5 / 0.02)


def ended(sidecar: Sidecar, lease: dict, end: str) -> None:
    if end == "stopped":
        with sidecar.person("ada") as people:
            good(people.post("/v1/stop", json={"reason": "drill"}))
    elif end == "refused by a person":
        status = good(sidecar.agent.get(f"/v1/plans/{lease['plan']}"))
        good(sidecar.approve(status, "bob", "deny"))
    else:
        sidecar.settle(lease, "unknown")


def test_E6_an_account_that_a_finalizer_keeps_is_pending_and_its_rights_are_gone_first(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    copied = bearer_of(sidecar, lease)
    name = account(lease).rpartition("/")[2]
    kept = f"/api/v1/namespaces/lestrade-leases/serviceaccounts/{name}"
    sidecar.lab.request("PATCH", kept, {"metadata": {"finalizers": ["example.com/kept"]}}, content_type=MERGE)
    came = sidecar.settle(lease)
    assert (came["state"], came["refusal"]) == ("revocation_pending", "403")
    assert direct(sidecar, copied, "PATCH", f"{DEPLOYMENT}/scale?dryRun=All", {"spec": {"replicas": 9}}) in (401, 403)
    assert sidecar.leftovers() == [f"serviceaccounts {name}"]
    assert metric(sidecar, 'lestrade_sidecar_leases{state="revocation_pending"}') == 1
    assert any('"revocation pending"' in line and '"error"' in line for line in sidecar.lines)
    assert "lease-settled" not in kinds(sidecar, lease["id"])
    sidecar.lab.request("PATCH", kept, {"metadata": {"finalizers": None}}, content_type=MERGE)
    wait_for(lambda: "lease-settled" in kinds(sidecar, lease["id"]), what="the reaper finished it")
    assert sidecar.leftovers() == []


def test_E6_a_delete_that_is_refused_is_tried_until_it_is_not(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    minter = "/apis/rbac.authorization.k8s.io/v1/clusterroles/lestrade-minter"
    rules = sidecar.lab.request("GET", minter)["rules"]
    less = [{**rule, "verbs": [verb for verb in rule["verbs"] if verb != "delete"]} for rule in rules]
    sidecar.lab.request("PATCH", minter, {"rules": less}, content_type=MERGE)
    try:
        assert sidecar.settle(lease)["state"] == "revocation_pending"
        other = sidecar.submit(plan(sidecar, scale(sidecar, 3)))
        if other["state"] == "waiting":  # the target stays taken: a second lease would hide that the first still lives
            good(sidecar.approve(other))
            assert sidecar.agent.post(f"/v1/plans/{other['plan']}/lease").json()["code"] in ("target-leased", "policy-denies")
    finally:
        sidecar.lab.request("PATCH", minter, {"rules": rules}, content_type=MERGE)
    wait_for(lambda: "lease-settled" in kinds(sidecar, lease["id"]), what="the reaper finished it")
    assert sidecar.leftovers() == []


# one target, one lease


def test_E8_of_two_incidents_on_one_deployment_one_holds_it_and_the_other_waits(sidecar):
    first, second = (sidecar.submit(plan(sidecar, scale(sidecar, number))) for number in (4, 5))
    for status in (first, second):
        good(sidecar.approve(status))
    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(lambda s: sidecar.agent.post(f"/v1/plans/{s['plan']}/lease"), (first, second)))
    granted = [answer.json() for answer in came if answer.status_code == 200]
    refused = [answer for answer in came if answer.status_code != 200]
    assert (len(granted), len(refused)) == (1, 1)
    assert refused[0].status_code == 409
    assert refused[0].json()["code"] in ("target-leased", "policy-denies")
    sidecar.settle(granted[0], "not-performed")
    loser = second if granted[0]["plan"] == first["plan"] else first
    if refused[0].json()["code"] == "target-leased":
        assert good(sidecar.agent.post(f"/v1/plans/{loser['plan']}/lease"))["state"] == "live"


# going back


def test_F8_an_undo_that_no_longer_fits_stops_there_and_a_person_is_called(sidecar):
    restart = {"kind": "restart_workload", "target": target(sidecar)}
    lease = sidecar.leased(plan(sidecar, scale(sidecar), restart))
    for step in ("step-1", "step-2"):
        assert sidecar.perform(lease, step)["status"] == "performed"
    sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type=MERGE)
    before = len(written_by(sidecar, lease))
    came = sidecar.undo(lease)
    assert not came["complete"]
    assert came["steps"][-1]["reason"] == "target-changed"
    assert replicas(sidecar) == 3
    assert len(written_by(sidecar, lease)) - before <= 1
    wait_for(lambda: any("a person has to look" in line for line in sidecar.lines), what="a person is called")
    again = sidecar.undo(lease)
    assert again["steps"][-1]["repeated"]  # no loop: it is over
    assert replicas(sidecar) == 3
