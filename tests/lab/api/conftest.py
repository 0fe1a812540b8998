"""A server of one's own for each test, on a clock that stands still until it is moved."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.api.cluster import LogLine, LogQuery
from lab.api.server import ApiServer
from lab.clock import LabClock
from lab.store import Store

START = datetime(2027, 3, 4, 5, 6, 7, tzinfo=UTC)


class Said:
    """A LogSource with what a test puts in."""

    def __init__(self) -> None:
        self.lines_of: dict[tuple[str, bool], list[LogLine]] = {}

    def lines(self, query: LogQuery) -> list[LogLine] | None:
        return self.lines_of.get((query.container, query.previous), None if query.previous else [])


@pytest.fixture
def clock() -> LabClock:
    return LabClock(start=START, speed=0)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def api(clock: LabClock, said: Said) -> Iterator[ApiServer]:
    server = ApiServer(Store(clock), clock, logs=said)
    with server:
        yield server
    assert server.faults == []


class Client:
    """HTTPS to the server as one identity."""

    def __init__(self, api: ApiServer, identity: str = "admin") -> None:
        self.token = api.mint(identity)
        headers = {"authorization": f"Bearer {self.token}", "user-agent": "tests/1"}
        self.http = httpx.Client(
            verify=ssl.create_default_context(cafile=str(api.ca_file)), base_url=api.url, headers=headers, timeout=10
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(path, json=body)

    def put(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.http.put(path, json=body)

    def delete(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return self.http.request("DELETE", path, json=body)

    def patch(self, path: str, body: Any, kind: str = "merge-patch+json") -> httpx.Response:
        return self.http.patch(path, content=json.dumps(body), headers={"content-type": f"application/{kind}"})


@pytest.fixture
def admin(api: ApiServer) -> Iterator[Client]:
    client = Client(api)
    client.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    yield client
    client.http.close()


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}}


def kubeconfig(api: ApiServer, folder: Path, token: str = "") -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": api.url, "certificate-authority": str(api.ca_file)}}],
        "users": [{"name": "user", "user": {"token": token or api.admin_token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user", "namespace": "shop"}}],
        "current-context": "lab",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
