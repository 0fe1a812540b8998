"""The sidecar as its own process against the laboratory: started, killed and asked as an agent and a person would."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import yaml

from lab.laboratory import Laboratory
from sidecar.cli.remote import NO_AUTHORITY
from sidecar.policy.admission import SEAL, seal_of
from sidecar.policy.bundle import load, merged
from tests.cluster.standin import StandIn
from tests.forked import Forked, run

ROOT = Path(__file__).resolve().parents[3]
IDENTITY = "lestrade/lestrade-sidecar"
AGENT_TOKEN = "agent-token-of-the-tests"
PEOPLE = {"ada": ("sre",), "bob": ("sre", "operator"), "dan": ("operator",), "eve": ("viewer",)}


def wait_for(condition: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or condition}")


@dataclass
class Sidecar:
    """One state folder; the process may be started and killed many times."""

    lab: Laboratory
    folder: Path
    arguments: tuple[str, ...] = ("-m", "sidecar.cli", "serve")
    environment: dict[str, str] = field(default_factory=dict)
    policy_data: dict[str, Any] = field(default_factory=lambda: LENIENT)  # laid over the shipped data
    process: Forked | None = None
    lines: list[str] = field(default_factory=list)
    agent: httpx.Client = None  # type: ignore[assignment]
    agent_url: str = ""
    _people_url: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "agent.token").write_text(AGENT_TOKEN + "\n")
        self.policies = sealed_policies(self.folder, self.policy_data)
        entries = [
            f'[[person]]\nname = "{name}"\ntoken_sha256 = "{sha256(token(name))}"\nroles = {json.dumps(roles)}\n'
            for name, roles in PEOPLE.items()
        ]
        (self.folder / "people.toml").write_text("\n".join(entries))

    def settings(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("LESTRADE_")},
            "LESTRADE_SIDECAR_STATE": str(self.folder),
            "LESTRADE_SIDECAR_KUBECONFIG": str(self.lab.kubeconfig(IDENTITY)),
            "LESTRADE_SIDECAR_CLUSTER": "lab",
            "LESTRADE_SIDECAR_POLICIES": str(self.policies),
            "LESTRADE_SIDECAR_PEOPLE_LISTEN": "127.0.0.1:0",
            "LESTRADE_SIDECAR_REAP_SECONDS": "0.5",
            # One person is asked more often here within an hour than anybody should be.
            "LESTRADE_SIDECAR_MOST_CARDS_A_MINUTE": "1000",
            "LESTRADE_SIDECAR_MOST_CARDS_AN_HOUR": "1000",
            "LESTRADE_SIDECAR_MOST_PLANS_A_MINUTE": "100000",
            "PYTHONPATH": str(ROOT),
            **self.environment,
        }

    def start(self, **environment: str) -> "Sidecar":
        self.lines = []
        self.process = Forked(
            [sys.executable, *self.arguments],
            env={**self.settings(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        threading.Thread(target=self._drain, args=(self.process,), daemon=True).start()
        listening = wait_for(self._listening, seconds=60, what="the sidecar listens")
        self._people_url = listening["people"]
        headers = {"Authorization": f"Bearer {AGENT_TOKEN}"}
        self.agent_url = listening["agent"]
        if not self.agent_url.startswith("unix://"):
            return self
        transport = httpx.HTTPTransport(uds=self.agent_url.removeprefix("unix://"), verify=NO_AUTHORITY)
        self.agent = httpx.Client(transport=transport, base_url="http://sidecar", headers=headers, timeout=40)
        return self

    def _drain(self, process: Forked) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)

    def _listening(self) -> dict[str, Any] | None:
        assert self.process is not None
        for line in self.lines:
            if '"listening"' in line:
                return json.loads(line)
        if self.process.poll() is not None:
            time.sleep(0.1)
            raise AssertionError(f"the sidecar ended with {self.process.returncode}: {''.join(self.lines)}")
        return None

    def kill(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def person(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=self._people_url, headers={"Authorization": f"Bearer {token(name)}"}, timeout=40)

    # what an agent does

    def submit(self, document: dict[str, Any]) -> dict[str, Any]:
        return good(self.agent.post("/v1/plans", json=document))

    def approve(self, status: dict[str, Any], name: str = "ada", verdict: str = "approve") -> httpx.Response:
        body = {"plan": status["plan"], "verdict": verdict, "revision": status["decision"]["revision"], "reason": ""}
        return self.person(name).post(f"/approvals/{status['plan']}", json=body)

    def leased(self, document: dict[str, Any]) -> dict[str, Any]:
        status = self.submit(document)
        assert status["state"] == "waiting", status
        assert good(self.approve(status))["state"] == "approved"
        return good(self.agent.post(f"/v1/plans/{status['plan']}/lease"))

    def perform(self, lease: dict[str, Any], step: str = "step-1") -> dict[str, Any]:
        return good(self.agent.post(f"/v1/leases/{lease['id']}/steps/{step}"))

    def undo(self, lease: dict[str, Any]) -> dict[str, Any]:
        return good(self.agent.post(f"/v1/leases/{lease['id']}/undo"))

    def settle(self, lease: dict[str, Any], outcome: str = "helped") -> dict[str, Any]:
        return good(self.agent.post(f"/v1/leases/{lease['id']}/settle", json={"outcome": outcome}))

    def command(self, *arguments: str, name: str = "ada", **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            **self.settings(),
            "LESTRADE_SIDECAR_PEOPLE_URL": self._people_url,
            "LESTRADE_OPERATOR_TOKEN": token(name),
            **environment,
        }
        program = [sys.executable, "-m", "sidecar.cli", *arguments]
        return run(program, env=settings, timeout=60, cwd=ROOT)

    # what is left in the world

    def leftovers(self) -> list[str]:
        """ServiceAccounts, Roles and Bindings of leases that are still in the cluster."""
        kinds = [("", "serviceaccounts")] + [("rbac.authorization.k8s.io", kind) for kind in RBAC_KINDS]
        return [
            f"{resource} {found['metadata']['name']}"
            for group, resource in kinds
            for found in self.lab.store.list(group, resource)
            if "lestrade.dev/lease" in found["metadata"].get("labels", {})
        ]


RBAC_KINDS = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# One workload sees more changes here than any policy should allow within an hour, by plans that cite nothing and name a
# cause that is beside the point: what the shipped data says to that has tests of its own (tests/policies, tests/abuse).
LENIENT: dict[str, Any] = {
    "evidence": {"citations": 0, "related": False},
    "combinations": [],
    "blast_radius": {"leased": 1000, "share": {"prod": 100}},
    "images": {"digest": {"prod": False}},
    "budgets": {
        **{name: {"hour": 1000, "day": 1000} for name in ("target", "namespace", "team", "incident", "cluster")},
        "moved": {"replicas": {"dev": 1000, "test": 1000, "prod": 1000}, "fields": 1000},
        "pods_hour": 1000,
    },
}


def sealed_policies(folder: Path, over: dict[str, Any] = LENIENT) -> Path:
    """A copy of the bundle whose examination is vouched for: it has tests of its own, and takes half a minute."""
    copy = folder / "policies"
    if not copy.exists():
        shutil.copytree(ROOT / "policies", copy)
        data, seal = copy / "platform" / "data.yaml", copy / SEAL
        if (said := json.dumps(over)) not in _sealed:
            # JSON is YAML, and says everything as the bundle's own reader understood it.
            data.write_text(json.dumps(merged(load(copy).raw_data, over)))
            _sealed[said] = data.read_text(), seal_of(load(copy))
        for file, text in zip((data, seal), _sealed[said], strict=True):
            file.write_text(text)
    return copy


_sealed: dict[str, tuple[str, str]] = {}  # by what is laid over the shipped data: the data file and the seal


def token(name: str) -> str:
    return f"token-of-{name}-for-the-tests"


def good(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code in (200, 201), f"{response.status_code} {response.text}"
    return response.json()


def furnished(lab: Laboratory) -> None:
    """The sidecar's identity and a namespace with a workload in it."""
    lab.apply(list(_rights()))
    lab.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "shop"},
                "data": {"mode": "slow"},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "main", "image": "registry.k8s.io/web:1"}]},
                    },
                },
            },
        ]
    )
    wait_for(lambda: ready_replicas(lab) == 2, what="the deployment is ready")


@cache
def _rights() -> tuple[dict[str, Any], ...]:
    return tuple(yaml.safe_load_all((ROOT / "deploy" / "rbac" / "sidecar.yaml").read_text()))


def ready_replicas(lab: Laboratory) -> int:
    found = lab.get("Deployment", "shop", "web") or {}
    return int(found.get("status", {}).get("readyReplicas", 0))


def some_cluster() -> Laboratory:
    """The laboratory; where LESTRADE_TEST_CONTROLPLANE names the program of a real control plane, that in its place."""
    if program := os.environ.get("LESTRADE_TEST_CONTROLPLANE"):
        return cast(Laboratory, StandIn(program))
    return Laboratory.start()


@contextmanager
def running(folder: Path, **over: Any) -> Iterator[Sidecar]:
    with some_cluster() as lab:
        furnished(lab)
        sidecar = Sidecar(lab=lab, folder=folder, **over)
        try:
            yield sidecar
        finally:
            if sidecar.process is not None:
                sidecar.kill()
