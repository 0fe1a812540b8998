"""The sidecar's process against the laboratory: the whole way, and what may go wrong on it."""

import difflib
import json
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.sidecar.process.harness import AGENT_TOKEN, IDENTITY, Sidecar, good, running, token, wait_for


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
    yield shared
    if shared.process.poll() is None:
        for lease in good(shared.person("ada").get("/v1/leases"))["leases"]:
            if lease["state"] != "settled":
                shared.settle(lease, "unknown")


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
    assert status["approval"]["environment"] == "prod"  # nothing says what the cluster is: the strictest holds
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


def test_the_same_plan_spelt_otherwise_is_the_same_plan(sidecar):
    document = plan(sidecar, scale(sidecar))
    status = sidecar.submit(document)
    again = dict(reversed(list(document.items())))
    again["attempt"] = 1.0
    assert sidecar.submit(again)["plan"] == status["plan"]


def test_a_plan_changed_by_one_value_is_another_plan_and_not_approved(sidecar):
    document = plan(sidecar, scale(sidecar))
    good(sidecar.approve(sidecar.submit(document)))
    document["steps"][0]["action"]["replicas"] = 5
    changed = sidecar.submit(document)
    refused = sidecar.agent.post(f"/v1/plans/{changed['plan']}/lease")
    assert (refused.status_code, refused.json()["code"]) == (409, "not-approved")
    assert refused.headers["content-type"] == "application/problem+json"


def test_what_was_performed_is_undone(sidecar):
    image = {
        "path": "/spec/template/spec/containers/0/image",
        "before": "registry.k8s.io/web:1",
        "after": "registry.k8s.io/web:2",
    }
    limits = {"path": "/spec/template/spec/containers/0/resources/limits/memory", "before": None, "after": "256Mi"}
    settings = {"kind": "change_fields", "target": target(sidecar, "ConfigMap", "settings", "v1")}
    settings["changes"] = [{"path": "/data/mode", "before": "slow", "after": "fast"}]
    fields = {"kind": "change_fields", "target": target(sidecar), "changes": [image, limits]}
    spec_before = sidecar.lab.get("Deployment", "shop", "web")["spec"]
    lease = sidecar.leased(plan(sidecar, settings, fields, scale(sidecar)))
    results = [sidecar.perform(lease, f"step-{number}") for number in (1, 2, 3)]
    assert [result["status"] for result in results] == ["performed"] * 3, results
    assert sidecar.lab.get("ConfigMap", "shop", "settings")["data"] == {"mode": "fast"}
    undone = sidecar.undo(lease)
    assert undone["complete"], undone
    assert [result["step"] for result in undone["steps"]] == ["step-3", "step-2", "step-1"]
    assert difference(sidecar.lab.get("Deployment", "shop", "web")["spec"], spec_before) == []
    assert sidecar.lab.get("ConfigMap", "shop", "settings")["data"] == {"mode": "slow"}
    again = sidecar.undo(lease)
    assert all(result["repeated"] for result in again["steps"])
    assert sidecar.settle(lease, "undone")["state"] == "settled"


def test_a_freeze_that_is_put_on_a_namespace_during_a_lease_stops_the_next_step(sidecar):
    settings = {"kind": "change_fields", "target": target(sidecar, "ConfigMap", "settings", "v1")}
    settings["changes"] = [{"path": "/data/mode", "before": "slow", "after": "fast"}]
    lease, before = sidecar.leased(plan(sidecar, settings, scale(sidecar))), replicas(sidecar)
    assert sidecar.perform(lease, "step-1")["status"] == "performed"
    for frozen in ("true", None):
        label = {"metadata": {"labels": {"lestrade.dev/freeze": frozen}}}
        sidecar.lab.request("PATCH", "/api/v1/namespaces/shop", label, content_type="application/merge-patch+json")
        if frozen:
            stopped = sidecar.perform(lease, "step-2")
    assert (stopped["status"], stopped["reason"], replicas(sidecar)) == ("refused", "target-changed", before)
    assert "lestrade.dev/freeze" in stopped["message"]
    assert sidecar.undo(lease)["complete"]
    assert sidecar.settle(lease, "undone")["state"] == "settled"


def difference(one: dict, other: dict) -> list[str]:
    left, right = (json.dumps(document, indent=1, sort_keys=True).splitlines() for document in (one, other))
    return [line for line in difflib.ndiff(left, right) if line[0] in "+-"]


def test_a_workload_is_rolled_back_and_forth(sidecar):
    image = {
        "path": "/spec/template/spec/containers/0/image",
        "before": "registry.k8s.io/web:1",
        "after": "registry.k8s.io/web:9",
    }
    new = {"kind": "change_fields", "target": target(sidecar), "changes": [image]}
    lease = sidecar.leased(plan(sidecar, new))
    assert sidecar.perform(lease)["status"] == "performed"
    sidecar.settle(lease)
    annotation = "deployment.kubernetes.io/revision"
    first = wait_for(lambda: revision_of(sidecar, "registry.k8s.io/web:1"), what="the old revision is known")
    wait_for(lambda: revision_of(sidecar, "registry.k8s.io/web:9"), what=annotation)

    back = {"kind": "rollback_workload", "target": target(sidecar), "to_revision": first}
    lease = sidecar.leased(plan(sidecar, back))
    result = sidecar.perform(lease)
    assert result["status"] == "performed", result
    assert image_of(sidecar) == "registry.k8s.io/web:1"
    undone = sidecar.undo(lease)
    assert undone["complete"], undone
    assert image_of(sidecar) == "registry.k8s.io/web:9"
    sidecar.settle(lease, "undone")

    lease = sidecar.leased(plan(sidecar, {**new, "changes": [{**image, "before": image["after"], "after": image["before"]}]}))
    assert sidecar.perform(lease)["status"] == "performed"
    sidecar.settle(lease)


def image_of(sidecar: Sidecar) -> str:
    return sidecar.lab.get("Deployment", "shop", "web")["spec"]["template"]["spec"]["containers"][0]["image"]


def revision_of(sidecar: Sidecar, image: str) -> int | None:
    for found in sidecar.lab.store.list("apps", "replicasets", "shop"):
        if found["spec"]["template"]["spec"]["containers"][0]["image"] == image:
            number = found["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision")
            return int(number) if number else None
    return None


def test_objects_are_created_and_taken_back(sidecar):
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extra", "namespace": "shop"},
        "data": {"a": "b"},
    }
    named = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "extra", "uid": "new"}
    lease = sidecar.leased(plan(sidecar, {"kind": "create_object", "target": named, "manifest": manifest}))
    assert sidecar.perform(lease)["status"] == "performed"
    assert sidecar.lab.get("ConfigMap", "shop", "extra")["data"] == {"a": "b"}
    assert sidecar.undo(lease)["complete"]
    assert sidecar.lab.get("ConfigMap", "shop", "extra") is None
    sidecar.settle(lease, "undone")


def test_a_pod_that_is_deleted_does_not_come_back_by_undoing(sidecar):
    pod = sidecar.lab.store.list("", "pods", "shop")[0]["metadata"]
    named = {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": pod["name"], "uid": pod["uid"]}
    status = sidecar.submit(plan(sidecar, {"kind": "delete_pod", "target": named}))
    assert status["decision"]["approvals"]["count"] == 2
    good(sidecar.approve(status))
    assert good(sidecar.approve(status))["state"] == "waiting"  # one person once
    assert good(sidecar.approve(status, "bob"))["state"] == "approved"
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    assert sidecar.perform(lease)["status"] == "performed"
    undone = sidecar.undo(lease)
    assert not undone["complete"]
    assert undone["steps"][0]["reason"] == "irreversible"
    sidecar.settle(lease, "did-not-help")


def test_a_node_is_cordoned_and_drained_of_the_pods_that_were_shown(sidecar):
    node = sidecar.lab.get("Node", "", "worker-1")["metadata"]
    pods = [p for p in sidecar.lab.store.list("", "pods", "shop") if p["spec"].get("nodeName") == "worker-1"]
    named = [
        {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": p["metadata"]["name"], "uid": p["metadata"]["uid"]}
        for p in pods
    ]
    target_node = {"apiVersion": "v1", "kind": "Node", "namespace": "", "name": "worker-1", "uid": node["uid"]}
    status = sidecar.submit(plan(sidecar, {"kind": "drain_node", "target": target_node, "pods": named}))
    assert status["state"] == "waiting", status
    good(sidecar.approve(status))
    good(sidecar.approve(status, "bob"))
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    assert [kind.split()[0] for kind in sidecar.leftovers() if kind.startswith("cluster")] == [
        "clusterroles",
        "clusterrolebindings",
    ]
    result = sidecar.perform(lease)
    assert result["status"] == "performed", result
    assert sidecar.lab.get("Node", "", "worker-1")["spec"]["unschedulable"] is True
    gone = {p["metadata"]["uid"] for p in pods}
    left = {p["metadata"]["uid"] for p in sidecar.lab.store.list("", "pods", "shop") if "deletionTimestamp" not in p["metadata"]}
    assert not gone & left
    assert sidecar.undo(lease)["complete"]
    assert not sidecar.lab.get("Node", "", "worker-1")["spec"].get("unschedulable")
    assert sidecar.settle(lease, "undone")["state"] == "settled"
    assert sidecar.leftovers() == []


def test_one_no_is_enough_until_the_plan_is_leased(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    good(sidecar.approve(status))
    assert good(sidecar.approve(status, "bob", "deny"))["state"] == "refused"
    assert good(sidecar.approve(status, "bob", "approve"))["state"] == "refused"  # a no is never taken back
    assert sidecar.agent.post(f"/v1/plans/{status['plan']}/lease").json()["code"] == "not-approved"


def test_whoever_has_no_role_or_asked_for_it_cannot_approve(sidecar):
    status = sidecar.submit({**plan(sidecar, scale(sidecar)), "requested_by": "ada"})
    assert sidecar.approve(status, "eve").json()["code"] == "no-role"
    assert sidecar.approve(status, "ada").json()["code"] == "own-request"
    assert good(sidecar.approve(status, "bob"))["state"] == "approved"


def test_the_agent_waits_for_the_answer(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    began = time.monotonic()
    assert good(sidecar.agent.get(f"/v1/plans/{status['plan']}?wait=1"))["state"] == "waiting"
    assert time.monotonic() - began >= 1
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: good(sidecar.agent.get(f"/v1/plans/{status['plan']}?wait=30")))
        good(sidecar.approve(status, "bob", "deny"))
        assert waiting.result(5)["state"] == "refused"


def test_one_lease_a_target(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    second = sidecar.submit(plan(sidecar, scale(sidecar, 5)))
    if second["state"] == "waiting":
        good(sidecar.approve(second))
        refused = sidecar.agent.post(f"/v1/plans/{second['plan']}/lease").json()["code"]
        assert refused in ("target-leased", "policy-denies")
    else:
        assert "leased" in second["decision"]["reasons"][0]["rule"]
    sidecar.settle(lease)


def test_the_tokens_of_one_side_open_nothing_on_the_other(sidecar):
    person = {"Authorization": f"Bearer {token('ada')}"}
    agent = {"Authorization": f"Bearer {AGENT_TOKEN}"}
    paths = ("/v1/plans/" + "a" * 64, "/v1/read/lab/api/v1/pods", "/v1/plans")
    assert {sidecar.agent.get(path, headers=person).status_code for path in paths[:2]} == {401}
    with sidecar.person("ada") as people:
        assert {people.get(path, headers=agent).status_code for path in ("/approvals", "/v1/leases", "/v1/audit")} == {401}
        assert people.post("/v1/stop", headers=agent, json={}).status_code == 401
        for headers in (
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic x"},
            {"Authorization": b"Bearer \xe9"},
        ):
            assert people.get("/approvals", headers=headers).status_code == 401


def test_the_read_gateway_serves_reads_and_hands_on_the_clusters_words(sidecar):
    found = sidecar.agent.get("/v1/read/lab/apis/apps/v1/namespaces/shop/deployments/web")
    assert found.json()["metadata"]["name"] == "web"
    assert "date" in found.headers
    missing = sidecar.agent.get("/v1/read/lab/apis/apps/v1/namespaces/shop/deployments/none")
    assert (missing.status_code, missing.json()["reason"]) == (404, "NotFound")
    assert sidecar.agent.get("/v1/read/other/api").status_code == 404
    assert sidecar.agent.post("/v1/read/lab/api/v1/namespaces/shop/pods", json={}).status_code == 405
    assert sidecar.agent.get("/v1/read/lab/api/v1/namespaces/shop/secrets").status_code == 403  # not granted by RBAC
    with sidecar.agent.stream("GET", "/v1/read/lab/api/v1/namespaces/shop/pods?watch=true&timeoutSeconds=1") as watch:
        assert json.loads(next(watch.iter_lines()))["type"] == "ADDED"


def test_people_are_heard_however_many_watches_the_agent_holds_open(sidecar):
    path = "/v1/read/lab/api/v1/namespaces/shop/configmaps?watch=true&timeoutSeconds=30&resourceVersion="
    version = good(sidecar.agent.get("/v1/read/lab/api/v1/namespaces/shop/configmaps"))["metadata"]["resourceVersion"]
    granted = sidecar.leased(plan(sidecar, scale(sidecar)))
    with ExitStack() as held:
        opened = [held.enter_context(sidecar.agent.stream("GET", path + version)).status_code for _ in range(60)]
        assert set(opened) == {200, 429}
        assert good(sidecar.person("ada").get("/approvals")) is not None
        assert sidecar.perform(granted)["status"] == "performed"
        assert sidecar.settle(granted)["state"] == "settled"


def rules_of(status) -> list[str]:
    return [reason["rule"] for reason in status["decision"]["reasons"]]


def test_the_kill_switch_revokes_everything_and_outlives_a_restart(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    waiting = sidecar.submit(plan(sidecar, {"kind": "restart_workload", "target": target(sidecar)}))
    stopped = sidecar.command("stop", "--reason", "enough")
    assert stopped.returncode == 0, stopped.stderr
    assert sidecar.leftovers() == []
    assert sidecar.perform(lease)["reason"] == "lease-over"
    assert good(sidecar.agent.get(f"/v1/plans/{waiting['plan']}"))["state"] in ("void", "denied")
    sidecar.kill()
    sidecar.start()
    refused = sidecar.submit(plan(sidecar, scale(sidecar)))
    assert (refused["state"], "stopped" in rules_of(refused)) == ("denied", True)
    assert sidecar.command("stop", "--lift").returncode == 1  # ada is no operator
    assert "one more person" in sidecar.command("stop", "--lift", name="bob").stdout
    refused = sidecar.submit(plan(sidecar, scale(sidecar)))
    assert "stopped" in rules_of(refused)
    assert "the stop is lifted" in sidecar.command("stop", "--lift", name="dan").stdout
    assert sidecar.submit(plan(sidecar, scale(sidecar)))["state"] == "waiting"


def test_an_operator_sees_and_answers_on_the_command_line(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    short = status["plan"][:12]
    assert short in sidecar.command("approvals", "list").stdout
    assert "+  replicas: 4" in sidecar.command("approvals", "show", short).stdout
    assert "approved" in sidecar.command("approvals", "approve", short).stdout
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    assert lease["id"] in sidecar.command("leases", "list").stdout
    sidecar.settle(lease)
    shown = sidecar.command("audit", "show", short).stdout
    assert all(word in shown for word in ("ASKED", "JUDGED", "ANSWERED", "LEASE", "REVOKED", "the journal is whole", lease["id"]))
    exported = [json.loads(line) for line in sidecar.command("audit", "export").stdout.splitlines()]
    assert [record["seq"] for record in exported] == list(range(1, len(exported) + 1))
    other = sidecar.command("approvals", "list", LESTRADE_OPERATOR_TOKEN="not-a-known-token")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)


def test_verify_names_the_record_that_was_edited(sidecar, tmp_path):
    for name in ("sidecar.db", "sidecar.db-wal", "audit.key", "journal.anchor"):
        if (sidecar.folder / name).exists():
            shutil.copy(sidecar.folder / name, tmp_path)
    edited = {"LESTRADE_SIDECAR_STATE": str(tmp_path)}
    assert sidecar.command("audit", "verify", **edited).returncode == 0
    with sqlite3.connect(tmp_path / "sidecar.db") as database:
        database.execute("UPDATE journal SET actor = 'mallory' WHERE seq = 3")
    found = sidecar.command("audit", "verify", **edited)
    assert found.returncode == 1
    assert "record 3" in found.stderr
    with sqlite3.connect(tmp_path / "sidecar.db") as database:
        database.execute("UPDATE journal SET actor = 'agent' WHERE seq = 3")
        (last,) = database.execute("SELECT max(seq) FROM journal").fetchone()
        database.execute("DELETE FROM journal WHERE seq > ?", (last - 2,))
    assert sidecar.command("audit", "verify", **edited).returncode == 1


def test_nothing_of_a_token_is_in_the_log_the_database_or_the_journal(sidecar):
    minted = [request for request in sidecar.lab.requests if request.subresource == "token"]
    assert minted
    text = "".join(sidecar.lines) + "".join(p.read_bytes().decode("latin-1") for p in sidecar.folder.glob("sidecar.db*"))
    assert "eyJ" not in text  # how every ServiceAccount token begins
    assert AGENT_TOKEN not in text
    assert token("ada") not in text


def test_it_ends_when_it_is_asked_to(sidecar):
    assert sidecar.end() == 0
    assert not (sidecar.folder / "agent.sock").exists()
