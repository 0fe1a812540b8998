"""Plans that say less than they do, and plans too big to be read: judged on what the API server would make of them.

The laboratory's hook stands for a mutating webhook: it changes the request on its way in, dry run or not.
"""

import contextlib
import itertools
import json
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.sidecar.process.harness import AGENT_TOKEN, Sidecar, good, running

COUNT = itertools.count(1)
MAIN = "/spec/template/spec/containers/0"
MERGE = "application/merge-patch+json"
MEGABYTE = 1_048_576


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    with running(tmp_path_factory.mktemp("dry-run")) as sidecar:
        yield sidecar.start()


@pytest.fixture
def webhook(sidecar):
    """What it is given is put into every patch of the Deployment."""
    operations: list[dict] = []

    def mutate(call) -> None:
        if call.method != "PATCH" or call.target.resource != "deployments" or not operations:
            return
        body = json.loads(call.body)
        if isinstance(body, list):
            call.body = json.dumps([*body, *operations]).encode()
        else:
            for operation in operations:
                *parents, last = [part.replace("~1", "/") for part in operation["path"].split("/")[1:]]
                node = body
                for parent in parents:
                    node = node.setdefault(parent, {})
                node[last] = operation["value"]
            call.body = json.dumps(body).encode()

    sidecar.lab.on_request(mutate)
    yield operations
    operations.clear()


def web(sidecar: Sidecar) -> dict:
    live = sidecar.lab.get("Deployment", "shop", "web")
    return {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": live["metadata"]["uid"]}


def plan(sidecar: Sidecar, *actions: dict, incident: str = "") -> dict:
    return {
        "incident": incident or f"inc-dry-{next(COUNT)}",
        "attempt": 1,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": web(sidecar)},
        "hypothesis": "too small",
        "cited": [{"id": "ev-1", "sha256": "0" * 64}],
        "steps": [
            {"id": f"step-{number}", "action": action, "why": "so", "expect": "better"}
            for number, action in enumerate(actions, start=1)
        ],
    }


def change(sidecar: Sidecar, path: str, before, after) -> dict:
    return {
        "kind": "change_fields",
        "target": web(sidecar),
        "changes": [{"path": path, "before": before, "after": after}],
    }


def memory(sidecar: Sidecar, limit: str = "256Mi") -> dict:
    return change(sidecar, f"{MAIN}/resources/limits", None, {"memory": limit})


def decided(sidecar: Sidecar, digest: str) -> list[dict]:
    with sidecar.person("bob") as people:
        records = good(people.get("/v1/audit", params={"about": digest}))["records"]
    return [record for record in records if record["kind"] == "plan-decided"]


@contextlib.contextmanager
def nothing_written(sidecar: Sidecar):
    mark = len(sidecar.lab.writes())
    yield
    assert [entry for entry in sidecar.lab.writes()[mark:] if "lestrade" in entry.identity] == []


def denied(sidecar: Sidecar, document: dict) -> dict:
    """The reason of a denial, on record once."""
    with nothing_written(sidecar):
        status = sidecar.submit(document)
        assert status["state"] == "denied", status
        assert status["approval"] is None
        assert len(decided(sidecar, status["plan"])) == 1
    return status["decision"]["reasons"][-1]


def shown(sidecar: Sidecar, document: dict) -> tuple[str, str]:
    """The diff that people see, and whose it is."""
    with nothing_written(sidecar):
        status = sidecar.submit(document)
        assert status["state"] == "waiting", status
    good(sidecar.approve(status, verdict="deny"))
    return status["approval"]["changes"][0]["diff"], status["approval"]["dry_run"]


def test_B15_what_people_see_is_what_the_api_server_would_store(sidecar):
    document = plan(sidecar, change(sidecar, f"{MAIN}/readinessProbe", None, {"tcpSocket": {"port": 80}}))
    diff, whose = shown(sidecar, document)

    assert "+        readinessProbe:" in diff
    assert re.search(r"^\+ +failureThreshold: 3$", diff, re.MULTILINE), "the API server's defaults are in the diff"
    assert whose == "every diff is of the API server's own dry run"
    dry = [entry for entry in sidecar.lab.requests if entry.dry_run and entry.resource == "deployments"]
    assert dry[-1].identity == "lestrade/lestrade-sidecar"
    assert sidecar.lab.get("Deployment", "shop", "web")["spec"]["template"]["spec"]["containers"][0].get("readinessProbe") is None


@pytest.mark.parametrize("directive", [{"$patch": "delete"}, {"$patch": "replace"}, {"$retainKeys": ["limits"]}])
def test_B15_a_patch_directive_in_a_value_is_not_permitted(sidecar, directive):
    """Our patches are JSON Patches, to which a strategic-merge directive is a field like any other; it is denied all the same."""
    document = plan(sidecar, change(sidecar, f"{MAIN}/resources", {}, {"limits": {"memory": "256Mi"}, **directive}))
    assert denied(sidecar, document)["rule"] == "not-permitted"


@pytest.mark.parametrize("operation", ["move", "copy", "test", "add"])
def test_B15_a_plan_has_no_place_for_operations_of_its_own(sidecar, operation):
    action = memory(sidecar)
    action["changes"][0] |= {"op": operation, "from": "/spec/replicas"}
    with nothing_written(sidecar):
        answer = sidecar.agent.post("/v1/plans", json=plan(sidecar, action))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_B15_what_comes_along_and_may_not_be_changed_is_a_denial(sidecar, webhook):
    webhook.append({"op": "add", "path": "/spec/template/spec/serviceAccountName", "value": "admin"})
    reason = denied(sidecar, plan(sidecar, memory(sidecar)))
    assert (reason["rule"], reason["step"]) == ("more-than-planned", "step-1")
    assert "/spec/template/spec/serviceAccountName" in reason["message"]


def test_B15_what_comes_along_and_may_be_changed_is_in_the_diff(sidecar, webhook):
    webhook.append({"op": "add", "path": f"{MAIN}/env", "value": [{"name": "ADDED", "value": "yes"}]})
    diff, _ = shown(sidecar, plan(sidecar, memory(sidecar)))
    assert "+            memory: 256Mi" in diff
    assert "+        - name: ADDED" in diff


def test_B15_a_value_that_comes_along_and_looks_secret_is_not_shown(sidecar, webhook):
    webhook.append({"op": "add", "path": f"{MAIN}/env", "value": [{"name": "DB_PASSWORD", "value": "hunter2-canary"}]})
    document = plan(sidecar, memory(sidecar))
    answer = sidecar.agent.post("/v1/plans", json=document)
    assert "hunter2-canary" not in answer.text
    assert "hunter2-canary" not in json.dumps(decided(sidecar, answer.json()["plan"]))
    if answer.json()["state"] == "waiting":
        good(sidecar.approve(answer.json(), verdict="deny"))


def test_B15_what_a_webhook_stamps_at_every_write_is_shown_and_no_denial(sidecar, webhook):
    webhook.append({"op": "add", "path": "/metadata/annotations/stamp", "value": "by a webhook"})
    diff, _ = shown(sidecar, plan(sidecar, memory(sidecar)))
    assert "+    stamp: by a webhook" in diff


def test_B15_what_the_api_server_refuses_is_denied_with_its_words(sidecar):
    more_than_allowed = memory(sidecar, "64Mi")
    more_than_allowed["changes"] += change(sidecar, f"{MAIN}/resources/requests", None, {"memory": "128Mi"})["changes"]
    reason = denied(sidecar, plan(sidecar, more_than_allowed))
    assert (reason["rule"], reason["step"]) == ("dry-run-refused", "step-1")
    assert "must be less than or equal to memory limit of 64Mi" in reason["message"]
    assert len(reason["message"]) <= 500


def test_B15_a_later_step_on_the_same_object_says_that_its_diff_is_reckoned(sidecar):
    second = change(sidecar, f"{MAIN}/resources/limits/memory", "256Mi", "512Mi")
    with nothing_written(sidecar):
        status = sidecar.submit(plan(sidecar, memory(sidecar), second))
    assert status["state"] == "waiting", status
    good(sidecar.approve(status, verdict="deny"))
    assert "step-2 (an earlier step changes the same object)" in status["approval"]["dry_run"]
    assert "+            memory: 512Mi" in status["approval"]["changes"][1]["diff"]


# B10: too long, too deep, too big


def resident(sidecar: Sidecar, what: str = "VmRSS") -> float:
    """Megabytes of the sidecar's process."""
    assert sidecar.process is not None
    text = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) / 1024


def refused(sidecar: Sidecar, body: bytes) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    with nothing_written(sidecar):
        answer = sidecar.agent.post("/v1/plans", content=body, headers=headers)
    return answer.status_code, answer.json()["code"]


def test_B10_ten_thousand_steps_are_refused(sidecar):
    document = plan(sidecar, memory(sidecar))
    step = document["steps"][0]
    small = {"id": "step-1", "action": {"kind": "restart_workload", "target": web(sidecar)}, "why": "", "expect": ""}
    document["steps"] = [{**step, "id": f"step-{number}"} for number in range(1, 10_001)]
    assert refused(sidecar, json.dumps(document).encode()) == (413, "too-large")
    document["steps"] = [{**small, "id": f"step-{number}"} for number in range(1, 4_001)]
    body = json.dumps(document, separators=(",", ":")).encode()
    assert len(body) < MEGABYTE, "small enough to be read"
    assert refused(sidecar, body) == (400, "malformed")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":['])
def test_B10_ten_thousand_levels_are_refused(sidecar, opening):
    assert refused(sidecar, b'{"steps":' + opening * 10_000) == (400, "malformed")


def test_B10_a_name_of_a_megabyte_is_refused(sidecar):
    document = plan(sidecar, memory(sidecar))
    document["steps"][0]["action"]["target"]["name"] = "a" * MEGABYTE
    assert refused(sidecar, json.dumps(document).encode()) == (413, "too-large")
    document["steps"][0]["action"]["target"]["name"] = "a" * (MEGABYTE - 5_000)
    status, code = refused(sidecar, json.dumps(document).encode())
    assert (status, code) == (400, "malformed")


class Flood:
    """Fifty megabytes over the agent's socket, as fast as they are taken, until an answer comes or the door is shut."""

    def __init__(self, sidecar: Sidecar, *, declared: bool) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(sidecar.agent_url.removeprefix("unix://"))
        self.declared = declared
        self.sent = 0
        self.answer = b""
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        length = "Content-Length: 52428800" if self.declared else "Transfer-Encoding: chunked"
        head = (
            f"POST /v1/plans HTTP/1.1\r\nHost: sidecar\r\nAuthorization: Bearer {AGENT_TOKEN}\r\n"
            f"Content-Type: application/json\r\n{length}\r\n\r\n"
        )
        piece = b'{"steps": [' + b" " * (65_536 - 11)
        frame = piece if self.declared else f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        with contextlib.suppress(OSError):
            self.socket.sendall(head.encode())
            while self.sent < 50 * MEGABYTE:
                self.socket.sendall(frame)
                self.sent += len(piece)
        with contextlib.suppress(OSError):
            self.answer = self.socket.recv(65_536)
        self.socket.close()


@pytest.mark.parametrize("declared", [True, False], ids=["said beforehand", "in chunks"])
def test_B10_fifty_megabytes_are_not_kept_and_others_are_served_meanwhile(sidecar, declared):
    good(sidecar.agent.get("/healthz"))
    before = resident(sidecar)
    floods = [Flood(sidecar, declared=declared) for _ in range(4)]
    with nothing_written(sidecar):
        for flood in floods:
            flood.thread.start()
        served = 0
        while any(flood.thread.is_alive() for flood in floods):
            good(sidecar.agent.get("/healthz"))
            served += 1
            time.sleep(0.01)
    for flood in floods:
        flood.thread.join(30)
        assert not flood.answer or flood.answer.startswith(b"HTTP/1.1 413"), flood.answer[:100]
    assert any(flood.answer for flood in floods)
    assert served >= 1
    assert resident(sidecar) - before < 40, "four bodies of fifty megabytes are not held in memory"
    status = sidecar.submit(plan(sidecar, memory(sidecar)))
    assert status["state"] == "waiting"
    good(sidecar.approve(status, verdict="deny"))
