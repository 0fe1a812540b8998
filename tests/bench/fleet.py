"""A sidecar with a real OPA over a namespace of ten workloads, and plans for them; asked as lean as a socket allows."""

import contextlib
import itertools
import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.laboratory import Laboratory
from sidecar.policy.bundle import DATA, policies_folder
from tests.servers import OpaServer, running_opa
from tests.sidecar.process.harness import AGENT_TOKEN, Sidecar, running, wait_for

COUNT = 10
CONFIG = "settings"
# What no rule of the small policy reads; with one too many it would not be admitted.
UNREAD = (
    "adds annotations autoscalers deleting helm images live managers owners ready resource_version service_account services"
    " silences workloads"
)


class _Line:
    """One kept connection, with nothing of a client library: what is measured is the sidecar."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60)
        self._socket.connect(path)

    def ask(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes, float]:
        """Status, headers in lower case, the whole body of an answer that says how long it is; and the milliseconds from before
        the request was sent until all of it was there."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: sidecar\r\nAuthorization: Bearer {AGENT_TOKEN}\r\nContent-Type: application/json\r\n"
        )
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        began = time.perf_counter()
        self._socket.sendall(request)
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        first, *lines = received[:end].decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        while len(received) < end + 4 + int(headers["content-length"]):
            received += self._more()
        took = (time.perf_counter() - began) * 1000
        return int(first.split()[1]), headers, bytes(received[end + 4 :]), took

    def _more(self) -> bytes:
        piece = self._socket.recv(1 << 18)
        assert piece, "the sidecar closed the connection"
        return piece


@dataclass
class Answer:
    """`took`: milliseconds by the client's clock; `laps`: the sidecar's own, from the Server-Timing header."""

    status: int
    document: dict[str, Any]
    took: float
    laps: dict[str, float]


@dataclass
class Governed:
    """`namespace` holds COUNT Deployments that all read one ConfigMap, the cause of every plan."""

    sidecar: Sidecar
    opa: OpaServer
    namespace: str
    numbers: Iterator[int] = field(default_factory=itertools.count)
    line: _Line | None = None

    @property
    def lab(self) -> Laboratory:
        return self.sidecar.lab

    def post(self, path: str, document: dict[str, Any] | None = None) -> Answer:
        self.line = self.line or _Line(self.sidecar.agent_url.removeprefix("unix://"))
        body = json.dumps(document).encode() if document is not None else b""
        status, headers, content, took = self.line.ask(path, body)
        return Answer(status, json.loads(content), took, laps_in(headers.get("server-timing", "")))

    def plan(self, *, targets: int = COUNT, steps: int = COUNT, first: int = 0) -> dict[str, Any]:
        """A new plan: each step sets an environment variable of one workload; more steps than targets go round again."""
        number = next(self.numbers)
        names = [f"web-{first + index % targets}" for index in range(steps)]
        held: dict[str, Any] = {}
        document = []
        for index, name in enumerate(names, start=1):
            before = held.get(name, self.value(name))
            held[name] = f"{number}-{index}"
            change = {"path": "/spec/template/spec/containers/0/env/0/value", "before": before, "after": held[name]}
            action = {"kind": "change_fields", "target": self.ref("apps/v1", "Deployment", name), "changes": [change]}
            document.append({"id": f"step-{index}", "action": action, "why": "measured", "expect": "an answer"})
        return {
            "incident": f"inc-{number}",
            "attempt": 1,
            "cluster": "lab",
            "cause": {"slug": "configuration-changed", "subject": self.ref("v1", "ConfigMap", CONFIG)},
            "hypothesis": "measured, not meant",
            "cited": [{"id": "ev-1", "sha256": "0" * 64}],
            "steps": document,
        }

    def ref(self, api_version: str, kind: str, name: str) -> dict[str, str]:
        uid = (self.lab.get(kind, self.namespace, name) or {})["metadata"]["uid"]
        return {"apiVersion": api_version, "kind": kind, "namespace": self.namespace, "name": name, "uid": uid}

    def value(self, name: str) -> str:
        live = self.lab.get("Deployment", self.namespace, name) or {}
        return str(live["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])


def laps_in(header: str) -> dict[str, float]:
    pairs = (part.strip().split(";dur=") for part in header.split(",") if ";dur=" in part)
    return {name: float(value) for name, value in pairs}


@contextmanager
def governed(base: Path, *, environment: str, small: bool = False, namespace: str = "fleet") -> Iterator[Governed]:
    """`environment`: what the settings say of the cluster; in dev a reversible plan is allowed, in prod people are asked.
    `small`: under a policy of two hundred lines instead of the whole bundle."""
    settings = {"LESTRADE_SIDECAR_ENVIRONMENT": environment, "LESTRADE_SIDECAR_REAP_SECONDS": "60"}  # as it is outside of tests
    if small:
        settings["LESTRADE_SIDECAR_POLICIES"] = str(_small_policies(base))
    with running_opa() as opa, running(base, environment={"LESTRADE_OPA_URL": opa.url, **settings}) as sidecar:
        sidecar.lab.apply(_manifests(namespace))
        wait_for(lambda: all(_ready(sidecar.lab, namespace, index) for index in range(COUNT)), what="the fleet is ready")
        sidecar.lab.advance(2 * 3600)  # what somebody changed within the hour, people are asked about
        sidecar.start()
        world = Governed(sidecar=sidecar, opa=opa, namespace=namespace)
        with contextlib.suppress(AssertionError):  # the first question puts the policy into the OPA server
            wait_for(lambda: world.post("/v1/plans", world.plan()).document["state"] != "denied", seconds=30)
        yield world


def _small_policies(base: Path) -> Path:
    folder = base / "small"
    shutil.copytree(Path(__file__).with_name("small"), folder)
    (folder / "platform").mkdir()
    data = yaml.safe_load((policies_folder() / DATA).read_text())
    (folder / DATA).write_text(yaml.safe_dump({**data, "facts": {"unread": UNREAD.split()}}))
    return folder


def _ready(lab: Laboratory, namespace: str, index: int) -> bool:
    live = lab.get("Deployment", namespace, f"web-{index}") or {}
    return bool(live.get("status", {}).get("readyReplicas") == 1)


def _manifests(namespace: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CONFIG, "namespace": namespace},
            "data": {"mode": "slow"},
        },
    ]
    return [*made, *(_workload(namespace, f"web-{index}") for index in range(COUNT))]


def _workload(namespace: str, name: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "registry.k8s.io/web:1",
        "env": [{"name": "MODE", "value": "slow"}],
        "envFrom": [{"configMapRef": {"name": CONFIG}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }
