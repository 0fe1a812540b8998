"""The read gateway under abuse, in the real process against the laboratory: paths, streams, credentials, budgets."""

import http.client
import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from lab.world.faults import Program
from lab.world.kinds import key_of
from tests.sidecar.process.harness import AGENT_TOKEN, ROOT, Sidecar, good, running, wait_for
from tests.sidecar.process.test_lab_way import plan, scale

CANARY = "canary-4f9a1c7e2b"
PODS = "/v1/read/lab/api/v1/namespaces/shop/pods"
SETTINGS = "/v1/read/lab/api/v1/namespaces/shop/configmaps"


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    environment = {"LESTRADE_SIDECAR_READ_REQUESTS_PER_RUN": "400"}
    with running(tmp_path_factory.mktemp("gateway"), environment=environment) as sidecar:
        keys = (ROOT / "deploy" / "rbac" / "secret-keys.yaml").read_text()
        # More than is ever granted, so that nothing but the gateway stands before the values.
        sidecar.lab.apply(list(yaml.safe_load_all(keys.replace("[get, list]", "[get, list, watch]"))))
        sidecar.lab.apply([secret(), workload(), settings_map()])
        yield sidecar.start()


def secret() -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "db",
            "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY},
        },
        "stringData": {"password": CANARY},
    }


def workload() -> dict:
    env = [
        {"name": "DB_PASSWORD", "value": CANARY},
        {"name": "DATABASE_URL", "value": f"postgres://app:{CANARY}@db/x"},
        {"name": "MODE", "value": "fast"},
    ]
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "api"}},
        "template": {
            "metadata": {"labels": {"app": "api"}},
            "spec": {"containers": [{"name": "main", "image": "registry.k8s.io/api:1", "env": env}]},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "api",
            "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"kind": "Deployment", "spec": spec})},
        },
        "spec": spec,
    }


def settings_map() -> dict:
    data = {"app.properties": f"db.password={CANARY}\nmode=fast\n", "mode": "fast"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "shop"}, "data": data}


def records(sidecar: Sidecar, kind: str) -> list[dict]:
    with sidecar.person("ada") as people:
        found: list[dict] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = good(people.get(f"/v1/audit?limit=1000&after={after}"))["records"]
            if not page:
                return [record for record in found if record["kind"] == kind]
            found += page


def asked_raw(sidecar: Sidecar, path: str) -> tuple[int, str]:
    """As written: every HTTP library makes a path nicer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.connect(sidecar.agent_url.removeprefix("unix://"))
        head = f"GET {path} HTTP/1.1\r\nHost: sidecar\r\nAuthorization: Bearer {AGENT_TOKEN}\r\nConnection: close\r\n\r\n"
        wire.sendall(head.encode())
        came = http.client.HTTPResponse(wire)
        came.begin()
        return came.status, came.read().decode()


def refusals(sidecar: Sidecar) -> int:
    return len([record for record in records(sidecar, "refused") if record["body"]["code"] == "not-readable"])


@pytest.mark.parametrize(
    "path",
    [
        "api/v1/namespaces/shop/pods/../secrets",
        "api/v1/namespaces/shop/pods/%2e%2e/secrets",
        "api/v1/namespaces/shop%2fsecrets",
        "api/v1/namespaces/shop/pods/..;/secrets",
        "api/v1/namespaces/shop/pods%0a",
        "api/v1/namespaces/shop/pods%00",
        "api/v1/namespaces/" + "x" * 254 + "/pods",
        "api/v1/namespaces/shop/pods/web%3fwatch=true",
        "api/v1/namespaces/shop/pods/web/exec",
        "api/v1/namespaces/shop/pods/web/%65xec",
        "api/v1/namespaces/shop/pods/web/EXEC",
        "api/v1/namespaces/shop/pods/web/attach",
        "api/v1/namespaces/shop/pods/web/portforward",
        "api/v1/namespaces/shop/pods/web/proxy/secrets",
        "api/v1/namespaces/shop/services/web/proxy",
        "api/v1/nodes/worker-1/proxy/logs",
        "api/v1/namespaces/lestrade/serviceaccounts/lestrade-sidecar/token",
        "api/v1/watch/secrets",
        "%61pi/v1/pods",
        "metrics",
        "logs",
    ],
)
def test_B12_a_path_that_means_another_is_refused_and_never_sent(sidecar, path):
    before, recorded = len(sidecar.lab.requests), refusals(sidecar)
    status, body = asked_raw(sidecar, f"/v1/read/lab/{path}")
    told = json.loads(body)
    assert (status, told["kind"], told["details"]["causes"][0]["reason"]) == (403, "Status", "not-readable"), body
    assert CANARY not in body
    assert [
        entry for entry in sidecar.lab.requests[before:] if "reaper" not in entry.identity and entry.resource == "secrets"
    ] == []
    assert refusals(sidecar) == recorded + 1 or recorded > 0  # the first at once; those of a flood are counted


def test_B12_nobody_is_impersonated_and_whoever_asks_for_it_is_told_so(sidecar):
    before = len(sidecar.lab.requests)
    for name in ("Impersonate-User", "impersonate-extra-scopes"):
        came = sidecar.agent.get("/v1/read/lab/api/v1/pods", headers={name: "system:admin"})
        assert (came.status_code, came.json()["reason"]) == (403, "Forbidden")
        assert "nobody is impersonated" in came.json()["message"]
    assert [entry for entry in sidecar.lab.requests[before:] if entry.resource == "pods"] == []


def test_B12_a_request_with_two_ends_is_refused_and_nothing_after_it_is_read(sidecar):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(30)
        wire.connect(sidecar.agent_url.removeprefix("unix://"))
        head = f"GET /v1/read/lab/version HTTP/1.1\r\nHost: sidecar\r\nAuthorization: Bearer {AGENT_TOKEN}\r\n"
        wire.sendall(f"{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{head}\r\n".encode())
        came = b"".join(iter(lambda: wire.recv(65_536), b""))
    assert (came.count(b"HTTP/1.1 "), came[:12]) == (1, b"HTTP/1.1 400")


def test_B12_only_reads_have_a_way_through(sidecar):
    before = len(sidecar.lab.writes())
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"):
        came = sidecar.agent.request(method, PODS, json={})
        assert came.status_code == 405, method
        assert came.headers["content-type"] == "application/problem+json"
    assert [entry for entry in sidecar.lab.writes()[before:] if entry.namespace == "shop" and entry.resource == "pods"] == []


def shows_nothing(text: str) -> None:
    assert CANARY not in text
    assert "Y2FuYXJ5" not in text  # in base64


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/yaml", "application/vnd.kubernetes.protobuf", TABLE])
@pytest.mark.parametrize("query", ["", "?includeObject=Object", "?limit=1", "?resourceVersion=0"])
@pytest.mark.parametrize("resource", ["secrets", "pods", "configmaps"])
def test_F2_values_of_secrets_and_credentials_do_not_come_through_in_any_form(sidecar, resource, query, accept):
    came = sidecar.agent.get(f"/v1/read/lab/api/v1/namespaces/shop/{resource}{query}", headers={"Accept": accept})
    assert came.status_code == 200, came.text
    shows_nothing(came.text)
    assert came.headers["content-type"].startswith("application/json")
    if accept != TABLE:
        assert {"secrets": '"password"', "pods": "DB_PASSWORD", "configmaps": "mode=fast"}[
            resource
        ] in came.text or query == "?limit=1"


@pytest.mark.parametrize("resource", ["deployments", "replicasets"])
def test_F2_templates_and_their_copies_lose_them_and_keep_the_rest(sidecar, resource):
    text = sidecar.agent.get(f"/v1/read/lab/apis/apps/v1/namespaces/shop/{resource}").text
    shows_nothing(text)
    assert '"value":"fast"' in text
    assert "DB_PASSWORD" in text


def test_F2_watch_events_lose_them_too(sidecar):
    for path in (
        "api/v1/namespaces/shop/secrets",
        "api/v1/namespaces/shop/configmaps",
        "apis/apps/v1/namespaces/shop/deployments",
    ):
        for accept in ("application/json", TABLE):
            with sidecar.agent.stream(
                "GET", f"/v1/read/lab/{path}?watch=true&timeoutSeconds=1", headers={"Accept": accept}
            ) as watch:
                text = "\n".join(watch.iter_lines())
            assert '"ADDED"' in text
            shows_nothing(text)


def versions(sidecar: Sidecar) -> str:
    return str(good(sidecar.agent.get(SETTINGS))["metadata"]["resourceVersion"])


def open_streams(sidecar: Sidecar) -> int:
    with sidecar.person("ada") as people:
        text = people.get("/metrics").text
    line = next(line for line in text.splitlines() if line.startswith("lestrade_sidecar_read_streams "))
    return int(float(line.split()[1]))


def a_second(sidecar: Sidecar) -> float:
    """Of a machine that does nothing else: on a busy one a plain answer takes longer too, and so may what is at once."""
    began = time.monotonic()
    open_streams(sidecar)
    return 1.0 + 20 * (time.monotonic() - began)


def test_E5_streams_of_the_run_end_within_a_second_when_its_lease_does(sidecar):
    document = plan(sidecar, scale(sidecar))
    lease = sidecar.leased(document)
    path = f"{SETTINGS}?watch=true&timeoutSeconds=60&resourceVersion={versions(sidecar)}"
    own, other = {"Lestrade-Run": document["incident"]}, {"Lestrade-Run": "another"}
    with ExitStack() as held:
        watch, unnamed, others = (
            held.enter_context(sidecar.agent.stream("GET", path, headers=headers)) for headers in (own, {}, other)
        )
        pod = sidecar.lab.store.list("", "pods", "shop")[0]["metadata"]["name"]
        log = held.enter_context(sidecar.agent.stream("GET", f"{PODS}/{pod}/log?follow=true&tailLines=0", headers=own))
        assert open_streams(sidecar) == 4
        second = a_second(sidecar)
        began = time.monotonic()
        settling = sidecar.settle(lease)
        for stream in (watch, unnamed, log):
            list(stream.iter_bytes())  # to its end
        took = time.monotonic() - began
        assert took < max(second, a_second(sidecar)) + (settling["refused_after_ms"] or 0) / 1000
        assert open_streams(sidecar) == 1
        assert others.status_code == 200


def test_E5_a_stop_ends_every_stream_at_once(sidecar):
    path = f"{SETTINGS}?watch=true&timeoutSeconds=60&resourceVersion={versions(sidecar)}"
    with sidecar.agent.stream("GET", path, headers={"Lestrade-Run": "anybody"}) as watch, sidecar.person("ada") as people:
        second = a_second(sidecar)
        began = time.monotonic()
        good(people.post("/v1/stop", json={"reason": "drill"}))
        list(watch.iter_bytes())
        took = time.monotonic() - began
        assert took < max(second, a_second(sidecar))
    for name in ("bob", "dan"):
        with sidecar.person(name) as people:
            people.post("/v1/stop", json={"lift": True})


def test_E5_whoever_goes_away_leaves_a_place(sidecar):
    path = f"{SETTINGS}?watch=true&timeoutSeconds=60&resourceVersion={versions(sidecar)}"
    for number in range(3):
        with ExitStack() as held:
            opened = [
                held.enter_context(
                    sidecar.agent.stream("GET", path, headers={"Lestrade-Run": f"r{number}-{index % 3}"})
                ).status_code
                for index in range(24)
            ]
            assert opened.count(200) == 24, opened
        wait_for(lambda: open_streams(sidecar) == 0, seconds=30, what="the places are free")


def test_a_run_that_reads_without_end_is_told_so_and_others_read_on(sidecar):
    headers = {"Lestrade-Run": "endless"}
    statuses = [sidecar.agent.get("/v1/read/lab/version", headers=headers).status_code for _ in range(405)]
    assert statuses == [200] * 400 + [429] * 5
    refused = sidecar.agent.get("/v1/read/lab/version", headers=headers)
    assert (refused.headers["x-lestrade-code"], refused.json()["reason"]) == ("read-budget-spent", "TooManyRequests")
    assert sidecar.agent.get("/v1/read/lab/version", headers={"Lestrade-Run": "modest"}).status_code == 200
    assert sidecar.agent.get("/v1/read/lab/version", headers={"Lestrade-Run": "a b"}).status_code == 400
    with sidecar.person("ada") as people:
        metrics = people.get("/metrics").text
    assert 'lestrade_sidecar_read_refused_total{code="read-budget-spent"} 6.0' in metrics
    assert "endless" not in metrics


def test_F2_a_programs_log_loses_them_too(sidecar):
    pod = sidecar.lab.store.list("", "pods", "shop")[0]["metadata"]["name"]
    words = f"connecting to postgres://app:{CANARY}@db/x with password={CANARY}"
    logs = sidecar.lab.world.logbook
    stream = next(stream for stream in logs.streams() if stream.pod == pod)
    logs.of(stream)[-1].turn(Program(name="loud", logs=(words,)), sidecar.lab.clock.now(), {})
    text = sidecar.agent.get(f"{PODS}/{pod}/log").text
    assert "connecting to postgres://app:" in text
    shows_nothing(text)


# memory


def memory_of(pid: int, what: str) -> int:
    """In megabytes. `what`: VmRSS, resident now, or VmHWM, the most since it was set back."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what)) // 1024


def test_five_thousand_pods_go_through_without_being_held(tmp_path):
    with running(tmp_path) as sidecar:
        sidecar.lab.world.stop()
        running_pod = sidecar.lab.store.list("", "pods", "shop")[0]
        spec = {name: value for name, value in running_pod["spec"].items() if name != "nodeName"}
        pod = {**running_pod, "spec": spec, "status": {"phase": "Succeeded"}}  # nobody looks after these
        noise = {f"note-{number}": "x" * 500 for number in range(8)}
        for number in range(5000):
            name = f"many-{number:04}"
            metadata = {
                "name": name,
                "namespace": "many",
                "uid": f"uid-{number}",
                "annotations": noise,
                "labels": {"app": "many"},
            }
            sidecar.lab.store.create(key_of("Pod", "many", name), {**pod, "metadata": metadata})
        sidecar.start()
        page = good(sidecar.agent.get("/v1/read/lab/api/v1/namespaces/many/pods?limit=500"))
        assert (len(page["items"]), page["metadata"]["remainingItemCount"]) == (500, 4500)  # who asks for pages gets pages
        before = memory_of(sidecar.process.pid, "VmRSS")
        Path(f"/proc/{sidecar.process.pid}/clear_refs").write_text("5")
        with sidecar.agent.stream("GET", "/v1/read/lab/api/v1/namespaces/many/pods") as list_:
            content = b"".join(list_.iter_bytes())
        grown = memory_of(sidecar.process.pid, "VmHWM") - before
        found = json.loads(content)
        print(f"{len(content) / 1e6:.0f} MB in one list, {grown} MB more at the most, {before} MB before")
        assert len(found["items"]) == 5000
        assert len(content) > 20_000_000
        assert "continue" not in found["metadata"]
        assert grown < 15
